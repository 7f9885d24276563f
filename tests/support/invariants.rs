//! What must hold after every step of a world: a second reading of RFC 9568 section 6.4, in plain numbers, that is
//! compared with what each engine did; and what must hold of a whole group once it had time to settle.

use std::collections::BTreeMap;
use std::net::IpAddr;

use vrrp_common::{Claim, Instant, Version};
use vrrp_daemon::engine::event::Level;
use vrrp_daemon::engine::plan::{InstanceId, InstancePlan, Plan, Subject, Wanted};
use vrrp_daemon::engine::snapshot::StateName;
use vrrp_daemon::engine::{Action, Announced, Engine, Heard, Input, Tenure};

use crate::world::{Nanos, Router, World};

/// What is broken, in words.
pub type Breach = String;

/// A master may be provoked to an advert this often.
const ANSWER_INTERVAL: Nanos = 10_000_000;

/// Fails with words unless the condition holds.
macro_rules! must {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err(format!($($words)+));
        }
    };
}

/// Follows one engine and knows what each input must do.
pub struct Watcher {
    address: IpAddr,
    groups: Vec<Group>,
    link_up: bool,
    stopped: bool,
}

/// One instance: its configuration, what is expected of it, and what it asked for.
struct Group {
    plan: InstancePlan,
    expected: Expected,
    /// When time alone must next change something.
    due: Nanos,
    /// Installed and not released.
    wishes: bool,
    tenure: Tenure,
    /// By address of this tenure: whether it is set, once that was answered.
    answered: Vec<Option<bool>>,
    /// When it last sent an advert, unless it was starved since.
    sent_at: Option<Nanos>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    /// Init, fault or stopped.
    Out,
    Backup {
        heard_at: Nanos,
        interval_centis: u64,
        left: bool,
    },
    Master {
        next_advert_at: Nanos,
        answered_at: Nanos,
    },
}

impl Group {
    fn interval(&self) -> Nanos {
        u64::from(self.plan.advert_int.get()) * 10_000_000
    }

    /// When a backup of this priority takes over.
    fn down_at(&self, priority: u8, heard_at: Nanos, interval_centis: u64, left: bool) -> Nanos {
        let interval = interval_centis * 10_000_000;
        let whole = if self.plan.version == Version::V2 { 1_000_000_000 } else { interval };
        let skew = whole * (256 - u64::from(priority)) / 256;
        heard_at + skew + if left { 0 } else { interval * u64::from(self.plan.down_adverts) }
    }

    fn backup_since(&self, at: Nanos) -> Expected {
        Expected::Backup { heard_at: at, interval_centis: self.plan.advert_int.get().into(), left: false }
    }

    fn backup_of(&self, at: Nanos, heard: &Heard) -> Expected {
        let learned = match self.plan.version {
            Version::V2 => self.plan.advert_int,
            Version::V3 => heard.interval,
        };
        Expected::Backup { heard_at: at, interval_centis: learned.get().into(), left: false }
    }

    fn master_since(&self, at: Nanos) -> Expected {
        Expected::Master { next_advert_at: self.next_advert(at), answered_at: at }
    }

    /// The first instant after an advert at which the next is due.
    fn next_advert(&self, at: Nanos) -> Nanos {
        let interval = self.interval();
        match self.plan.phase.map(|phase| phase.as_nanos() as Nanos) {
            None => at + interval,
            Some(phase) if at < phase => phase,
            Some(phase) => phase + ((at - phase) / interval + 1) * interval,
        }
    }
}

impl Watcher {
    pub fn new(plan: &Plan, address: IpAddr) -> Self {
        let groups = plan.instances.iter().map(|plan| Group {
            plan: plan.clone(),
            expected: Expected::Out,
            due: Nanos::MAX,
            wishes: false,
            tenure: Tenure::default(),
            answered: Vec::new(),
            sent_at: None,
        });
        Self { address, groups: groups.collect(), link_up: false, stopped: false }
    }

    /// The groups whose addresses it wishes to hold.
    pub fn masters(&self) -> impl Iterator<Item = (usize, &InstancePlan)> {
        self.groups.iter().enumerate().filter(|(_, group)| group.wishes).map(|(index, group)| (index, &group.plan))
    }

    /// A starved router could not send.
    pub fn was_paused(&mut self) {
        self.groups.iter_mut().for_each(|group| group.sent_at = None);
    }

