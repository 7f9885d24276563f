//! What is wrong with a configuration or a host is said in a clear line with the documented exit code, and leaves the
//! host as it was.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::{Daemon, Program::Vrrpd};
use vrrp_tests::lab::{A, Lab, with_lab};
use vrrp_tests::vrrpd;

use vrrp_tests::scenario::PATIENCE;

/// keepalived's exit codes: something is broken, a configuration that cannot be used, a missing permission.
const FATAL: i32 = 1;
const CONFIGURATION: i32 = 2;
const PERMISSION: i32 = 4;
/// `-t`: anything else to say about a configuration.
const REMARKS: i32 = 5;

/// Runs `vrrpd -t` on a configuration in router A's namespace.
fn config_test(lab: &Lab, text: &str) -> Result<Output> {
    let file = lab.directory.join("tested.conf");
    std::fs::write(&file, text)?;
    let mut command = lab.routers[A].command(vrrpd::built("vrrpd")?);
    command.arg("-t").arg("-f").arg(&file).output().context("vrrpd -t")
}

/// Everything that the daemon could have changed on a router.
fn host(lab: &Lab) -> Result<String> {
    Ok(["address show", "route show table all", "-d link show", "maddress show"]
        .iter()
        .map(|words| lab.routers[A].ip(words))
        .collect::<Result<Vec<_>>>()?
        .concat())
}

/// Runs until its own end: the exit code, and the log.
fn refused(daemon: &mut Daemon) -> Result<(i32, String)> {
    let code = daemon.wait_exit(PATIENCE)?.code().context("it died of a signal")?;
    Ok((code, daemon.log()))
}

/// The one line that holds `part`; the daemon says what is wrong once.
fn one_line(log: &str, part: &str) -> Result<()> {
    let lines: Vec<_> = log.lines().filter(|line| line.contains(part)).collect();
    ensure!(lines.len() == 1, "{} lines hold {part:?}:\n{log}", lines.len());
    Ok(())
}

#[test]
fn a_configuration_error_names_its_place() {
    with_lab(|lab| {
        let before = host(lab)?;
        let good = config_test(lab, &Conf::v3(100).text())?;
        ensure!(good.status.code() == Some(0), "a good configuration: {good:?}");
        let misspelt = Conf::v3(100).line("priorty 100").text();
        let line = 1 + misspelt.lines().position(|line| line.contains("priorty")).context("it is there")?;
        let output = config_test(lab, &misspelt)?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        ensure!(output.status.code() == Some(REMARKS), "exit code {:?}: {said}", output.status.code());
        ensure!(said.contains(&format!("tested.conf:{line}:")), "no place is named: {said}");
        ensure!(said.contains("priorty"), "the word is not named: {said}");
        ensure!(host(lab)? == before, "a test of the configuration changed the host");
        Ok(())
    });
}

/// Without a value for it, and without the keyword: keepalived starts with neither.
#[test]
fn a_configuration_without_a_vrid_is_refused() {
    with_lab(|lab| {
        let before = host(lab)?;
        let keyword = "    virtual_router_id 51\n";
        for instead in ["    virtual_router_id\n", ""] {
            let text = Conf::v3(100).text().replace(keyword, instead);
            lab.announce_error("virtual_router_id");
            lab.announce_error("no virtual router is left");
            let (code, log) = refused(&mut lab.start(A, Vrrpd, &text)?)?;
            ensure!(code == CONFIGURATION && log.contains("virtual_router_id"), "exit code {code}: {log}");
        }
        ensure!(host(lab)? == before, "a refused configuration changed the host");
        Ok(())
    });
}

#[test]
fn a_missing_interface_is_named() {
    with_lab(|lab| {
        let before = host(lab)?;
        let text = Conf::v3(100).text().replace("interface eth0", "interface eth7");
        lab.announce_error("eth7");
        let (code, log) = refused(&mut lab.start(A, Vrrpd, &text)?)?;
        ensure!(code == CONFIGURATION, "exit code {code}: {log}");
        one_line(&log, "interface eth7")?;
        ensure!(host(lab)? == before, "a missing interface changed the host");
        Ok(())
    });
}

#[test]
fn a_missing_capability_is_named() {
    with_lab(|lab| {
        let before = host(lab)?;
        for (name, capability) in [("-net_raw", "CAP_NET_RAW"), ("-net_admin", "CAP_NET_ADMIN")] {
            lab.announce_error(capability);
            let mut daemon = lab.start_by(A, Vrrpd, &Conf::v3(100).text(), |words| {
                ["setpriv".to_owned(), format!("--bounding-set={name}"), "--".into()].into_iter().chain(words).collect()
            })?;
            let (code, log) = refused(&mut daemon)?;
            ensure!(code == PERMISSION, "without {capability} the exit code is {code}: {log}");
            one_line(&log, capability)?;
        }
        ensure!(host(lab)? == before, "a missing capability changed the host");
        Ok(())
    });
}

/// The check cannot be run, which is no reason to leave the virtual address without a router.
#[test]
fn a_script_that_cannot_be_run_is_named() {
    with_lab(|lab| {
        let script = lab.directory.join("check.sh");
        std::fs::write(&script, "#!/bin/sh\nexit 0\n")?;
        let mut conf = Conf::v3(100);
        conf.before = format!("vrrp_script check {{\n    script \"{}\"\n    weight -50\n}}\n", script.display());
        let conf = conf.line("track_script {\n        check\n    }");
        let output = config_test(lab, &conf.text())?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        ensure!(said.contains("check.sh"), "the script is not named: {said}");
        lab.announce_error("check.sh");
        let mut daemon = lab.start(A, Vrrpd, &conf.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        ensure!(daemon.log().contains("check.sh"), "the script is not named: {}", daemon.log());
        daemon.stop().map(drop)
    });
}

/// A second daemon in the same run directory must not take the first one's socket, nor disturb it.
#[test]
fn a_busy_run_directory_is_refused() {
    with_lab(|lab| {
        let mut first = lab.start(A, Vrrpd, &Conf::v3(100).text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let run = first.directory.join("run").display().to_string();
        lab.announce_error("run");
        let mut second = lab.start_by(A, Vrrpd, &Conf { vrid: 52, ..Conf::v3(100) }.text(), |mut words| {
            if let Some(last) = words.last_mut() {
                *last = run.clone();
            }
            words
        })?;
        let (code, log) = refused(&mut second)?;
        ensure!(code == FATAL, "exit code {code}: {log}");
        ensure!(log.contains(&run) || log.contains(&first.pid().to_string()), "the place is not named: {log}");
        ensure!(vrrpd::status(&first)?["instances"][0]["state"] == "MASTER", "the first daemon was disturbed");
        first.stop().map(drop)
    });
}
