//! What the daemon says of itself when asked. Field names are stable; new ones may be added.
//!
//! The protocol thread hands over [`Observed`]: copies, no text. Names and times are put to it on the slow side.

pub mod tracker;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use vrrp_common::drop::Reason;
use vrrp_common::wire::checksum::ChecksumForm;
use vrrp_common::{Family, Instant, Version};

use super::appointment::keep::Due;
use super::lateness::{Late, Measured};
use super::log::Loss;
use super::netlink::links::Link;
use super::sysctl;
use super::telling::Losses;
use super::utc::rfc3339;
use crate::config::setup::{HOST, Paths, Route, Rule, Setup};
use crate::engine::snapshot::{Cause, Snapshot, StateName};
use crate::engine::stats::Stats;
use crate::track::report::Finds;
pub use tracker::Tracker;

/// Frames by [`Reason::label`]; none that is zero.
pub type Drops = BTreeMap<String, u64>;

/// Everything, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub daemon: Daemon,
    /// In order of first mention in the configuration.
    pub interfaces: Vec<Interface>,
    /// In configured order.
    pub instances: Vec<Instance>,
    /// keepalived `vrrp_sync_group`, in configured order.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// What virtual routers depend on, in configured order.
    #[serde(default)]
    pub trackers: Vec<Tracker>,
    /// What keeps virtual MAC addresses from working, in words.
    #[serde(default)]
    pub conflicts: Vec<String>,
}

/// The process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daemon {
    pub version: String,
    pub pid: u32,
    /// When it started: RFC 3339, UTC, milliseconds.
    pub since: String,
    /// The same, in seconds ago.
    pub seconds: u64,
    /// Path of the configuration.
    pub config: String,
    /// keepalived `router_id`.
    pub router_id: Option<String>,
    /// When the next reload is due by `reload_time_file`: RFC 3339, UTC, milliseconds; `null` when none is.
    #[serde(default)]
    pub reload_due: Option<String>,
    /// Log lines lost since the start because nobody took them in time.
    pub log_lines_lost: u64,
    /// Events since the start that nobody was told of because too many were waiting.
    #[serde(default)]
    pub events_lost: u64,
    /// Changes of state since the start whose notify scripts were not run because too many were waiting.
    pub notices_lost: u64,
    /// Lines since the start that were not written to a FIFO because it was full.
    #[serde(default)]
    pub fifo_lines_lost: u64,
    /// Letters since the start that no mail server took.
    #[serde(default)]
    pub letters_lost: u64,
    /// How late the protocol's thread, its adverts and its takeovers were.
    pub late: Late,
}

/// An interface of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    pub name: String,
    /// `null` while it does not exist.
    pub ifindex: Option<u32>,
    /// Up and running.
    pub up: bool,
    pub xdp: XdpMode,
    /// Why `xdp` is `off`.
    pub xdp_off_why: Option<String>,
    /// Frames that belong to no instance, since the start, by what was found of them.
    pub drops: Drops,
}

/// How adverts reach the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XdpMode {
    /// Judged by the driver, before the kernel has built a packet.
    Native,
    /// Judged by the kernel's own hook.
    Generic,
    /// Judged by the daemon, from the raw socket.
    Off,
}

/// A virtual router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub name: String,
    pub interface: String,
    /// 1 to 255.
    pub vrid: u8,
    /// VRRP version, 2 or 3.
    pub version: u8,
    /// Version 2 is spoken and heard beside version 3 (`vrrpd_dual_version`).
    #[serde(default)]
    pub both_versions: bool,
    /// IP version, 4 or 6.
    pub family: u8,
    /// `INIT`, `BACKUP`, `MASTER`, `FAULT` or `STOP`.
    pub state: StateName,
    /// As configured, 1 to 255.
    pub base_priority: u8,
    /// With what trackers make of it, 1 to 255.
    pub effective_priority: u8,
    /// The master as far as this router knows; `null` when it heard none.
    pub master: Option<Master>,
    /// When it entered its state: RFC 3339, UTC, milliseconds.
    pub since: String,
    /// The same, in seconds ago.
    pub seconds: u64,
    /// Why it is in its state.
    pub why: Cause,
    /// In configured order.
    pub addresses: Vec<Address>,
    /// `virtual_routes` and `virtual_rules`, in configured order.
    #[serde(default)]
    pub paths: Vec<Path>,
    /// How adverts are summed; `null` where there is one way only, in version 2 and over IPv6.
    pub checksum: Option<Checksum>,
    /// Counted since the start.
    pub stats: Stats,
    /// How late its latest advert was, microseconds.
    pub latest_us: u64,
    /// Frames for this instance, since the start, by what was found of them.
    pub drops: Drops,
}

