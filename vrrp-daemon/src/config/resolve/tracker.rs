//! Trackers: what is defined, in which order it may be used, and what is used nowhere.

use std::time::Duration;

use super::Resolver;
use super::command::Standing;
use crate::config::setup::{self, Script, TrackerKind};
use crate::engine::plan::{TrackerId, TrackerPlan, Weight};
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::At;
use crate::syntax::source::Span;
use crate::track::{self, Definition, Definitions, Spec, Use, script};

/// A tracker that was defined.
pub struct Tracker {
    name: String,
    at: Span,
    keyword: &'static str,
    weight: Weight,
    what: What,
}

pub enum What {
    /// Reported; whoever uses it goes without.
    Disabled,
    Defined(TrackerPlan, TrackerKind),
    Used(TrackerId),
}

/// A script that says `interval 0` gets this.
const INTERVAL: Duration = Duration::from_secs(1);
/// As often as a script may run.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

impl Resolver<'_> {
    pub(super) fn trackers(&mut self, Definitions(definitions): Definitions) {
        for Definition { name, at, spec } in definitions {
            if self.tracker_names.contains_key(&(spec.used_by(), name.clone())) {
                let message = format!("{} `{name}` is defined a second time", spec.keyword());
                self.found.notice(Class::Duplicate, at, message).done("the first one counts");
                continue;
            }
            let (keyword, used_by) = (spec.keyword(), spec.used_by());
            let resolved = match spec {
                Spec::Script(script) => self.script(script, &name, at),
                Spec::Bfd(block) => self.bfd(block, &name, at),
            };
            if let Some((weight, what)) = resolved {
                self.tracker_names.insert((used_by, name.clone()), self.trackers.len());
                self.trackers.push(Tracker { name, at, keyword, weight: weight.into(), what });
            }
        }
    }

    /// `None`: as if it had not been defined.
    fn script(&mut self, script: script::Script, name: &str, at: Span) -> Option<(track::Weight, What)> {
        let script::Script { script, interval, timeout, weight, rise, fall, user, init_fail, foreign: _ } = script;
        let weight = weight.unwrap_or_default();
        let of = format!("vrrp_script {name}");
        let Some(line) = script else {
            self.found.error(Class::Incomplete, at, format!("{of} has no `script`")).done("it is left out");
            return None;
        };
        let interval = match interval {
            Some(At { value, at }) if value.micros() == 0 => {
                self.found.error(Class::Value, at, format!("{of}: an interval of 0")).done("1 second is used");
                INTERVAL
            }
            Some(At { value, .. }) => value.duration().max(INTERVAL_MIN),
            None => INTERVAL,
        };
        let timeout = timeout.map(|timeout| timeout.value.duration()).filter(|timeout| !timeout.is_zero());
        let times = |count: Option<script::Times>| count.map_or(1, |count| count.get() as u32);
        let plan = TrackerPlan { rise: times(rise), fall: times(fall), starts_failed: init_fail.0.is_some() };
        let what = match self.command(&line, user.as_ref(), &of) {
            Standing::Nobody => return None,
            Standing::Unusable => What::Disabled,
            Standing::Usable(command) => {
                let script = Script { command, interval, timeout: timeout.unwrap_or(interval) };
                What::Defined(plan, TrackerKind::Script(script))
            }
        };
        Some((weight, what))
    }

    /// The tracker that a virtual router uses, and its weight; `None` when there is none, reported.
    pub(super) fn use_of(&mut self, used: &At<Use>, keyword: &'static str, of: &str) -> Option<(TrackerId, Weight)> {
        let At { value: Use { name, weight }, at } = used;
        let index = self.tracker_names.get(&(keyword, name.clone()));
        let Some(tracker) = index.and_then(|&index| self.trackers.get_mut(index)) else {
            let message = format!("({of}) `{keyword}` names `{name}`, which is not defined");
            self.found.error(Class::Reference, *at, message).done("it is not tracked");
            return None;
        };
        if tracker.at.order > at.order {
            let message =
                format!("({of}) `{keyword}` names `{name}`, which is only defined in line {}", tracker.at.line);
            let diagnostic =
                self.found.error(Class::Reference, *at, message).done("it is not tracked, as in keepalived");
            diagnostic.hint(format!("put the {} `{name}` before the vrrp_instance", tracker.keyword));
            return None;
        }
        let weight = weight.map_or(tracker.weight, Weight::from);
        let id = match &tracker.what {
            What::Disabled => return None,
            What::Used(id) => *id,
            What::Defined(plan, kind) => {
                let id = TrackerId(self.setup.trackers.len() as u32);
                self.setup.plan.trackers.push(*plan);
                self.setup.trackers.push(setup::Tracker { name: name.clone(), kind: kind.clone() });
                tracker.what = What::Used(id);
                id
            }
        };
        Some((id, weight))
    }

    pub(super) fn unused_trackers(&mut self) {
        for Tracker { name, at, keyword, what, .. } in &self.trackers {
            // The neighbour may depend on the session all the same.
            if let What::Defined(plan, kind @ TrackerKind::Bfd(_)) = what {
                self.setup.plan.trackers.push(*plan);
                self.setup.trackers.push(setup::Tracker { name: name.clone(), kind: kind.clone() });
            } else if matches!(what, What::Defined(..)) {
                let message = format!("{keyword} `{name}` is used by no virtual router");
                self.found.notice(Class::Unused, *at, message).done("it is not run");
            }
        }
    }
}

impl From<track::Weight> for Weight {
    fn from(track::Weight { value, reverse }: track::Weight) -> Self {
        Self { value, reverse }
    }
}
