//! A setup and its findings as text.

use std::fmt::Write;

use crate::paths::paths;
use vrrp_common::wire::ip::vrrp_group;
use vrrp_daemon::auth::Authentication;
use vrrp_daemon::config::Checked;
use vrrp_daemon::config::setup::{
    Command, Destination, Fifo, Mail, Notify, Pace, Paths, Peer, RunAs, Setup, Statics, TrackerKind, UpperKind,
    VirtualAddress,
};
use vrrp_daemon::engine::plan::{GroupId, InstancePlan, LinkDelay, Startup, Subject, TrackerPlan, Weight};
use vrrp_daemon::track::schedule::Schedule;

/// Exit code, setup, findings.
pub fn of(checked: &Checked) -> String {
    let mut out = format!("exit {}\n", checked.exit_code());
    setup(&checked.setup, &mut out).unwrap();
    writeln!(out, "\n{}", checked.report().trim_end()).unwrap();
    out
}

fn setup(setup: &Setup, out: &mut String) -> std::fmt::Result {
    let Setup {
        plan,
        daemon,
        service,
        interfaces,
        routed,
        instances,
        groups,
        trackers,
        paces,
        pace_of,
        uppers,
        statics,
        telling,
        reloading,
    } = setup;
    if *daemon != Default::default() {
        writeln!(out, "{daemon:?}")?;
    }
    if *service != Default::default() {
        writeln!(out, "{service:?}")?;
    }
    for Fifo { of_vrrp: _, path, owner: RunAs { uid, gid }, script } in &telling.fifos {
        write!(out, "fifo {path} of {uid}:{gid}")?;
        writeln!(
            out,
            "{}",
            script.as_ref().map_or_else(String::new, |script| format!(", read by {}", command(script)))
        )?;
    }
    if telling.dumps != Default::default() {
        writeln!(out, "{:?}", telling.dumps)?;
    }
    if let Some(Mail { server, port, router, from, to, hello, timeout, faults }) = telling.mail.as_deref() {
        writeln!(out, "mail to {} from {from} of {router} by {server}:{port} ({hello}, {timeout:?})", to.join(" "))?;
        if !faults {
            writeln!(out, "  none of faults")?;
        }
    }
    if telling.wants_snmp {
        writeln!(out, "SNMP is asked for")?;
    }
    if let Some(dbus) = &telling.dbus {
        writeln!(out, "{dbus:?}")?;
    }
    if telling.states_on_reload {
        writeln!(out, "states are written on reload")?;
    }
    if *reloading != Default::default() {
        writeln!(out, "{reloading:?}")?;
    }
    if plan.startup != Startup::default() {
        writeln!(out, "{:?}", plan.startup)?;
    }
    for (interface, &pace) in interfaces.iter().zip(pace_of).filter(|&(_, &pace)| pace != 0) {
        let Pace { garp, gna } = paces[pace as usize];
        writeln!(out, "pace {pace} of {interface}: {garp:?}, IPv6 {gna:?}")?;
    }
    for (interface, LinkDelay { down, up }) in &plan.delays {
        writeln!(out, "delays of {}: down {down:?}, up {up:?}", interfaces[interface.index()])?;
    }
    for (tracker, plan) in trackers.iter().zip(&plan.trackers) {
        writeln!(out, "tracker {}: {}", tracker.name, watched(&tracker.kind, plan))?;
    }
    for upper in uppers {
        let (name, parent) = (&interfaces[upper.interface.index()], &interfaces[upper.parent.index()]);
        match upper.kind {
            UpperKind::Vmac(own) => write!(out, "vmac {name}: on {parent} {}", mac(own))?,
            UpperKind::Ipvlan(isolation, own) => {
                write!(out, "ipvlan {name}: on {parent} {isolation:?}")?;
                own.map_or(Ok(()), |own| write!(out, " {own}"))?;
            }
        }
        if let Some(group) = upper.group {
            write!(out, " group {group}")?;
        }
        writeln!(out, "{}", if upper.ipv6 { " ipv6" } else { "" })?;
    }
    if *statics != Statics::default() {
        writeln!(out, "static")?;
        statics.addresses.iter().try_for_each(|one| writeln!(out, "{}", address(one, interfaces)))?;
        paths(&statics.paths, interfaces, out)?;
    }
    for (router, plan) in instances.iter().zip(plan.instances.iter()) {
        let interface = &interfaces[plan.interface.index()];
        let place = if routed.contains(&plan.interface) { ", routed," } else { "" };
        write!(out, "instance {}: {interface}{place} ", router.name)?;
        write!(out, "{:?} {:?} vrid {} ", plan.family, plan.version, plan.vrid)?;
        write!(out, "priority {} {:?} advert_int {} ", plan.priority, plan.wanted, plan.advert_int)?;
        write!(out, "down after {} garp {} + {:?}", plan.down_adverts, plan.garp.repeat, plan.garp.delay)?;
        writeln!(out, "{}", options(plan))?;
        if let Some(own) = router.source_mac {
            writeln!(out, "  source {}", mac(own))?;
        }
        if router.no_accept {
            writeln!(out, "  accepts no packets to its addresses")?;
        }
        if router.promote_secondaries {
            writeln!(out, "  promotes secondary addresses")?;
        }
        if let Some(phase) = plan.phase {
            writeln!(out, "  phase {phase:?}")?;
        }
        if let Some(source) = router.source {
            let tracked = if router.tracks_source { ", tracked" } else { "" };
            writeln!(out, "  source {source}{tracked}")?;
        }
        if let Some(ipvlan) = router.ipvlan {
            writeln!(out, "  from {}", interfaces[ipvlan.index()])?;
        }
        match &router.destination {
            Destination::Group(group) if *group == vrrp_group(plan.family).ip(plan.family) => {}
            Destination::Group(group) => writeln!(out, "  to {group}")?,
            Destination::Peers(unicast) => {
                let only = if unicast.peers_only { ", from peers only" } else { "" };
                writeln!(out, "  unicast, ttl {}{only}", unicast.ttl)?;
                for Peer { address, min_ttl, max_ttl } in &unicast.peers {
                    writeln!(out, "  peer {address} ttl {min_ttl} to {max_ttl}")?;
                }
            }
        }
        match &router.authentication {
            Authentication::None => {}
            Authentication::Password(password) => writeln!(out, "  password \"{}\"", password.0.escape_ascii())?,
            Authentication::Ah(password) => writeln!(out, "  AH by \"{}\"", password.0.escape_ascii())?,
            Authentication::Hmac(policy) => writeln!(out, "  {policy:?}")?,
        }
        if let Some(form) = router.checksum_form {
            writeln!(out, "  checksum {form:?}")?;
        }
        for one in router.addresses.iter().take(8) {
            writeln!(out, "{}{}", address(one, interfaces), if one.advertised { "" } else { " not advertised" })?;
        }
        if router.addresses.len() > 8 {
            let advertised = router.addresses.iter().filter(|address| address.advertised).count();
            writeln!(out, "  {} addresses in all, {advertised} advertised", router.addresses.len())?;
        }
        paths(&router.paths, interfaces, out)?;
        for watch in &plan.watches {
            let subject = match watch.subject {
                Subject::Interface(id) => format!("interface {}", interfaces[id.index()]),
                Subject::Tracker(id) => format!("tracker {}", trackers[id.index()].name),
            };
            let Weight { value, reverse } = watch.weight;
            writeln!(out, "  watch {subject} weight {value}{}", if reverse { " reverse" } else { "" })?;
        }
        if router.smtp_alert {
            writeln!(out, "  mailed")?;
        }
        if let Some(notify) = &router.notify {
            hooks(notify, out)?;
        }
    }
    for (group, plan) in groups.iter().zip(&plan.groups) {
        let members: Vec<_> = plan.members.iter().map(|id| instances[id.index()].name.as_str()).collect();
        writeln!(out, "group {}: {}", group.name, members.join(" "))?;
        if group.smtp_alert {
            writeln!(out, "  mailed")?;
        }
        if let Some(notify) = &group.notify {
            hooks(notify, out)?;
        }
    }
    Ok(())
}