/// Virtual routers that change state together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub name: String,
    /// That of all members.
    pub state: StateName,
    /// Names of virtual routers.
    pub members: Vec<String>,
}

/// Who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Master {
    /// Where its adverts come from.
    pub address: IpAddr,
    pub priority: u8,
    /// It is this router.
    pub ourselves: bool,
}

/// What the checksums of v3 adverts over IPv4 cover: `rfc9568`, the message, or `rfc5798`, a pseudo header, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// Those of our own adverts.
    pub ours: String,
    /// Those of the last advert heard; `null` when none was.
    pub peer: Option<String>,
}

/// A virtual address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// With its prefix length: `192.0.2.1/24`.
    pub address: String,
    /// The one it belongs on.
    pub interface: String,
    /// It is set on its interface by this daemon.
    pub held: bool,
}

/// A route or a rule of a virtual router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// `route 10.0.0.0/8 via 192.0.2.1`, `rule 100 from 10.0.0.0/8`.
    pub path: String,
    /// It is set, by this daemon or before it.
    pub held: bool,
}

/// What the protocol thread knows.
#[derive(Clone, Debug)]
pub struct Observed {
    pub setup: Arc<Setup>,
    /// When this was observed.
    pub now: Instant,
    pub lateness: Measured,
    /// By `InterfaceId`.
    pub interfaces: Vec<ObservedInterface>,
    /// By `InstanceId`.
    pub instances: Vec<ObservedInstance>,
    /// By `GroupId`.
    pub groups: Vec<StateName>,
}

#[derive(Clone, Debug)]
pub struct ObservedInterface {
    /// `None` while it does not exist.
    pub link: Option<Link>,
    pub xdp: ObservedXdp,
    /// Those that are not zero, of frames that belong to no instance.
    pub drops: Vec<(Reason, u64)>,
}

/// [`XdpMode`], with the reason.
#[derive(Clone, Debug)]
pub enum ObservedXdp {
    Native,
    Generic,
    Off { why: String },
}

#[derive(Clone, Debug)]
pub struct ObservedInstance {
    pub snapshot: Snapshot,
    /// What it sends from.
    pub source: Option<IpAddr>,
    /// Numbers of the addresses in `Setup` that are set; behind them its routes and rules are numbered on.
    pub held: Vec<u32>,
    /// Ours, and the peer's.
    pub checksum: (ChecksumForm, Option<ChecksumForm>),
    /// Those that are not zero.
    pub drops: Vec<(Reason, u64)>,
    /// How late its latest advert was.
    pub latest: Duration,
}

/// What is known of the process without asking the protocol thread.
#[derive(Clone)]
pub struct Process {
    pub version: &'static str,
    pub started_at: SystemTime,
    pub config: PathBuf,
    /// `None` where logging is somebody else's, as in tests.
    pub log: Option<Loss>,
    pub losses: Losses,
    pub reload_due: Due,
}

impl Status {
    /// Puts names and times to what was observed; `clock` is the time of day at `observed.now`.
    pub fn new(process: &Process, observed: &Observed, seen: &Finds, clock: SystemTime) -> Self {
        let Observed { setup, now, lateness, interfaces, instances, groups } = observed;
        let made: BTreeSet<_> = setup.uppers.iter().map(|upper| upper.interface.index()).collect();
        let interfaces = setup.interfaces.iter().zip(interfaces).enumerate();
        let interfaces = interfaces.filter(|(id, (name, _))| !made.contains(id) && *name != HOST);
        Self {
            daemon: daemon(process, setup, lateness, clock),
            interfaces: interfaces.map(|(_, (name, seen))| interface(name, seen)).collect(),
            instances: (0..setup.instances.len().min(setup.plan.instances.len()))
                .zip(instances)
                .map(|(index, seen)| instance(setup, index, seen, *now, clock))
                .collect(),
            groups: (0..setup.groups.len()).zip(groups).map(|(index, &state)| group(setup, index, state)).collect(),
            trackers: tracker::trackers(setup, seen, clock),
            conflicts: sysctl::conflicts(setup),
        }
    }
}

