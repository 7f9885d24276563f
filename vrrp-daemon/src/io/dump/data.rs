//! keepalived.data: what exporters read of it, by keepalived's keys. Times are in UTC, and passwords are not shown.

use std::fmt::{self, Write};
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::macros::format_description;
use vrrp_common::time::down;

use super::address::{address, command, upper};
use super::json::MASK;
use crate::auth::Authentication;
use crate::config::setup::{self, Command, Destination, Instance, Notify, Setup, TrackerKind, UpperKind};
use crate::engine::plan::{InstancePlan, Subject, Watch};
use crate::engine::snapshot::StateName;
use crate::io::status::{Observed, ObservedInstance};

/// `clock` is the time of day at `observed.now`.
pub fn text(observed: &Observed, clock: SystemTime) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(observed, clock, &mut out);
    out
}

fn write(observed: &Observed, clock: SystemTime, out: &mut String) -> fmt::Result {
    let Observed { setup, instances, groups, .. } = observed;
    global(setup, out)?;
    writeln!(out, "------< VRRP Topology >------")?;
    for ((plan, instance), seen) in setup.plan.instances.iter().zip(&setup.instances).zip(instances) {
        let last = clock.checked_sub(observed.now.since(seen.snapshot.since)).unwrap_or(SystemTime::UNIX_EPOCH);
        router(setup, plan, instance, seen, last, out)?;
    }
    if !setup.groups.is_empty() {
        writeln!(out, "------< VRRP Sync groups >------")?;
    }
    for ((plan, group), state) in setup.plan.groups.iter().zip(&setup.groups).zip(groups) {
        writeln!(out, " VRRP Sync Group = {}, {}", group.name, state.label())?;
        writeln!(out, "   VRRP member instances :")?;
        for member in &plan.members {
            writeln!(out, "     {}", setup.instances[member.index()].name)?;
        }
        notify(group.notify.as_deref(), out)?;
    }
    if !setup.trackers.is_empty() {
        writeln!(out, "------< VRRP Scripts >------")?;
    }
    for (tracker, plan) in setup.trackers.iter().zip(&setup.plan.trackers) {
        match &tracker.kind {
            TrackerKind::File(_) | TrackerKind::Process(_) | TrackerKind::Check(_) | TrackerKind::Bfd(_) => {}
            TrackerKind::Script(script) => {
                writeln!(out, " VRRP Script = {}", tracker.name)?;
                writeln!(out, "   Command = {}", command(&script.command))?;
                writeln!(out, "   Interval = {} sec", script.schedule.interval.as_secs_f64())?;
                writeln!(out, "   Timeout = {} sec", script.schedule.timeout.as_secs_f64())?;
                writeln!(out, "   Rise = {}\n   Fall = {}", plan.rise, plan.fall)?;
                let setup::RunAs { uid, gid } = script.command.run_as;
                writeln!(out, "   Script uid:gid = {uid}:{gid}")?;
            }
        }
    }
    writeln!(out, "------< Interfaces >------")?;
    for (name, seen) in setup.interfaces.iter().zip(&observed.interfaces) {
        writeln!(out, " Name = {name}")?;
        if let Some(index) = seen.index {
            writeln!(out, "   index = {}", index.0)?;
        }
        writeln!(out, "   State = {}", if seen.up { "UP, RUNNING" } else { "not UP, not RUNNING" })?;
    }
    Ok(())
}

