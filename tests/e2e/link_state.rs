//! When a link counts as down, and as up again (`interface_up_down_delays`).

use std::time::Duration;

use anyhow::ensure;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Program::{self, Keepalived, Vrrpd};
use vrrp_tests::keepalived;
use vrrp_tests::lab::{A, with_lab};
use vrrp_tests::scenario::{LATENESS, PATIENCE};

const DOWN: Duration = Duration::from_secs(2);
const UP: Duration = Duration::from_secs(1);

/// A cable that is out for less than the delay changes nothing, one that is out for longer does when the delay is over;
/// plugged in again it counts after the other delay.
fn counts_when_it_has_lasted(program: Program) {
    with_lab(|lab| {
        let before = "interface_up_down_delays {\n    eth0 2 1\n}\n".into();
        let conf = Conf { before, ..Conf::v3(150) }.every(30).line("down_timer_adverts 10");
        let mut daemon = lab.start(A, program, &conf.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;

        let since = lab.plug(A, false)?;
        lab.plug(A, true)?;
        let away = since.elapsed();
        std::thread::sleep(DOWN + Duration::from_millis(500));
        // Of a machine that stood still for two seconds nothing is asked.
        ensure!(away >= DOWN || !daemon.log().contains("Entering FAULT STATE"), "it was back after {away:?}");

        let since = lab.plug(A, false)?;
        daemon.wait_log("Entering FAULT STATE", PATIENCE)?;
        let waited = since.elapsed();
        ensure!(waited >= DOWN && waited < DOWN + LATENESS, "it gave up after {waited:?}");

        let since = lab.plug(A, true)?;
        lab.watch.wait("the address to come back", PATIENCE, |record| record.changed(A, VIP, true, since))?;
        let waited = since.elapsed();
        // Ten intervals and the skew.
        let theory = UP + Duration::from_millis(10 * 300 + 124);
        ensure!(waited >= theory, "it was master after {waited:?}");
        daemon.stop().map(drop)
    });
}

#[test]
fn a_link_counts_when_it_has_lasted() {
    counts_when_it_has_lasted(Vrrpd);
}

#[test]
fn it_does_so_for_keepalived() {
    if keepalived::is_missing() {
        return;
    }
    counts_when_it_has_lasted(Keepalived);
}
