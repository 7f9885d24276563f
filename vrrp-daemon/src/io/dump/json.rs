//! keepalived.json: its keys, in its order. Passwords are not shown, as since 2.4.0.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use super::address::{address, command, number, set, upper};
use super::counts::Counts;
use super::process::Counted;
use super::{MASK, Zero, path};
use crate::auth::Authentication;
use crate::config::setup::{Command, Instance, Notify, Setup, Tracker, TrackerKind};
use crate::engine::plan::{InstancePlan, Subject};
use crate::engine::snapshot::StateName;
use crate::io::status::{Observed, ObservedInstance};
use crate::track::report::Finds;

/// `json_version 2`.
#[derive(Serialize)]
struct Second<'a> {
    vrrp: Vec<Router<'a>>,
    track_process: Vec<TrackedProcess>,
}

/// As of newer releases: 2.2.7 has the first version alone.
#[derive(Serialize)]
struct TrackedProcess {
    process: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    parameters: String,
    param_match: &'static str,
    min_processes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_processes: Option<u32>,
    current_processes: usize,
    have_quorum: bool,
    weight: i16,
    terminate_delay: Seconds,
    fork_delay: Seconds,
    fork_delay_timer_running: bool,
    terminate_delay_timer_running: bool,
    full_command: bool,
}

#[derive(Serialize)]
struct Router<'a> {
    data: Data<'a>,
    stats: Counts,
}

#[derive(Serialize)]
struct Data<'a> {
    iname: &'a str,
    dont_track_primary: u8,
    skip_check_adv_addr: u8,
    strict_mode: u8,
    vmac_ifname: &'a str,
    ifp_ifname: &'a str,
    master_priority: u8,
    last_transition: f64,
    garp_delay: Seconds,
    garp_refresh: u64,
    garp_rep: u32,
    garp_refresh_rep: u32,
    garp_lower_prio_delay: Seconds,
    garp_lower_prio_rep: u32,
    lower_prio_no_advert: u8,
    higher_prio_send_advert: u8,
    vrid: u8,
    base_priority: u8,
    effective_priority: u8,
    vipset: bool,
    promote_secondaries: bool,
    adver_int: Seconds,
    master_adver_int: Seconds,
    accept: u8,
    nopreempt: bool,
    preempt_delay: u64,
    state: u8,
    wantstate: u8,
    version: u8,
    smtp_alert: bool,
    notify_deleted: bool,
    #[serde(flatten)]
    scripts: Scripts,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vips: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    evips: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vroutes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vrules: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    track_ifp: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    track_script: Vec<String>,
    auth_type: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_data: Option<&'static str>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "snake_case")]
struct Scripts {
    #[serde(skip_serializing_if = "Option::is_none")]
    script_backup: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script_master: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script_fault: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script_stop: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script_deleted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script_master_rx_lower_pri: Option<String>,
}

/// A number without a fraction where it has none.
struct Seconds(Duration);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.subsec_nanos() {
            0 => serializer.serialize_u64(self.0.as_secs()),
            _ => serializer.serialize_f64(self.0.as_secs_f64()),
        }
    }
}

/// One array of virtual routers; in its second form an object that has it. `clock` is the time of day at `observed.now`.
pub fn text(observed: &Observed, seen: &Finds, zero: &Zero, clock: SystemTime, second: bool) -> String {
    let Observed { setup, instances, .. } = observed;
    let plans = setup.plan.instances.iter().zip(&setup.instances).zip(instances);
    let routers = plans.map(|((plan, instance), seen)| {
        let last = clock.checked_sub(observed.now.since(seen.snapshot.since)).unwrap_or(SystemTime::UNIX_EPOCH);
        let before = zero.get(&instance.name).copied().unwrap_or_default();
        Router { data: data(setup, plan, instance, seen, last), stats: Counts::of(seen).since(before) }
    });
    let routers: Vec<_> = routers.collect();
    let text = if second {
        serde_json::to_string(&Second { vrrp: routers, track_process: processes(setup, seen) })
    } else {
        serde_json::to_string(&routers)
    };
    // There is nothing in it that could not be written.
    text.unwrap_or_default() + "\n"
}

fn processes(setup: &Setup, seen: &Finds) -> Vec<TrackedProcess> {
    let of = |tracker: &Tracker| {
        let TrackerKind::Process(watched) = &tracker.kind else { return None };
        let Counted { program, parameters, matching, number, is_quorum, rises, falls, is_full } =
            Counted::new(seen, &tracker.name, watched);
        Some(TrackedProcess {
            process: program.to_owned(),
            parameters,
            param_match: matching.unwrap_or("none"),
            min_processes: watched.quorum,
            max_processes: watched.quorum_max,
            current_processes: number,
            have_quorum: is_quorum,
            weight: tracker.weight.value,
            terminate_delay: Seconds(watched.terminate_delay),
            fork_delay: Seconds(watched.fork_delay),
            fork_delay_timer_running: rises,
            terminate_delay_timer_running: falls,
            full_command: is_full,
        })
    };
    setup.trackers.iter().filter_map(of).collect()
}

