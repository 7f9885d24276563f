//! Reloads that a file asks for, and a file that tells of reading: `reload_time_file`, `reload_repeat`, `reload_file`.

use std::fs;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::{Daemon, Program::Vrrpd};
use vrrp_tests::lab::{A, with_lab};
use vrrp_tests::vrrpd;

use crate::reload::{SECOND, reload, write};
use vrrp_tests::scenario::PATIENCE;

/// In so many seconds, as seconds since 1970 and as the file says it.
fn soon(seconds: u64) -> Result<(u64, String)> {
    let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs() + seconds;
    let day = at % 86_400;
    Ok((at, format!("{:02}:{:02}:{:02}Z\n", day / 3600, day / 60 % 60, day % 60)))
}

/// Waits until the status says so of the next reload.
fn wait_due(daemon: &Daemon, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<()> {
    let start = Instant::now();
    loop {
        let status = vrrpd::status(daemon)?;
        let due = &status["daemon"]["reload_due"];
        if is_so(due) {
            return Ok(());
        }
        ensure!(start.elapsed() < PATIENCE, "{what}: the next reload is due {due}: {}", daemon.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_reload_comes_at_its_time_once_or_every_day() {
    with_lab(|lab| {
        let (at, mark) = (lab.directory.join("at"), lab.directory.join("reading"));
        let conf = |address| {
            let conf = Conf { addresses: vec![format!("{address}/24")], ..Conf::v3(150).every(10) };
            conf.global(&format!("reload_time_file {}", at.display()))
                .global(&format!("reload_file {}", mark.display()))
        };
        fs::write(&mark, "so that somebody may wait for its end")?;
        let mut daemon = lab.start_conf(A, Vrrpd, &conf(VIP))?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        write(&daemon, &conf(SECOND).text())?;

        let (due, line) = soon(3)?;
        fs::write(&at, line)?;
        daemon.wait_log("Scheduling reload for", PATIENCE)?;
        ensure!(!mark.exists(), "the configuration is read, and reload_file is there");
        fs::write(&mark, "anew")?;
        wait_due(&daemon, "one is appointed", Value::is_string)?;
        lab.watch.wait_holder(A, SECOND, PATIENCE)?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        ensure!(now >= due, "it came {} s early", due - now);
        ensure!(!at.exists() && !mark.exists(), "reload_time_file or reload_file is left");
        wait_due(&daemon, "it is over", Value::is_null)?;

        reload(&daemon, &conf(SECOND).global("reload_repeat").text())?;
        write(&daemon, &conf(VIP).global("reload_repeat").text())?;
        fs::write(&at, soon(2)?.1)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        wait_due(&daemon, "it comes again", Value::is_string)?;
        ensure!(at.exists(), "reload_repeat did not keep the file");
        fs::remove_file(&at)?;
        daemon.wait_log("Cancelling reload scheduled for", PATIENCE)?;
        wait_due(&daemon, "nothing is appointed any more", Value::is_null)?;

        // It takes no time but what it is due at: a line that is none is said to be none.
        fs::write(&at, "tomorrow\n")?;
        daemon.wait_log("nothing is scheduled by \"tomorrow\"", PATIENCE)?;
        let complete = daemon.log().matches("Reload complete").count();
        ensure!(complete == 3, "{complete} reloads: {}", daemon.log());
        daemon.stop().map(drop).context("the stop")
    });
}
