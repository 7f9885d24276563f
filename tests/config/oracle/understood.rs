//! What was understood of a configuration, in lines that compare: from keepalived's `keepalived.data`, and from a setup.

use std::collections::BTreeSet;
use std::fmt::Write;

use vrrp_common::Version;
use vrrp_daemon::config::Checked;
use vrrp_daemon::config::setup::{Command, Destination, Setup, TrackerKind};
use vrrp_daemon::engine::plan::Subject;
use vrrp_daemon::syntax::diagnostic::{Class, Severity};

/// What keepalived's daemon would run with, of a reading of ours: nothing where it would not start.
pub fn by_us(checked: &Checked) -> BTreeSet<String> {
    let found =
        |class| checked.found.count_of(class, Severity::Warning) + checked.found.count_of(class, Severity::Error);
    let starts = checked.is_readable() && found(Class::MissingParameter) == 0 && found(Class::Interface) == 0;
    if starts { of_setup(&checked.setup) } else { BTreeSet::new() }
}

fn of_setup(setup: &Setup) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for tracker in &setup.trackers {
        let TrackerKind::Script(script) = &tracker.kind else { continue };
        let (name, command) = (&tracker.name, shown(&script.command));
        out.insert(format!("script {name} {command} every {} s", script.schedule.interval.as_secs()));
    }
    for (plan, router) in setup.plan.instances.iter().zip(&setup.instances) {
        let name = &router.name;
        let mut put = |line: String| out.insert(format!("{name} {line}"));
        let interface = setup.uppers.iter().find(|vmac| vmac.interface == plan.interface);
        let interface = interface.map_or(plan.interface, |vmac| vmac.parent);
        put(format!("interface {}", setup.interfaces[interface.index()]));
        put(format!("version {}", if plan.version == Version::V2 { 2 } else { 3 }));
        put(format!("vrid {}", plan.vrid));
        put(format!("priority {}", plan.priority));
        put(format!("advert interval {} ms", u64::from(plan.advert_int.get()) * 10));
        put(format!("down after {}", plan.down_adverts));
        put(format!("preempt {}", plan.preempt));
        put(format!("answers lower {}", plan.answers_lower));
        put(format!("answers higher {}", plan.answers_higher));
        put(format!("garp repeat {}", plan.garp.repeat));
        put(format!("garp delay {}", plan.garp.delay.as_secs()));
        put(format!("accept {}", !router.no_accept));
        put(format!("mailed {}", if router.smtp_alert { "yes" } else { "no" }));
        if !plan.preempt_delay.is_zero() {
            put(format!("preempt delay {}", plan.preempt_delay.as_secs_f64()));
        }
        if let Some(group) = plan.group {
            put(format!("group {}", setup.groups[group.index()].name));
        }
        for address in &router.addresses {
            let dev = &setup.interfaces[address.interface.index()];
            let excluded = if address.advertised { "" } else { " excluded" };
            put(format!(
                "address {} dev {dev}{excluded}",
                without_host_prefix(&format!("{}/{}", address.address, address.prefix))
            ));
        }
        if let Destination::Peers(unicast) = &router.destination {
            for peer in &unicast.peers {
                put(format!("peer {}", peer.address));
            }
        }
        for watch in &plan.watches {
            if let Subject::Tracker(id) = watch.subject
                && matches!(setup.trackers[id.index()].kind, TrackerKind::Script(_))
            {
                let reverse = if watch.weight.reverse { " reverse" } else { "" };
                put(format!("tracks {} weight {}{reverse}", setup.trackers[id.index()].name, watch.weight.value));
            }
        }
        let Some(notify) = &router.notify else { continue };
        let hooks = [
            ("Master", &notify.master),
            ("Backup", &notify.backup),
            ("Fault", &notify.fault),
            ("Stop", &notify.stop),
            ("Generic", &notify.any),
            ("Master rx lower pri", &notify.rx_lower),
        ];
        for (state, command) in hooks {
            if let Some(command) = command {
                put(format!("{state}: {}", shown(command)));
            }
        }
    }
    out
}

/// A command as keepalived writes it, but for the program's directory, which it has resolved.
fn shown(command: &Command) -> String {
    let mut out = String::new();
    for (index, word) in command.argv.iter().enumerate() {
        let word = if index == 0 { word.rsplit('/').next().unwrap_or(word) } else { word };
        let _ = write!(out, "{}'{word}'", if index == 0 { "" } else { " " });
    }
    format!("{out} as {}:{}", command.run_as.uid, command.run_as.gid)
}

