//! Reload under traffic: adverts go on, what stayed is not touched, what changed is done, what is wrong changes nothing.

use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::{Daemon, Program::Vrrpd};
use vrrp_tests::lab::{A, B, Lab, with_lab};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::vrrpd;

use crate::scenario::{PATIENCE, elect};
use crate::tidiness::host;

const SECOND: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 110);
const THIRD: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 111);

fn write(daemon: &Daemon, text: &str) -> Result<()> {
    // As editors do it: whoever reads meanwhile reads one or the other.
    let path = daemon.directory.join("keepalived.conf");
    fs::write(path.with_extension("new"), text)?;
    fs::rename(path.with_extension("new"), path).context("the configuration")
}

/// Has a daemon reload this, and waits until it has.
fn reload(daemon: &Daemon, text: &str) -> Result<()> {
    write(daemon, text)?;
    vrrpd::vrrpctl(daemon, &["reload"]).map(drop)
}

/// A virtual router beside that of [`Conf`].
fn more(name: &str, vrid: u32, priority: u8, centis: u32, addresses: &[String]) -> String {
    format!(
        "vrrp_instance {name} {{\n    interface eth0\n    virtual_router_id {vrid}\n    version 3\n    priority {priority}\n    \
         advert_int {}\n    virtual_ipaddress {{\n        {}\n    }}\n}}\n",
        f64::from(centis) / 100.0,
        addresses.join("\n        ")
    )
}

/// The longest time between two adverts of a router for a VRID, and how many there were.
fn cadence(lab: &Lab, router: usize, vrid: u8, since: Stamp) -> (Duration, usize) {
    let record = lab.watch.record();
    let at: Vec<_> =
        record.adverts_of(router, since).filter(|advert| advert.vrid == vrid).map(|advert| advert.at).collect();
    let gap = at.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
    (gap, at.len())
}

#[test]
fn addresses_and_routers_come_and_go_and_nobody_takes_over() {
    with_lab(|lab| {
        let (a, b) = (Conf::v3(150).every(10), Conf::v3(100).every(10));
        let before = host(lab)?;
        let mut pair = elect(lab, [Vrrpd; 2], &a, &b)?;
        let begun = Stamp::now();
        // One more address, and one more router.
        let wider = Conf { addresses: vec![format!("{VIP}/24"), format!("{SECOND}/24")], ..a.clone() };
        let beside = more("VI_9", 9, 120, 10, &[format!("{THIRD}/32")]);
        reload(&pair.a, &format!("{}{beside}", wider.text()))?;
        lab.watch.wait_holder(A, SECOND, PATIENCE)?;
        lab.watch.wait_holder(A, THIRD, PATIENCE)?;
        lab.watch.wait("the new address to be announced", PATIENCE, |record| {
            record.announcements(A, SECOND, begun).next()
        })?;
        ensure!(lab.watch.record().announcements(A, VIP, begun).count() < 10, "the old address is announced anew");
        // The first address goes, and the second router leaves.
        let narrow = Conf { addresses: vec![format!("{SECOND}/24")], ..a.clone() };
        reload(&pair.a, &narrow.text())?;
        lab.watch.wait_nobody(VIP, PATIENCE)?;
        lab.watch.wait_nobody(THIRD, PATIENCE)?;
        std::thread::sleep(Duration::from_secs(1));
        let left = |advert: &vrrp_tests::capture::SeenAdvert| advert.vrid == 9 && advert.claims().is_none();
        ensure!(lab.watch.record().adverts_of(A, begun).any(|advert| left(&advert)), "nobody heard VI_9 leave");
        ensure!(lab.watch.record().changed(A, SECOND, false, begun).is_none(), "an address that stays was taken away");
        ensure!(lab.watch.record().adverts_of(B, begun).count() == 0, "the other router spoke");
        let (gap, count) = cadence(lab, A, a.vrid, begun);
        ensure!(count > 10 && gap < Duration::from_millis(290), "{count} adverts, {gap:?} between two");
        ensure!(!pair.a.log().contains("Entering BACKUP STATE\n"), "{}", pair.a.log());
        pair.b.stop()?;
        pair.a.stop()?;
        ensure!(host(lab)? == before, "something is left behind on router A");
        Ok(())
    });
}