fn global(setup: &Setup, out: &mut String) -> fmt::Result {
    writeln!(out, "------< Global definitions >------")?;
    writeln!(out, " Network namespace = {}", setup.service.net_namespace.as_deref().unwrap_or("(default)"))?;
    if let Some(instance) = &setup.service.instance {
        writeln!(out, " Instance name = {instance}")?;
    }
    if let Some(router_id) = &setup.daemon.router_id {
        writeln!(out, " Router ID = {router_id}")?;
    }
    writeln!(out, " Dynamic interfaces = {}", setup.daemon.dynamic_interfaces)?;
    for setup::Fifo { path, owner, script } in &setup.telling.fifos {
        writeln!(out, " VRRP notify fifo = {path}, uid:gid {}:{}", owner.uid, owner.gid)?;
        if let Some(script) = script {
            let setup::RunAs { uid, gid } = script.run_as;
            writeln!(out, " VRRP notify fifo script = {} '{path}', uid:gid {uid}:{gid}", command(script))?;
        }
    }
    writeln!(out, " FIFO write vrrp states on reload = {}", setup.telling.states_on_reload)
}

fn router(
    setup: &Setup,
    plan: &InstancePlan,
    instance: &Instance,
    seen: &ObservedInstance,
    last: SystemTime,
    out: &mut String,
) -> fmt::Result {
    let snapshot = seen.snapshot;
    let is_on = |on| if on { "enabled" } else { "disabled" };
    writeln!(out, " VRRP Instance = {}", instance.name)?;
    writeln!(out, "   VRRP Version = {}", plan.version as u8)?;
    if let Some(group) = plan.group {
        writeln!(out, "   Sync group = {}", setup.groups[group.index()].name)?;
    }
    writeln!(out, "   State = {}", snapshot.state.label())?;
    if snapshot.state == StateName::Backup
        && let Some(master) = snapshot.master
    {
        writeln!(out, "   Master router = {}\n   Master priority = {}", master.address, master.priority)?;
        writeln!(out, "   Master advert int = {:.2} sec", snapshot.interval.duration().as_secs_f64())?;
    }
    writeln!(out, "   Wantstate = {}", snapshot.state.label())?;
    writeln!(out, "   Last transition = {}", moment(last))?;
    let down = down(plan.version, snapshot.effective, snapshot.interval, plan.down_adverts);
    writeln!(out, "   Master down timer = {} usecs", down.as_micros())?;
    let own = &setup.interfaces[plan.interface.index()];
    match upper(setup, instance, plan.interface) {
        Some((made, UpperKind::Vmac(_))) => writeln!(out, "   Interface = {made}, vmac on {own}")?,
        Some((made, UpperKind::Ipvlan(..))) => writeln!(out, "   Interface = {made}, ipvlan on {own}")?,
        None => writeln!(out, "   Interface = {own}")?,
    }
    if plan.trusts_master {
        writeln!(out, "   Skip checking advert IP addresses")?;
    }
    if let Some(source) = instance.source {
        writeln!(out, "   Using src_ip = {source}")?;
    }
    match &instance.destination {
        Destination::Group(group) => writeln!(out, "   Multicast address {group}")?,
        Destination::Peers(unicast) => {
            writeln!(out, "   Unicast Peer :")?;
            unicast.peers.iter().try_for_each(|peer| writeln!(out, "     {}", peer.address))?;
        }
    }
    let garp = &plan.garp;
    writeln!(out, "   Gratuitous ARP delay = {}", garp.delay.as_secs_f64())?;
    writeln!(out, "   Gratuitous ARP repeat = {}", garp.repeat)?;
    writeln!(out, "   Gratuitous ARP refresh = {}", garp.refresh.as_secs())?;
    writeln!(out, "   Gratuitous ARP refresh repeat = {}", garp.refresh_repeat)?;
    writeln!(out, "   Gratuitous ARP lower priority delay = {}", garp.lower_delay.as_secs_f64())?;
    writeln!(out, "   Gratuitous ARP lower priority repeat = {}", garp.lower_repeat)?;
    writeln!(out, "   Down timer adverts = {}", plan.down_adverts)?;
    writeln!(out, "   Send advert after receive lower priority advert = {}", plan.answers_lower)?;
    writeln!(out, "   Send advert after receive higher priority advert = {}", plan.answers_higher)?;
    writeln!(out, "   Virtual Router ID = {}", plan.vrid)?;
    writeln!(out, "   Priority = {}\n   Effective priority = {}", snapshot.base, snapshot.effective)?;
    writeln!(out, "   Advert interval = {}", interval(plan.advert_int.duration()))?;
    writeln!(out, "   Accept = {}\n   Preempt = {}", is_on(!instance.no_accept), is_on(plan.preempt))?;
    if !plan.preempt_delay.is_zero() {
        writeln!(out, "   Preempt delay = {} secs", plan.preempt_delay.as_secs_f64())?;
    }
    writeln!(out, "   Promote_secondaries = {}", is_on(instance.promote_secondaries))?;
    match instance.authentication {
        Authentication::None | Authentication::Hmac(_) => {}
        Authentication::Password(_) => {
            writeln!(out, "   Authentication type = SIMPLE_PASSWORD\n   Password = {MASK}")?;
        }
        Authentication::Ah(_) => writeln!(out, "   Authentication type = IPSEC_AH\n   Password = {MASK}")?,
    }
    let advertised = instance.addresses.iter().filter(|address| address.advertised).count();
    writeln!(out, "   Virtual IP ({advertised}):")?;
    for (number, one) in (0u32..).zip(&instance.addresses) {
        if number as usize == advertised {
            writeln!(out, "   Virtual IP Excluded :")?;
        }
        writeln!(out, "     {}", address(setup, instance, one, seen.held.binary_search(&number).is_ok()))?;
    }
    tracked(setup, plan, out)?;
    notify(instance.notify.as_deref(), out)
}