fn without_host_prefix(address: &str) -> &str {
    address.strip_suffix("/32").or_else(|| address.strip_suffix("/128")).unwrap_or(address)
}

/// keepalived's file, line by line: what a key means depends on the block and the list that it is in.
pub fn by_keepalived(data: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let (mut section, mut name, mut list, mut script) = ("", "", "", (String::new(), String::new()));
    for line in data.lines() {
        if let Some(title) = line.strip_prefix("------<") {
            (section, name, list) = (title.trim_end_matches('-').trim_matches(['>', ' ']), "", "");
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let (key, value) = line.trim().split_once(" = ").unwrap_or((line.trim(), ""));
        match (section, indent, key) {
            ("VRRP Topology", 1, "VRRP Instance") => (name, list) = (value, ""),
            ("VRRP Scripts", 1, "VRRP Script") => script = (value.to_owned(), String::new()),
            ("VRRP Scripts", 3, "Command") => script.1 = value.to_owned(),
            ("VRRP Scripts", 3, "Interval") => {
                out.insert(format!("script {} {} every {} s", script.0, "{command}", value.trim_end_matches(" sec")));
            }
            ("VRRP Scripts", 3, "Script uid:gid") => {
                let command = command(&script.1, value);
                out = out.into_iter().map(|line| line.replace("{command}", &command)).collect();
            }
            ("VRRP Topology", 3, key) => {
                list = key;
                out.extend(fact(key, value).map(|fact| format!("{name} {fact}")));
            }
            ("VRRP Topology", 5.., _) => out.extend(item(list, line.trim()).map(|fact| format!("{name} {fact}"))),
            _ => {}
        }
    }
    out
}

/// A setting of a virtual router.
fn fact(key: &str, value: &str) -> Option<String> {
    let enabled = |name: &str| Some(format!("{name} {}", value == "enabled"));
    match key {
        "VRRP Version" => Some(format!("version {value}")),
        "Interface" => Some(format!("interface {}", device(value))),
        "Virtual Router ID" => Some(format!("vrid {value}")),
        "Priority" => Some(format!("priority {value}")),
        "Sync group" => Some(format!("group {value}")),
        "Down timer adverts" => Some(format!("down after {value}")),
        "Gratuitous ARP delay" => Some(format!("garp delay {value}")),
        "Gratuitous ARP repeat" => Some(format!("garp repeat {value}")),
        "Send advert after receive lower priority advert" => Some(format!("answers lower {value}")),
        "Send advert after receive higher priority advert" => Some(format!("answers higher {value}")),
        "Accept" => enabled("accept"),
        "Using smtp notification" => Some(format!("mailed {value}")),
        "Preempt" => enabled("preempt"),
        "Preempt delay" => Some(format!("preempt delay {}", value.trim_end_matches(" secs"))),
        "Advert interval" => Some(match value.strip_suffix(" milli-sec") {
            Some(millis) => format!("advert interval {millis} ms"),
            None => format!("advert interval {}000 ms", value.trim_end_matches(" sec")),
        }),
        key => {
            let state = key.strip_suffix(" state transition script")?;
            let (words, ids) = value.rsplit_once(", uid:gid ")?;
            Some(format!("{state}: {}", command(words, ids)))
        }
    }
}

/// `eth0`, `eth0, xmit base i/f`, `vrrp.51, vmac on eth0` or `vrrp.51, ipvlan on eth0`: the interface that adverts leave by.
fn device(value: &str) -> &str {
    let below = value.split_once(" on ").map_or(value, |(_, below)| below);
    below.split(',').next().unwrap_or(below)
}

/// A line of a list.
fn item(list: &str, line: &str) -> Option<String> {
    let mut words = line.split(' ');
    let first = words.next()?;
    match list.split(" (").next()?.trim_end_matches([':', ' ']) {
        title @ ("Virtual IP" | "Virtual IP Excluded") => {
            let dev = line.split(" dev ").nth(1)?.split([' ', '@']).next()?;
            let excluded = if title == "Virtual IP" { "" } else { " excluded" };
            Some(format!("address {} dev {dev}{excluded}", without_host_prefix(first)))
        }
        "Unicast Peer" => Some(format!("peer {first}")),
        "Tracked scripts" => Some(format!("tracks {line}")),
        _ => None,
    }
}

/// `'/usr/bin/true' 'a'` and `0:0` as ours are shown.
fn command(words: &str, ids: &str) -> String {
    let end = words[1..].find('\'').map_or(words.len(), |at| at + 1);
    let program = words[1..end].rsplit('/').next().unwrap_or_default();
    format!("'{program}{} as {ids}", &words[end..])
}
