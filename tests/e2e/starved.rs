//! A daemon that got no processor time for a while says how late it was.

use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::{Daemon, Program::Vrrpd};
use vrrp_tests::lab::{A, with_lab};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::vrrpd;

use crate::scenario::PATIENCE;

/// Stops a daemon for so long.
fn starve(daemon: &Daemon, time: Duration) -> Result<()> {
    daemon.signal(Signal::SIGSTOP)?;
    std::thread::sleep(time);
    daemon.signal(Signal::SIGCONT)
}

#[test]
fn lateness_is_told() {
    with_lab(|lab| {
        let conf = Conf::v3(150);
        let a = lab.start(A, Vrrpd, &conf.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        starve(&a, Duration::from_secs(1))?;
        let since = Stamp::now();
        lab.watch.wait("two adverts of A", PATIENCE, |record| record.adverts_of(A, since).nth(1))?;
        let status = vrrpd::status(&a)?;
        let late = |what: &str, of: &str| status["daemon"]["late"][what][of].as_u64().unwrap_or_default();
        // The advert that was due first may have been due a whole interval after the stop.
        let least = (Duration::from_secs(1) - conf.advert_int.duration()).as_micros() as u64;
        ensure!(late("advert", "max_us") >= least && late("wakeup", "max_us") >= least, "{status:#}");
        ensure!(status["instances"][0]["latest_us"].as_u64() >= Some(least), "{status:#}");
        ensure!(late("takeover", "count") == 1 && late("advert", "count") >= 2, "{status:#}");
        ensure!(late("advert", "p50_us") <= late("advert", "p99_us"), "{status:#}");
        ensure!(late("advert", "p99_us") <= late("advert", "max_us"), "{status:#}");
        let text = vrrpd::vrrpctl(&a, &["timing"])?;
        ensure!(text.contains("\ntakeovers: 1, ") && text.contains("  below "), "{text}");
        Ok(())
    });
}
