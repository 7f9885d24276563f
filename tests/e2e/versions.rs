//! Both versions beside each other, for an upgrade: RFC 9568 section 8.4.

use anyhow::{Result, ensure};
use vrrp_common::Version;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Program::{Keepalived, Vrrpd};
use vrrp_tests::daemon::{Daemon, Program};
use vrrp_tests::keepalived;
use vrrp_tests::lab::{A, B, Lab, with_lab, with_routers};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::vrrpd;

use vrrp_tests::scenario::{self, PATIENCE};

const C: usize = 2;

/// Version 3 at one second, without a password.
fn v3(priority: u8) -> Conf {
    Conf::v3(priority).every(100)
}

/// The same with version 2 beside it, whose adverts have the password of [`Conf::v2`].
fn both(priority: u8) -> Conf {
    Conf { version: Version::V3, ..Conf::v2(priority) }.line("vrrpd_dual_version")
}

fn start(lab: &Lab, router: usize, program: Program, conf: &Conf) -> Result<Daemon> {
    let mut daemon = lab.start_conf(router, program, conf)?;
    daemon.wait_log(program.backup_line(), PATIENCE)?;
    Ok(daemon)
}

/// Who knows one version only hears the master that speaks both, and the master of version 2 is followed by one that does.
#[test]
fn keepalived_of_either_version_follows() {
    if keepalived::is_missing() {
        return;
    }
    with_routers(3, |lab| {
        let mut a = lab.start_conf(A, Vrrpd, &both(150))?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let mut b = start(lab, B, Keepalived, &Conf::v2(100))?;
        let c = start(lab, C, Keepalived, &v3(90))?;
        let since = Stamp::now();
        std::thread::sleep(2 * v3(90).down_interval());
        for router in [B, C] {
            let said = lab.watch.record().adverts_of(router, Stamp::default()).next().is_some();
            ensure!(!said, "router {router} did not accept adverts");
        }
        let versions: Vec<_> = lab.watch.record().adverts_of(A, since).map(|advert| advert.version).collect();
        let of = |version| versions.iter().filter(|is| **is == version).count();
        ensure!(of(Version::V2) >= 5 && of(Version::V2).abs_diff(of(Version::V3)) <= 1, "{versions:?}");
        drop(c);
        // Now the one of version 2 is the master, and the one that speaks both its backup.
        a.stop()?;
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        let mut a = start(lab, A, Vrrpd, &both(50))?;
        let since = Stamp::now();
        std::thread::sleep(2 * both(50).down_interval());
        ensure!(lab.watch.record().adverts_of(A, since).next().is_none(), "it did not accept adverts of version 2");
        let status = vrrpd::status(&a)?;
        ensure!(status["instances"][0]["stats"]["version_2_rcvd"].as_u64() > Some(0), "{status:#}");
        b.kill()?;
        lab.switch_off(B, Keepalived, &Conf::v2(100))?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        a.stop().map(drop)
    });
}

/// A pair of keepalived's of version 2 becomes one of ours of version 3, a router at a time; at no moment do two serve.
#[test]
fn a_pair_is_upgraded() {
    if keepalived::is_missing() {
        return;
    }
    with_lab(|lab| {
        let mut pair = scenario::elect(lab, [Keepalived; 2], &Conf::v2(150), &Conf::v2(100))?;
        for (a, b) in [(both(150), both(100)), (v3(150), v3(100))] {
            pair.b.stop()?;
            pair.b = start(lab, B, Vrrpd, &b)?;
            heard(lab)?;
            pair.a.stop()?;
            lab.watch.wait_holder(B, VIP, PATIENCE)?;
            pair.a = lab.start_conf(A, Vrrpd, &a)?;
            lab.watch.wait_holder(A, VIP, PATIENCE)?;
            heard(lab)?;
        }
        scenario::one_holder_at_a_time(lab, Default::default())
    });
}

/// For a down interval the backup stays one.
fn heard(lab: &Lab) -> Result<()> {
    let since = Stamp::now();
    std::thread::sleep(v3(100).down_interval());
    ensure!(lab.watch.record().adverts_of(B, since).next().is_none(), "the backup did not accept adverts");
    Ok(())
}
