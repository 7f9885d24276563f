//! The README's pair of web servers, as written; and notify scripts, with keepalived as the judge of their arguments.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use vrrp_tests::conf::{Conf, PAIR, PAIR_CHECK, PAIR_SCRIPT, VIP};
use vrrp_tests::daemon::Program::{self, Keepalived, Vrrpd};
use vrrp_tests::keepalived;
use vrrp_tests::lab::{A, B, Lab, with_lab};
use vrrp_tests::stamp::Stamp;

use vrrp_tests::scenario::{PATIENCE, one_holder_at_a_time};

/// A script that writes its own name and arguments to a file, one line per run.
pub fn notify_script(directory: &Path, name: &str) -> Result<PathBuf> {
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\necho {name} \"$@\" >>{}\n", directory.join("told").display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

pub fn told(directory: &Path) -> Vec<String> {
    fs::read_to_string(directory.join("told")).unwrap_or_default().lines().map(str::to_owned).collect()
}

pub fn wait_told(directory: &Path, line: &str) -> Result<()> {
    let start = Instant::now();
    while !told(directory).iter().any(|told| told == line) {
        ensure!(start.elapsed() < PATIENCE, "no script was told {line:?}: {:?}", told(directory));
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// What the scripts are told of a start, a takeover, a fault and the stop.
fn story(lab: &Lab, program: Program) -> Result<Vec<String>> {
    let directory = lab.directory.join(format!("{program:?}"));
    fs::create_dir(&directory)?;
    let healthy = directory.join("healthy");
    fs::write(&healthy, "")?;
    let mut conf = Conf::v3(120).check(&healthy, 0);
    for state in ["master", "backup", "fault", "stop"] {
        let script = notify_script(&directory, state)?;
        conf = conf.line(format!("notify_{state} \"{} of {state}\"", script.display()));
    }
    conf = conf.line(format!("notify \"{} given\"", notify_script(&directory, "any")?.display()));
    let mut daemon = lab.start(A, program, &conf.text())?;
    wait_told(&directory, "any given INSTANCE VI_1 MASTER 120")?;
    fs::remove_file(&healthy)?;
    wait_told(&directory, "any given INSTANCE VI_1 FAULT 120")?;
    fs::write(&healthy, "")?;
    lab.watch.wait_holder(A, VIP, PATIENCE)?;
    wait_told(&directory, "any given INSTANCE VI_1 MASTER 120")?;
    daemon.stop()?;
    wait_told(&directory, "any given INSTANCE VI_1 STOP 120")?;
    wait_told(&directory, "stop of stop")?;
    let mut told = told(&directory);
    // Scripts of one state run side by side; their order is nobody's promise.
    told.sort();
    told.dedup();
    Ok(told)
}

#[test]
fn notify_scripts_get_keepalived_s_arguments() {
    with_lab(|lab| {
        let ours = story(lab, Vrrpd)?;
        let mut expected = vec!["backup of backup".to_owned(), "fault of fault".into(), "master of master".into()];
        expected.extend(["stop of stop".into()]);
        expected
            .extend(["BACKUP", "FAULT", "MASTER", "STOP"].map(|state| format!("any given INSTANCE VI_1 {state} 120")));
        expected.sort();
        ensure!(ours == expected, "scripts were told {ours:#?}");
        if !keepalived::is_missing() {
            let theirs = story(lab, Keepalived)?;
            ensure!(ours == theirs, "ours were told {ours:#?}, keepalived's {theirs:#?}");
        }
        Ok(())
    });
}

/// As written, on a host without the notify script; whether nginx runs there is looked up as the check does.
#[test]
fn the_pair_as_written() {
    with_lab(|lab| {
        let mut words = PAIR_CHECK.split(' ');
        let program = words.next().context("a command")?;
        let status = Command::new(program).args(words).stderr(Stdio::null()).status().context(PAIR_CHECK)?;
        let expected = if status.success() { 150 } else { 100 };
        let mut daemon = lab.start(A, Vrrpd, PAIR)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let advert = lab.watch.wait("an advert", PATIENCE, |record| record.adverts_of(A, Stamp::default()).next())?;
        ensure!((advert.vrid, advert.interval, &advert.addresses[..]) == (51, 100, &[VIP.into()]), "{advert:?}");
        ensure!(advert.authentication == Some((1, *b"secret12")), "the password is not cut to eight: {advert:?}");
        ensure!(advert.priority == expected, "150, less 50 while nginx does not run: {advert:?}");
        ensure!(daemon.log().contains(PAIR_SCRIPT), "a missing script is not named: {}", daemon.log());
        daemon.stop().map(drop)
    });
}

/// Both routers, with a check that the test controls and a notify script that exists. The second has more than the 100 that
/// a failing check leaves the first: an equal master is not displaced.
#[test]
fn the_pair_moves_with_its_check() {
    with_lab(|lab| {
        let healthy = lab.directory.join("healthy");
        fs::write(&healthy, "")?;
        let script = notify_script(&lab.directory, "ha_log")?;
        let first = PAIR
            .replace(PAIR_SCRIPT, &script.display().to_string())
            .replace(PAIR_CHECK, &format!("/usr/bin/test -e {}", healthy.display()))
            .replace("interval 2", "interval 1");
        let second = PAIR
            .replace("priority 150", "priority 120")
            .replace("state MASTER", "state BACKUP")
            .replace(PAIR_CHECK, "/bin/true");
        let second_runs = lab.start(B, Vrrpd, &second)?;
        let mut first_runs = lab.start(A, Vrrpd, &first)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        wait_told(&lab.directory, "ha_log MASTER")?;
        fs::remove_file(&healthy)?;
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        first_runs.wait_log("Changing effective priority from 150 to 100", PATIENCE)?;
        wait_told(&lab.directory, "ha_log BACKUP")?;
        fs::write(&healthy, "")?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        one_holder_at_a_time(lab, Stamp::default())?;
        drop(second_runs);
        Ok(())
    });
}
