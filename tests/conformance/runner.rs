//! Tries a case on its router. What a step does, every change of state, deadline or effective priority, and every
//! warning must be expected; what is expected must come.

use serde_json::Value;
use vrrp_daemon::engine::event::Level;
use vrrp_daemon::engine::plan::InstanceId;
use vrrp_daemon::engine::snapshot::Snapshot;

use crate::case::{Case, Expectation, Expected, Fault, Happening, Nanos, Step};
use crate::frame;
use crate::router::{Deed, Router};

/// Runs a case up to its first step with faults.
pub fn run(case: &Case) -> Vec<Fault> {
    let mut router = Router::new(&case.setup);
    let mut last = Nanos(0);
    for step in &case.steps {
        let faults = match order(&router, last, step) {
            Ok(()) => take(&mut router, step),
            Err(text) => vec![Fault::new(step.line, text)],
        };
        if !faults.is_empty() {
            return faults;
        }
        last = last.max(step.at);
    }
    Vec::new()
}

/// Time goes on, and no deadline is passed over; only what is heard may have arrived earlier, or be found by a late
/// daemon before it looks at its deadline.
fn order(router: &Router, last: Nanos, step: &Step) -> Result<(), String> {
    if matches!(step.happening, Happening::Hear { .. } | Happening::Frame { .. }) {
        return Ok(());
    }
    if step.at < last {
        return Err(format!("{} is before the last step, {last}", step.at));
    }
    match router.deadline() {
        Some((due, why)) if due < step.at && step.happening != Happening::Deadline => {
            Err(format!("the deadline at {due}, {why}, is passed over; write `at {due} deadline` before"))
        }
        _ => Ok(()),
    }
}