    /// Compares what was done about one input with what the rules say.
    pub fn judge(
        &mut self,
        now: Instant,
        at: Instant,
        input: Input,
        actions: &[Action],
        engine: &Engine,
    ) -> Result<(), Breach> {
        match input {
            Input::Interface { up, .. } => self.link_up = up,
            Input::Shutdown => self.stopped = true,
            _ => {}
        }
        let mut by_group: BTreeMap<usize, Vec<&Action>> = BTreeMap::new();
        for action in actions {
            by_group.entry(subject(action).index()).or_default().push(action);
        }
        let acting: Vec<usize> = by_group.keys().copied().collect();
        let nothing_done = |index| (index, Vec::new());
        match input {
            Input::Advert(id, _) | Input::Seen(id) | Input::Source { id, .. } | Input::Address { id, .. } => {
                must!(acting.iter().all(|&index| index == id.index()), "acts for instances that did not hear");
                by_group.entry(id.index()).or_default();
            }
            Input::Interface { .. } | Input::Check { .. } | Input::Shutdown => {
                by_group.extend((0..self.groups.len()).filter(|index| !acting.contains(index)).map(nothing_done));
            }
            Input::Deadline => {
                let is_due = |index: &usize| self.groups[*index].due <= now.as_nanos() && !acting.contains(index);
                by_group.extend((0..self.groups.len()).filter(is_due).map(nothing_done));
            }
        }
        for (index, actions) in by_group {
            self.judge_group(index, now.as_nanos(), at.as_nanos(), input, &actions, engine)?;
        }
        if input == Input::Deadline {
            let due = engine.deadline().map_or(Nanos::MAX, |(due, _)| due.as_nanos());
            let latest = self.groups.iter().map(|group| group.due).min().unwrap_or(Nanos::MAX);
            must!(due > now.as_nanos(), "the deadline is not in the future");
            must!(due <= latest, "the deadline is {} ns late", due - latest);
        }
        Ok(())
    }

