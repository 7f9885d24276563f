//! Log lines that people look for: keepalived and ours live through the same, and what they write is compared line by line.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use vrrp_tests::conf::{Conf, TWIN_VIP, VIP};
use vrrp_tests::daemon::Program::{self, Keepalived, Vrrpd};
use vrrp_tests::frames::FrameSpec;
use vrrp_tests::lab::{A, B, Lab, with_lab};
use vrrp_tests::lines::{ALIKE, DIFFERENCES, is_like};
use vrrp_tests::{forge, keepalived};

use crate::forged::convincing;
use vrrp_tests::scenario::PATIENCE;

/// What a router writes that is elected, hears a weaker one, loses its priority to a check, gets it back, loses its link,
/// follows a stronger one that leaves, and is stopped.
fn story(lab: &Lab, program: Program, a: &Conf, b: &Conf) -> Result<Vec<String>> {
    let healthy = lab.directory.join("healthy");
    fs::write(&healthy, "")?;
    let holds = |router| -> Result<()> {
        lab.watch.wait_holder(router, VIP, PATIENCE)?;
        if a.has_twin { lab.watch.wait_holder(router, TWIN_VIP, PATIENCE) } else { Ok(()) }
    };
    let mut runs = lab.start_by(A, program, &a.text(), |mut words| {
        words.push("-D".into());
        words
    })?;
    holds(A)?;
    let weaker = [FrameSpec { priority: 50, ..convincing(a) }.build()];
    forge::flood(&lab.attacker, &weaker, 3, 10)?;
    runs.wait_log("forcing new election", PATIENCE)?;
    let mut other = lab.start(B, Vrrpd, &b.text())?;
    other.wait_log("Entering BACKUP STATE", PATIENCE)?;
    fs::remove_file(&healthy)?;
    holds(B)?;
    fs::write(&healthy, "")?;
    holds(A)?;
    lab.plug(A, false)?;
    runs.wait_log("Entering FAULT STATE", PATIENCE)?;
    holds(B)?;
    lab.plug(A, true)?;
    holds(A)?;
    fs::remove_file(&healthy)?;
    holds(B)?;
    other.stop()?;
    holds(A)?;
    runs.stop()?;
    runs.log().lines().filter(|line| !line.is_empty()).map(|line| bare(program, line)).collect()
}

/// What both write beside each other, with a VRID each, of adverts with a wrong password and with none.
fn refusals(lab: &Lab) -> Result<[Vec<String>; 2]> {
    let confs = [(Keepalived, 51), (Vrrpd, 61)].map(|(program, vrid)| (program, Conf { vrid, ..Conf::v2(150) }));
    let start = |place: usize, (program, conf): &(Program, Conf)| {
        lab.start_by(place, *program, &conf.text(), |mut words| {
            words.push("-D".into());
            words
        })
    };
    let (mut theirs, mut ours) = (start(A, &confs[A])?, start(B, &confs[B])?);
    let mut frames = Vec::new();
    for (_, conf) in &confs {
        let wrong = FrameSpec { auth_data: Some(*b"Secret12"), ..convincing(conf) };
        frames.extend([wrong.build(), FrameSpec { auth_type: 0, ..wrong }.build()]);
    }
    let mut lines = Vec::new();
    for daemon in [&mut theirs, &mut ours] {
        daemon.wait_log(&format!("Sending/queueing gratuitous ARPs on eth0 for {VIP}"), PATIENCE)?;
    }
    forge::flood(&lab.attacker, &frames, 12, 20)?;
    for daemon in [&mut theirs, &mut ours] {
        daemon.wait_log("received an invalid passwd!", PATIENCE)?;
        daemon.wait_log(" auth, expecting 1!", PATIENCE)?;
        daemon.stop()?;
        let written = daemon.log();
        let written = written.lines().filter(|line| !line.is_empty()).map(|line| bare(daemon.program, line));
        lines.push(written.collect::<Result<Vec<_>>>()?);
    }
    let ours = lines.pop().unwrap_or_default();
    Ok([lines.pop().unwrap_or_default(), ours])
}

