//! Routes and rules of virtual routers and of the daemon: names become numbers, and rules have a preference each.

use std::collections::BTreeSet;

use vrrp_common::Family;

use super::{LEFT_OUT, Resolver};
use crate::config::rule;
use crate::config::setup::{Action, Paths, Route, Rule};
use crate::config::written::{Named, Written};
use crate::engine::plan::InterfaceId;
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::{At, Items};
use crate::syntax::source::Span;

/// Routes and rules of one owner, as they are written.
pub struct WrittenPaths {
    pub routes: Items<Written<Route>>,
    pub rules: Items<Written<Rule>>,
}

/// Whose they are.
#[derive(Clone, Copy)]
pub enum Whose<'a> {
    Router(&'a str),
    Daemon,
}

/// What names the first preference that keepalived gives a rule without; the next is one less.
const PREFERENCE: u32 = 16384;

/// Routes, or rules, of one owner. keepalived has no bound of its own.
const PATHS: usize = 1000;

impl Whose<'_> {
    fn prefix(self) -> String {
        match self {
            Self::Router(name) => format!("({name}) "),
            Self::Daemon => String::new(),
        }
    }

    const fn left_out(self) -> &'static str {
        match self {
            Self::Router(_) => LEFT_OUT,
            Self::Daemon => "the line is skipped",
        }
    }
}

/// What a line needs of interfaces, and who watches them: a virtual router its own, a group those of statics.
pub struct Tracked {
    pub group: Option<At<String>>,
    pub interfaces: BTreeSet<InterfaceId>,
}

impl Resolver<'_> {
    /// Beside the paths: what is watched for them. `None`: the virtual router is left out, reported.
    pub(super) fn paths(&mut self, written: WrittenPaths, whose: Whose) -> Option<(Paths, Vec<Tracked>)> {
        let mut paths = Paths::default();
        let mut tracked = Vec::new();
        let WrittenPaths { routes, rules } = written;
        let beyond = routes.items.get(PATHS).map(|item| item.at).or(rules.items.get(PATHS).map(|item| item.at));
        if let Some(beyond) = beyond {
            let message = format!("{}there are more than {PATHS} routes or rules", whose.prefix());
            self.found.error(Class::Limit, beyond, message).done(whose.left_out());
            return None;
        }
        for At { value, at } in routes.items {
            let Some((route, watch)) = self.path(value, at, whose)? else { continue };
            // With several ways there is another one when an interface fails.
            tracked.extend((route.kept && route.hops.len() <= 1).then_some(watch));
            paths.routes.push(route);
        }
        for At { value, at } in rules.items {
            let Some((mut rule, watch)) = self.path(value, at, whose)? else { continue };
            if rule.action == Action::Table(0) {
                let message = format!("{}no rule can look up table 0", whose.prefix());
                self.found.error(Class::Value, at, message).done("the rule is skipped");
                continue;
            }
            if rule.preference == rule::UNSET {
                rule.preference = self.preference(rule.family, at, whose);
            }
            tracked.extend(rule.kept.then_some(watch));
            paths.rules.push(rule);
        }
        Some((paths, tracked))
    }

    /// The outer `None`: the virtual router is left out; the inner: the line is skipped. Both are reported.
    fn path<T>(&mut self, written: Written<T>, at: Span, whose: Whose) -> Option<Option<(T, Tracked)>> {
        let Written { mut value, names, interfaces, group, refused } = written;
        let prefix = whose.prefix();
        if let Some(At { value, at }) = refused {
            let message = format!("{prefix}`{value}` of a route is known to keepalived and not done here");
            let diagnostic = self.found.error(Class::Unsupported, at, message).done(whose.left_out());
            diagnostic.hint("name the table of the VRF (`table N`)");
            return matches!(whose, Whose::Daemon).then_some(None);
        }
        if let (Some(At { at, .. }), Whose::Router(name)) = (&group, whose) {
            let message = format!("({name}) `track_group` is for static routes and rules");
            self.found.error(Class::Value, *at, message).done("the line is skipped");
            return Some(None);
        }
        for Named { naming, word, set } in names {
            match self.names.number(naming, &word.text) {
                Ok(number) => (set.put)(&mut value, set.place, number),
                Err(expected) => {
                    let message = format!("{prefix}`{}` is unknown; expected {expected}", word.text);
                    self.found.error(Class::Value, word.span, message).done("the line is skipped");
                    return Some(None);
                }
            }
        }
        let mut watched = BTreeSet::new();
        for (word, set) in interfaces {
            let Some(id) = self.interface(&word.text, at) else {
                return matches!(whose, Whose::Daemon).then_some(None);
            };
            (set.put)(&mut value, set.place, id);
            watched.insert(self.below(id));
        }
        Some(Some((value, Tracked { group, interfaces: watched })))
    }

    fn preference(&mut self, family: Family, at: Span, whose: Whose) -> u32 {
        let next = &mut self.preferences[usize::from(family == Family::V6)];
        let preference = PREFERENCE.saturating_sub(*next);
        *next += 1;
        let message = format!("{}the rule has no preference, on which the order of rules depends", whose.prefix());
        let diagnostic = self.found.warning(Class::Incomplete, at, message);
        diagnostic.done(format!("it has {preference}, as in keepalived")).hint("add `preference N`");
        preference
    }
}