fn tracked(setup: &Setup, plan: &InstancePlan, out: &mut String) -> fmt::Result {
    let line = |name: &str, watch: &Watch| {
        format!("     {name} weight {}{}", watch.weight.value, if watch.weight.reverse { " reverse" } else { "" })
    };
    let (mut interfaces, mut trackers) = (Vec::new(), Vec::new());
    for watch in &plan.watches {
        match watch.subject {
            Subject::Interface(id) if id == plan.interface => {}
            Subject::Interface(id) => interfaces.push(line(&setup.interfaces[id.index()], watch)),
            Subject::Tracker(id) => trackers.push(line(&setup.trackers[id.index()].name, watch)),
        }
    }
    for (what, lines) in [("interfaces", interfaces), ("scripts", trackers)] {
        if !lines.is_empty() {
            writeln!(out, "   Tracked {what} :\n{}", lines.join("\n"))?;
        }
    }
    Ok(())
}

fn notify(notify: Option<&Notify>, out: &mut String) -> fmt::Result {
    let Some(Notify { master, backup, fault, stop, deleted, says_deleted: _, rx_lower, any, priority_changes }) =
        notify
    else {
        return Ok(());
    };
    let mut script = |what: &str, script: &Option<Command>| match script {
        Some(script) => {
            let setup::RunAs { uid, gid } = script.run_as;
            writeln!(out, "   {what} state transition script = {}, uid:gid {uid}:{gid}", command(script))
        }
        None => Ok(()),
    };
    script("Backup", backup)?;
    script("Master", master)?;
    script("Fault", fault)?;
    script("Stop", stop)?;
    script("Deleted", deleted)?;
    script("Generic", any)?;
    script("Master rx lower pri", rx_lower)?;
    writeln!(out, "   Notify priority changes = {priority_changes}")
}

/// As keepalived has it: whole seconds, or milliseconds.
fn interval(interval: Duration) -> String {
    match interval.subsec_millis() {
        0 => format!("{} sec", interval.as_secs()),
        _ => format!("{} milli-sec", interval.as_millis()),
    }
}

/// `1795541889.426229 (Tue Nov 24 17:38:09.426229 2026)`
fn moment(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let format = format_description!(
        "[weekday repr:short] [month repr:short] [day padding:space] [hour]:[minute]:[second].[subsecond digits:6] [year]"
    );
    let text = OffsetDateTime::from(time).format(format).unwrap_or_default();
    format!("{}.{:06} ({text})", since.as_secs(), since.subsec_micros())
}
