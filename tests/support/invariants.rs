//! What must hold after every step of a world: a second reading of RFC 9568 section 6.4, in plain numbers, that is
//! compared with what each engine did; and what must hold of a whole group once it had time to settle.

use std::collections::BTreeMap;
use std::net::IpAddr;

use vrrp_common::{Claim, Instant, Version};
use vrrp_daemon::engine::event::{GroupEvent, Level};
use vrrp_daemon::engine::plan::{GroupId, GroupPlan, InstanceId, InstancePlan, Plan, Subject, Wanted};
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
    /// Members of sync groups.
    parties: Vec<Vec<usize>>,
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
        wait: Wait,
    },
    Master {
        next_advert_at: Nanos,
        answered_at: Nanos,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Wait {
    Down,
    /// The master left.
    Skew,
    /// Over; the others of its sync group wait on.
    Over,
}

impl Group {
    fn interval(&self) -> Nanos {
        u64::from(self.plan.advert_int.get()) * 10_000_000
    }

    /// When a backup of this priority takes over.
    fn down_at(&self, priority: u8, heard_at: Nanos, interval_centis: u64, wait: Wait) -> Nanos {
        let interval = interval_centis * 10_000_000;
        let whole = if self.plan.version == Version::V2 { 1_000_000_000 } else { interval };
        let skew = whole * (256 - u64::from(priority)) / 256;
        match wait {
            Wait::Down => heard_at + skew + interval * u64::from(self.plan.down_adverts),
            Wait::Skew => heard_at + skew,
            Wait::Over => Nanos::MAX,
        }
    }

    fn backup_since(&self, at: Nanos) -> Expected {
        Expected::Backup { heard_at: at, interval_centis: self.plan.advert_int.get().into(), wait: Wait::Down }
    }

    fn backup_of(&self, at: Nanos, heard: &Heard) -> Expected {
        let learned = match self.plan.version {
            Version::V2 => self.plan.advert_int,
            Version::V3 => heard.interval,
        };
        Expected::Backup { heard_at: at, interval_centis: learned.get().into(), wait: Wait::Down }
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
        let members = |group: &GroupPlan| group.members.iter().map(|id| id.index()).collect();
        let parties = plan.groups.iter().map(members).collect();
        Self { address, groups: groups.collect(), parties, link_up: false, stopped: false }
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
            if let Some(id) = subject(action) {
                by_group.entry(id.index()).or_default().push(action);
            }
        }
        let acting: Vec<usize> = by_group.keys().copied().collect();
        let nothing_done = |index| (index, Vec::new());
        match input {
            Input::Advert(id, _) | Input::Seen(id) | Input::Source { id, .. } | Input::Address { id, .. } => {
                let mut concerned = vec![id.index()];
                if let Some(sync) = self.groups[id.index()].plan.group {
                    concerned.clone_from(&self.parties[sync.index()]);
                }
                must!(acting.iter().all(|index| concerned.contains(index)), "acts for instances that did not hear");
                by_group.extend(concerned.into_iter().filter(|index| !acting.contains(index)).map(nothing_done));
            }
            Input::Interface { .. } | Input::Check { .. } | Input::Shutdown => {
                by_group.extend((0..self.groups.len()).filter(|index| !acting.contains(index)).map(nothing_done));
            }
            Input::Deadline => {
                let is_due = |index: &usize| self.groups[*index].due <= now.as_nanos() && !acting.contains(index);
                by_group.extend((0..self.groups.len()).filter(is_due).map(nothing_done));
            }
        }
        let (now_nanos, at_nanos) = (now.as_nanos(), at.as_nanos());
        let before: BTreeMap<_, _> = by_group.keys().map(|&index| (index, self.groups[index].expected)).collect();
        for (&index, actions) in &by_group {
            self.expect(index, now_nanos, at_nanos, input, actions, engine)?;
        }
        self.sync(&before, now_nanos, at_nanos);
        for (index, actions) in by_group {
            self.judge_group(index, before[&index], now_nanos, input, &actions, engine)?;
        }
        self.judge_sync(&before, actions, engine)?;
        if input == Input::Deadline {
            let due = engine.deadline().map_or(Nanos::MAX, |(due, _)| due.as_nanos());
            let latest = self.groups.iter().map(|group| group.due).min().unwrap_or(Nanos::MAX);
            must!(due > now.as_nanos(), "the deadline is not in the future");
            must!(due <= latest, "the deadline is {} ns late", due - latest);
        }
        Ok(())
    }

    /// What an input makes of the state of one group, by the rules, if it were alone.
    fn expect(
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
        let (address, owners) = (self.address, self.owners(index));
        let group = &mut self.groups[index];
        let was = group.expected;
        let adverts: Vec<Claim> = actions.iter().filter_map(|action| advertised(action)).collect();

        group.expected = match (was, input) {
            (Expected::Out, Input::Interface { .. } | Input::Check { .. } | Input::Source { .. }) => {
                match after.state {
                    StateName::Master if owners => group.master_since(at),
                    StateName::Backup if !owners => group.backup_since(at),
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
            (Expected::Backup { heard_at, interval_centis, wait }, Input::Deadline) => {
                match group.down_at(priority, heard_at, interval_centis, wait) <= now {
                    true if group.plan.group.is_none() => group.master_since(now),
                    true => Expected::Backup { heard_at, interval_centis, wait: Wait::Over },
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
            (was, Input::Advert(id, _)) if id.index() != index => was,
            (Expected::Backup { heard_at, interval_centis, wait }, Input::Advert(_, heard)) => match heard.claim {
                Claim::Leaving => {
                    let sooner = group.down_at(priority, at, interval_centis, Wait::Skew)
                        < group.down_at(priority, heard_at, interval_centis, wait);
                    match wait == Wait::Down && sooner && at >= heard_at {
                        true => Expected::Backup { heard_at: at, interval_centis, wait: Wait::Skew },
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
        Ok(())
    }

    /// What is done for one group, which was expected to be so before.
    fn judge_group(
        &mut self,
        index: usize,
        was: Expected,
        now: Nanos,
        input: Input,
        actions: &[&Action],
        engine: &Engine,
    ) -> Result<(), Breach> {
        let after = engine.snapshot(InstanceId(index as u32));
        let priority = after.effective.get();
        let (link_up, stopped) = (self.link_up, self.stopped);
        let group = &mut self.groups[index];
        let expected = group.expected;
        let adverts: Vec<Claim> = actions.iter().filter_map(|action| advertised(action)).collect();
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
        let yields = matches!(input, Input::Advert(id, _) if id.index() == index);
        group.judge_actions(input, actions, is == "master", priority, yields)?;
        group.judge_gap(now, &adverts, is == "master")?;

        group.due = match expected {
            Expected::Out => Nanos::MAX,
            Expected::Backup { heard_at, interval_centis, wait } => {
                group.down_at(priority, heard_at, interval_centis, wait)
            }
            Expected::Master { next_advert_at, .. } => next_advert_at,
        };
        Ok(())
    }
}

/// Sync groups: `vrrp_sync_group` as keepalived does it.
impl Watcher {
    /// Whether it serves at once: an owner, all of its sync group being owners.
    fn owners(&self, index: usize) -> bool {
        let is_owner = |index: usize| {
            let plan = &self.groups[index].plan;
            plan.priority.is_owner() && plan.wanted == Wanted::Master
        };
        let party = self.groups[index].plan.group.map(|id| &self.parties[id.index()]);
        is_owner(index) && party.is_none_or(|party| party.iter().all(|&index| is_owner(index)))
    }

    /// What became of one becomes of all.
    fn sync(&mut self, before: &BTreeMap<usize, Expected>, now: Nanos, at: Nanos) {
        let groups = &mut self.groups;
        for party in &self.parties {
            let is_ready = |&index: &usize| matches!(groups[index].expected, Expected::Backup { wait: Wait::Over, .. });
            let yielded = |&index: &usize| {
                matches!(before.get(&index), Some(Expected::Master { .. }))
                    && matches!(groups[index].expected, Expected::Backup { .. })
            };
            if party.iter().any(yielded) {
                for &index in party {
                    if matches!(groups[index].expected, Expected::Master { .. }) {
                        groups[index].expected = groups[index].backup_since(at);
                    }
                }
            } else if party.iter().all(is_ready) {
                party.iter().for_each(|&index| groups[index].expected = groups[index].master_since(now));
            }
        }
    }

    /// Members are in one state, and a change of it is told once.
    fn judge_sync(
        &self,
        before: &BTreeMap<usize, Expected>,
        actions: &[Action],
        engine: &Engine,
    ) -> Result<(), Breach> {
        let kind = |expected: &Expected| std::mem::discriminant(expected);
        for (party, id) in self.parties.iter().zip((0..).map(GroupId)) {
            let state = engine.group_state(id);
            for &member in party {
                let is = engine.snapshot(InstanceId(member as u32)).state;
                must!(is == state, "group {member} is {is:?}, another of its sync group {state:?}");
            }
            let told = actions.iter().filter_map(|action| match action {
                Action::TellGroup { id: of, event: GroupEvent::Entered(state) } if *of == id => Some(*state),
                _ => None,
            });
            let told: Vec<_> = told.collect();
            let first = party[0];
            let moved = before.get(&first).is_some_and(|was| kind(was) != kind(&self.groups[first].expected));
            must!(!moved || told == [state], "a sync group has become {state:?}, and {told:?} is told");
            must!(told.len() <= 1, "of a sync group {told:?} are told at once");
        }
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
        yields: bool,
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
                Action::TellGroup { .. } => {}
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

fn subject(action: &Action) -> Option<InstanceId> {
    match *action {
        Action::TellGroup { .. } => None,
        Action::Advertise { id, .. }
        | Action::Install { id, .. }
        | Action::Release { id }
        | Action::Announce { id, .. }
        | Action::Absorb { id, .. }
        | Action::Tell { id, .. } => Some(id),
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
                let rest = &world.routers[master].plan.instances;
                let together = |other: usize| rest[other].group.is_some() && rest[other].group == rest[group].group;
                for other in (0..world.groups()).filter(|&other| together(other)) {
                    must!(world.routers[master].is_master(other), "router {master} serves {group} and not {other}");
                }
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

/// Whether nothing keeps the router from serving, nor the others of its sync group.
fn is_able(router: &Router, group: usize) -> bool {
    let sync = router.plan.instances[group].group;
    let with_it = router.plan.instances.iter().filter(|plan| sync.is_some() && plan.group == sync);
    let party = with_it.chain(std::iter::once(&router.plan.instances[group]));
    let faulty = party.flat_map(|plan| &plan.watches).any(|watch| {
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
