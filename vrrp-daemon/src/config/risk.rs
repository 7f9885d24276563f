//! What is right as it is written and may still hurt: of one configuration, and of the routers of one network together.
//!
//! A rule is one function of [`RULES`] or [`PAIRS`]. That a setting contradicts another is a finding of `resolve`, not a risk.

use std::time::Duration;

use serde::Serialize;
use vrrp_common::time::skew;
use vrrp_common::{Priority, Version};

use super::setup::{Destination, Instance, Setup, TrackerKind};
use crate::auth::Authentication;
use crate::engine::plan::{InstancePlan, Subject};

/// Intervals below this want a thread of real-time priority, and a machine that never pauses for three of them.
const SHORT: Duration = Duration::from_millis(100);
/// Backups whose waits end closer together may both take over for an instant.
const LATENESS: Duration = Duration::from_millis(1);

/// Something that may hurt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Risk {
    /// Virtual routers, or scripts, that it is about.
    pub of: Vec<String>,
    pub what: String,
    pub remedy: &'static str,
}

/// A virtual router with both of its halves.
#[derive(Clone, Copy)]
struct Router<'a> {
    setup: &'a Setup,
    plan: &'a InstancePlan,
    host: &'a Instance,
}

/// A rule about single virtual routers: those that it concerns, what is said of all of them, and the remedy.
type Rule = (fn(&Router) -> bool, &'static str, &'static str);

const RULES: &[Rule] = &[
    (
        |router| router.plan.version == Version::V2 && router.host.authentication == Authentication::None,
        "version 2: whole seconds, so a failure takes over three seconds to notice",
        "`version 3` and `advert_int 0.1` on all routers of it, unless one of them knows version 2 alone",
    ),
    (
        |router| matches!(router.host.authentication, Authentication::Password(_)),
        "the password is in every advert for all to read, and keeps out accidents alone",
        "`auth_hmac` where all routers have it; else `version 3` without a password",
    ),
    (
        |router| matches!(&router.host.destination, Destination::Peers(unicast) if !unicast.peers_only),
        "unicast adverts are heard from anybody who can send to this host and knows the VRID",
        "`check_unicast_src`, or `min_ttl` of each peer",
    ),
    (
        |router| router.plan.advert_int.duration() < SHORT && router.plan.down_adverts < 4,
        "a pause of a few hundredths of a second on this machine, or on the way, makes a second master",
        "`advert_int 0.1` or more, or a higher `down_timer_adverts`, unless the machines are known never to pause",
    ),
    (
        |router| router.plan.preempt && router.plan.preempt_delay.is_zero() && router.flutters(),
        "each change of a check's outcome moves mastership at once, back and forth when the outcome flutters",
        "`fall` and `rise` above 1 in the script, or `preempt_delay`",
    ),
];

/// Whether a script's outcome counts towards the priority.
fn weighs(watch: &crate::engine::plan::Watch) -> bool {
    matches!(watch.subject, Subject::Tracker(_)) && watch.weight.value != 0
}

/// The risks of one configuration.
pub fn of(setup: &Setup) -> Vec<Risk> {
    let routers: Vec<Router> = routers(setup).collect();
    let mut risks = Vec::new();
    for &(concerns, what, remedy) in RULES {
        let of: Vec<String> = routers.iter().filter(|router| concerns(router)).map(|router| router.name()).collect();
        if !of.is_empty() {
            risks.push(Risk { of, what: what.to_owned(), remedy });
        }
    }
    risks.extend(slow_scripts(setup));
    risks.extend(uneven_groups(setup));
    risks
}

fn routers(setup: &Setup) -> impl Iterator<Item = Router<'_>> {
    setup.plan.instances.iter().zip(&setup.instances).map(move |(plan, host)| Router { setup, plan, host })
}

impl Router<'_> {
    fn name(&self) -> String {
        self.host.name.clone()
    }

    /// Whether a single outcome of a script changes its priority.
    fn flutters(&self) -> bool {
        self.plan.watches.iter().filter(|watch| weighs(watch)).any(|watch| match watch.subject {
            Subject::Tracker(id) => self.setup.plan.trackers[id.index()].fall < 2,
            Subject::Interface(_) => false,
        })
    }
}

