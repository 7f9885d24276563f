//! Reload under traffic: adverts go on, what stayed is not touched, what changed is done, what is wrong changes nothing.

use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use vrrp_tests::conf::{Conf, TWIN_VIP, VIP};
use vrrp_tests::daemon::{Daemon, Program::Vrrpd};
use vrrp_tests::lab::{A, B, Lab, with_lab, with_lab_alone};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::vrrpd;

use crate::tidiness::host;
use vrrp_tests::scenario::{PATIENCE, elect};

pub const SECOND: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 110);
const THIRD: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 111);

pub fn write(daemon: &Daemon, text: &str) -> Result<()> {
    // As editors do it: whoever reads meanwhile reads one or the other.
    let path = daemon.directory.join("keepalived.conf");
    fs::write(path.with_extension("new"), text)?;
    fs::rename(path.with_extension("new"), path).context("the configuration")
}

/// Has a daemon reload this, and waits until it has.
pub fn reload(daemon: &Daemon, text: &str) -> Result<()> {
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
        let mut daemon = lab.start(A, Vrrpd, &conf.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let before = host(lab)?;
        let broken = conf.text().replace("virtual_router_id 51", "virtual_router_id 510");
        let elsewhere = more("VI_9", 9, 120, 10, &[format!("{THIRD}/32")]).replace("eth0", "eth7");
        for (text, why) in
            [(broken, "510"), (format!("{}{elsewhere}", conf.text()), "eth7"), (String::new(), "virtual router")]
        {
            let told = reload(&daemon, &text).err().context("it was applied")?;
            ensure!(told.to_string().contains(why), "{told}");
            daemon.wait_log("the configuration of before stays", PATIENCE)?;
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

/// A virtual MAC interface is made by a reload and removed by the next; what the daemon's end has to put back, it does.
#[test]
fn a_virtual_mac_interface_comes_and_goes() {
    with_lab(|lab| {
        let (plain, vmac) = (Conf::v3(150).every(10), Conf::v3(150).every(10).vmac());
        let before = host(lab)?;
        let mut daemon = lab.start(A, Vrrpd, &plain.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        for conf in [&vmac, &plain, &vmac] {
            let since = Stamp::now();
            reload(&daemon, &conf.text())?;
            lab.watch.wait("the address to move", PATIENCE, |record| record.changed(A, VIP, true, since))?;
            let links = lab.routers[A].ip("link show")?;
            ensure!(links.contains("vrrp.51") == conf.use_vmac, "{links}");
        }
        daemon.stop()?;
        ensure!(host(lab)? == before, "something is left behind");
        Ok(())
    });
}

/// A router that joins a group that serves does so, too, and takes nothing from it.
#[test]
fn a_sync_group_forms_around_a_master() {
    with_lab(|lab| {
        let alone = Conf::v3(150).every(10);
        let pair = elect(lab, [Vrrpd; 2], &alone, &Conf::v3(100).every(10))?;
        let since = Stamp::now();
        reload(&pair.a, &Conf { has_twin: true, ..alone.clone() }.text())?;
        lab.watch.wait_holder(A, TWIN_VIP, PATIENCE)?;
        reload(&pair.a, &alone.text())?;
        lab.watch.wait_nobody(TWIN_VIP, PATIENCE)?;
        ensure!(lab.watch.record().changed(A, VIP, false, since).is_none(), "the group took the address away");
        ensure!(lab.watch.record().adverts_of(B, since).count() == 0, "the other router spoke");
        Ok(())
    });
}

/// A check that stays runs on, at its own time; one that is new is waited for, and one that is gone weighs no more.
#[test]
fn checks_go_on() {
    with_lab(|lab| {
        let runs = lab.directory.join("runs");
        let check = format!(
            "vrrp_script chk {{\n    script \"/bin/sh -c 'echo >> {}; exit 1'\"\n    interval 1\n    weight -60\n}}\n",
            runs.display()
        );
        let checked = Conf { before: check, ..Conf::v3(150).every(10) }.line("track_script {\n        chk\n    }");
        let mut daemon = lab.start(A, Vrrpd, &checked.text())?;
        daemon.wait_log("Changing effective priority from 150 to 90", PATIENCE)?;
        let begun = std::time::Instant::now();
        for number in 0..40 {
            reload(&daemon, &format!("{}# {number}\n", checked.text()))?;
        }
        let counted = fs::read_to_string(&runs)?.lines().count() as u64;
        ensure!(counted <= 3 + begun.elapsed().as_secs(), "{counted} runs in {:?}", begun.elapsed());
        let effective = |daemon: &Daemon| {
            Ok::<_, anyhow::Error>(vrrpd::status(daemon)?["instances"][0]["effective_priority"].clone())
        };
        ensure!(effective(&daemon)? == 90, "the outcome was lost");
        reload(&daemon, &Conf::v3(150).every(10).text())?;
        ensure!(effective(&daemon)? == 150, "the outcome weighs on");
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
    with_lab_alone(|lab| {
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
        // Since the election; of those that come and go meanwhile nothing is counted at the end.
        let all_counted = || {
            Ok::<_, anyhow::Error>((
                counted(&a, "advert_missed")?,
                [&a, &b].map(|of| counted(of, "become_master").ok()),
            ))
        };
        let before = all_counted()?;
        for (interfaces, addresses) in [(4, 3), (5, 2), (5, 3), (4, 2)] {
            reload(&a, &thousand(interfaces, 150, addresses))?;
            reload(&b, &thousand(interfaces, 100, addresses))?;
        }
        std::thread::sleep(Duration::from_secs(1));
        ensure!(all(&a, "MASTER")? && all(&b, "BACKUP")?, "somebody took over");
        let after = all_counted()?;
        ensure!(after == before, "missed adverts and takeovers before and after: {before:?}, {after:?}");
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
