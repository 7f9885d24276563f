//! Trackers: what is defined, in which order it may be used, and what is used nowhere.

use super::Resolver;
use crate::config::setup::{self, TrackerKind};
use crate::engine::plan::{TrackerId, TrackerPlan, Weight};
use crate::syntax::command::{CommandLine, UserName};
use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::schema::At;
use crate::syntax::source::Span;
use crate::syntax::suggest;
use crate::track::command::Standing;
use crate::track::{Defined, Definition, Definitions, Programs, Use};

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

impl Programs for Resolver<'_> {
    fn found(&mut self) -> &mut Diagnostics {
        self.found
    }

    fn command(&mut self, line: &CommandLine, user: Option<&UserName>, of: &str) -> Standing {
        self.command(line, user, of)
    }
}

impl Resolver<'_> {
    pub(super) fn trackers(&mut self, Definitions(definitions): Definitions) {
        for Definition { name, at, written } in definitions {
            let (keyword, used_by) = (written.keyword(), written.used_by());
            if self.tracker_names.contains_key(&(used_by, name.clone())) {
                let message = format!("{keyword} `{name}` is defined a second time");
                self.found.notice(Class::Duplicate, at, message).done("the first one counts");
                continue;
            }
            let (weight, what) = match written.define(&name, at, self) {
                None => continue,
                Some(Defined::Disabled) => (Weight::default(), What::Disabled),
                Some(Defined::Tracker { weight, plan, kind }) => (weight, What::Defined(plan, kind)),
            };
            self.tracker_names.insert((used_by, name.clone()), self.trackers.len());
            self.trackers.push(Tracker { name, at, keyword, weight, what });
        }
    }

    /// The tracker that a virtual router uses, and its weight; `None` when there is none, reported.
    pub(super) fn use_of(&mut self, used: &At<Use>, keyword: &'static str, of: &str) -> Option<(TrackerId, Weight)> {
        let At { value: used, at } = used;
        let name = &used.name;
        let index = self.tracker_names.get(&(keyword, name.clone()));
        let Some(tracker) = index.and_then(|&index| self.trackers.get_mut(index)) else {
            let message = format!("({of}) `{keyword}` names `{name}`, which is not defined");
            let diagnostic = self.found.error(Class::Reference, *at, message).done("it is not tracked");
            let known = self.tracker_names.keys().filter(|known| known.0 == keyword).map(|known| known.1.as_str());
            if let Some(near) = suggest::nearest(name, known) {
                diagnostic.hint(format!("did you mean `{near}`?"));
            }
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
        let weight = used.weight(tracker.weight);
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