fn slow_scripts(setup: &Setup) -> Option<Risk> {
    let slow = setup.trackers.iter().filter(|tracker| match &tracker.kind {
        TrackerKind::Script(script) => script.schedule.timeout > script.schedule.interval,
        TrackerKind::Check(check) => check.schedule.timeout > check.schedule.interval,
        TrackerKind::File(_) | TrackerKind::Process(_) | TrackerKind::Bfd(_) => false,
    });
    let of: Vec<String> = slow.map(|tracker| tracker.name.clone()).collect();
    let what = "a run may take longer than the interval: the next ones are left out, and a failure is noticed late";
    let remedy = "a `timeout` below the `interval`";
    (!of.is_empty()).then(|| Risk { of, what: what.to_owned(), remedy })
}

fn uneven_groups(setup: &Setup) -> impl Iterator<Item = Risk> {
    setup.groups.iter().zip(&setup.plan.groups).filter_map(|(group, plan)| {
        let members = plan.members.iter().map(|id| &setup.plan.instances[id.index()]);
        let claims: Vec<_> = members.map(|member| (member.priority, member.advert_int)).collect();
        claims.iter().any(|claim| *claim != claims[0]).then(|| Risk {
            of: vec![group.name.clone()],
            what: "its members differ in priority or interval, so they are elected apart before they follow each other"
                .to_owned(),
            remedy: "the same `priority` and `advert_int` for all members of a vrrp_sync_group",
        })
    })
}

/// A rule about one virtual router on two hosts: what is wrong, if anything is, and the remedy.
type PairRule = fn(&Router, &Router) -> Option<(String, &'static str)>;

const PAIRS: &[PairRule] =
    &[other_addresses, equal_priorities, other_version, other_interval, other_password, close, light];

/// The risks of configurations of several hosts on one network, by their names. Routers of one VRID and family are taken
/// for one virtual router where their interfaces have the same name, or one is the other's unicast peer.
pub fn between(hosts: &[(&str, &Setup)]) -> Vec<Risk> {
    let mut risks: Vec<Risk> = Vec::new();
    for (index, &(one, a)) in hosts.iter().enumerate() {
        for &(two, b) in &hosts[index + 1..] {
            for (a, b) in routers(a).flat_map(|a| routers(b).map(move |b| (a, b))).filter(|(a, b)| are_one(a, b)) {
                for (what, remedy) in PAIRS.iter().filter_map(|rule| rule(&a, &b)) {
                    let of = format!("{} of {one}, {} of {two}", a.name(), b.name());
                    match risks.iter_mut().find(|risk| risk.what == what && risk.remedy == remedy) {
                        Some(risk) => risk.of.push(of),
                        None => risks.push(Risk { of: vec![of], what, remedy }),
                    }
                }
            }
        }
    }
    risks
}

fn are_one(a: &Router, b: &Router) -> bool {
    fn name<'a>(router: &Router<'a>) -> Option<&'a String> {
        router.setup.interfaces.get(router.plan.interface.index())
    }
    let knows = |a: &Router, b: &Router| match (&a.host.destination, b.host.source) {
        (Destination::Peers(unicast), Some(source)) => unicast.peers.iter().any(|peer| peer.address == source),
        _ => false,
    };
    let meet = match (&a.host.destination, &b.host.destination) {
        (Destination::Group(a), Destination::Group(b)) => a == b,
        _ => knows(a, b) || knows(b, a),
    };
    (a.plan.vrid, a.plan.family) == (b.plan.vrid, b.plan.family)
        && meet
        && (knows(a, b) || knows(b, a) || name(a) == name(b))
}

/// Whether they serve any address in common: otherwise they are two virtual routers of one VRID.
fn share(a: &Router, b: &Router) -> bool {
    a.host.advertised().any(|address| b.host.advertised().any(|other| other == address))
}