/// What shows of a router besides its deeds.
struct Look {
    snapshots: Vec<Snapshot>,
    deadline: Option<(Nanos, &'static str)>,
}

impl Look {
    fn at(router: &Router) -> Self {
        let ids = (0..router.setup.instances.len() as u32).map(InstanceId);
        Self { snapshots: ids.map(|id| router.snapshot(id)).collect(), deadline: router.deadline() }
    }
}

/// What of a step was expected, by instance where it is one's own.
#[derive(Default)]
struct Expecting {
    deeds: usize,
    told: Vec<usize>,
    states: Vec<usize>,
    effective: Vec<usize>,
    deadline: bool,
}

fn take(router: &mut Router, step: &Step) -> Vec<Fault> {
    let before = Look::at(router);
    if let Err(text) = router.meet(step.at, &step.happening) {
        return vec![Fault::new(step.line, text)];
    }
    let after = Look::at(router);
    let mut expecting = Expecting::default();
    let mut faults = Vec::new();
    for expectation in &step.expectations {
        if let Err(text) = meets(expectation, router, &after, &mut expecting) {
            faults.push(Fault::new(expectation.line, text));
        }
    }
    if step.expectations.iter().any(|expectation| expectation.what == Expected::Nothing) && step.expectations.len() > 1
    {
        faults.push(Fault::new(step.line, "`expect nothing` stands alone"));
    }
    let left = left_over(router, &before, &after, &expecting);
    faults.extend(left.into_iter().map(|text| Fault::new(step.line, format!("not expected: {text}"))));
    faults
}

/// Whether one expectation is met.
fn meets(
    Expectation { router: name, what, .. }: &Expectation,
    router: &Router,
    after: &Look,
    expecting: &mut Expecting,
) -> Result<(), String> {
    match what {
        Expected::Nothing => return Ok(()),
        Expected::Deadline(wanted) => {
            expecting.deadline = true;
            let wanted = wanted.as_ref().map(|(at, why)| (*at, why.as_str()));
            return if after.deadline == wanted { Ok(()) } else { Err(format!("the {}", deadline(after.deadline))) };
        }
        Expected::Refused(..) => return deed(None, what, router, expecting),
        _ => {}
    }
    let id = meant(name.as_deref(), router)?;
    let index = id.index();
    let is = |matches: bool, text: String| if matches { Ok(()) } else { Err(text) };
    match what {
        Expected::Log(part) => {
            let said = |(of, _, text): &(InstanceId, Level, String)| *of == id && text.contains(part);
            let found = router.told.iter().position(said);
            expecting.told.extend(found);
            let lines: Vec<_> = router.told.iter().map(|(_, _, text)| format!("`{text}`")).collect();
            is(found.is_some(), format!("no such line; logged was {}", lines.join(", ")))
        }
        Expected::State(wanted) => {
            expecting.states.push(index);
            let state = after.snapshots[index].state;
            is(state == *wanted, format!("the state is {}", state.label()))
        }
        Expected::Effective(wanted) => {
            expecting.effective.push(index);
            let effective = after.snapshots[index].effective.get();
            is(effective == *wanted, format!("the effective priority is {effective}"))
        }
        Expected::Counter(name, wanted) => {
            let stats = serde_json::to_value(after.snapshots[index].stats).map_err(|error| error.to_string())?;
            let count =
                stats.get(name).and_then(Value::as_u64).ok_or_else(|| format!("there is no counter `{name}`"))?;
            is(count == *wanted, format!("{name} is {count}"))
        }
        _ => deed(Some(id), what, router, expecting),
    }
}

/// The virtual router of this name; the only one needs none.
fn meant(name: Option<&str>, router: &Router) -> Result<InstanceId, String> {
    let routers = &router.setup.instances;
    let position = match name {
        Some(name) => routers.iter().position(|router| router.name == name),
        None if routers.len() == 1 => Some(0),
        None => return Err("say of which virtual router: `expect NAME ..`".to_owned()),
    };
    let id = position.map(|index| InstanceId(index as u32));
    id.ok_or_else(|| format!("there is no vrrp_instance `{}`", name.unwrap_or_default()))
}

/// Whether the next deed is this one.
fn deed(id: Option<InstanceId>, wanted: &Expected, router: &Router, expecting: &mut Expecting) -> Result<(), String> {
    let Some((of, deed)) = router.done.get(expecting.deeds) else { return Err("it does not come".to_owned()) };
    expecting.deeds += 1;
    let other = || Err(format!("what comes is `{}`", named(router, *of, deed)));
    if *of != id {
        return other();
    }
    match (wanted, deed) {
        (Expected::Advert(fields), Deed::Advert(sent)) => {
            fields.iter().try_for_each(|field| frame::differs(sent, field))
        }
        (Expected::Install, Deed::Install) | (Expected::Release, Deed::Release) => Ok(()),
        (Expected::Absorb(wanted), Deed::Absorb(on)) if wanted == on => Ok(()),
        (Expected::Refused(how, why), Deed::Refused(does, reason)) if (how, why) == (does, reason) => Ok(()),
        (
            Expected::Announce { address, rounds, frame: wanted },
            Deed::Announce { address: of, rounds: times, frame: sent },
        ) if (address, rounds) == (of, times) => match (wanted, sent) {
            (Some(_), Some(sent)) if wanted.as_ref() != Some(sent) => {
                Err(format!("the frame is {}", crate::words::hex(sent)))
            }
            (Some(_), None) => Err("a round has no single frame".to_owned()),
            _ => Ok(()),
        },
        _ => other(),
    }
}

/// What came and nobody expected, as a case would expect it.
fn left_over(router: &Router, before: &Look, after: &Look, expecting: &Expecting) -> Vec<String> {
    let mut left: Vec<_> =
        router.done.iter().skip(expecting.deeds).map(|(id, deed)| named(router, *id, deed)).collect();
    for (index, (id, level, text)) in router.told.iter().enumerate() {
        if *level != Level::Info && !expecting.told.contains(&index) {
            left.push(named(router, Some(*id), &format!("log {text}")));
        }
    }
    for (index, (before, after)) in before.snapshots.iter().zip(&after.snapshots).enumerate() {
        let id = Some(InstanceId(index as u32));
        if before.state != after.state && !expecting.states.contains(&index) {
            left.push(named(router, id, &format!("state {}", after.state.label())));
        }
        if before.effective != after.effective && !expecting.effective.contains(&index) {
            left.push(named(router, id, &format!("effective {}", after.effective)));
        }
    }
    if before.deadline != after.deadline && !expecting.deadline {
        left.push(deadline(after.deadline));
    }
    left
}

fn named(router: &Router, id: Option<InstanceId>, what: &dyn std::fmt::Display) -> String {
    match id {
        Some(id) if router.setup.instances.len() > 1 => format!("{} {what}", router.setup.instances[id.index()].name),
        _ => what.to_string(),
    }
}

fn deadline(deadline: Option<(Nanos, &str)>) -> String {
    match deadline {
        Some((at, why)) => format!("deadline {at} {why}"),
        None => "deadline none".to_owned(),
    }
}
