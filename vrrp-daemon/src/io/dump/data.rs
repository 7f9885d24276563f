//! keepalived.data: its sections and lines, by its keys and in its order, as far as there is something to say here. Times are in
//! UTC, and passwords are not shown.

mod global;
mod interfaces;
mod router;
mod trackers;

use std::fmt::{self, Write};
use std::time::SystemTime;

use super::address::{address, command};
use super::path;
use crate::config::setup::{Command, Notify, Paths, RunAs, Setup};
use crate::engine::plan::{InstancePlan, Subject, Watch, Weight};
use crate::engine::tracking::{Bearing, Verdict, bearing};
use crate::io::status::Observed;
use crate::track::report::Finds;

/// `clock` is the time of day at `observed.now`.
pub fn text(observed: &Observed, seen: &Finds, clock: SystemTime) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&View { setup: &observed.setup, observed, seen, clock }, &mut out);
    out
}

/// What is known.
struct View<'a> {
    setup: &'a Setup,
    observed: &'a Observed,
    seen: &'a Finds,
    clock: SystemTime,
}

fn write(view: &View, out: &mut String) -> fmt::Result {
    global::write(view.setup, out)?;
    statics(view.setup, out)?;
    writeln!(out, "------< VRRP Topology >------")?;
    router::write(view, out)?;
    groups(view, out)?;
    trackers::write(view, out)?;
    writeln!(out, "------< Interfaces >------")?;
    interfaces::write(view, out)
}

fn statics(setup: &Setup, out: &mut String) -> fmt::Result {
    let addresses = setup.statics.addresses.iter().map(|one| address(setup, one, "")).collect();
    let [routes, rules] = paths(setup, &setup.statics.paths);
    for (what, lines) in [("Addresses", addresses), ("Routes", routes), ("Rules", rules)] {
        list(out, &format!("------< Static {what} >------"), lines)?;
    }
    Ok(())
}

fn groups(view: &View, out: &mut String) -> fmt::Result {
    let View { setup, observed, .. } = view;
    if !setup.groups.is_empty() {
        writeln!(out, "------< VRRP Sync groups >------")?;
    }
    for ((plan, group), state) in setup.plan.groups.iter().zip(&setup.groups).zip(&observed.groups) {
        let members = plan.members.iter().map(|member| &setup.plan.instances[member.index()]);
        let standings = members.map(|plan| view.standing(plan));
        let (faulty, waiting) = standings.fold((0, 0), |(faulty, waiting), standing| {
            (faulty + u32::from(standing.faults > 0), waiting + u32::from(standing.waits > 0))
        });
        writeln!(out, " VRRP Sync Group = {}, {}", group.name, state.label())?;
        writeln!(out, "   Num member fault {faulty}, num member init {waiting}")?;
        let members = plan.members.iter().map(|member| setup.instances[member.index()].name.clone());
        list(out, "   VRRP member instances :", members.collect())?;
        writeln!(out, "   Using smtp notification = {}", yes(group.smtp_alert))?;
        scripts(group.notify.as_deref(), out)?;
    }
    Ok(())
}

/// What the things that a virtual router watches come to.
#[derive(Default)]
struct Standing {
    faults: u32,
    /// Those that could be a fault, and were not heard of.
    waits: u32,
    /// What is added to the priority.
    points: i32,
}

impl View<'_> {
    fn standing(&self, plan: &InstancePlan) -> Standing {
        let mut standing = Standing::default();
        for watch in &plan.watches {
            match bearing(watch.weight, self.verdict(watch.subject)) {
                Bearing::Fault => standing.faults += 1,
                Bearing::Wait => standing.waits += 1,
                Bearing::Add(points) => standing.points += i32::from(points),
            }
        }
        standing
    }

    fn verdict(&self, subject: Subject) -> Verdict {
        match subject {
            Subject::Interface(id) => {
                let link = self.observed.interfaces.get(id.index()).and_then(|seen| seen.link);
                Verdict::of_link(link.is_some_and(|link| link.up))
            }
            Subject::Tracker(id) => {
                let tracker = &self.setup.trackers[id.index()];
                let seen = self.seen.get(&(tracker.kind.keyword(), tracker.name.clone()));
                let unheard =
                    if self.setup.plan.trackers[id.index()].starts_failed { Verdict::Failed } else { Verdict::Unknown };
                seen.map_or(unheard, |seen| seen.verdict)
            }
        }
    }

    /// The virtual routers that watch something, as lines.
    fn watchers(&self, subject: Subject, comma: &str) -> Vec<String> {
        let all = self.setup.plan.instances.iter().zip(&self.setup.instances);
        let watching = all.flat_map(|(plan, instance)| {
            let watches = plan.watches.iter().filter(move |watch| watch.subject == subject);
            watches.map(move |Watch { weight, .. }| format!("{}{comma} weight {}", instance.name, weigh(*weight)))
        });
        watching.collect()
    }
}

fn weigh(Weight { value, reverse }: Weight) -> String {
    format!("{value}{}", if reverse { " reverse" } else { "" })
}

/// Routes and rules, as lines.
fn paths(setup: &Setup, paths: &Paths) -> [Vec<String>; 2] {
    [
        paths.routes.iter().map(|route| path::route(setup, route)).collect(),
        paths.rules.iter().map(|rule| path::rule(setup, rule)).collect(),
    ]
}

/// Nothing for an empty one.
fn list(out: &mut String, title: &str, lines: Vec<String>) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "{title}")?;
    lines.iter().try_for_each(|line| writeln!(out, "     {line}"))
}

fn scripts(notify: Option<&Notify>, out: &mut String) -> fmt::Result {
    let Some(Notify { master, backup, fault, stop, deleted, says_deleted: _, rx_lower, any, priority_changes: _ }) =
        notify
    else {
        return Ok(());
    };
    for (what, script) in [
        ("Backup", backup),
        ("Master", master),
        ("Fault", fault),
        ("Stop", stop),
        ("Deleted", deleted),
        ("Generic", any),
        ("Master rx lower pri", rx_lower),
    ] {
        if let Some(script) = script {
            writeln!(out, "   {what} state transition script = {}", run_by(script))?;
        }
    }
    Ok(())
}

/// `'/bin/x' 'an argument', uid:gid 0:0`
fn run_by(script: &Command) -> String {
    let RunAs { uid, gid } = script.run_as;
    format!("{}, uid:gid {uid}:{gid}", command(script))
}

const fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}
