//! What peers refuse of each other, and say so; what they hold together is in `matrix/`.

use std::time::Duration;

use anyhow::ensure;
use vrrp_common::drop::Reason;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Program::{Frr, Keepalived, Vrrpd};
use vrrp_tests::forge;
use vrrp_tests::frames::FrameSpec;
use vrrp_tests::frr;
use vrrp_tests::keepalived;
use vrrp_tests::lab::{A, B, own_address, with_lab};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::vrrpd;

use vrrp_tests::scenario::{self, PATIENCE};

/// A password of nine characters is cut to eight by both.
#[test]
fn a_long_password_is_cut_alike() {
    if keepalived::is_missing() {
        return;
    }
    with_lab(|lab| {
        let conf = |priority| Conf { password: Some("secret123"), ..Conf::v2(priority) };
        let _pair = scenario::elect(lab, [Vrrpd, Keepalived], &conf(150), &conf(100))?;
        // Two down intervals of the backup: it hears the master all the time.
        let quiet = 2 * conf(100).down_interval();
        std::thread::sleep(quiet);
        ensure!(
            lab.watch.record().adverts_of(B, Stamp::default()).next().is_none(),
            "the backup did not accept adverts"
        );
        Ok(())
    });
}

/// The peer's wrong password never moves mastership: each hears nobody, as with keepalived.
#[test]
fn a_wrong_password_is_no_peer() {
    if keepalived::is_missing() {
        return;
    }
    with_lab(|lab| {
        let ours = Conf { password: Some("secret12"), ..Conf::v2(100) };
        let theirs = Conf { password: Some("Secret12"), ..Conf::v2(200) };
        let b = lab.start(B, Keepalived, &theirs.text())?;
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        let a = lab.start(A, Vrrpd, &ours.text())?;
        lab.watch.wait("A to take its adverts for none", PATIENCE, |record| {
            (record.holders(VIP).contains(&A)).then_some(())
        })?;
        // And it stays master beside the stronger adverts.
        std::thread::sleep(ours.down_interval());
        ensure!(lab.watch.record().holders(VIP).contains(&A), "a wrong password took mastership away");
        // And both say why, which shows that `nobody_complains` can fail.
        ensure!(!Keepalived.complaints(&b.log()).is_empty(), "keepalived does not complain: {}", b.log());
        ensure!(vrrpd::drops(&vrrpd::status(&a)?, Reason::AuthFailure) > 2, "vrrpd does not count it");
        let said = a.log().matches("(VI_1) received an invalid passwd!").count();
        ensure!(said == 1, "vrrpd says it {said} times: {}", a.log());
        Ok(())
    });
}

/// What FRR refuses it says in words that its log is searched for: `nobody_complains` can fail of it, too.
#[test]
fn frr_complains_of_a_wrong_advert() {
    if frr::is_missing() {
        return;
    }
    with_lab(|lab| {
        let b = lab.start_conf(B, Frr, &Conf::v3(100))?;
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        ensure!(Frr.complaints(&b.log()).is_empty(), "FRR complains of nothing: {}", b.log());
        let wrong = FrameSpec { source: own_address(A).into(), interval: 20, checksum_error: 1, ..FrameSpec::v3() };
        forge::flood(&lab.attacker, &[wrong.build()], 3, 10)?;
        std::thread::sleep(Duration::from_millis(200));
        ensure!(!Frr.complaints(&b.log()).is_empty(), "FRR does not complain: {}", b.log());
        Ok(())
    });
}
