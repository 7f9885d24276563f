//! What the engine is to do, in numbers: the configuration with every name resolved and every default filled in.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use vrrp_common::{Centis, Family, Instant, Priority, Version, Vrid};

/// Declares an index into one of the tables of a [`Plan`].
macro_rules! index {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl Id for $name {
            fn nth(index: usize) -> Self {
                Self(index as u32)
            }

            fn at(self) -> usize {
                self.index()
            }
        }
    )+};
}

/// Something that counts from 0.
pub trait Id: Copy + Eq {
    fn nth(index: usize) -> Self;

    fn at(self) -> usize;
}

/// The number of an address among those of its instance.
impl Id for u32 {
    fn nth(index: usize) -> Self {
        index as Self
    }

    fn at(self) -> usize {
        self as usize
    }
}

index! {
    /// Index into [`Plan::instances`].
    InstanceId;
    /// Index into the interfaces of the configuration, in order of first mention.
    InterfaceId;
    /// Index into [`Plan::trackers`].
    TrackerId;
    /// Index into [`Plan::groups`].
    GroupId;
}

/// Everything the engine needs to know of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// How many interfaces the configuration names.
    pub interfaces: u32,
    pub trackers: Vec<TrackerPlan>,
    /// Shared: the engine and the host side look at the same ones, and there are thousands.
    pub instances: Arc<Vec<InstancePlan>>,
    /// keepalived `vrrp_sync_group`, by [`GroupId`].
    pub groups: Vec<GroupPlan>,
    pub startup: Startup,
    /// keepalived `interface_up_down_delays`, of the interfaces that have some.
    pub delays: BTreeMap<InterfaceId, LinkDelay>,
}

/// For how long an interface must be down, or up, until it counts as that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkDelay {
    pub down: Duration,
    pub up: Duration,
}

/// How long instances are held before they take part, whatever is heard of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Startup {
    /// `vrrp_startup_delay`: after the start of the daemon.
    pub delay: Duration,
    /// `vrrp_delay_after_boot`: after that of the host, which is where the monotonic clock begins.
    pub after_boot: Duration,
}

/// Instances that change state together. What the group tracks, each of its members watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupPlan {
    /// One or more, each of this group alone.
    pub members: Vec<InstanceId>,
}

/// The plan of one instance, among all of them.
#[derive(Clone, Debug)]
pub struct OfInstance {
    all: Arc<Vec<InstancePlan>>,
    id: InstanceId,
}

impl OfInstance {
    pub const fn new(all: Arc<Vec<InstancePlan>>, id: InstanceId) -> Self {
        Self { all, id }
    }
}

impl Deref for OfInstance {
    type Target = InstancePlan;

    fn deref(&self) -> &InstancePlan {
        &self.all[self.id.index()]
    }
}

/// One virtual router of one address family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstancePlan {
    /// Where its adverts go and come from: an interface, or a place where adverts are routed to peers.
    pub interface: InterfaceId,
    pub family: Family,
    pub vrid: Vrid,
    pub version: Version,
    /// Of version 3 over IPv4: version 2 is spoken and heard, too (`vrrpd_dual_version`, RFC 9568 section 8.4).
    pub both_versions: bool,
    /// keepalived `priority`; what trackers add to or take from. 255 ignores them.
    pub priority: Priority,
    /// keepalived `state`. `Master` matters with priority 255 alone: any other router waits its first down interval.
    pub wanted: Wanted,
    /// `advert_int`.
    pub advert_int: Centis,
    /// With many instances of one interval: when in the interval its adverts leave, as the remainder of the monotonic
    /// clock. Those of one phase leave in one batch, and batches are spread over the interval. `None`: one interval after
    /// the last advert, which is never before the instance became master.
    pub phase: Option<Duration>,
    /// `down_timer_adverts`: missed adverts until the master counts as dead, 1 to 100; 3 in the RFC.
    pub down_adverts: u8,
    /// `false`: keepalived's `nopreempt`.
    pub preempt: bool,
    /// `preempt_delay`: how long a weaker master is let be before it is starved; zero for none.
    pub preempt_delay: Duration,
    /// An owner that listens to nobody: `owner_ignore_adverts`.
    pub ignores_adverts: bool,
    /// A master asserts itself against a weaker one. RFC 9568 has it so; `false`: `lower_prio_no_advert`.
    pub answers_lower: bool,
    /// A master sends a last advert when it hears a better one: `higher_prio_send_advert`.
    pub answers_higher: bool,
    /// The addresses of the followed master are not compared again: `skip_check_adv_addr`.
    pub trusts_master: bool,
    /// A master that comes so late that a router of this priority must have taken over steps down: `timer_expired_backup`.
    pub late_rival: Option<Priority>,
    /// How many addresses a master holds, advertised or not.
    pub addresses: u32,
    pub garp: GarpPlan,
    /// It has nobody to send to, and is at fault for that: `unicast_fault_no_peer`.
    pub lacks_peers: bool,
    /// What makes it fault, or changes its priority. Its own interface is one of these, unless `dont_track_primary`.
    pub watches: Vec<Watch>,
    /// The sync group it is a member of.
    pub group: Option<GroupId>,
}

