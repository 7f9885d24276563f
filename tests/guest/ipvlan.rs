//! `use_ipvlan`: adverts come from the ipvlan's address, the virtual address is on the interface below, and nothing stays behind.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use vrrp_tests::capture::SeenAdvert;
use vrrp_tests::client::Client;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Program::Vrrpd;
use vrrp_tests::lab::{A, B, Lab, own_link_local, with_lab};
use vrrp_tests::scenario::PATIENCE;
use vrrp_tests::stamp::Stamp;

/// Emulated machines take seconds to load a program.
fn conf(priority: u8, ipvlan: &str) -> Conf {
    Conf::v3(priority).line(format!("use_ipvlan {ipvlan}")).global("xdp_mode off")
}

fn own(router: usize) -> IpAddr {
    [192, 168, 1, 20 + router as u8].into()
}

/// How a router shows its ipvlan, and the addresses there; empty when it has none.
fn shown(lab: &Lab, router: usize) -> Result<String> {
    let host = &lab.routers[router];
    let link = host.ip("-d -o link show type ipvlan")?;
    Ok(if link.is_empty() { link } else { link + &host.ip("-o address show dev vrrp.51")? })
}

fn wait_shown(lab: &Lab, router: usize, what: &str, is_so: impl Fn(&str) -> bool) -> Result<()> {
    let start = Instant::now();
    loop {
        let shown = shown(lab, router)?;
        if is_so(&shown) {
            return Ok(());
        }
        ensure!(start.elapsed() < PATIENCE, "waited in vain for {what}: {shown}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn is_made(router: usize) -> impl Fn(&str) -> bool {
    move |shown| {
        let parts = ["vrrp.51@eth0", ",UP", "mode l2 bridge", &format!("inet {}/24", own(router))];
        parts.iter().all(|part| shown.contains(part))
    }
}

fn advert(lab: &Lab, router: usize, since: Stamp) -> Result<SeenAdvert> {
    let what = format!("an advert of router {router}");
    lab.watch.wait(what, PATIENCE, |record| record.adverts_of(router, since).find(|advert| advert.priority > 0))
}

/// Both routers have theirs at all times; the master alone has the virtual address, on the interface below. What others undo
/// is made again, and SIGKILL leaves nothing.
#[test]
fn the_master_sends_from_its_ipvlan() {
    with_lab(|lab| {
        let [a, b] =
            [(A, 150), (B, 100)].map(|(router, priority)| conf(priority, &format!("{}/24", own(router))).text());
        let mut first = lab.start(A, Vrrpd, &a)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let mut second = lab.start(B, Vrrpd, &b)?;
        second.wait_log("Entering BACKUP STATE", PATIENCE)?;
        for router in [A, B] {
            wait_shown(lab, router, "the ipvlan", is_made(router))?;
        }
        let seen = advert(lab, A, Stamp::now())?;
        ensure!((seen.source, seen.mac) == (own(A), [2, 0, 0, 0, 0, 0x10]), "{seen:?}");
        ensure!(
            lab.routers[A].ip("-o address show dev eth0")?.contains(&VIP.to_string()),
            "the address is not on eth0"
        );
        Client::start(&lab.client, VIP)?.wait_answer(Stamp::now(), PATIENCE)?;

        for (command, word) in [("link del vrrp.51", "deleted"), ("link set vrrp.51 down", "taken down")] {
            lab.routers[A].ip(command)?;
            first.wait_log(&format!("ipvlan interface vrrp.51 was {word} by somebody else"), PATIENCE)?;
            wait_shown(lab, A, "the ipvlan", is_made(A))?;
        }
        lab.watch.wait_holder(A, VIP, PATIENCE)?;

        let killed_at = first.kill()?;
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        ensure!(advert(lab, B, killed_at)?.source == own(B), "{:?}", advert(lab, B, killed_at)?);
        wait_shown(lab, A, "the ipvlan to be gone", str::is_empty)?;

        let since = Stamp::now();
        first = lab.start(A, Vrrpd, &a)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        ensure!(advert(lab, A, since)?.source == own(A), "{:?}", advert(lab, A, since)?);
        first.stop()?;
        second.stop()?;
        ensure!(shown(lab, A)?.is_empty() && shown(lab, B)?.is_empty(), "an ipvlan is left");
        Ok(())
    });
}

/// What a daemon left that died together with its guard is taken over; one of another mode is somebody else's.
#[test]
fn leftovers_are_taken_over_and_strangers_are_not() {
    with_lab(|lab| {
        let conf = conf(150, "192.168.1.20/24").text();
        let router = &lab.routers[A];
        router.ip("link add link eth0 name vrrp.51 type ipvlan mode l2 private")?;
        router.ip("address add 192.168.1.20/24 dev vrrp.51")?;
        let mut daemon = lab.start(A, Vrrpd, &conf)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        wait_shown(lab, A, "the ipvlan", is_made(A))?;
        daemon.stop()?;
        ensure!(shown(lab, A)?.is_empty(), "it is left: {}", shown(lab, A)?);

        router.ip("link add link eth0 name vrrp.51 type ipvlan mode l3")?;
        let mut daemon = lab.start(A, Vrrpd, &conf)?;
        lab.announce_error("interface vrrp.51 exists, and is no ipvlan of mode L2 on eth0");
        ensure!(daemon.wait_exit(PATIENCE)?.code() == Some(2), "it started");
        ensure!(daemon.log().contains("interface vrrp.51 exists"), "{}", daemon.log());
        ensure!(shown(lab, A)?.contains("mode l3"), "the stranger's interface is gone");
        Ok(())
    });
}

/// Over IPv6 the link-local address of the ipvlan is the source, once it is proven.
#[test]
fn without_an_address_it_sends_from_the_link_local_one() {
    with_lab(|lab| {
        lab.speak_ipv6()?;
        let conf = Conf::v6(150).line("use_ipvlan").global("xdp_mode off");
        let _daemon = lab.start(A, Vrrpd, &conf.text())?;
        let seen = advert(lab, A, Stamp::default())?;
        ensure!(seen.source != IpAddr::from(own_link_local(A)), "{seen:?}");
        ensure!(
            shown(lab, A)?.contains(&format!("inet6 {}/64 scope link", seen.source)),
            "{seen:?}: {}",
            shown(lab, A)?
        );
        Ok(())
    });
}

/// What is sent to the address of the ipvlan comes by no other interface.
#[test]
fn unicast_is_heard_on_the_ipvlan() {
    with_lab(|lab| {
        let conf = |router, priority| {
            let ipvlan = conf(priority, &format!("{}/24", own(router)));
            ipvlan.line(format!("unicast_peer {{\n {}\n }}", own(1 - router))).text()
        };
        let mut first = lab.start(A, Vrrpd, &conf(A, 150))?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let mut second = lab.start(B, Vrrpd, &conf(B, 100))?;
        second.wait_log("Entering BACKUP STATE", PATIENCE)?;
        // A has asked for B's address before there was one; its kernel asks again within a second, and then B hears it.
        let since = Stamp::now() + Duration::from_secs(2);
        lab.watch.wait("adverts of A", PATIENCE, |record| record.adverts_of(A, since).nth(8))?;
        ensure!(lab.watch.record().adverts_of(B, since).next().is_none(), "B did not hear A");
        first.kill()?;
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        second.stop()?;
        Ok(())
    });
}
