//! Every kind of tracker moves mastership; and however many there are, they do not disturb it.

use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Daemon;
use vrrp_tests::daemon::Program::Vrrpd;
use vrrp_tests::lab::{A, B, Lab, with_lab, with_lab_alone};
use vrrp_tests::vrrpd;

use vrrp_tests::scenario::{PATIENCE, elect};

/// The client's address.
pub const CLIENT: &str = "192.168.1.10";

fn script(directory: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// What the status says of a tracker.
fn tracker(status: &Value, name: &str) -> Result<Value> {
    let trackers = status["trackers"].as_array().context("the status has no trackers")?;
    trackers.iter().find(|tracker| tracker["name"] == name).cloned().with_context(|| format!("no tracker {name}"))
}

/// Waits until the status says this of a tracker.
pub fn wait_tracker(daemon: &Daemon, name: &str, is_so: impl Fn(&Value) -> bool) -> Result<()> {
    let start = Instant::now();
    loop {
        let tracker = tracker(&vrrpd::status(daemon)?, name)?;
        if is_so(&tracker) {
            return Ok(());
        }
        ensure!(start.elapsed() < PATIENCE, "it stays {tracker}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_number_in_a_file_moves_mastership() {
    with_lab(|lab| {
        let load = lab.directory.join("load");
        let mut a = Conf::v3(150).line("track_file {\n        load\n    }");
        a.before = format!("track_file load {{\n    file {}\n    init_file 5\n}}\n", load.display());
        let b = Conf::v3(120);
        let mut a_runs = lab.start(A, Vrrpd, &a.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        a_runs.wait_log("Changing effective priority from 150 to 155", PATIENCE)?;
        let _b_runs = lab.start(B, Vrrpd, &b.text())?;
        fs::write(&load, "-50\n")?;
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        a_runs.wait_log("Changing effective priority from 155 to 100", PATIENCE)?;
        fs::write(&load, "0\n")?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        fs::write(&load, "-254\n")?;
        a_runs.wait_log("Entering FAULT STATE", PATIENCE)?;
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        wait_tracker(&a_runs, "load", |load| load["number"] == -254 && load["last"] == "reads -254")?;
        fs::remove_file(&load)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        wait_tracker(&a_runs, "load", |load| load["number"] == 0)
    });
}

/// A process that no other test has: its parameter is this one's process id.
fn start_sleeper() -> Result<Child> {
    Ok(Command::new("sleep").arg(format!("{}7777", std::process::id())).spawn()?)
}

/// In a namespace of its own the daemon has no connector, and looks for processes itself.
#[test]
fn a_process_moves_mastership() {
    with_lab(|lab| {
        let mut sleeper = start_sleeper()?;
        let mut a = Conf::v3(150).line("track_process {\n        db\n    }");
        a.before = format!("vrrp_track_process db {{\n    process sleep {}7777\n}}\n", std::process::id());
        let mut pair = elect(lab, [Vrrpd, Vrrpd], &a, &Conf::v3(120))?;
        pair.a.wait_log("Quorum gained for tracked process db: there are 1, there should be 1 or more", PATIENCE)?;
        sleeper.kill().and_then(|()| sleeper.wait())?;
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        pair.a.wait_log("Entering FAULT STATE", PATIENCE)?;
        wait_tracker(&pair.a, "db", |db| db["verdict"] == "failed")?;
        let mut sleeper = start_sleeper()?;
        let back = lab.watch.wait_holder(A, VIP, PATIENCE);
        sleeper.kill().and_then(|()| sleeper.wait())?;
        back
    });
}

/// How many there must be and may be, which are meant, and how long a change must last.
#[test]
fn processes_are_counted_as_the_configuration_says() {
    with_lab(|lab| {
        let own = std::process::id();
        let mut conf = Conf::v3(150);
        let mut tracked = String::new();
        for (name, lines) in [
            ("two", format!("process sleep {own}6661\n    quorum 2")),
            ("one", format!("process sleep {own}6661\n    quorum_max 1")),
            ("late", format!("process sleep {own}6661\n    fork_delay 2\n    terminate_delay 1")),
            ("kernel-name", format!("process nap{own}")),
            ("called", format!("process nap{own}\n    full_command")),
            ("all-words", format!("process nap{own} {own}6662")),
            ("first-words", format!("process nap{own} {own}6662\n    param_match partial")),
            ("begin", format!("process nap{own} {own}666\n    param_match initial")),
        ] {
            conf.before += &format!("vrrp_track_process {name} {{\n    {lines}\n}}\n");
            tracked += &format!("        {name} weight 1\n");
        }
        let mut daemon = lab.start_conf(A, Vrrpd, &conf.line(format!("track_process {{\n{tracked}    }}")))?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let is = |name: &str, verdict: &str| wait_tracker(&daemon, name, |tracker| tracker["verdict"] == verdict);
        is("late", "failed")?;
        let mut nap = Command::new("sleep");
        nap.arg0(format!("nap{own}")).arg(format!("{own}6662")).arg("1");
        let sleeper = || Command::new("sleep").arg(format!("{own}6661")).spawn();
        let mut started = vec![Ended(nap.spawn()?), Ended(sleeper()?)];
        let start = Instant::now();
        for (name, verdict) in [("called", "passed"), ("first-words", "passed"), ("begin", "passed"), ("one", "passed")]
        {
            is(name, verdict)?;
        }
        for (name, verdict) in [("kernel-name", "failed"), ("all-words", "failed"), ("two", "failed")] {
            is(name, verdict)?;
        }
        is("late", "passed")?;
        ensure!(start.elapsed() >= Duration::from_secs(2), "fork_delay: it counted after {:?}", start.elapsed());
        started.push(Ended(sleeper()?));
        is("two", "passed")?;
        is("one", "failed")?;
        let end = Instant::now();
        drop(started);
        is("two", "failed")?;
        is("late", "failed")?;
        ensure!(end.elapsed() >= Duration::from_secs(1), "terminate_delay: it counted after {:?}", end.elapsed());
        daemon.stop().map(drop)
    });
}

/// A process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// A listener on the client, whose address is 192.168.1.10.
fn listen(lab: &Lab) -> Result<TcpListener> {
    lab.client.within(|| Ok(TcpListener::bind(format!("{CLIENT}:8080"))?))
}

#[test]
fn a_native_check_moves_mastership_and_says_why() {
    with_lab(|lab| {
        let listener = listen(lab)?;
        // It hears questions and answers none.
        let _silent = lab.client.within(|| Ok(UdpSocket::bind(format!("{CLIENT}:53"))?))?;
        let mut a = Conf::v3(150).line(
            "track_check {\n        web\n        host weight 2\n        nobody weight 1\n        names weight 4\n    }",
        );
        let quick = "interval 0.2\n    timeout 0.5";
        a.before = format!(
            "vrrpd_check web {{\n    tcp {CLIENT}:8080\n    {quick}\n    fall 2\n    weight -50\n}}\nvrrpd_check host {{\n    \
             icmp {CLIENT}\n    {quick}\n}}\nvrrpd_check nobody {{\n    icmp 192.168.1.77\n    {quick}\n}}\nvrrpd_check \
             names {{\n    dns {CLIENT} example.net\n    {quick}\n}}\n"
        );
        let mut a_runs = lab.start(A, Vrrpd, &a.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let _b_runs = lab.start(B, Vrrpd, &Conf::v3(120).text())?;
        a_runs.wait_log("VRRP_Check(web) succeeded (connected)", PATIENCE)?;
        wait_tracker(&a_runs, "host", |host| host["last"] == "succeeded (answered)")?;
        wait_tracker(&a_runs, "names", |names| names["last"] == "failed (no answer within 500ms)")?;
        wait_tracker(&a_runs, "nobody", |nobody| nobody["verdict"] == "failed")?;
        a_runs.wait_log("Changing effective priority from 150 to 152", PATIENCE)?;
        drop(listener);
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        a_runs.wait_log(&format!("VRRP_Check(web) failed ({CLIENT}:8080: Connection refused"), PATIENCE)?;
        a_runs.wait_log("Changing effective priority from 152 to 102", PATIENCE)?;
        let _listener = listen(lab)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)
    });
}

/// One tracks them all.
fn many(count: usize, command: impl Fn(usize) -> String, interval: &str) -> (String, String) {
    let (mut before, mut lines) = (String::new(), "track_script {\n".to_owned());
    for number in 0..count {
        let command = command(number);
        let _ = write!(before, "vrrp_script chk{number} {{\n    script \"{command}\"\n    interval {interval}\n}}\n");
        let _ = writeln!(lines, "        chk{number}");
    }
    (before, lines + "    }")
}

#[test]
fn equal_scripts_run_once_for_all() {
    with_lab(|lab| {
        let runs = lab.directory.join("runs");
        let chk = script(&lab.directory, "chk", &format!("echo >>{}", runs.display()))?;
        let (before, lines) = many(255, |_| chk.display().to_string(), "0.5");
        let conf = Conf { before, ..Conf::v3(150).line(lines) };
        let start = Instant::now();
        let mut daemon = lab.start(A, Vrrpd, &conf.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let count = || fs::read(&runs).map_or(0, |text| text.len());
        while count() < 5 {
            ensure!(start.elapsed() < PATIENCE, "{} runs in {:?}", count(), start.elapsed());
            std::thread::sleep(Duration::from_millis(20));
        }
        // Each half second one, the first at once.
        let most = start.elapsed().as_millis() as usize / 500 + 1;
        ensure!(count() <= most, "{} runs in {:?}", count(), start.elapsed());
        let status = vrrpd::status(&daemon)?;
        let trackers = status["trackers"].as_array().context("trackers")?;
        ensure!(trackers.len() == 255 && trackers.iter().all(|tracker| tracker["verdict"] == "passed"), "{trackers:?}");
        ensure!(daemon.log().matches(") succeeded").count() == 255, "each has its line: {}", daemon.log());
        daemon.stop().map(drop)
    });
}

/// The counters of the daemon decide, not a clock of the test: with any stall of the machine 99 of 100 adverts still leave
/// within their interval, unless scripts hold them up.
#[test]
fn a_hundred_scripts_a_second_do_not_hold_up_adverts_every_centisecond() {
    with_lab_alone(|lab| {
        let runs = lab.directory.join("runs");
        let chk = script(&lab.directory, "chk", &format!("echo >>{}", runs.display()))?;
        let (before, lines) = many(100, |number| format!("{} {number}", chk.display()), "1");
        let conf = Conf { before, ..Conf::v3(150).every(1).line(lines) };
        let daemon = lab.start(A, Vrrpd, &conf.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let start = Instant::now();
        while fs::read(&runs).map_or(0, |text| text.len()) < 500 {
            ensure!(start.elapsed() < PATIENCE * 3, "500 runs did not come in {:?}", start.elapsed());
            std::thread::sleep(Duration::from_millis(20));
        }
        let status = vrrpd::status(&daemon)?;
        let late = &status["daemon"]["late"]["advert"];
        ensure!(late["count"].as_u64() > Some(300), "{late}");
        ensure!(late["p99_us"].as_u64() < Some(10_000), "adverts left late: {late}");
        ensure!(vrrpd::counter(&status, "become_master")? == 1 && vrrpd::counter(&status, "release_master")? == 0);
        Ok(())
    });
}

/// A script each hour is not run again by a reload, and what it found out stays, under another name, too. A new file is
/// read, an old one is not written anew.
#[test]
fn what_was_found_out_survives_a_reload() {
    with_lab(|lab| {
        let (runs, load, more) = (lab.directory.join("runs"), lab.directory.join("load"), lab.directory.join("more"));
        let chk = script(&lab.directory, "chk", &format!("echo >>{}", runs.display()))?;
        let block =
            |name: &str| format!("vrrp_script {name} {{\n    script {}\n    interval 3600\n}}\n", chk.display());
        let file = |name: &str, path: &Path| {
            format!("track_file {name} {{\n    file {}\n    init_file 1 overwrite\n}}\n", path.display())
        };
        let conf = |before: String, scripts: &str, files: &str| Conf {
            before,
            ..Conf::v3(150)
                .line(format!("track_script {{\n        {scripts}\n    }}"))
                .line(format!("track_file {{\n        {files}\n    }}"))
        };
        let first = conf(block("old") + &file("load", &load), "old", "load");
        let mut daemon = lab.start(A, Vrrpd, &first.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        fs::write(&load, "7")?;
        daemon.wait_log("Changing effective priority from 151 to 157", PATIENCE)?;
        let before = block("new") + &block("newer") + &file("load", &load) + &file("more", &more);
        let second = conf(before, "newer\n        new", "more\n        load");
        fs::write(daemon.directory.join("keepalived.conf"), second.text())?;
        vrrpd::vrrpctl(&daemon, &["reload"])?;
        wait_tracker(&daemon, "new", |new| new["verdict"] == "passed")?;
        wait_tracker(&daemon, "newer", |newer| newer["verdict"] == "passed")?;
        daemon.wait_log("Changing effective priority from 157 to 158", PATIENCE)?;
        let status = vrrpd::status(&daemon)?;
        ensure!(fs::read(&runs)?.len() == 1, "it was run again");
        ensure!(fs::read_to_string(&load)? == "7" && fs::read_to_string(&more)? == "1\n");
        ensure!(vrrpd::counter(&status, "become_master")? == 1 && vrrpd::counter(&status, "release_master")? == 0);
        daemon.stop().map(drop)
    });
}

#[test]
fn a_stubborn_script_is_killed_with_all_that_it_started() {
    with_lab(|lab| {
        let pids = lab.directory.join("pids");
        let text = format!(
            "trap '' TERM\n(while :; do sleep 1000; done) &\necho $! $$ >>{}\nwhile :; do sleep 1; done",
            pids.display()
        );
        let chk = script(&lab.directory, "stubborn", &text)?;
        let mut conf = Conf::v3(150).line("track_script {\n        stubborn\n    }");
        conf.before =
            format!("vrrp_script stubborn {{\n    script {}\n    interval 20\n    timeout 0.5\n}}\n", chk.display());
        let mut daemon = lab.start(A, Vrrpd, &conf.text())?;
        daemon.wait_log("VRRP_Script(stubborn) timed_out", PATIENCE)?;
        daemon.wait_log("Entering FAULT STATE", PATIENCE)?;
        let pids: Vec<String> = fs::read_to_string(&pids)?.split_whitespace().map(str::to_owned).collect();
        ensure!(pids.len() == 2, "{pids:?}");
        let lives = |pid: &&String| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
        };
        let start = Instant::now();
        while let Some(pid) = pids.iter().find(lives) {
            ensure!(start.elapsed() < PATIENCE, "{pid} still runs");
            std::thread::sleep(Duration::from_millis(20));
        }
        wait_tracker(&daemon, "stubborn", |stubborn| stubborn["last"] == "timed_out")?;
        daemon.stop().map(drop)
    });
}