impl InstancePlan {
    /// What keepalived makes of one that says nothing else. It has no addresses and watches nothing.
    pub fn new(interface: InterfaceId, vrid: Vrid, version: Version) -> Self {
        Self {
            interface,
            family: Family::V4,
            vrid,
            version,
            both_versions: false,
            priority: Priority::DEFAULT,
            wanted: Wanted::Backup,
            advert_int: Centis::SECOND,
            phase: None,
            down_adverts: 3,
            preempt: true,
            preempt_delay: Duration::ZERO,
            ignores_adverts: false,
            answers_lower: true,
            answers_higher: false,
            trusts_master: false,
            late_rival: None,
            addresses: 0,
            garp: GarpPlan::default(),
            lacks_peers: false,
            watches: Vec::new(),
            group: None,
        }
    }

    /// Whether an advert means the same to both, as far as the engine can tell.
    pub fn hears_like(&self, other: &Self) -> bool {
        let of = |plan: &Self| {
            let Self { version, priority, advert_int, down_adverts, preempt, preempt_delay, .. } = *plan;
            let Self { both_versions, ignores_adverts, trusts_master, group, .. } = *plan;
            let waits = (version, priority, advert_int, down_adverts, preempt, preempt_delay);
            (waits, both_versions, ignores_adverts, trusts_master, group.is_some())
        };
        of(self) == of(other)
    }

    /// When the advert after one that leaves at `now` is due: within one interval, and on the grid of its phase if it
    /// has one.
    pub fn next_advert_at(&self, now: Instant) -> Instant {
        let interval = self.advert_int.duration();
        let Some(phase) = self.phase else { return now + interval };
        let into = (now.as_nanos() + (interval - phase).as_nanos() as u64) % interval.as_nanos() as u64;
        now + (interval - Duration::from_nanos(into))
    }
}

/// keepalived `state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Master,
    Backup,
}

/// When addresses are announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GarpPlan {
    /// `garp_master_repeat`: announcements of each address in one round; default 5.
    pub repeat: u32,
    /// `garp_master_delay`: time from the first round to the second; default 5 s, zero for none.
    pub delay: Duration,
    /// `garp_lower_prio_repeat` and `garp_lower_prio_delay`: the same, when a weaker master was heard; by default the same.
    pub lower_repeat: u32,
    pub lower_delay: Duration,
    /// `garp_master_refresh`: from one to the next round of `garp_master_refresh_repeat` announcements, for as long as it
    /// is master; zero for none.
    pub refresh: Duration,
    pub refresh_repeat: u32,
    /// `garp_extra_if`
    pub extra: Option<Box<ExtraPlan>>,
}

impl Default for GarpPlan {
    fn default() -> Self {
        let (repeat, delay) = (5, Duration::from_secs(5));
        Self {
            repeat,
            delay,
            lower_repeat: repeat,
            lower_delay: delay,
            refresh: Duration::ZERO,
            refresh_repeat: 1,
            extra: None,
        }
    }
}

/// Announcements of a master's addresses that switches hear of by no advert: one of each, every so often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraPlan {
    pub every: Duration,
    /// By their numbers.
    pub addresses: Box<[u32]>,
}

/// Something whose standing an instance depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    pub subject: Subject,
    pub weight: Weight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Fails while the interface is down.
    Interface(InterfaceId),
    Tracker(TrackerId),
}

/// What a watched thing does to the priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// 0: a failure is a fault. Above: added while it succeeds. Below: added (that is, taken away) while it fails. A number
    /// in place of an outcome is multiplied by it; with 0 any but 0 is a failure.
    pub value: i16,
    /// keepalived `reverse`: what is added is taken away, and the other way round; with 0, success is the fault.
    pub reverse: bool,
}

/// A check whose outcomes are heard one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackerPlan {
    /// Successes in a row until a failed check counts as passed.
    pub rise: u32,
    /// Failures in a row until a passed check counts as failed.
    pub fall: u32,
    /// `init_fail`: it counts as failed until it was heard of; otherwise its instances wait.
    pub starts_failed: bool,
}