fn daemon(process: &Process, setup: &Setup, lateness: &Measured, clock: SystemTime) -> Daemon {
    Daemon {
        version: process.version.into(),
        pid: std::process::id(),
        since: rfc3339(process.started_at),
        seconds: clock.duration_since(process.started_at).unwrap_or_default().as_secs(),
        config: process.config.display().to_string(),
        router_id: setup.daemon.router_id.clone(),
        reload_due: process.reload_due.get().map(rfc3339),
        log_lines_lost: process.log.as_ref().map_or(0, Loss::lines),
        events_lost: process.losses.events.load(Ordering::Relaxed),
        notices_lost: process.losses.notices.load(Ordering::Relaxed),
        fifo_lines_lost: process.losses.fifo_lines.load(Ordering::Relaxed),
        letters_lost: process.losses.letters.load(Ordering::Relaxed),
        late: lateness.into(),
    }
}

fn interface(name: &str, seen: &ObservedInterface) -> Interface {
    let (xdp, xdp_off_why) = match &seen.xdp {
        ObservedXdp::Native => (XdpMode::Native, None),
        ObservedXdp::Generic => (XdpMode::Generic, None),
        ObservedXdp::Off { why } => (XdpMode::Off, Some(why.clone())),
    };
    let ifindex = seen.link.map(|link| link.index.0);
    let up = seen.link.is_some_and(|link| link.up);
    Interface { name: name.into(), ifindex, up, xdp, xdp_off_why, drops: drops(&seen.drops) }
}

fn instance(setup: &Setup, index: usize, seen: &ObservedInstance, now: Instant, clock: SystemTime) -> Instance {
    let (plan, setting) = (&setup.plan.instances[index], &setup.instances[index]);
    let Snapshot { state, since, cause, base, effective, master, interval: _, stats } = seen.snapshot;
    let age = now.since(since);
    let master = master.map(|master| Master {
        address: master.address,
        priority: master.priority.get(),
        ourselves: state == StateName::Master,
    });
    let is_held = |number: usize| seen.held.binary_search(&(number as u32)).is_ok();
    let addresses = setting.addresses.iter().enumerate().map(|(number, virtual_address)| Address {
        address: format!("{}/{}", virtual_address.address, virtual_address.prefix),
        interface: setup.interfaces[virtual_address.interface.index()].clone(),
        held: is_held(number),
    });
    let Paths { routes, rules } = &setting.paths;
    let paths = routes.iter().map(Route::to_string).chain(rules.iter().map(Rule::to_string));
    let paths = paths.zip(setting.addresses.len()..).map(|(path, number)| Path { path, held: is_held(number) });
    Instance {
        name: setting.name.clone(),
        interface: setup.interfaces.get(plan.interface.index()).cloned().unwrap_or_default(),
        vrid: plan.vrid.get(),
        version: plan.version as u8,
        both_versions: plan.both_versions,
        family: match plan.family {
            Family::V4 => 4,
            Family::V6 => 6,
        },
        state,
        base_priority: base.get(),
        effective_priority: effective.get(),
        master,
        since: rfc3339(clock.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH)),
        seconds: age.as_secs(),
        why: cause,
        addresses: addresses.collect(),
        paths: paths.collect(),
        checksum: ((plan.version, plan.family) == (Version::V3, Family::V4)).then(|| Checksum {
            ours: seen.checksum.0.label().into(),
            peer: seen.checksum.1.map(|form| form.label().into()),
        }),
        stats,
        latest_us: seen.latest.as_micros() as u64,
        drops: drops(&seen.drops),
    }
}

fn group(setup: &Setup, index: usize, state: StateName) -> Group {
    let members = setup.plan.groups[index].members.iter().map(|id| setup.instances[id.index()].name.clone());
    Group { name: setup.groups[index].name.clone(), state, members: members.collect() }
}

fn drops(counts: &[(Reason, u64)]) -> Drops {
    counts.iter().filter(|(_, count)| *count > 0).map(|(reason, count)| (reason.label().into(), *count)).collect()
}

