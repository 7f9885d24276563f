//! Unicast routers without an interface, and what a pair of them goes through.

use anyhow::{Result, ensure};

use crate::conf::{Conf, VIP};
use crate::daemon::Program::Vrrpd;
use crate::lab::{A, B, Lab, own_address};
use crate::scenario::{PATIENCE, announced, takes};
use crate::stamp::Stamp;
use crate::vrrpd;

/// The address of a router that is on none of its links.
pub fn loopback(router: usize) -> [u8; 4] {
    [10, 1, 0, 1 + router as u8]
}

/// A virtual router of `lines` and no `interface`.
pub fn conf(router: usize, priority: u8, lines: &[&str]) -> Conf {
    let conf = Conf { addresses: vec![format!("{VIP}/24 dev eth0")], ..Conf::v3(priority) };
    let conf = conf.unicast(loopback(router), loopback(1 - router));
    lines.iter().fold(conf, |conf, line| conf.line(*line))
}

pub fn text(conf: &Conf) -> String {
    conf.text().replace("    interface eth0\n", "")
}

/// Routers reach each other's addresses by eth0, in the table of `words`.
pub fn route(lab: &Lab, device: &str, words: &str) -> Result<()> {
    for router in [A, B] {
        let there = |router| std::net::Ipv4Addr::from(loopback(router));
        lab.routers[router].ip(&format!("address add {}/32 dev {device}", there(router)))?;
        lab.routers[router].ip(&format!("route add {} via {} {words}", there(1 - router), own_address(1 - router)))?;
    }
    Ok(())
}

/// A router of which the other's adverts are heard by eth0 is elected, killed, comes back and stops.
pub fn routed_round(lab: &Lab, [a, b]: [&Conf; 2], also: &str) -> Result<()> {
    let mut start = Stamp::now();
    let mut a_runs = lab.start(A, Vrrpd, &(text(a) + also))?;
    announced(lab, A, a, start)?;
    let mut b_runs = lab.start(B, Vrrpd, &(text(b) + also))?;
    b_runs.wait_log(Vrrpd.backup_line(), PATIENCE)?;
    std::thread::sleep(2 * b.down_interval());
    let status = vrrpd::status(&b_runs)?;
    ensure!(vrrpd::counter(&status, "advert_rcvd")? > 3, "the backup does not hear the master: {status:#}");
    ensure!(!lab.ip_shows(B, VIP)?, "the backup has become master");

    let killed_at = a_runs.kill()?;
    lab.watch.wait_holder(B, VIP, PATIENCE)?;
    announced(lab, B, b, killed_at)?;
    start = Stamp::now();
    a_runs = lab.start(A, Vrrpd, &(text(a) + also))?;
    lab.watch.wait_holder(A, VIP, PATIENCE)?;
    announced(lab, A, a, start)?;
    let stopped_at = a_runs.stop()?;
    lab.watch.wait_holder(B, VIP, PATIENCE)?;
    let at = |router, priority| {
        let record = lab.watch.record();
        let mut adverts = record.adverts_of(router, stopped_at);
        let found = adverts.find(|advert| advert.priority == priority && advert.vrid == a.vrid);
        found.map(|advert| advert.at).ok_or_else(|| anyhow::anyhow!("no advert of priority {priority}"))
    };
    takes(at(B, b.priority)? - at(A, 0)?, b.skew(), "a takeover after priority 0")?;
    b_runs.stop()?;
    lab.watch.wait_nobody(VIP, PATIENCE)
}
