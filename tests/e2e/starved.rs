//! A daemon that got no processor time for a while hears what came meanwhile before it judges, and says how late it was.

use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::{Daemon, Program::Vrrpd};
use vrrp_tests::lab::{A, B, Lab, with_lab};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::vrrpd;

use vrrp_tests::scenario::{self, PATIENCE};

/// Stops a daemon for so long.
fn starve(daemon: &Daemon, time: Duration) -> Result<()> {
    daemon.signal(Signal::SIGSTOP)?;
    std::thread::sleep(time);
    daemon.signal(Signal::SIGCONT)
}

/// A backup that slept through several down intervals of a living master stays backup.
fn stays_backup(lab: &Lab, conf: impl Fn(u8) -> Conf) -> Result<()> {
    let (a, b) = (conf(150), conf(100));
    let pair = scenario::elect(lab, [Vrrpd; 2], &a, &b)?;
    let since = Stamp::now();
    for _ in 0..2 {
        starve(&pair.b, 3 * b.down_interval())?;
        std::thread::sleep(b.down_interval());
    }
    let record = lab.watch.record();
    ensure!(record.adverts_of(B, since).next().is_none(), "the backup judged before it heard");
    ensure!(record.adverts_of(A, since).nth(8).is_some(), "the master did not live: this proves nothing");
    ensure!(record.holders(VIP) == [A], "{:?} hold the address", record.holders(VIP));
    Ok(())
}

#[test]
fn a_starved_backup_hears_before_it_judges() {
    with_lab(|lab| stays_backup(lab, Conf::v3));
}

#[test]
fn a_starved_backup_hears_before_it_judges_without_bpf() {
    with_lab(|lab| stays_backup(lab, |priority| Conf::v3(priority).global("xdp_mode off")));
}

#[test]
fn lateness_is_told() {
    with_lab(|lab| {
        let conf = Conf::v3(150);
        let a = lab.start(A, Vrrpd, &conf.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        // Asleep, between two adverts: one that is stopped at work does not wake up late.
        let since = Stamp::now();
        lab.watch.wait("an advert of A", PATIENCE, |record| record.adverts_of(A, since).nth(1))?;
        std::thread::sleep(conf.advert_int.duration() / 4);
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