fn other_addresses(a: &Router, b: &Router) -> Option<(String, &'static str)> {
    let sorted = |router: &Router| {
        let mut all: Vec<_> = router.host.advertised().collect();
        all.sort();
        all
    };
    if !share(a, b) {
        let what = format!("both have VRID {} and no address in common: only one of them will be master", a.plan.vrid);
        return Some((what, "a `virtual_router_id` of its own for each virtual router of a network"));
    }
    let what = "they advertise different addresses: what one has alone is gone while the other is master";
    (sorted(a) != sorted(b)).then(|| (what.to_owned(), "the same `virtual_ipaddress` on all routers of it"))
}

fn equal_priorities(a: &Router, b: &Router) -> Option<(String, &'static str)> {
    let priority = a.plan.priority;
    (share(a, b) && priority == b.plan.priority).then(|| {
        let what =
            format!("both have priority {priority}: the higher address is master, and both may be for an instant");
        (what, "a `priority` of its own on each router")
    })
}

fn other_version(a: &Router, b: &Router) -> Option<(String, &'static str)> {
    (share(a, b) && a.plan.version != b.plan.version).then(|| {
        ("one speaks version 2 and the other version 3: both will be master".to_owned(), "the same `version` on both")
    })
}

fn other_interval(a: &Router, b: &Router) -> Option<(String, &'static str)> {
    let differ = a.plan.advert_int != b.plan.advert_int && a.plan.version == b.plan.version;
    (share(a, b) && differ).then(|| match a.plan.version {
        Version::V2 => (
            "their intervals differ, and version 2 drops what has another: both will be master".to_owned(),
            "the same `advert_int` on all routers of it",
        ),
        Version::V3 => (
            "their intervals differ: how soon a failure is noticed depends on who is master".to_owned(),
            "the same `advert_int` on all routers of it",
        ),
    })
}

fn other_password(a: &Router, b: &Router) -> Option<(String, &'static str)> {
    // What of it must be equal differs by its kind; that the kinds differ is always wrong.
    let (mine, theirs) = (&a.host.authentication, &b.host.authentication);
    let kinds = std::mem::discriminant(mine) != std::mem::discriminant(theirs);
    let passwords = match (mine, theirs) {
        (Authentication::Password(a), Authentication::Password(b)) | (Authentication::Ah(a), Authentication::Ah(b)) => {
            a.0 != b.0
        }
        _ => false,
    };
    (share(a, b) && (kinds || passwords)).then(|| {
        ("they authenticate differently and refuse each other: both will be master".to_owned(), "the same on both")
    })
}

/// Waits that end too close together.
fn close(a: &Router, b: &Router) -> Option<(String, &'static str)> {
    let wait = |router: &Router| skew(router.plan.version, router.plan.priority, router.plan.advert_int);
    let apart = wait(a).abs_diff(wait(b));
    let differ = a.plan.priority != b.plan.priority && a.plan.advert_int == b.plan.advert_int;
    (share(a, b) && differ && apart < LATENESS).then(|| {
        let what =
            format!("as backups of a third they would wait {apart:?} apart, which is less than machines are late");
        (what, "priorities farther apart, or a longer `advert_int`")
    })
}

/// A check of the better one that does not bring it below the other.
fn light(a: &Router, b: &Router) -> Option<(String, &'static str)> {
    let (better, other) = if a.plan.priority >= b.plan.priority { (a, b) } else { (b, a) };
    let apart = i32::from(better.plan.priority.get()) - i32::from(other.plan.priority.get());
    let all: i32 = better.plan.watches.iter().map(|watch| i32::from(watch.weight.value).abs()).sum();
    let is_weighed = better.plan.watches.iter().any(weighs) && better.plan.priority != Priority::OWNER;
    (share(a, b) && is_weighed && all <= apart).then(|| {
        let what = format!(
            "{} is {apart} above the other and all its checks weigh {all}: failing, they do not move mastership",
            better.name()
        );
        (what, "a `weight` larger than what the priorities are apart, or none, which makes a failure a fault")
    })
}
