//! `strict_mode`, `vrrp_strict`: what contradicts the RFC is reported, and done as the RFC has it.
//!
//! Each effect is where its keyword is resolved; all of them ask here. Unicast stays: 2.2.7 allows it, later releases leave
//! the virtual router out where its interface can multicast.

use vrrp_common::Priority;

use super::Resolver;
use crate::config::instance::State;
use crate::engine::plan::Wanted;
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::{At, Switch};
use crate::syntax::source::Span;

/// The answers that a virtual router gives or withholds, as they are written.
pub struct Answers {
    pub lower_prio_no_advert: Switch,
    pub higher_prio_send_advert: Switch,
    pub owner_ignore_adverts: Switch,
}

impl Resolver<'_> {
    /// Reports something given that strict mode excludes.
    pub(super) fn not_strict(&mut self, given: Option<Span>, keyword: &str, done: &str, name: &str) {
        if let Some(at) = given {
            let message = format!("({name}) `{keyword}` and strict mode exclude each other");
            self.found.warning(Class::Conflict, at, message).done(done);
        }
    }

    /// The owner is master, and nobody else is.
    pub(super) fn strict_state(
        &mut self,
        given: Option<At<State>>,
        priority: Priority,
        name: &str,
        at: Span,
    ) -> Wanted {
        let wanted = if priority.is_owner() { Wanted::Master } else { Wanted::Backup };
        let contradicts = match given.map(|state| state.value) {
            Some(State::Master) => wanted != Wanted::Master,
            Some(State::Backup) => wanted != Wanted::Backup,
            None => false,
        };
        if contradicts {
            let message = format!("({name}) in strict mode `state MASTER` and priority 255 go together");
            let done = if priority.is_owner() { "it is MASTER" } else { "it is BACKUP" };
            self.found.warning(Class::Conflict, given.map_or(at, |state| state.at), message).done(done);
        }
        wanted
    }

    /// Whether it answers weaker masters, whether it sends a last advert, whether an owner is deaf.
    pub(super) fn answers(&mut self, own: Answers, strict: bool, name: &str) -> (bool, bool, bool) {
        let Answers { lower_prio_no_advert: lower, higher_prio_send_advert: higher, owner_ignore_adverts: deaf } = own;
        if !strict {
            let chosen = |own: Switch, default: Switch| if own.0.is_some() { own.is_on() } else { default.is_on() };
            let defaults = &self.defaults;
            return (
                !chosen(lower, defaults.lower_prio_no_advert),
                chosen(higher, defaults.higher_prio_send_advert),
                chosen(deaf, defaults.owner_ignore_adverts),
            );
        }
        let given = |switch: Switch, value: bool| switch.0.filter(|given| given.value == value).map(|given| given.at);
        self.not_strict(given(lower, false), "lower_prio_no_advert off", "it is on", name);
        self.not_strict(given(higher, true), "higher_prio_send_advert", "it is off", name);
        self.not_strict(given(deaf, false), "owner_ignore_adverts off", "it is on", name);
        (false, false, true)
    }
}