    /// What was done for one group.
    fn judge_group(
        &mut self,
        index: usize,
        now: Nanos,
        at: Nanos,
        input: Input,
        actions: &[&Action],
        engine: &Engine,
    ) -> Result<(), Breach> {
        let after = engine.snapshot(InstanceId(index as u32));
        let priority = after.effective.get();
        let (address, link_up, stopped) = (self.address, self.link_up, self.stopped);
        let group = &mut self.groups[index];
        let was = group.expected;
        let adverts: Vec<Claim> = actions.iter().filter_map(|action| advertised(action)).collect();

        // What the input makes of the state, by the rules.
        let expected = match (was, input) {
            (Expected::Out, Input::Interface { .. } | Input::Check { .. } | Input::Source { .. }) => {
                let owner = group.plan.priority.is_owner() && group.plan.wanted == Wanted::Master;
                match after.state {
                    StateName::Master if owner => group.master_since(at),
                    StateName::Backup if !owner => group.backup_since(at),
                    StateName::Master | StateName::Backup => return Err(format!("starts as {:?}", after.state)),
                    _ => Expected::Out,
                }
            }
            (Expected::Out, _) => Expected::Out,
            (_, Input::Shutdown) => Expected::Out,
            (was, Input::Interface { .. } | Input::Check { .. } | Input::Source { .. }) => match after.state {
                StateName::Fault => Expected::Out,
                _ => was,
            },
            // Worlds hand in every advert; quiet mode lives in the shadow.
            (was, Input::Address { .. } | Input::Seen(_)) => was,
            (Expected::Backup { heard_at, interval_centis, left }, Input::Deadline) => {
                match group.down_at(priority, heard_at, interval_centis, left) <= now {
                    true => group.master_since(now),
                    false => was,
                }
            }
            (Expected::Master { next_advert_at, answered_at }, Input::Deadline) if next_advert_at <= now => {
                let interval = group.interval();
                let passed = (now - next_advert_at) / interval + 1;
                must!(adverts.len() == 1, "{} adverts when one is due", adverts.len());
                Expected::Master { next_advert_at: next_advert_at + passed * interval, answered_at }
            }
            (Expected::Master { .. }, Input::Deadline) => {
                must!(adverts.is_empty(), "an advert before it is due");
                was
            }
            (was, Input::Advert(_, heard)) if heard.source == address => was,
            (Expected::Backup { heard_at, interval_centis, left }, Input::Advert(_, heard)) => match heard.claim {
                Claim::Leaving => {
                    let sooner = group.down_at(priority, at, interval_centis, true)
                        < group.down_at(priority, heard_at, interval_centis, left);
                    match sooner && at >= heard_at {
                        true => Expected::Backup { heard_at: at, interval_centis, left: true },
                        false => was,
                    }
                }
                Claim::Serving(theirs) => {
                    let preempts = group.plan.preempt || priority == 255;
                    match preempts && theirs.get() < priority {
                        true => was,
                        false => group.backup_of(at.max(heard_at), &heard),
                    }
                }
            },
            (Expected::Master { next_advert_at, answered_at }, Input::Advert(_, heard)) => {
                let theirs = heard.claim.octet();
                if theirs > priority || (theirs == priority && octets(heard.source) > octets(address)) {
                    group.backup_of(at, &heard)
                } else {
                    let limited = at.saturating_sub(answered_at) < ANSWER_INTERVAL;
                    must!(adverts.len() == usize::from(!limited), "{} answers to a weaker advert", adverts.len());
                    let answered_at = if limited { answered_at } else { at };
                    let restarts = theirs == 0 && !limited;
                    let next_advert_at = if restarts { group.next_advert(at) } else { next_advert_at };
                    Expected::Master { next_advert_at, answered_at }
                }
            }
        };
        group.expected = expected;

        let is = match after.state {
            StateName::Backup => "backup",
            StateName::Master => "master",
            StateName::Init | StateName::Fault | StateName::Stop => "out",
        };
        let must_be = match expected {
            Expected::Out => "out",
            Expected::Backup { .. } => "backup",
            Expected::Master { .. } => "master",
        };
        must!(is == must_be, "group {index} is {is} and must be {must_be}, from {was:?}");
        if stopped || !link_up && watches_link(&group.plan) {
            must!(is == "out", "group {index} is {is} with its link down or its daemon stopped");
        }
        group.judge_actions(input, actions, is == "master", priority)?;
        group.judge_gap(now, &adverts, is == "master")?;

        group.due = match expected {
            Expected::Out => Nanos::MAX,
            Expected::Backup { heard_at, interval_centis, left } => {
                group.down_at(priority, heard_at, interval_centis, left)
            }
            Expected::Master { next_advert_at, .. } => next_advert_at,
        };
        Ok(())
    }
}

impl Group {
    /// Whether the actions are such as a router in its place may ask for, and in their order.
    fn judge_actions(
        &mut self,
        input: Input,
        actions: &[&Action],
        is_master: bool,
        priority: u8,
    ) -> Result<(), Breach> {
        if let Input::Address { tenure, address, installed, .. } = input
            && tenure == self.tenure
            && let Some(answer) = self.answered.get_mut(address as usize)
        {
            *answer = Some(installed);
        }
        let (mut served, mut left) = (false, false);
        for action in actions {
            match **action {
                Action::Advertise { claim: Claim::Serving(theirs), .. } => {
                    must!(is_master, "advertises and is not master");
                    must!(theirs.get() == priority, "advertises {theirs} with priority {priority}");
                    served = true;
                }
                Action::Advertise { claim: Claim::Leaving, .. } => {
                    must!(self.wishes, "leaves and was not master");
                    left = true;
                }
                Action::Absorb { .. } => {}
                Action::Install { tenure, .. } => {
                    must!(!self.wishes, "installs twice");
                    must!(served, "installs before it advertises");
                    must!(tenure != self.tenure, "a tenure like the one before");
                    self.wishes = true;
                    self.tenure = tenure;
                    self.answered = vec![None; self.plan.addresses as usize];
                }
                Action::Release { .. } => {
                    must!(self.wishes, "releases what it does not hold");
                    let yields = matches!(input, Input::Advert(..));
                    must!(left || yields, "releases and tells nobody");
                    self.wishes = false;
                    self.answered.clear();
                }
                Action::Announce { addresses: Announced::All, .. } => {
                    must!(self.wishes, "announces and is not master");
                    must!(self.answered.iter().all(Option::is_some), "announces what is not set yet");
                }
                Action::Announce { addresses: Announced::One(address), .. } => {
                    must!(self.wishes, "announces and is not master");
                    let set = self.answered.get(address as usize) == Some(&Some(true));
                    must!(set, "announces address {address}, which is not set");
                }
                Action::Tell { event, .. } => {
                    let failed = matches!(input, Input::Address { installed: false, .. });
                    must!(event.level() != Level::Error || failed, "tells of an error: {event}");
                }
            }
        }
        must!(self.wishes == is_master, "is master: {is_master}; wishes to hold its addresses: {}", self.wishes);
        Ok(())
    }