/// How long something lasts, in its two largest units: `2 h 3 min`.
pub fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::config::setup::{self, Action, VirtualAddress};
    use crate::engine::plan::{GroupPlan, InstanceId, InstancePlan, InterfaceId};
    use crate::engine::snapshot::Rival;
    use crate::testing::link;
    use vrrp_common::{Priority, Version, Vrid};

    fn setup() -> Setup {
        let mut setup = Setup { interfaces: vec!["eth0".into()], ..Setup::default() };
        setup.daemon.router_id = Some("lvs-a".into());
        Arc::make_mut(&mut setup.plan.instances).push(InstancePlan {
            family: Family::V6,
            addresses: 2,
            ..InstancePlan::new(InterfaceId(0), Vrid::new(51).unwrap(), Version::V3)
        });
        let address = |address: &str| VirtualAddress::new(address.parse().unwrap(), 64, InterfaceId(0));
        setup.plan.groups.push(GroupPlan { members: vec![InstanceId(0)] });
        setup.groups.push(setup::Group { name: "G1".into(), ..Default::default() });
        setup.instances.push(setup::Instance {
            name: "VI_6".into(),
            addresses: vec![address("fe80::1"), address("2001:db8::1")],
            paths: Paths { rules: [100, 101].map(|number| Rule::new(number, Action::Nop)).into(), ..Paths::default() },
            ..Default::default()
        });
        setup
    }

    #[test]
    fn names_and_times_are_put_to_what_was_observed() {
        let snapshot = Snapshot {
            state: StateName::Backup,
            since: Instant::from_nanos(40_000_000_000),
            cause: Cause::Startup,
            base: Priority::DEFAULT,
            effective: Priority::new(90).unwrap(),
            master: Some(Rival { address: "fe80::2".parse().unwrap(), priority: Priority::OWNER }),
            interval: vrrp_common::Centis::SECOND,
            stats: Stats::default(),
        };
        let observed = Observed {
            setup: Arc::new(setup()),
            now: Instant::from_nanos(100_000_000_000),
            lateness: Measured::default(),
            interfaces: vec![ObservedInterface {
                link: Some(link(7)),
                xdp: ObservedXdp::Off { why: "xdp_mode off".into() },
                drops: vec![(Reason::VridUnknown, 2), (Reason::Checksum, 0)],
            }],
            instances: vec![ObservedInstance {
                snapshot,
                source: None,
                held: vec![1, 3],
                checksum: (ChecksumForm::PseudoHeader, None),
                drops: Vec::new(),
                latest: Duration::from_micros(1500),
            }],
            groups: vec![StateName::Backup],
        };
        let clock = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let process = Process {
            version: "0.1.0",
            started_at: clock - Duration::from_secs(100),
            config: "/etc/keepalived/keepalived.conf".into(),
            log: None,
            losses: Losses { notices: Arc::new(AtomicU64::new(3)), ..Losses::default() },
            reload_due: Due::default(),
        };
        let mut json = serde_json::to_value(Status::new(&process, &observed, &BTreeMap::new(), clock)).unwrap();
        json["daemon"]["pid"] = 1.into();
        json["daemon"]["late"] = ().into();
        json["instances"][0]["stats"] = ().into();
        let expected = r#"{
            "daemon": {
                "version": "0.1.0", "pid": 1, "since": "1970-01-12T13:45:00.000Z", "seconds": 100,
                "config": "/etc/keepalived/keepalived.conf", "router_id": "lvs-a", "reload_due": null,
                "log_lines_lost": 0, "events_lost": 0, "notices_lost": 3, "fifo_lines_lost": 0, "letters_lost": 0, "late": null
            },
            "interfaces": [{
                "name": "eth0", "ifindex": 7, "up": true, "xdp": "off", "xdp_off_why": "xdp_mode off",
                "drops": {"vrid_unknown": 2}
            }],
            "instances": [{
                "name": "VI_6", "interface": "eth0", "vrid": 51, "version": 3, "both_versions": false, "family": 6, "state": "BACKUP",
                "base_priority": 100, "effective_priority": 90,
                "master": {"address": "fe80::2", "priority": 255, "ourselves": false},
                "since": "1970-01-12T13:45:40.000Z", "seconds": 60, "why": "startup",
                "addresses": [
                    {"address": "fe80::1/64", "interface": "eth0", "held": false},
                    {"address": "2001:db8::1/64", "interface": "eth0", "held": true}
                ],
                "paths": [
                    {"path": "rule 100", "held": false},
                    {"path": "rule 101", "held": true}
                ],
                "checksum": null, "stats": null, "latest_us": 1500, "drops": {}
            }],
            "groups": [{"name": "G1", "state": "BACKUP", "members": ["VI_6"]}],
            "trackers": [],
            "conflicts": []
        }"#;
        assert_eq!(json, serde_json::from_str::<serde_json::Value>(expected).unwrap());
    }

    #[test]
    fn spans_have_two_units() {
        for (seconds, text) in [(0, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (7380, "2 h 3 min"), (273_906, "3 d 4 h")]
        {
            assert_eq!(span(seconds), text);
        }
    }
}
