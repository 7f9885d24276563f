//! `vrrpctl check`: what configurations will do here, what of them is not done, and what is risky. For people on one screen;
//! all of it as JSON.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use vrrp_common::time::down;

use crate::config::Checked;
use crate::config::risk::{self, Risk};
use crate::config::setup::{Destination, Mail, Setup};
use crate::engine::plan::Wanted;
use crate::io::files::{self, How};
use crate::syntax::diagnostic::{Diagnostic, Severity};

/// Lines of one kind that are shown; JSON has all.
const SHOWN: usize = 12;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Configurations; several are taken for those of routers on one network, and compared
    #[arg(value_name = "FILE", default_value = files::CONFIG)]
    files: Vec<PathBuf>,
    /// For programs; the field names are stable
    #[arg(long)]
    json: bool,
    /// What `@id` lines compare with [default: the host's name up to its first dot]
    #[arg(short = 'i', long = "config-id", value_name = "ID")]
    config_id: Option<String>,
}

/// What is said of all files.
#[derive(Debug, Serialize)]
struct Report {
    files: Vec<File>,
    /// Of all files together.
    risks: Vec<Risk>,
}

#[derive(Debug, Serialize)]
struct File {
    path: String,
    /// What `vrrpd -t` exits with.
    exit_code: u8,
    /// Whether the daemon would start with it.
    usable: bool,
    routers: Vec<Router>,
    groups: Vec<String>,
    checks: Vec<String>,
    mail: Option<Letters>,
    findings: Vec<Finding>,
    risks: Vec<Risk>,
}

/// A virtual router that will be set up.
#[derive(Debug, Serialize)]
struct Router {
    name: String,
    interface: String,
    family: String,
    version: u8,
    vrid: u8,
    priority: u8,
    /// Serves at once when it starts: the owner.
    owner: bool,
    advert_seconds: f64,
    /// From the last advert of a master that died to taking over.
    takeover_seconds: f64,
    unicast_peers: Option<usize>,
    addresses: Vec<String>,
}

/// Mail that will be sent.
#[derive(Debug, Serialize)]
struct Letters {
    /// Virtual routers and sync groups whose changes of state are mailed.
    of: Vec<String>,
    to: Vec<String>,
    from: String,
    /// Host and port.
    server: String,
    /// Entering fault is mailed, too.
    faults: bool,
}

#[derive(Debug, Serialize)]
struct Finding {
    severity: &'static str,
    class: &'static str,
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
    message: String,
    done: Option<String>,
    hint: Option<String>,
}

/// Checks, prints, and says what to exit with: the highest code of `vrrpd -t` among the files.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let how = How { id: arguments.config_id.clone(), all_includes: false };
    let checked: Vec<(String, Checked)> =
        arguments.files.iter().map(|path| (path.display().to_string(), files::check(path, &how))).collect();
    let report = report(&checked);
    let mut stdout = io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut stdout, &report).map_err(io::Error::from)?;
        writeln!(stdout)?;
    } else {
        stdout.write_all(screen(&report).as_bytes())?;
    }
    stdout.flush()?;
    Ok(ExitCode::from(report.files.iter().map(|file| file.exit_code).max().unwrap_or(0)))
}

fn report(checked: &[(String, Checked)]) -> Report {
    let hosts: Vec<_> = checked.iter().map(|(path, checked)| (path.as_str(), &checked.setup)).collect();
    let files = checked.iter().map(|(path, checked)| file(path, checked)).collect();
    Report { files, risks: risk::between(&hosts) }
}

