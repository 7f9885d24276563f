//! The log holds up nobody: not when nobody reads it, and not when a forger would fill it.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use anyhow::{Result, ensure};
use vrrp_common::Version;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Program::Vrrpd;
use vrrp_tests::forge;
use vrrp_tests::frames::FrameSpec;
use vrrp_tests::lab::{A, Lab, with_lab};
use vrrp_tests::stamp::Stamp;

use crate::forged::convincing;
use vrrp_tests::scenario::{LATENESS, PATIENCE};

/// Adverts of ever another router that is weaker than ours: each is a line, if it may be.
fn weaker(lab: &Lab, conf: &Conf, count: u32, per_second: u32) -> Result<()> {
    assert_eq!(conf.version, Version::V3);
    let frames = (0..200).map(|host| {
        let source = [192, 168, 1, host + 20].into();
        FrameSpec { source, priority: 50, ..convincing(conf) }.build()
    });
    forge::flood(&lab.attacker, &frames.collect::<Vec<_>>(), count, per_second).map(drop)
}

#[test]
fn forged_lines_are_few_and_the_rest_is_counted() {
    with_lab(|lab| {
        let conf = Conf::v3(150);
        let mut a = lab.start(A, Vrrpd, &conf.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        weaker(lab, &conf, 200, 80)?;
        a.wait_log("more lines about adverts were withheld", PATIENCE)?;
        let lines = a.log().lines().filter(|line| line.contains("with lower priority 50")).count();
        // Five at once, then one a second; a stall of the machine may stretch two and a half seconds.
        ensure!((5..60).contains(&lines), "{lines} lines of 200 adverts: {}", a.log());
        Ok(())
    });
}

#[test]
fn a_console_that_nobody_reads_delays_nothing() {
    with_lab(|lab| {
        let fifo = lab.directory.join("console");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU)?;
        let mut console = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&fifo)?;
        while console.write(&[b'.'; 4096]).is_ok() {}
        let conf = Conf::v3(150);
        let to_console = |words: Vec<String>| {
            let shell = ["sh", "-c", r#"exec "$@" 2>"$0""#].map(str::to_owned);
            shell.into_iter().chain([fifo.display().to_string()]).chain(words).collect()
        };
        let mut a = lab.start_by(A, Vrrpd, &conf.text(), to_console)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let since = Stamp::now();
        weaker(lab, &conf, 1000, 500)?;
        let adverts: Vec<_> = lab.watch.record().adverts_of(A, since).map(|advert| advert.at).collect();
        let longest = adverts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(Duration::MAX);
        ensure!(longest < conf.advert_int.duration() + LATENESS, "the master was silent for {longest:?}");
        let stopped_at = a.stop()?;
        let left = lab.watch.record().adverts_of(A, stopped_at).any(|advert| advert.priority == 0);
        ensure!(left, "the master stopped without an advert of priority 0");
        Ok(())
    });
}
