//! What virtual routers depend on, each kind in a section of its own.

use std::fmt::{self, Write};
use std::time::Duration;

use super::{View, list, weigh};
use crate::config::setup::{RunAs, Tracker, TrackerKind};
use crate::engine::plan::{Subject, TrackerId, TrackerPlan};
use crate::engine::tracking::Verdict;
use crate::io::dump::address::command;
use crate::io::dump::process::Counted;
use crate::track::process::Process;
use crate::track::script::Script;

pub fn write(view: &View, out: &mut String) -> fmt::Result {
    for title in ["VRRP Scripts", "VRRP Track files", "VRRP Track processes", "VRRP Track BFDs"] {
        let mut section = String::new();
        let all = view.setup.trackers.iter().zip(&view.setup.plan.trackers).zip((0..).map(TrackerId));
        for ((tracker, plan), id) in all.filter(|((tracker, _), _)| section_of(&tracker.kind) == Some(title)) {
            let verdict = view.verdict(Subject::Tracker(id));
            one(view, (tracker, plan), verdict, &mut section)?;
            list(&mut section, "   Tracking instances :", view.watchers(Subject::Tracker(id), ","))?;
        }
        if !section.is_empty() {
            write!(out, "------< {title} >------\n{section}")?;
        }
    }
    Ok(())
}

/// `None` for what keepalived does not have.
const fn section_of(kind: &TrackerKind) -> Option<&'static str> {
    match kind {
        TrackerKind::Script(_) => Some("VRRP Scripts"),
        TrackerKind::File(_) => Some("VRRP Track files"),
        TrackerKind::Process(_) => Some("VRRP Track processes"),
        TrackerKind::Bfd(_) => Some("VRRP Track BFDs"),
        TrackerKind::Check(_) => None,
    }
}

fn one(view: &View, (tracker, plan): (&Tracker, &TrackerPlan), verdict: Verdict, out: &mut String) -> fmt::Result {
    let Tracker { name, kind, weight } = tracker;
    let weight = weigh(*weight);
    match kind {
        TrackerKind::Script(Script { command: script, schedule }) => {
            let RunAs { uid, gid } = script.run_as;
            writeln!(out, " VRRP Script = {name}")?;
            writeln!(out, "   Command = {}", command(script))?;
            writeln!(out, "   Interval = {} sec", schedule.interval.as_secs_f64())?;
            writeln!(out, "   Timeout = {} sec", schedule.timeout.as_secs_f64())?;
            writeln!(out, "   Weight = {weight}")?;
            writeln!(out, "   Rise = {}\n   Fall = {}", plan.rise, plan.fall)?;
            writeln!(out, "   Status = {}", if verdict == Verdict::Passed { "GOOD" } else { "BAD" })?;
            writeln!(out, "   Script uid:gid = {uid}:{gid}")
        }
        TrackerKind::File(file) => {
            writeln!(out, " Track file = {name}\n   File = {}", file.path)?;
            writeln!(out, "   Status = {}", if let Verdict::Reads(value) = verdict { value } else { 0 })?;
            writeln!(out, "   Weight = {weight}")
        }
        TrackerKind::Process(watched) => process(view, name, watched, &weight, out),
        TrackerKind::Bfd(_) => {
            let word = if verdict == Verdict::Passed { "up" } else { "down" };
            writeln!(out, " VRRP Track BFD = {name}\n   Weight = {weight}\n   Bfd is {word}")
        }
        TrackerKind::Check(_) => Ok(()),
    }
}

fn process(view: &View, name: &str, watched: &Process, weight: &str, out: &mut String) -> fmt::Result {
    let Counted { program, parameters, matching, number, is_quorum, rises, falls, is_full } =
        Counted::new(view.seen, name, watched);
    let seconds = |delay: Duration| format!("{:.6}s", delay.as_secs_f64());
    let runs = |runs: bool| if runs { "" } else { "not " };
    writeln!(out, " VRRP Track process = {name}\n   Process = {program}")?;
    if !parameters.is_empty() {
        writeln!(out, "   Parameters = {parameters}")?;
    }
    match matching {
        Some(matching) => writeln!(out, "   Param match = {matching}")?,
        None if parameters.is_empty() => {}
        None => writeln!(out, "   Param match")?,
    }
    writeln!(out, "   Min processes = {}", watched.quorum)?;
    if let Some(most) = watched.quorum_max {
        writeln!(out, "   Max processes = {most}")?;
    }
    writeln!(out, "   Current processes = {number}\n   Have quorum = {is_quorum}\n   Weight = {weight}")?;
    writeln!(out, "   Terminate delay = {}", seconds(watched.terminate_delay))?;
    writeln!(out, "   Fork delay = {}", seconds(watched.fork_delay))?;
    writeln!(out, "   Fork delay timer {}running", runs(rises))?;
    writeln!(out, "   Terminate delay timer {}running", runs(falls))?;
    writeln!(out, "   Full command = {is_full}")
}
