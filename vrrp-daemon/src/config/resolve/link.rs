//! `interface_up_down_delays`: of which interfaces, and how long they may be.

use std::time::Duration;

use super::Resolver;
use crate::config::link::Delay;
use crate::engine::plan::{InstancePlan, InterfaceId, LinkDelay};
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::{At, Items};
use crate::syntax::source::Span;

impl Resolver<'_> {
    /// To be done when all virtual routers are there.
    pub(super) fn delays(&mut self, delays: Items<Delay>) {
        for At { value: Delay { interface: name, down, up }, at } in delays.items {
            let Some(id) = self.link_of(&name, at) else { continue };
            let mut delay = LinkDelay { down: down.duration(), up: up.duration() };
            let routers = self.setup.plan.instances.iter().zip(&self.setup.instances);
            for (plan, router) in routers.filter(|(plan, _)| plan.interface == id) {
                let bearable = |pause| if pause < limit(plan) { pause } else { most(plan) };
                let most = LinkDelay { down: bearable(delay.down), up: bearable(delay.up) };
                if most == delay {
                    continue;
                }
                delay = most;
                let message = format!("`{name}` may be down for as long as others wait for `{}`", router.name);
                let diagnostic = self.found.notice(Class::Conflict, at, message);
                diagnostic.done(match delay.down.max(delay.up) {
                    Duration::ZERO => "it counts at once, as in keepalived".into(),
                    most => format!("{most:?} is used, as in keepalived"),
                });
            }
            if self.setup.plan.delays.insert(id, delay).is_some() {
                let message = format!("`{name}` has delays already");
                self.found.notice(Class::Duplicate, at, message).done("the last ones count");
            }
        }
        self.setup.plan.delays.retain(|_, delay| *delay != LinkDelay::default());
    }

    /// The interface that a line is about, if it is in use. A virtual MAC interface has the link state of the one below.
    fn link_of(&mut self, name: &str, at: Span) -> Option<InterfaceId> {
        let id = self.interfaces.get(name).map(|&id| self.below(id));
        if id.is_none() {
            let message = format!("no virtual router uses interface `{name}`");
            let is_there = self.is_there(name);
            let diagnostic = match is_there {
                true => self.found.notice(Class::Unused, at, message),
                false => self.found.error(Class::Reference, at, message + ", and it does not exist"),
            };
            diagnostic.done("the line is skipped");
        }
        id
    }
}

/// Longer than this no delay may be: with one more advert missed, others take over.
fn limit(plan: &InstancePlan) -> Duration {
    plan.advert_int.duration() * u32::from(plan.down_adverts.saturating_sub(1))
}

/// What keepalived makes of those that are (2.2.7, observed): the limit, less the shortest skew.
fn most(plan: &InstancePlan) -> Duration {
    limit(plan).saturating_sub(plan.advert_int.duration() / 256)
}
