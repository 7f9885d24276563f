//! Virtual routers: what each is now, and what it is configured to be.

use std::fmt::{self, Write};
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::macros::format_description;
use vrrp_common::time::down;
use vrrp_common::{Family, Version};

use super::{View, list, paths, scripts, weigh, yes};
use crate::auth::Authentication;
use crate::config::setup::{self, Destination, Instance, TrackerKind, Upper, UpperKind};
use crate::engine::plan::{InstancePlan, Subject, Watch};
use crate::engine::snapshot::StateName;
use crate::io::dump::MASK;
use crate::io::dump::address::{address, set, upper};
use crate::io::status::ObservedInstance;

/// A virtual router, and all that is known of it.
struct Router<'a> {
    view: &'a View<'a>,
    plan: &'a InstancePlan,
    instance: &'a Instance,
    seen: &'a ObservedInstance,
}

pub fn write(view: &View, out: &mut String) -> fmt::Result {
    let View { setup, observed, .. } = view;
    for ((plan, instance), seen) in setup.plan.instances.iter().zip(&setup.instances).zip(&observed.instances) {
        writeln!(out, " VRRP Instance = {}", instance.name)?;
        let router = Router { view, plan, instance, seen };
        state(&router, out)?;
        place(&router, out)?;
        protocol(&router, out)?;
        brings(&router, out)?;
        tracked(view, plan, out)?;
        let notify = instance.notify.as_deref();
        let deleted = if notify.is_some_and(|notify| notify.says_deleted) { "Deleted" } else { "Fault" };
        writeln!(out, "   Using smtp notification = {}", yes(instance.smtp_alert))?;
        writeln!(out, "   Notify deleted = {deleted}")?;
        scripts(notify, out)?;
        let tells = notify.is_some_and(|notify| notify.priority_changes);
        writeln!(out, "   Notify priority changes = {tells}")?;
    }
    Ok(())
}

fn state(&Router { view, plan, instance, seen }: &Router, out: &mut String) -> fmt::Result {
    let (snapshot, standing) = (seen.snapshot, view.standing(plan));
    let age = view.observed.now.since(snapshot.since);
    let last = view.clock.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
    writeln!(out, "   VRRP Version = {}", plan.version as u8)?;
    if plan.family == Family::V6 {
        writeln!(out, "   Using Native IPv6")?;
    }
    if let Some(group) = plan.group {
        writeln!(out, "   Sync group = {}", view.setup.groups[group.index()].name)?;
    }
    writeln!(out, "   State = {}", snapshot.state.label())?;
    match &instance.destination {
        Destination::Group(_) => writeln!(out, "   Flags: none")?,
        Destination::Peers(_) => writeln!(out, "   Flags:\n     Using unicast")?,
    }
    if snapshot.state == StateName::Backup
        && let Some(master) = snapshot.master
    {
        writeln!(out, "   Master router = {}\n   Master priority = {}", master.address, master.priority)?;
        writeln!(out, "   Master advert int = {:.2} sec", snapshot.interval.duration().as_secs_f64())?;
    }
    writeln!(out, "   Wantstate = {}", snapshot.state.label())?;
    // One with such a fault is left out.
    writeln!(out, "   Number of config faults = 0")?;
    writeln!(out, "   Number of interface and track script faults = {}", standing.faults)?;
    writeln!(out, "   Number of track scripts init = {}", standing.waits)?;
    writeln!(out, "   Last transition = {}", moment(last))?;
    let down = down(plan.version, snapshot.effective, snapshot.interval, plan.down_adverts);
    writeln!(out, "   Master down timer = {} usecs", down.as_micros())
}

fn place(&Router { view, plan, instance, seen }: &Router, out: &mut String) -> fmt::Result {
    let View { setup, observed, .. } = view;
    let own = &setup.interfaces[plan.interface.index()];
    let is_own = |watch: &Watch| watch.subject == Subject::Interface(plan.interface);
    match upper(setup, instance, plan.interface) {
        Some(Upper { interface, kind: UpperKind::Vmac(_), .. }) => {
            let made = &setup.interfaces[interface.index()];
            let up = observed.interfaces[interface.index()].link.is_some_and(|link| link.up);
            let from_base = instance.source_mac.is_none();
            writeln!(out, "   Use VMAC, i/f name {made}, is_up = {up}, xmit_base = {from_base}")?;
            let base = if from_base { ", xmit base i/f" } else { "" };
            writeln!(out, "   Interface = {made}, vmac on {own}{base}")?;
        }
        Some(Upper { interface, kind: UpperKind::Ipvlan(..), .. }) => {
            writeln!(out, "   Interface = {}, ipvlan on {own}", setup.interfaces[interface.index()])?;
        }
        None => writeln!(out, "   Interface = {own}")?,
    }
    if !plan.watches.iter().any(is_own) {
        writeln!(out, "   VRRP interface tracking disabled")?;
    }
    if plan.trusts_master {
        writeln!(out, "   Skip checking advert IP addresses")?;
    }
    let configured = if instance.source.is_some() { " (from configuration)" } else { "" };
    if let Some(source) = seen.source.or(instance.source) {
        writeln!(out, "   Using src_ip = {source}{configured}")?;
    }
    match instance.destination {
        Destination::Group(group) if group.is_ipv6() => {
            let index = observed.interfaces[plan.interface.index()].link.map_or(0, |link| link.index.0);
            writeln!(out, "   Multicast address {group}, ifindex {index}")
        }
        Destination::Group(group) => writeln!(out, "   Multicast address {group}"),
        Destination::Peers(_) => Ok(()),
    }
}