fn file(path: &str, checked: &Checked) -> File {
    let setup = &checked.setup;
    let routers = setup.plan.instances.iter().zip(&setup.instances).map(|(plan, host)| Router {
        name: host.name.clone(),
        interface: setup.interfaces[plan.interface.index()].clone(),
        family: format!("{:?}", plan.family),
        version: plan.version as u8,
        vrid: plan.vrid.get(),
        priority: plan.priority.get(),
        owner: plan.priority.get() == 255 && plan.wanted == Wanted::Master,
        advert_seconds: plan.advert_int.duration().as_secs_f64(),
        takeover_seconds: down(plan.version, plan.priority, plan.advert_int, plan.down_adverts).as_secs_f64(),
        unicast_peers: match &host.destination {
            Destination::Group(_) => None,
            Destination::Peers(unicast) => Some(unicast.peers.len()),
        },
        addresses: host.addresses.iter().map(|address| format!("{}/{}", address.address, address.prefix)).collect(),
    });
    File {
        path: path.to_owned(),
        exit_code: checked.exit_code(),
        usable: checked.is_readable() && checked.exit_code() != 2 && !setup.instances.is_empty(),
        routers: routers.collect(),
        groups: setup.groups.iter().map(|group| group.name.clone()).collect(),
        checks: setup.trackers.iter().map(|tracker| tracker.name.clone()).collect(),
        mail: letters(setup),
        findings: checked.found.iter().map(|diagnostic| finding(diagnostic, checked)).collect(),
        risks: risk::of(setup),
    }
}

fn letters(setup: &Setup) -> Option<Letters> {
    let Mail { server, port, from, to, faults, .. } = setup.telling.mail.as_deref()?;
    let routers = setup.instances.iter().filter(|router| router.smtp_alert).map(|router| &router.name);
    let groups = setup.groups.iter().filter(|group| group.smtp_alert).map(|group| &group.name);
    let of: Vec<String> = routers.chain(groups).cloned().collect();
    let server = format!("{server}:{port}");
    (!of.is_empty()).then(|| Letters { of, to: to.clone(), from: from.clone(), server, faults: *faults })
}

fn finding(diagnostic: &Diagnostic, checked: &Checked) -> Finding {
    let Diagnostic { severity, class, at, message, done, hint } = diagnostic;
    Finding {
        severity: severity.label(),
        class: class.label(),
        file: at.map(|at| checked.files.path(at.file).to_owned()),
        line: at.map(|at| at.line),
        column: at.map(|at| at.column),
        message: message.clone(),
        done: done.clone(),
        hint: hint.clone(),
    }
}

fn screen(report: &Report) -> String {
    let mut out = String::new();
    for file in &report.files {
        // Writing to a string does not fail.
        let _ = write_file(&mut out, file);
    }
    if report.files.len() > 1 {
        let _ = write_risks(&mut out, "as routers of one network", &report.risks);
    }
    out
}

fn write_file(out: &mut String, file: &File) -> std::fmt::Result {
    let verdict = match (file.usable, file.exit_code) {
        (false, _) => "the daemon does not start with it",
        (true, 0) => "nothing is wrong with it",
        (true, _) => "usable, but not as it is written",
    };
    writeln!(out, "{}: {verdict} (vrrpd -t: {})", file.path, file.exit_code)?;
    if !file.routers.is_empty() {
        writeln!(out, "\nwill do here:")?;
    }
    for router in file.routers.iter().take(SHOWN) {
        let Router { name, interface, version, vrid, priority, advert_seconds, takeover_seconds, .. } = router;
        write!(out, "  {name}: VRID {vrid} on {interface}, version {version}, priority {priority}")?;
        if router.owner {
            write!(out, " (owner, master at once)")?;
        }
        write!(out, "; an advert every {advert_seconds} s, takes over after {takeover_seconds:.2} s; ")?;
        let first = router.addresses.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(", ");
        match router.addresses.len() {
            0 => write!(out, "no address")?,
            1 | 2 => write!(out, "{first}")?,
            more => write!(out, "{first} and {} more", more - 2)?,
        }
        match router.unicast_peers {
            Some(peers) => writeln!(out, "; unicast to {peers}")?,
            None => writeln!(out)?,
        }
    }
    write_rest(out, file.routers.len())?;
    for (title, names) in [("sync groups", &file.groups), ("checks", &file.checks)] {
        if !names.is_empty() {
            writeln!(out, "  {title}: {}", some(names))?;
        }
    }
    if let Some(Letters { of, to, from, server, faults }) = &file.mail {
        let but = if *faults { "" } else { ", but not faults" };
        writeln!(out, "  mail by {server} to {}, from {from}: changes of {}{but}", some(to), some(of))?;
    }
    for (title, severity) in [
        ("left out or wrong", Severity::Error),
        ("not as it is written", Severity::Warning),
        ("without effect here", Severity::Notice),
    ] {
        let of: Vec<_> = file.findings.iter().filter(|finding| finding.severity == severity.label()).collect();
        if !of.is_empty() {
            writeln!(out, "\n{title}:")?;
        }
        for finding in of.iter().take(SHOWN) {
            let place = finding.line.map(|line| format!("line {line}: ")).unwrap_or_default();
            let more: Vec<_> = [&finding.done, &finding.hint].into_iter().flatten().map(String::as_str).collect();
            let dash = if more.is_empty() { "" } else { " - " };
            writeln!(out, "  {place}{}{dash}{}", finding.message, more.join("; "))?;
        }
        write_rest(out, of.len())?;
    }
    write_risks(out, "risky", &file.risks)?;
    writeln!(out)
}