/// With what is not as always.
fn address(of: &VirtualAddress, interfaces: &[String]) -> String {
    let VirtualAddress { address, prefix, interface, broadcast, label, scope, peer, flags, preferred, kept, .. } = of;
    let mut out = format!("  address {address}/{prefix} {}", interfaces[interface.index()]);
    let always = (if address.is_ipv6() { 2 } else { 0 }, (address.is_ipv6() && *prefix == 128).then_some(0));
    let options = [
        broadcast.map(|broadcast| format!(" brd {broadcast}")),
        (*scope != 0).then(|| format!(" scope {scope}")),
        label.as_ref().map(|label| format!(" label {label}")),
        peer.map(|peer| format!(" peer {peer}")),
        (*flags != always.0).then(|| format!(" flags {flags:#x}")),
        (*preferred != always.1).then(|| format!(" preferred {preferred:?}")),
        (!kept).then(|| " no_track".to_owned()),
    ];
    out.extend(options.into_iter().flatten());
    out
}

/// What is watched of a tracker.
fn watched(kind: &TrackerKind, plan: &TrackerPlan) -> String {
    let start = if plan.starts_failed { ", starts failed" } else { "" };
    let outcomes = format!("rise {}, fall {}{start}", plan.rise, plan.fall);
    let schedule =
        |Schedule { interval, timeout }: Schedule| format!("every {interval:?}, at most {timeout:?}, {outcomes}");
    match kind {
        TrackerKind::Script(script) => format!("{} {}", command(&script.command), schedule(script.schedule)),
        TrackerKind::File(file) => format!("number in {}, {:?}", file.path, file.init),
        TrackerKind::Process(process) => format!("{process:?}"),
        TrackerKind::Check(check) => format!("{:?} {}", check.question, schedule(check.schedule)),
        TrackerKind::Bfd(session) => format!("{session:?}"),
    }
}

