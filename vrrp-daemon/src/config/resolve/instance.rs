//! Virtual routers: defaults, and what contradicts itself.

use std::sync::Arc;
use std::time::Duration;

use vrrp_common::wire::checksum::ChecksumForm;
use vrrp_common::{Centis, Family, Priority, Version, Vrid};

use super::auth::Router;
use super::destination::Written;
use super::garp::Garp;
use super::paths::{Whose, WrittenPaths};
use super::strict::Answers;
use super::sync_group::{Group, Groups};
use super::watch::Watcher;
use super::{LEFT_OUT, Resolver, notify};
use crate::auth::Authentication;
use crate::config::instance::{Instance, LateRival, Preempt, State};
use crate::config::setup::{self, Destination};
use crate::engine::plan::{InstancePlan, Wanted};
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::{At, Met, Named, Outcome, Switch};
use crate::syntax::source::Span;
use crate::syntax::value::{Seconds, Whole, shown};

impl Resolver<'_> {
    /// Adds a virtual router to the setup, or reports why not.
    pub(super) fn instance(&mut self, instance: Named<Instance>, groups: &Groups, all_refused: bool) {
        let Named { name, at, block } = instance;
        if !self.routers_named.insert(name.clone()) {
            let message = format!("vrrp_instance `{name}` is defined a second time");
            self.found.error(Class::Duplicate, at, message).done("the first one counts");
            return;
        }
        let group = groups.of(&name);
        if let Some((plan, router)) = self.router(name, at, block, group)
            && !all_refused
        {
            Arc::make_mut(&mut self.setup.plan.instances).push(plan);
            self.setup.instances.push(router);
        }
    }

    fn router(
        &mut self,
        name: String,
        at: Span,
        block: Instance,
        group: Option<&Group>,
    ) -> Option<(InstancePlan, setup::Instance)> {
        let Instance {
            state,
            interface,
            vrf,
            virtual_router_id,
            priority,
            advert_int,
            version,
            vrrpd_dual_version,
            authentication,
            auth_hmac,
            virtual_ipaddress,
            virtual_ipaddress_excluded,
            virtual_routes,
            virtual_rules,
            use_vmac,
            use_vmac_addr,
            vmac_xmit_base,
            use_ipvlan,
            preempt,
            accept,
            preempt_delay,
            strict_mode,
            owner_ignore_adverts,
            lower_prio_no_advert,
            higher_prio_send_advert,
            skip_check_adv_addr,
            timer_expired_backup,
            mcast_src_ip,
            mcast_dst_ip,
            unicast_src_ip,
            track_src_ip,
            unicast_peer,
            unicast_ttl,
            check_unicast_src,
            unicast_fault_no_peer,
            garp_master_delay,
            garp_master_repeat,
            garp_master_refresh,
            garp_master_refresh_repeat,
            garp_extra_if,
            garp_lower_prio_delay,
            garp_lower_prio_repeat,
            down_timer_adverts,
            v3_checksum_as_v2,
            promote_secondaries,
            dont_track_primary,
            tracks,
            track_interface,
            notify_master,
            notify_backup,
            notify_fault,
            notify_stop,
            notify_deleted,
            notify_master_rx_lower_pri,
            notify,
            notify_priority_changes,
            smtp_alert,
            foreign,
        } = block;
        let mut complete = !self.refuses(&foreign, &name, LEFT_OUT);

        let vrid = virtual_router_id.and_then(|vrid| Vrid::new(vrid.value.get() as u8));
        if vrid.is_none() {
            let message = format!("({name}) has no valid `virtual_router_id`");
            self.found.error(Class::Incomplete, at, message).done(LEFT_OUT);
        }
        let family = virtual_ipaddress.items.first().map_or(Family::V4, |first| Family::of(first.value.address));
        let version = self.version(version, family, &name);
        let written = Written {
            mcast_src_ip,
            mcast_dst_ip,
            unicast_src_ip,
            unicast_peer,
            unicast_ttl,
            check_unicast_src,
            unicast_fault_no_peer,
        };
        let (destination, source) = self.destination(written, family, &name)?;
        let interface = self.place(interface, vrf, (&destination, source), (&name, at))?;
        let use_vmac = self.on_interface(use_vmac, "use_vmac", interface, &name);
        let use_ipvlan = self.on_interface(use_ipvlan, "use_ipvlan", interface, &name);
        let use_vmac = self.not_both(use_vmac, use_ipvlan.is_some(), &name);
        let own = use_ipvlan.as_ref().and_then(|used| used.value.address);
        let source = source.or(own.map(|own| own.address));
        let tracks_source = self.tracks_source(track_src_ip, source, &name);
        let heard_at = match destination {
            Destination::Group(group) => Some(group),
            Destination::Peers(_) => source,
        };
        let key = vrid.map(|vrid| (interface, family, vrid, heard_at));
        if let Some(other) = key.and_then(|key| self.hearer(key)) {
            let what = if heard_at.is_some_and(|at| at.is_multicast()) { "interface" } else { "source address" };
            let message = format!("({name}) has the {what} and the virtual_router_id of `{other}`");
            let at = virtual_router_id.map_or(at, |vrid| vrid.at);
            let diagnostic = self.found.error(Class::Duplicate, at, message).done(LEFT_OUT);
            diagnostic.hint("each needs a virtual_router_id of its own; one can serve several addresses");
            complete = false;
        }
        let strict = strict_mode.0.map_or(self.defaults.strict.is_on(), |strict| strict.value);
        let home = self.home(&name, interface, family, vrid?, (use_vmac, use_vmac_addr), strict)?;
        let ipvlan = match use_ipvlan {
            Some(used) => Some(self.ipvlan(&home, used)?),
            None => None,
        };
        let source_mac = home.source_mac(vmac_xmit_base, strict, self.found);
        let needs = (version == Version::V3 || strict, family);
        let mut addresses = self.addresses(virtual_ipaddress, virtual_ipaddress_excluded, &home, at, needs)?;
        let written = WrittenPaths { routes: virtual_routes, rules: virtual_rules };
        let (paths, tracked) = self.paths(written, Whose::Router(&name))?;
        addresses.watched.extend(tracked.into_iter().flat_map(|tracked| tracked.interfaces));
        addresses.watched.extend(self.track_groups.get(&name).into_iter().flatten());
        let stated = state.map(|state| state.at);
        let (mut wanted, priority) = self.start(state, priority.map(|priority| priority.value.get()), &name, at);
        if strict {
            wanted = self.strict_state(state, priority, &name, at);
        }
        let advert_int = self.advert_int(advert_int, version, &name);
        let both_versions = self.both_versions(vrrpd_dual_version, (version, family), advert_int, &name);
        let router = Router { name: &name, version, both_versions, advert_int, strict };
        let authentication = self.authentication(authentication, auth_hmac, router)?;
        if let Authentication::Ah(_) = authentication {
            wanted = self.waits_for_sequence(wanted, stated, &name);
        }
        let checksum_form = self.checksum_form(v3_checksum_as_v2, at);
        let watcher = Watcher {
            name: &name,
            interface,
            ignores_interface: dont_track_primary.0.is_some() || self.setup.routed.contains(&interface),
            devs: &addresses.watched,
            priority,
            group,
        };
        let watches = self.watches(&watcher, track_interface, tracks)?;
        let notify = notify::Written {
            master: notify_master,
            backup: notify_backup,
            fault: notify_fault,
            stop: notify_stop,
            deleted: notify_deleted,
            rx_lower: notify_master_rx_lower_pri,
            any: notify,
            priority_changes: notify_priority_changes,
        };
        let notify = self.notify(notify, &name);
        let down_adverts = match down_timer_adverts {
            Some(adverts) => adverts.value.get() as u8,
            None => self.default(self.defaults.down_timer_adverts, at).map_or(3, |adverts| adverts.get() as u8),
        };
        let down_adverts = if strict { 3 } else { down_adverts };
        if strict {
            let given = down_timer_adverts.filter(|adverts| adverts.value.get() != 3).map(|adverts| adverts.at);
            self.not_strict(given, "down_timer_adverts", "3 is used", &name);
        }
        let preempt = self.preempt(preempt, priority, wanted, &name);
        let answers = Answers { lower_prio_no_advert, higher_prio_send_advert, owner_ignore_adverts };
        let (answers_lower, answers_higher, deaf) = self.answers(answers, strict, &name);
        let garp = Garp {
            delay: garp_master_delay,
            repeat: garp_master_repeat,
            refresh: garp_master_refresh,
            refresh_repeat: garp_master_refresh_repeat,
            extra: garp_extra_if,
            lower_delay: garp_lower_prio_delay,
            lower_repeat: garp_lower_prio_repeat,
        };
        let places = (home.speaks_from(source_mac.is_some()), addresses.list.as_slice());
        let plan = InstancePlan {
            interface,
            family,
            vrid: home.vrid,
            version,
            both_versions: both_versions.is_some(),
            priority,
            wanted,
            advert_int,
            phase: None,
            down_adverts,
            preempt,
            preempt_delay: self.preempt_delay(preempt_delay, preempt, wanted, strict, &name),
            ignores_adverts: deaf && priority.is_owner(),
            answers_lower,
            answers_higher,
            trusts_master: match skip_check_adv_addr.0 {
                Some(own) => own.value,
                None => self.default(self.defaults.skip_check_adv_addr.0, at).unwrap_or(false),
            },
            late_rival: self.late_rival(timer_expired_backup, preempt, &name),
            addresses: addresses.list.len() as u32,
            garp: self.garp(garp, places, strict, &name, at),
            lacks_peers: matches!(&destination, Destination::Peers(unicast) if unicast.peers.is_empty()),
            watches,
            group: None,
        };
        let router = setup::Instance {
            name,
            addresses: addresses.list,
            paths,
            source_mac,
            source,
            ipvlan,
            tracks_source,
            destination,
            authentication,
            no_accept: accept.0.map_or(strict, |accept| !accept) && !priority.is_owner(),
            strict,
            promote_secondaries: promote_secondaries.0.is_some(),
            checksum_form,
            smtp_alert: self.alerts(smtp_alert),
            notify,
        };
        if complete && let Some(key) = key {
            self.routers.insert(key, router.name.clone());
        }
        complete.then_some((plan, router))
    }

    /// IPv6 has version 3 alone.
    fn version(&mut self, given: Option<At<Whole<2, 3>>>, family: Family, name: &str) -> Version {
        if family == Family::V6 {
            if let Some(At { at, .. }) = given.filter(|given| given.value.get() == 2) {
                let message = format!("({name}) version 2 has no IPv6");
                self.found.warning(Class::Conflict, at, message).done("version 3 is used");
            }
            return Version::V3;
        }
        let given = given.or(self.defaults.version);
        given.and_then(|version| Version::new(version.value.get() as u8)).unwrap_or(Version::V2)
    }

    /// Reports keywords that a virtual router or a group cannot do without, and what is `done` about them.
    pub(super) fn refuses(&mut self, foreign: &[Met], name: &str, done: &str) -> bool {
        let mut refused = false;
        for Met { foreign, at } in foreign.iter().filter(|met| met.foreign.outcome == Outcome::Refused) {
            let message =
                format!("({name}) `{}` is known to keepalived and not done here: {}", foreign.name, foreign.why);
            self.found.error(Class::Unsupported, *at, message).done(done);
            refused = true;
        }
        refused
    }

    /// `state` and `priority`, each of which has the other for its default.
    fn start(&mut self, state: Option<At<State>>, priority: Option<i64>, name: &str, at: Span) -> (Wanted, Priority) {
        let priority = priority.and_then(|priority| Priority::new(priority as u8));
        match (state.map(|state| state.value), priority) {
            (Some(State::Master), None) => {
                let message = format!("({name}) `state MASTER` without a priority makes it 255, the address owner's");
                self.found.notice(Class::Incomplete, state.map_or(at, |state| state.at), message);
                (Wanted::Master, Priority::OWNER)
            }
            (Some(State::Master), Some(priority)) => (Wanted::Master, priority),
            (Some(State::Backup), priority) => (Wanted::Backup, priority.unwrap_or(Priority::DEFAULT)),
            (None, Some(Priority::OWNER)) => (Wanted::Master, Priority::OWNER),
            (None, priority) => (Wanted::Backup, priority.unwrap_or(Priority::DEFAULT)),
        }
    }

    fn preempt(&mut self, Preempt(preempt): Preempt, priority: Priority, wanted: Wanted, name: &str) -> bool {
        let Some(At { at, .. }) = preempt.filter(|preempt| !preempt.value) else { return true };
        let against = if priority.is_owner() {
            "priority 255"
        } else if wanted == Wanted::Master {
            "state MASTER"
        } else {
            return false;
        };
        let message = format!("({name}) `nopreempt` and {against} exclude each other");
        let diagnostic = self.found.warning(Class::Conflict, at, message).done("`nopreempt` is ignored");
        diagnostic.hint("for routers that stay as they are, write `state BACKUP` on all of them");
        true
    }

    fn preempt_delay<const MIN: u64, const MAX: u64>(
        &mut self,
        given: Option<At<Seconds<MIN, MAX>>>,
        preempt: bool,
        wanted: Wanted,
        strict: bool,
        name: &str,
    ) -> Duration {
        let Some(At { value, at }) = given.filter(|delay| delay.value.micros() > 0) else { return Duration::ZERO };
        let against = match (strict, preempt, wanted) {
            (true, ..) => "strict mode",
            (_, false, _) => "`nopreempt`",
            (_, _, Wanted::Master) => "`state MASTER`",
            (_, _, Wanted::Backup) => return value.duration(),
        };
        let message = format!("({name}) `preempt_delay` and {against} exclude each other");
        self.found.warning(Class::Conflict, at, message).done("`preempt_delay` is ignored");
        Duration::ZERO
    }

    fn late_rival(&mut self, given: Option<At<LateRival>>, preempt: bool, name: &str) -> Option<Priority> {
        let At { value: LateRival(rival), at } = given?;
        if preempt {
            let message =
                format!("({name}) `timer_expired_backup` needs `nopreempt`: it would take over again at once");
            self.found.warning(Class::Conflict, at, message).done("it is ignored");
            return None;
        }
        Priority::new(rival)
    }

    fn advert_int<const MIN: u64, const MAX: u64>(
        &mut self,
        given: Option<At<Seconds<MIN, MAX>>>,
        version: Version,
        name: &str,
    ) -> Centis {
        let Some(At { value, at }) = given else { return Centis::SECOND };
        let micros = value.micros();
        let (step, most) = match version {
            Version::V2 => (1_000_000, 255_000_000),
            Version::V3 => (10_000, u64::from(Centis::MAX_V3.get()) * 10_000),
        };
        let used = (micros.saturating_add(step / 2) / step * step).clamp(step, most);
        if used != micros {
            let version = version as u8;
            let message = format!(
                "({name}) version {version} cannot advertise every {} s, only in steps of {} s up to {} s",
                shown(micros),
                shown(step),
                shown(most)
            );
            let diagnostic = self.found.warning(Class::Value, at, message).done(format!("{} s is used", shown(used)));
            if version == 2 {
                diagnostic.hint("fractions of a second need `version 3` on all routers");
            }
        }
        Centis::new((used / 10_000) as u16).unwrap_or(Centis::SECOND)
    }

    fn checksum_form(&mut self, Switch(own): Switch, at: Span) -> Option<ChecksumForm> {
        let as_v2 = match own {
            Some(own) => own.value,
            None => self.default(self.defaults.v3_checksum_as_v2.0, at)?,
        };
        Some(if as_v2 { ChecksumForm::Message } else { ChecksumForm::PseudoHeader })
    }
}