fn protocol(&Router { view, plan, instance, seen }: &Router, out: &mut String) -> fmt::Result {
    let (snapshot, garp) = (seen.snapshot, &plan.garp);
    let is_on = |on| if on { "enabled" } else { "disabled" };
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
    let points = if plan.priority.is_owner() { 0 } else { view.standing(plan).points };
    writeln!(out, "   Total priority = {}", i32::from(snapshot.base.get()) + points)?;
    writeln!(out, "   Advert interval = {}", interval(plan))?;
    writeln!(out, "   Accept = {}\n   Preempt = {}", is_on(!instance.no_accept), is_on(plan.preempt))?;
    if !plan.preempt_delay.is_zero() {
        writeln!(out, "   Preempt delay = {} secs", plan.preempt_delay.as_secs_f64())?;
    }
    writeln!(out, "   Promote_secondaries = {}", is_on(instance.promote_secondaries))?;
    match instance.authentication {
        Authentication::None if plan.version == Version::V2 => writeln!(out, "   Authentication type = none"),
        Authentication::None | Authentication::Hmac(_) => Ok(()),
        Authentication::Password(_) => {
            writeln!(out, "   Authentication type = SIMPLE_PASSWORD\n   Password = {MASK}")
        }
        Authentication::Ah(_) => writeln!(out, "   Authentication type = IPSEC_AH\n   Password = {MASK}"),
    }
}

/// What a master has, and who hears of it.
fn brings(&Router { view, instance, seen, .. }: &Router, out: &mut String) -> fmt::Result {
    let advertised = instance.addresses.iter().filter(|address| address.advertised).count();
    writeln!(out, "   Virtual IP ({advertised}):")?;
    for (number, one) in (0u32..).zip(&instance.addresses) {
        if number as usize == advertised {
            writeln!(out, "   Virtual IP Excluded :")?;
        }
        writeln!(out, "     {}", address(view.setup, one, set(instance, seen, number)))?;
    }
    if let Destination::Peers(unicast) = &instance.destination {
        writeln!(out, "   Unicast TTL = {}", unicast.ttl)?;
        writeln!(out, "   Check unicast src : {}", yes(unicast.peers_only))?;
        let peer = |peer: &setup::Peer| format!("{} min_ttl {} max_ttl {}", peer.address, peer.min_ttl, peer.max_ttl);
        list(out, "   Unicast Peer :", unicast.peers.iter().map(peer).collect())?;
    }
    let [routes, rules] = paths(view.setup, &instance.paths);
    list(out, "   Virtual Routes :", routes)?;
    list(out, "   Virtual Rules :", rules)
}

fn tracked(view: &View, plan: &InstancePlan, out: &mut String) -> fmt::Result {
    let (mut interfaces, mut scripts, mut files, mut processes, mut sessions) = Default::default();
    for &Watch { subject, weight } in &plan.watches {
        let weight = weigh(weight);
        let (of, line): (&mut Vec<_>, _) = match subject {
            Subject::Interface(id) if id == plan.interface => continue,
            Subject::Interface(id) => {
                (&mut interfaces, format!("{} weight {weight}", view.setup.interfaces[id.index()]))
            }
            Subject::Tracker(id) => {
                let setup::Tracker { name, kind, .. } = &view.setup.trackers[id.index()];
                match kind {
                    TrackerKind::Script(_) => (&mut scripts, format!("{name} weight {weight}")),
                    TrackerKind::File(_) => (&mut files, format!("{name}, weight {weight}")),
                    TrackerKind::Process(_) => (&mut processes, format!("{name}, weight {weight}")),
                    TrackerKind::Bfd(_) => (&mut sessions, format!("{name}: weight {weight}")),
                    // Our own, which is like a script.
                    TrackerKind::Check(_) => (&mut scripts, format!("{name} weight {weight}")),
                }
            }
        };
        of.push(line);
    }
    for (what, lines) in [
        ("interfaces", interfaces),
        ("scripts", scripts),
        ("files", files),
        ("processes", processes),
        ("BFDs", sessions),
    ] {
        list(out, &format!("   Tracked {what} :"), lines)?;
    }
    Ok(())
}

/// As keepalived has it: whole seconds in version 2, milliseconds in version 3.
fn interval(plan: &InstancePlan) -> String {
    let interval: Duration = plan.advert_int.duration();
    match plan.version {
        Version::V2 => format!("{} sec", interval.as_secs()),
        Version::V3 => format!("{} milli-sec", interval.as_millis()),
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