/// What is not as always.
fn options(plan: &InstancePlan) -> String {
    let mut out = String::new();
    let garp = &plan.garp;
    let mut option = |set: bool, text: &dyn std::fmt::Display| {
        if set {
            out.push_str(&format!(" {text}"));
        }
    };
    option(plan.both_versions, &"and V2");
    option(!plan.preempt, &"nopreempt");
    option(!plan.preempt_delay.is_zero(), &format!("preempt_delay {:?}", plan.preempt_delay));
    option(plan.ignores_adverts, &"deaf");
    option(!plan.answers_lower, &"no answer to lower");
    option(plan.answers_higher, &"answer to higher");
    option(plan.trusts_master, &"trusts master");
    option(plan.lacks_peers, &"at fault without peers");
    if let Some(rival) = plan.late_rival {
        option(true, &format!("late rival {rival}"));
    }
    let lower = (garp.lower_repeat, garp.lower_delay);
    option(lower != (garp.repeat, garp.delay), &format!("lower {} + {:?}", garp.lower_repeat, garp.lower_delay));
    option(!garp.refresh.is_zero(), &format!("refresh {} every {:?}", garp.refresh_repeat, garp.refresh));
    if let Some(extra) = &garp.extra {
        option(true, &format!("addresses {:?} again every {:?}", extra.addresses, extra.every));
    }
    out
}