/// A priority below the other's hands over, and one above it takes back: both in the running daemon.
#[test]
fn a_changed_priority_is_advertised() {
    with_lab(|lab| {
        let (a, b) = (Conf::v3(150).every(10), Conf::v3(100).every(10));
        let pair = elect(lab, [Vrrpd; 2], &a, &b)?;
        reload(&pair.a, &Conf { priority: 50, ..a.clone() }.text())?;
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        let status = vrrpd::status(&pair.a)?;
        ensure!(status["instances"][0]["effective_priority"] == 50, "{status:#}");
        let since = Stamp::now();
        pair.a.signal(Signal::SIGHUP)?;
        write(&pair.a, &a.text())?;
        reload(&pair.a, &a.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        ensure!(lab.watch.record().changed(A, VIP, true, since).is_some(), "A did not take back");
        let status = vrrpd::status(&pair.a)?;
        ensure!(status["instances"][0]["stats"]["become_master"] == 2, "statistics were lost: {status:#}");
        Ok(())
    });
}

/// A file with a mistake, an interface that does not exist, no file: the old configuration stays, and whoever asked hears why.
#[test]
fn a_wrong_configuration_changes_nothing() {
    with_lab(|lab| {
        let conf = Conf::v3(150).every(10);
        let daemon = lab.start(A, Vrrpd, &conf.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let before = host(lab)?;
        let broken = conf.text().replace("virtual_router_id 51", "virtual_router_id 510");
        let elsewhere = more("VI_9", 9, 120, 10, &[format!("{THIRD}/32")]).replace("eth0", "eth7");
        for (text, why) in
            [(broken, "510"), (format!("{}{elsewhere}", conf.text()), "eth7"), (String::new(), "virtual router")]
        {
            let told = reload(&daemon, &text).err().context("it was applied")?;
            ensure!(told.to_string().contains(why), "{told}");
            ensure!(daemon.log().contains("the configuration of before stays"), "{}", daemon.log());
        }
        fs::remove_file(daemon.directory.join("keepalived.conf"))?;
        ensure!(vrrpd::vrrpctl(&daemon, &["reload"]).is_err(), "a file that is not there was applied");
        ensure!(host(lab)? == before && lab.watch.record().holders(VIP) == [A], "the host is not as it was");
        for part in ["keepalived.conf", "virtual_router_id"] {
            lab.announce_error(part);
        }
        Ok(())
    });
}

#[test]
fn a_storm_of_signals_is_served() {
    with_lab(|lab| {
        let conf = |addresses: &[Ipv4Addr]| Conf {
            addresses: addresses.iter().map(|address| format!("{address}/24")).collect(),
            ..Conf::v3(150).every(10)
        };
        let mut pair = elect(lab, [Vrrpd; 2], &conf(&[VIP]), &Conf::v3(100).every(10))?;
        let begun = Stamp::now();
        for round in 0..100 {
            let text = if round % 2 == 0 { conf(&[VIP, SECOND]) } else { conf(&[THIRD, VIP]) }.text();
            write(&pair.a, &text)?;
            pair.a.signal(Signal::SIGHUP)?;
            std::thread::sleep(Duration::from_millis(round % 20));
        }
        reload(&pair.a, &conf(&[SECOND]).text())?;
        lab.watch.wait_nobody(VIP, PATIENCE)?;
        lab.watch.wait_nobody(THIRD, PATIENCE)?;
        lab.watch.wait_holder(A, SECOND, PATIENCE)?;
        ensure!(lab.watch.record().adverts_of(B, begun).count() == 0, "the other router spoke");
        pair.a.stop()?;
        Ok(())
    });
}

/// A thousand virtual routers, one changed by each reload, and three hundred more: the program's tables grow, no advert is
/// missed.
#[test]
fn a_thousand_reload_without_a_missed_advert() {
    with_lab(|lab| {
        cables(lab)?;
        let start = |router, priority| lab.start(router, Vrrpd, &thousand(4, priority, 2));
        let (mut a, mut b) = (start(A, 150)?, start(B, 100)?);
        for daemon in [&mut a, &mut b] {
            daemon.wait_log("Startup complete", 2 * PATIENCE)?;
        }
        let all = |daemon: &Daemon, state: &str| -> Result<bool> {
            let status = vrrpd::status(daemon)?;
            let instances = status["instances"].as_array().context("instances")?;
            Ok(instances.iter().all(|instance| instance["state"] == state))
        };
        let begun = std::time::Instant::now();
        while !(all(&a, "MASTER")? && all(&b, "BACKUP")?) {
            ensure!(begun.elapsed() < 2 * PATIENCE, "{}", a.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        std::thread::sleep(Duration::from_secs(1));
        let counted = |daemon: &Daemon, counter: &str| -> Result<u64> {
            let status = vrrpd::status(daemon)?;
            let instances = status["instances"].as_array().context("instances")?;
            Ok(instances.iter().filter_map(|instance| instance["stats"][counter].as_u64()).sum())
        };
        let missed = counted(&a, "advert_missed")?;
        for (interfaces, addresses) in [(4, 3), (5, 2), (5, 3), (4, 2)] {
            reload(&a, &thousand(interfaces, 150, addresses))?;
            reload(&b, &thousand(interfaces, 100, addresses))?;
        }
        std::thread::sleep(Duration::from_secs(1));
        ensure!(all(&a, "MASTER")? && all(&b, "BACKUP")?, "somebody took over");
        ensure!(counted(&a, "advert_missed")? == missed, "adverts were missed");
        ensure!(counted(&b, "become_master")? == 0, "a backup took over");
        ensure!(counted(&a, "become_master")? == 1000, "a master did not stay");
        Ok(())
    });
}

/// Cables between the routers, for 250 virtual routers each.
fn cables(lab: &Lab) -> Result<()> {
    for number in 1..=5 {
        let name = format!("net{number}");
        lab.routers[A].ip(&format!("link add {name} type veth peer name {name} netns {}", lab.routers[B].path()))?;
        for router in [A, B] {
            lab.routers[router].ip(&format!("address add 10.{number}.255.{}/16 dev {name}", router + 1))?;
            lab.routers[router].ip(&format!("link set {name} up"))?;
        }
    }
    Ok(())
}

fn thousand(interfaces: u8, priority: u8, addresses: u8) -> String {
    let routers = (1..=interfaces).flat_map(|number| (1..=250).map(move |vrid| (number, vrid)));
    routers
        .map(|(number, vrid)| {
            let addresses: Vec<_> = (0..addresses).map(|last| format!("10.{number}.{last}.{vrid}/32")).collect();
            more(&format!("VI_{number}_{vrid}"), vrid, priority, 10, &addresses)
                .replace("eth0", &format!("net{number}"))
        })
        .collect()
}
