//! Three routers, each of another make: exactly one is master, whoever of them is strongest.

use anyhow::Result;
use vrrp_common::Family;
use vrrp_tests::conf::Conf;
use vrrp_tests::daemon::Program::{self, Frr, Keepalived, Vrrpd};
use vrrp_tests::lab::{Lab, with_routers};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::{frr, keepalived};

use vrrp_tests::scenario::{announced, holds, one_holder_at_a_time};

/// Of the routers A, B and C.
const PRIORITY: [u8; 3] = [150, 120, 90];

fn settle(programs: [Program; 3], conf: fn(u8) -> Conf) {
    if keepalived::is_missing() || frr::is_missing() {
        return;
    }
    with_routers(3, |lab| {
        let confs = PRIORITY.map(conf);
        if confs[0].family() == Family::V6 {
            lab.speak_ipv6()?;
        }
        let settled = |router: usize, since| {
            holds(lab, router, &confs[router])?;
            announced(lab, router, &confs[router], since)?;
            stays(lab, router, &confs[router])
        };
        let since = Stamp::now();
        let start = |router: usize| lab.start_conf(router, programs[router], &confs[router]);
        // The weakest first: each later one has to take mastership away.
        let (mut c, mut b, mut a) = (start(2)?, start(1)?, start(0)?);
        settled(0, since)?;
        let start_of_one = Stamp::now();
        let since = a.kill()?;
        lab.switch_off(0, programs[0], &confs[0])?;
        settled(1, since)?;
        let since = Stamp::now();
        a = start(0)?;
        settled(0, since)?;
        let since = a.stop()?;
        settled(1, since)?;
        let since = b.stop()?;
        settled(2, since)?;
        c.stop()?;
        one_holder_at_a_time(lab, start_of_one)?;
        lab.nobody_complains()
    });
}

/// For longer than any of them would wait, nobody else holds the addresses or sends an advert.
fn stays(lab: &Lab, router: usize, conf: &Conf) -> Result<()> {
    let since = Stamp::now();
    std::thread::sleep(conf.down_interval() + 2 * conf.advert_int.duration());
    let record = lab.watch.record();
    let moved = record.changes.iter().any(|change| change.at > since);
    let others = record.adverts().any(|advert| advert.at > since && advert.router != router);
    anyhow::ensure!(!moved && !others, "there is more than one master");
    Ok(())
}

#[test]
fn ours_before_keepalived_before_frr() {
    settle([Vrrpd, Keepalived, Frr], Conf::v3);
}

#[test]
fn keepalived_before_frr_before_ours() {
    settle([Keepalived, Frr, Vrrpd], Conf::v3);
}

#[test]
fn frr_before_ours_before_keepalived() {
    settle([Frr, Vrrpd, Keepalived], Conf::v3);
}

#[test]
fn all_over_ipv6() {
    settle([Vrrpd, Frr, Keepalived], Conf::v6);
}
