//! Virtual routers: defaults, and what contradicts itself.

use vrrp_common::wire::checksum::ChecksumForm;
use vrrp_common::{Centis, Family, Priority, Version, Vrid};

use super::destination::Written;
use super::sync_group::{Group, Groups};
use super::watch::Watcher;
use super::{DEFAULT_INTERFACE, Resolver};
use crate::config::global::{GarpDelay, GarpRepeat};
use crate::config::instance::{AuthType, Authentication, Instance, Preempt, State};
use crate::config::setup::{self, Destination, Notify};
use crate::engine::plan::{GarpPlan, InstancePlan, Wanted};
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::{At, Met, Named, Outcome, Switch};
use crate::syntax::source::Span;
use crate::syntax::value::{Seconds, Whole, shown};

impl Resolver<'_> {
    /// Adds a virtual router to the setup, or reports why not.
    pub(super) fn instance(&mut self, instance: Named<Instance>, groups: &Groups, all_refused: bool) {
        let Named { name, at, block } = instance;
        if !self.names.insert(name.clone()) {
            let message = format!("vrrp_instance `{name}` is defined a second time");
            self.found.error(Class::Duplicate, at, message).done("the first one counts");
            return;
        }
        let group = groups.of(&name);
        if let Some((plan, router)) = self.router(name, at, block, group)
            && !all_refused
        {
            self.setup.plan.instances.push(plan);
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
            virtual_router_id,
            priority,
            advert_int,
            version,
            authentication,
            virtual_ipaddress,
            virtual_ipaddress_excluded,
            use_vmac,
            use_vmac_addr,
            vmac_xmit_base,
            preempt,
            accept,
            mcast_src_ip,
            mcast_dst_ip,
            unicast_src_ip,
            unicast_peer,
            unicast_ttl,
            check_unicast_src,
            unicast_fault_no_peer,
            garp_master_delay,
            garp_master_repeat,
            down_timer_adverts,
            v3_checksum_as_v2,
            promote_secondaries,
            dont_track_primary,
            track_script,
            track_interface,
            notify_master,
            notify_backup,
            notify_fault,
            notify_stop,
            notify,
            foreign,
        } = block;
        let mut complete = !self.refuses(&foreign, &name);

        let vrid = virtual_router_id.and_then(|vrid| Vrid::new(vrid.value.get() as u8));
        if vrid.is_none() {
            let message = format!("({name}) has no valid `virtual_router_id`");
            self.found.error(Class::Incomplete, at, message).done(LEFT_OUT);
        }
        let interface = match interface {
            Some(At { value, at }) => self.interface(&value.0, at),
            None => {
                let default =
                    self.defaults.interface.as_ref().map_or(DEFAULT_INTERFACE, |name| name.0.as_str()).to_owned();
                let message = format!("({name}) names no interface; it runs on `{default}`");
                self.found.notice(Class::Incomplete, at, message);
                self.interface(&default, at)
            }
        }?;
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
        let heard_at = match destination {
            Destination::Group(group) => Some(group),
            Destination::Peers(_) => source,
        };
        let key = vrid.map(|vrid| (interface, family, vrid, heard_at));
        if let Some(other) = key.and_then(|key| self.routers.get(&key).cloned()) {
            let message = format!("({name}) has the interface and the virtual_router_id of `{other}`");
            self.found.error(Class::Duplicate, virtual_router_id.map_or(at, |vrid| vrid.at), message).done(LEFT_OUT);
            complete = false;
        }
        let home = self.home(&name, interface, family, vrid?, use_vmac, use_vmac_addr)?;
        let source_mac = home.source_mac(vmac_xmit_base, self.found);
        let addresses = self.addresses(virtual_ipaddress, virtual_ipaddress_excluded, &home, at, (version, family))?;
        let (wanted, priority) = self.start(state, priority.map(|priority| priority.value.get()), &name, at);
        let advert_int = self.advert_int(advert_int, version, &name);
        let auth_pass = self.auth_pass(authentication, version, &name).ok();
        let checksum_form = self.checksum_form(v3_checksum_as_v2, at);
        let watcher = Watcher {
            name: &name,
            interface,
            ignores_interface: dont_track_primary.0.is_some(),
            devs: &addresses.watched,
            priority,
            group,
        };
        let watches = self.watches(&watcher, track_interface, track_script)?;
        let notify = Notify {
            master: self.notification(notify_master, &format!("({name}) notify_master")),
            backup: self.notification(notify_backup, &format!("({name}) notify_backup")),
            fault: self.notification(notify_fault, &format!("({name}) notify_fault")),
            stop: self.notification(notify_stop, &format!("({name}) notify_stop")),
            any: self.notification(notify, &format!("({name}) notify")),
        };
        let down_timer_adverts = match down_timer_adverts {
            Some(adverts) => adverts,
            None => self.default(self.defaults.down_timer_adverts, at).unwrap_or(Whole(3)),
        };
        let plan = InstancePlan {
            interface,
            family,
            vrid: home.vrid,
            version,
            priority,
            wanted,
            advert_int,
            phase: None,
            down_adverts: down_timer_adverts.get() as u8,
            preempt: self.preempt(preempt, priority, wanted, &name),
            addresses: addresses.list.len() as u32,
            garp: self.garp(garp_master_delay, garp_master_repeat, &name, at),
            watches,
            group: None,
        };
        let router = setup::Instance {
            name,
            addresses: addresses.list,
            source_mac,
            source,
            destination,
            auth_pass: auth_pass?,
            no_accept: accept.0 == Some(false) && !priority.is_owner(),
            promote_secondaries: promote_secondaries.0.is_some(),
            checksum_form,
            notify: notify.if_any(),
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

    /// Reports keywords that the virtual router cannot do without.
    fn refuses(&mut self, foreign: &[Met], name: &str) -> bool {
        let mut refused = false;
        for Met { foreign, at } in foreign.iter().filter(|met| met.foreign.outcome == Outcome::Refused) {
            let message =
                format!("({name}) `{}` is known to keepalived and not done here: {}", foreign.name, foreign.why);
            self.found.error(Class::Unsupported, *at, message).done(LEFT_OUT);
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

    /// The outer `Err`: the virtual router is left out, reported.
    fn auth_pass(&mut self, auth: Authentication, version: Version, name: &str) -> Result<Option<[u8; 8]>, ()> {
        let Authentication { auth_type, auth_pass, foreign: _ } = auth;
        let Some(at) = auth_type.map(|given| given.at).or(auth_pass.as_ref().map(|given| given.at)) else {
            return Ok(None);
        };
        if version == Version::V3 {
            let message = format!("({name}) version 3 has no authentication");
            self.found.warning(Class::Conflict, at, message).done("the authentication block is ignored");
            return Ok(None);
        }
        match auth_type {
            None => {
                let message = format!("({name}) a password without `auth_type`");
                self.found.notice(Class::Incomplete, at, message).done("adverts are not authenticated");
                return Ok(None);
            }
            Some(At { value: AuthType::Ah, at }) => {
                let message = format!("({name}) `auth_type AH` is known to keepalived and not done here");
                let diagnostic = self.found.error(Class::Unsupported, at, message).done(LEFT_OUT);
                diagnostic.hint("write `auth_type PASS`, or nothing: neither protects against more than mistakes");
                return Err(());
            }
            Some(At { value: AuthType::Pass, .. }) => {}
        }
        let Some(password) = auth_pass.filter(|password| !password.value.is_empty()) else {
            let message = format!("({name}) authentication without a password");
            self.found.error(Class::Incomplete, at, message).done("adverts are not authenticated");
            return Ok(None);
        };
        let octets = password.value.as_bytes();
        if octets.len() > 8 {
            let message = format!("({name}) a password of {} octets; VRRP carries eight", octets.len());
            self.found.warning(Class::Value, password.at, message).done("the first eight are used");
        }
        let mut padded = [0; 8];
        padded.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
        Ok(Some(padded))
    }

    fn checksum_form(&mut self, Switch(own): Switch, at: Span) -> ChecksumForm {
        let as_v2 = match own {
            Some(own) => own.value,
            None => self.default(self.defaults.v3_checksum_as_v2.0, at).unwrap_or(false),
        };
        if as_v2 { ChecksumForm::Message } else { ChecksumForm::PseudoHeader }
    }

    fn garp(&mut self, delay: Option<GarpDelay>, repeat: Option<At<GarpRepeat>>, name: &str, at: Span) -> GarpPlan {
        let min = self.default(self.defaults.min_garp.0, at).unwrap_or(false);
        let base = GarpPlan::default();
        let base = if min { GarpPlan { repeat: 1, delay: std::time::Duration::ZERO } } else { base };
        let default_delay = self.default(self.defaults.garp_master_delay, at);
        let default_repeat = self.default(self.defaults.garp_master_repeat, at);
        if let Some(At { at, .. }) = repeat.filter(|repeat| repeat.value.get() == 0) {
            let message = format!("({name}) `garp_master_repeat` of 0 would announce nothing");
            self.found.warning(Class::Value, at, message).done("1 is used");
        }
        let repeat = repeat.map(|repeat| repeat.value).or(default_repeat);
        GarpPlan {
            repeat: repeat.map_or(base.repeat, |repeat| repeat.get().max(1) as u32),
            delay: delay.or(default_delay).map_or(base.delay, |delay| delay.duration()),
        }
    }
}

/// What becomes of a virtual router that cannot be done.
pub const LEFT_OUT: &str = "this virtual router is left out";