fn write_risks(out: &mut String, title: &str, risks: &[Risk]) -> std::fmt::Result {
    if risks.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}:")?;
    for Risk { of, what, remedy } in risks.iter().take(SHOWN) {
        writeln!(out, "  {}: {what}\n    remedy: {remedy}", some(of))?;
    }
    write_rest(out, risks.len())
}

fn write_rest(out: &mut String, all: usize) -> std::fmt::Result {
    match all.saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} more; --json has all"),
    }
}

/// The first few names of many.
fn some(names: &[String]) -> String {
    let first = names.iter().take(4).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(4) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Dir;

    const TEXT: &str = "\
        global_defs {
            smtp_server 192.0.2.25
            notification_email_from vrrp@example.org
            notification_email { a@example.org
                b@example.org }
        }
        vrrp_instance VI_1 {
            interface lo
            virtual_router_id 51
            priorty 150
            smtp_alert
            debug 2
            virtual_ipaddress { 10.0.0.1/24
                10.0.0.2
                10.0.0.3 }
        }";

    #[test]
    fn a_screen_has_what_is_done_what_is_not_and_what_is_risky() {
        let dir = Dir::new();
        let path = dir.join("k.conf");
        std::fs::write(&path, TEXT).unwrap();
        let name = path.display().to_string();
        let checked = files::check(&path, &How::default());
        let report = report(&[(name.clone(), checked)]);
        let screen = screen(&report);
        for line in [
            &format!("{name}: usable, but not as it is written (vrrpd -t: 5)"),
            "  VI_1: VRID 51 on lo, version 2, priority 100; an advert every 1 s, takes over after 3.61 s; \
             10.0.0.1/24, 10.0.0.2/32 and 1 more",
            "  mail by 192.0.2.25:25 to a@example.org, b@example.org, from vrrp@example.org: changes of VI_1",
            "  line 10: unknown keyword `priorty` - the line is skipped; did you mean `priority`?",
            "risky:",
        ] {
            assert!(screen.lines().any(|shown| shown == line), "{line}\n{screen}");
        }
        assert!(screen.lines().count() < 24, "{screen}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["files"][0]["exit_code"], 5);
        assert_eq!(json["files"][0]["mail"]["of"][0], "VI_1");
        assert_eq!(json["files"][0]["findings"][0]["line"], 10);
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (1..=6).map(|n| format!("VI_{n}")).collect();
        assert_eq!(some(&names), "VI_1, VI_2, VI_3, VI_4 and 2 more");
        let risk = Risk { of: names, what: "odd".into(), remedy: "none" };
        let mut out = String::new();
        write_risks(&mut out, "risky", &vec![risk; SHOWN + 3]).unwrap();
        assert!(out.ends_with("  and 3 more; --json has all\n"), "{out}");
    }
}