fn data<'a>(
    setup: &'a Setup,
    plan: &InstancePlan,
    instance: &'a Instance,
    seen: &ObservedInstance,
    last: SystemTime,
) -> Data<'a> {
    let own = &setup.interfaces[plan.interface.index()];
    let made = upper(setup, instance, plan.interface).map(|upper| setup.interfaces[upper.interface.index()].as_str());
    let snapshot = seen.snapshot;
    let is_master = snapshot.state == StateName::Master;
    let micros = last.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
    let listed = |advertised: bool| {
        let all = (0u32..).zip(&instance.addresses).filter(move |(_, one)| one.advertised == advertised);
        all.map(|(number, one)| address(setup, one, set(instance, seen, number))).collect()
    };
    let watched = plan.watches.iter().map(|watch| watch.subject);
    let (auth_type, auth_data) = match instance.authentication {
        Authentication::None | Authentication::Hmac(_) => (0, None),
        Authentication::Password(_) => (1, Some(MASK)),
        Authentication::Ah(_) => (2, Some(MASK)),
    };
    let notify = instance.notify.as_deref();
    Data {
        iname: &instance.name,
        dont_track_primary: watched.clone().all(|subject| subject != Subject::Interface(plan.interface)).into(),
        skip_check_adv_addr: plan.trusts_master.into(),
        strict_mode: instance.strict.into(),
        vmac_ifname: made.unwrap_or_default(),
        ifp_ifname: made.unwrap_or(own),
        master_priority: snapshot.master.filter(|_| !is_master).map_or(0, |master| master.priority.get()),
        last_transition: micros as f64 / 1e6,
        garp_delay: Seconds(plan.garp.delay),
        garp_refresh: plan.garp.refresh.as_secs(),
        garp_rep: plan.garp.repeat,
        garp_refresh_rep: plan.garp.refresh_repeat,
        garp_lower_prio_delay: Seconds(plan.garp.lower_delay),
        garp_lower_prio_rep: plan.garp.lower_repeat,
        lower_prio_no_advert: (!plan.answers_lower).into(),
        higher_prio_send_advert: plan.answers_higher.into(),
        vrid: plan.vrid.get(),
        base_priority: snapshot.base.get(),
        effective_priority: snapshot.effective.get(),
        vipset: is_master,
        promote_secondaries: instance.promote_secondaries,
        adver_int: Seconds(plan.advert_int.duration()),
        master_adver_int: Seconds(snapshot.interval.duration()),
        accept: (!instance.no_accept).into(),
        nopreempt: !plan.preempt,
        preempt_delay: plan.preempt_delay.as_secs(),
        state: number(snapshot.state),
        wantstate: number(snapshot.state),
        version: plan.version as u8,
        smtp_alert: instance.smtp_alert,
        notify_deleted: notify.is_some_and(|notify| notify.says_deleted),
        scripts: notify.map(scripts).unwrap_or_default(),
        vips: listed(true),
        evips: listed(false),
        vroutes: instance.paths.routes.iter().map(|route| path::route(setup, route)).collect(),
        vrules: instance.paths.rules.iter().map(|rule| path::rule(setup, rule)).collect(),
        track_ifp: watched
            .clone()
            .filter_map(|subject| match subject {
                Subject::Interface(id) if id != plan.interface => Some(setup.interfaces[id.index()].as_str()),
                _ => None,
            })
            .collect(),
        track_script: watched
            .filter_map(|subject| match subject {
                Subject::Tracker(id) => match &setup.trackers[id.index()].kind {
                    TrackerKind::Script(script) => Some(command(&script.command)),
                    TrackerKind::File(_) | TrackerKind::Process(_) | TrackerKind::Check(_) | TrackerKind::Bfd(_) => {
                        None
                    }
                },
                Subject::Interface(_) => None,
            })
            .collect(),
        auth_type,
        auth_data,
    }
}

fn scripts(notify: &Notify) -> Scripts {
    let text = |script: &Option<Command>| script.as_ref().map(command);
    let Notify { master, backup, fault, stop, deleted, says_deleted: _, rx_lower, any, priority_changes: _ } = notify;
    Scripts {
        script_backup: text(backup),
        script_master: text(master),
        script_fault: text(fault),
        script_stop: text(stop),
        script_deleted: text(deleted),
        script: text(any),
        script_master_rx_lower_pri: text(rx_lower),
    }
}