    /// A master that is not starved is never silent for longer than its interval and the lateness of its host.
    fn judge_gap(&mut self, now: Nanos, adverts: &[Claim], is_master: bool) -> Result<(), Breach> {
        if !is_master {
            self.sent_at = None;
        } else if !adverts.is_empty() {
            if let Some(sent_at) = self.sent_at {
                // A host may be late by half an interval in the worlds that are judged.
                let longest = self.interval() + self.interval() / 2;
                must!(now - sent_at <= longest, "a master was silent for {} us", (now - sent_at) / 1000);
            }
            self.sent_at = Some(now);
        }
        Ok(())
    }
}

fn watches_link(plan: &InstancePlan) -> bool {
    plan.watches.iter().any(|watch| watch.subject == Subject::Interface(plan.interface) && watch.weight.value == 0)
}

fn subject(action: &Action) -> InstanceId {
    match *action {
        Action::Advertise { id, .. }
        | Action::Install { id, .. }
        | Action::Release { id }
        | Action::Announce { id, .. }
        | Action::Absorb { id, .. }
        | Action::Tell { id, .. } => id,
    }
}

fn advertised(action: &Action) -> Option<Claim> {
    match *action {
        Action::Advertise { claim, .. } => Some(claim),
        _ => None,
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Of a world at rest: each connected part of each group has exactly one master, and it is a right one.
pub fn settled(world: &World) -> Result<Vec<usize>, Breach> {
    let mut found = Vec::new();
    for group in 0..world.groups() {
        for side in 0..=u8::MAX {
            let here: Vec<usize> =
                (0..world.routers.len()).filter(|&router| world.routers[router].side == side).collect();
            if here.is_empty() {
                break;
            }
            let able: Vec<usize> =
                here.iter().copied().filter(|&router| is_able(&world.routers[router], group)).collect();
            let masters: Vec<usize> =
                here.iter().copied().filter(|&router| world.routers[router].is_master(group)).collect();
            must!(masters.len() == able.len().min(1), "group {group}: {able:?} could serve, {masters:?} do");
            for &master in &masters {
                must!(able.contains(&master), "group {group}: router {master} serves and is not able to");
                let serves = effective(&world.routers[master], group);
                for &router in &able {
                    let weighs = effective(&world.routers[router], group);
                    let believed = world.routers[router].snapshot(group).map(|it| it.effective.get());
                    must!(believed == Some(weighs), "group {group}: router {router} weighs {weighs}, not {believed:?}");
                    let preempts = world.routers[router].plan.instances[group].preempt || weighs == 255;
                    must!(
                        !(preempts && weighs > serves),
                        "group {group}: router {master} of {serves} serves, {router} of {weighs} does not"
                    );
                }
            }
            found.extend(masters);
        }
    }
    Ok(found)
}

/// Whether nothing keeps the router from serving.
fn is_able(router: &Router, group: usize) -> bool {
    let faulty = router.plan.instances[group].watches.iter().any(|watch| {
        let well = match watch.subject {
            Subject::Interface(_) => router.link_up,
            Subject::Tracker(_) => router.passing,
        };
        watch.weight.value == 0 && well == watch.weight.reverse
    });
    router.is_running() && !router.paused && !faulty
}

/// What its checks make of the priority, from what they truly find.
fn effective(router: &Router, group: usize) -> u8 {
    let plan = &router.plan.instances[group];
    if plan.priority.get() == 255 {
        return 255;
    }
    let mut sum = i32::from(plan.priority.get());
    for watch in plan.watches.iter().filter(|watch| matches!(watch.subject, Subject::Tracker(_))) {
        let value = i32::from(watch.weight.value);
        let well = router.passing != watch.weight.reverse;
        sum += if well { value.max(0) } else { value.min(0) };
    }
    sum.clamp(1, 254) as u8
}