fn hooks(notify: &Notify, out: &mut String) -> std::fmt::Result {
    let hooks = [
        ("master", &notify.master),
        ("backup", &notify.backup),
        ("fault", &notify.fault),
        ("stop", &notify.stop),
        ("deleted", &notify.deleted),
        ("lower priority", &notify.rx_lower),
        ("any", &notify.any),
    ];
    for (name, hook) in hooks {
        if let Some(hook) = hook {
            writeln!(out, "  notify {name}: {}", command(hook))?;
        }
    }
    if notify.says_deleted && notify.deleted.is_none() {
        writeln!(out, "  notify deleted")?;
    }
    if notify.priority_changes {
        writeln!(out, "  notify of changes of priority")?;
    }
    Ok(())
}

fn command(command: &Command) -> String {
    let groups = if command.groups.is_empty() { String::new() } else { format!(" groups {:?}", command.groups) };
    format!("{:?} as {}:{}{groups}", command.argv, command.run_as.uid, command.run_as.gid)
}

fn mac(octets: [u8; 6]) -> String {
    octets.map(|octet| format!("{octet:02x}")).join(":")
}

/// Every index points into its table, and what must be unique is.
pub fn assert_consistent(setup: &Setup, case: &str) {
    let Setup { plan, interfaces, routed, instances, groups, trackers, paces, pace_of, uppers, statics, .. } = setup;
    assert_eq!(plan.interfaces as usize, interfaces.len(), "{case}");
    assert_eq!(plan.trackers.len(), trackers.len(), "{case}");
    assert_eq!(plan.instances.len(), instances.len(), "{case}");
    assert_eq!(plan.groups.len(), groups.len(), "{case}");
    assert_eq!(pace_of.len(), interfaces.len(), "{case}");
    assert!(pace_of.iter().all(|&pace| (pace as usize) < paces.len()), "{case}");
    for (id, group) in (0..).map(GroupId).zip(&plan.groups) {
        assert!(!group.members.is_empty(), "{case}");
        assert!(group.members.iter().all(|member| plan.instances[member.index()].group == Some(id)), "{case}");
    }
    let members: usize = plan.groups.iter().map(|group| group.members.len()).sum();
    assert_eq!(members, plan.instances.iter().filter(|instance| instance.group.is_some()).count(), "{case}");
    for upper in uppers {
        let users = instances.iter().flat_map(|router| &router.addresses).map(|address| address.interface);
        let mut users = users.chain(instances.iter().filter_map(|router| router.ipvlan));
        assert!(upper.parent.index() < interfaces.len() && upper.parent != upper.interface, "{case}");
        assert!(users.any(|interface| interface == upper.interface), "{case}: nobody has {upper:?}");
    }
    let all_paths = instances.iter().map(|router| &router.paths).chain([&statics.paths]);
    assert!(all_paths.flat_map(Paths::interfaces).all(|id| id.index() < interfaces.len()), "{case}");
    let mut routers = Vec::new();
    for (plan, router) in plan.instances.iter().zip(instances) {
        assert!(plan.interface.index() < interfaces.len(), "{case}");
        assert_eq!(plan.addresses as usize, router.addresses.len(), "{case}");
        let is_routed = routed.contains(&plan.interface);
        assert!(!is_routed || router.source.is_some() && matches!(router.destination, Destination::Peers(_)), "{case}");
        assert!(!is_routed || router.source_mac.is_none(), "{case}");
        assert!(router.addresses.iter().filter(|address| address.advertised).count() <= 255, "{case}");
        assert!(router.addresses.is_sorted_by_key(|address| !address.advertised), "{case}");
        assert!((1..=100).contains(&plan.down_adverts), "{case}");
        for watch in &plan.watches {
            match watch.subject {
                Subject::Interface(id) => assert!(id.index() < interfaces.len(), "{case}"),
                Subject::Tracker(id) => assert!(id.index() < trackers.len(), "{case}"),
            }
            assert!(watch.weight.value.abs() <= 254, "{case}");
        }
        let heard_at = match router.destination {
            Destination::Group(group) => Some(group),
            Destination::Peers(_) => router.source,
        };
        let key = (plan.interface, plan.family, plan.vrid, heard_at);
        assert!(!routers.contains(&key), "{case}: {key:?}");
        routers.push(key);
    }
}
