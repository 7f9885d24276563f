//! Announcements: how many of each address, when, and at what pace.

use std::time::Duration;

use super::Resolver;
use crate::config::garp_group::GarpGroup;
use crate::config::global::{GarpDelay, GarpExtra, GarpRefresh, GarpRepeat, Pause};
use crate::config::setup::{Pace, VirtualAddress};
use crate::engine::plan::{ExtraPlan, GarpPlan, InterfaceId};
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::At;
use crate::syntax::source::Span;

/// What a virtual router says of its announcements.
pub struct Garp {
    pub delay: Option<GarpDelay>,
    pub repeat: Option<At<GarpRepeat>>,
    pub refresh: Option<GarpRefresh>,
    pub refresh_repeat: Option<At<GarpRepeat>>,
    pub extra: Option<GarpExtra>,
    pub lower_delay: Option<At<GarpDelay>>,
    pub lower_repeat: Option<At<GarpRepeat>>,
}

impl Resolver<'_> {
    /// `places`: the interface that adverts come from, and the addresses.
    pub(super) fn garp(
        &mut self,
        own: Garp,
        places: (InterfaceId, &[VirtualAddress]),
        strict: bool,
        name: &str,
        at: Span,
    ) -> GarpPlan {
        let Garp { delay, repeat, refresh, refresh_repeat, extra, lower_delay, lower_repeat } = own;
        let min = self.default(self.defaults.min_garp.0, at).unwrap_or(false);
        let base = GarpPlan::default();
        let (base_repeat, base_delay) = if min { (1, Duration::ZERO) } else { (base.repeat, base.delay) };
        let default_delay = self.default(self.defaults.garp_master_delay, at);
        let default_repeat = self.default(self.defaults.garp_master_repeat, at);
        let default_refresh = self.default(self.defaults.garp_master_refresh, at);
        let default_refresh_repeat = self.default(self.defaults.garp_master_refresh_repeat, at);
        let default_lower_delay = self.default(self.defaults.garp_lower_prio_delay, at);
        let default_lower_repeat = self.default(self.defaults.garp_lower_prio_repeat, at);
        self.at_least_one(repeat, "garp_master_repeat", name);
        self.at_least_one(refresh_repeat, "garp_master_refresh_repeat", name);

        let times = |repeat: Option<GarpRepeat>, otherwise: u32| repeat.map_or(otherwise, |it| it.get() as u32);
        let repeat = times(repeat.map(|repeat| repeat.value).or(default_repeat), base_repeat).max(1);
        let delay = delay.or(default_delay).map_or(base_delay, |delay| delay.duration());
        let refresh = refresh.or(default_refresh).map_or(0, |refresh| refresh.get() as u64);
        let refresh_repeat = refresh_repeat.map(|repeat| repeat.value).or(default_refresh_repeat);
        let (mut lower_repeat_used, mut lower_delay_used) = (
            times(lower_repeat.map(|repeat| repeat.value).or(default_lower_repeat), repeat),
            lower_delay.map(|delay| delay.value).or(default_lower_delay).map_or(delay, |delay| delay.duration()),
        );
        if strict {
            let given = lower_repeat.filter(|repeat| repeat.value.get() != 0).map(|repeat| repeat.at);
            self.not_strict(given, "garp_lower_prio_repeat", "0 is used", name);
            let given = lower_delay.filter(|delay| delay.value.micros() != 0).map(|delay| delay.at);
            self.not_strict(given, "garp_lower_prio_delay", "0 is used", name);
            (lower_repeat_used, lower_delay_used) = (0, Duration::ZERO);
        }
        GarpPlan {
            repeat,
            delay,
            lower_repeat: lower_repeat_used,
            lower_delay: lower_delay_used,
            refresh: Duration::from_secs(refresh),
            refresh_repeat: times(refresh_repeat, base.refresh_repeat).max(1),
            extra: self.extra(extra, places, at),
        }
    }

    /// Addresses that are announced again and again: switches hear of the interface that adverts come from without.
    fn extra(
        &mut self,
        own: Option<GarpExtra>,
        (speaks_from, addresses): (InterfaceId, &[VirtualAddress]),
        at: Span,
    ) -> Option<Box<ExtraPlan>> {
        let GarpExtra { all, every } = own.or(self.default(self.defaults.garp_extra_if, at))?;
        let is_meant = |address: &VirtualAddress| {
            let made = self.below(address.interface) != address.interface;
            address.interface != speaks_from && (all || made)
        };
        let addresses: Box<[u32]> =
            (0..).zip(addresses).filter(|(_, it)| is_meant(it)).map(|(number, _)| number).collect();
        let every = Duration::from_secs(every.get() as u64);
        (!every.is_zero() && !addresses.is_empty()).then(|| Box::new(ExtraPlan { every, addresses }))
    }

    fn at_least_one(&mut self, repeat: Option<At<GarpRepeat>>, keyword: &str, name: &str) {
        if let Some(At { at, .. }) = repeat.filter(|repeat| repeat.value.get() == 0) {
            let message = format!("({name}) `{keyword}` of 0 would announce nothing");
            self.found.warning(Class::Value, at, message).done("1 is used");
        }
    }

    /// Each interface has a pace of its own, unless it is of a group.
    pub(super) fn paces(&mut self, groups: Vec<At<GarpGroup>>) {
        let pause = |pause: Option<Pause>| pause.map_or(Duration::ZERO, Pause::duration);
        let own = Pace { garp: pause(self.defaults.garp_interval), gna: pause(self.defaults.gna_interval) };
        let mut grouped = vec![None; self.setup.interfaces.len()];
        self.setup.paces.push(Pace::default());
        for At { value: group, at } in groups {
            let GarpGroup { garp_interval, gna_interval, interface, interfaces, foreign: _ } = group;
            if garp_interval.is_none() && gna_interval.is_none() {
                let message = "a garp_group without an interval";
                self.found.warning(Class::Incomplete, at, message).done("it is left out");
                continue;
            }
            let number = self.setup.paces.len() as u32;
            self.setup.paces.push(Pace { garp: pause(garp_interval), gna: pause(gna_interval) });
            let listed = interfaces.items.into_iter().map(|item| (item.value.0, item.at));
            for (name, at) in interface.into_iter().map(|it| (it.value.0, it.at)).chain(listed) {
                // One that no virtual router uses announces nothing.
                let Some(&id) = self.interfaces.get(&name) else { continue };
                if grouped[id.index()].is_some() {
                    let message = format!("`{name}` is in a garp_group already");
                    self.found.error(Class::Duplicate, at, message).done("the first one counts");
                    continue;
                }
                grouped[id.index()] = Some(number);
            }
        }
        for group in grouped {
            let number = match group {
                Some(number) => number,
                None if own == Pace::default() => 0,
                None => {
                    self.setup.paces.push(own);
                    self.setup.paces.len() as u32 - 1
                }
            };
            self.setup.pace_of.push(number);
        }
    }
}