/// Without its time, its level and our fields.
fn bare(program: Program, line: &str) -> Result<String> {
    let bare = match program {
        // `Tue Nov 24 17:04:46 2026: (VI_1) ..`
        Keepalived => line.get(26..),
        // `2026-02-03T04:05:06.789Z INFO  (VI_1) .. priority=100`
        _ => line.get(31..).map(|line| [" priority=", " adverts="].iter().fold(line, |line, field| cut(line, field))),
    };
    Ok(bare.with_context(|| format!("{program:?} wrote {line:?}"))?.trim().to_owned())
}

fn cut<'a>(line: &'a str, at: &str) -> &'a str {
    line.split_once(at).map_or(line, |(before, _)| before)
}

/// The states that a virtual router enters, in their order.
fn states<'a>(lines: &'a [String], router: &str) -> Vec<&'a str> {
    let entered = lines.iter().filter_map(|line| line.strip_prefix(&format!("({router}) Entering ")));
    entered.filter(|state| *state != "STOP STATE").collect()
}

/// Of each list: those that both write, and those that are listed as written by one.
fn compare(theirs: &[String], ours: &[String], seen: &mut BTreeSet<&'static str>) -> Result<()> {
    for router in ["VI_1", "VI_2"] {
        let (theirs, ours) = (states(theirs, router), states(ours, router));
        ensure!(theirs == ours, "{router}: keepalived enters {theirs:#?}, ours {ours:#?}");
    }
    let alike = |lines: &[String]| -> BTreeSet<String> {
        let alike = lines.iter().filter(|line| ALIKE.iter().any(|pattern| is_like(pattern, line)));
        // Which member of a group comes first is chance.
        alike.map(|line| line.replace("(VI_2)", "(VI_1)")).collect()
    };
    let (both_theirs, both_ours) = (alike(theirs), alike(ours));
    let alone: Vec<_> = both_theirs.symmetric_difference(&both_ours).collect();
    ensure!(alone.is_empty(), "one of the two alone wrote {alone:#?}");
    for (lines, whose) in [(theirs, 0), (ours, 1)] {
        for line in lines {
            let listed = DIFFERENCES.iter().map(|difference| [difference.theirs, difference.ours][whose]);
            let pattern =
                ALIKE.iter().copied().chain(listed).find(|pattern| !pattern.is_empty() && is_like(pattern, line));
            seen.insert(
                pattern.with_context(|| format!("no list has {line:?}, of {}", ["keepalived", "ours"][whose]))?,
            );
        }
    }
    Ok(())
}

#[test]
fn keepalived_writes_the_same() {
    with_lab(|lab| {
        if keepalived::is_missing() {
            return Ok(());
        }
        let healthy = lab.directory.join("healthy");
        let (mut a, mut b) = (Conf::v3(150).check(&healthy, -50), Conf::v3(120));
        let mut seen = BTreeSet::new();
        for in_group in [false, true] {
            (a.has_twin, b.has_twin) = (in_group, in_group);
            let theirs = story(lab, Keepalived, &a, &b)?;
            let ours = story(lab, Vrrpd, &a, &b)?;
            compare(&theirs, &ours, &mut seen)?;
        }
        let [theirs, ours] = refusals(lab)?;
        compare(&theirs, &ours, &mut seen)?;
        let certain = DIFFERENCES.iter().filter(|difference| !difference.by_chance);
        let certain =
            certain.flat_map(|difference| [difference.theirs, difference.ours]).filter(|line| !line.is_empty());
        let missing: Vec<_> = ALIKE.iter().copied().chain(certain).filter(|line| !seen.contains(line)).collect();
        ensure!(missing.is_empty(), "nobody wrote {missing:#?}");
        Ok(())
    });
}
