//! What must hold after every step of a world: what each engine did is compared with a second reading of the rules; and
//! what must hold of a whole group once it had time to settle.

mod regrouped;

use std::collections::BTreeMap;
use std::net::IpAddr;

use vrrp_common::{Claim, Instant, Version};
use vrrp_daemon::engine::event::{Event, GroupEvent, Level};
use vrrp_daemon::engine::plan::{GroupId, GroupPlan, InstanceId, InstancePlan, Plan, Subject, Wanted};
use vrrp_daemon::engine::snapshot::StateName;
use vrrp_daemon::engine::{Action, Announced, Engine, Heard, Input, Tenure};

use crate::rules::{self, Breach, Expected, Scene, backup_since, interval, master_since, must};
use crate::world::{Nanos, Router, World};

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
    /// Who was heard in version 3, when, and with which interval in centiseconds.
    speakers: BTreeMap<IpAddr, (Nanos, u64)>,
}

impl Watcher {
    pub fn new(plan: &Plan, address: IpAddr) -> Self {
        let groups = plan.instances.iter().map(Group::new);
        Self { address, groups: groups.collect(), parties: parties(plan), link_up: false, stopped: false }
    }

    /// How many instances it follows.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The groups whose addresses it wishes to hold.
    pub fn masters(&self) -> impl Iterator<Item = (usize, &InstancePlan)> {
        self.groups.iter().enumerate().filter(|(_, group)| group.wishes).map(|(index, group)| (index, &group.plan))
    }

    /// It goes on by another plan of the same instances.
    pub fn reloaded(&mut self, plan: &Plan, engine: &Engine) {
        for (group, (plan, id)) in self.groups.iter_mut().zip(plan.instances.iter().zip((0..).map(InstanceId))) {
            group.plan = plan.clone();
            group.due = group.expected.due(plan, engine.snapshot(id).effective.get());
        }
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
            Input::NoInterface(_) => self.link_up = false,
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
            Input::Advert(id, _)
            | Input::Seen(id)
            | Input::Announce(id)
            | Input::Source { id, .. }
            | Input::Address { id, .. } => {
                let mut concerned = vec![id.index()];
                if let Some(sync) = self.groups[id.index()].plan.group {
                    concerned.clone_from(&self.parties[sync.index()]);
                }
                must!(acting.iter().all(|index| concerned.contains(index)), "acts for instances that did not hear");
                by_group.extend(concerned.into_iter().filter(|index| !acting.contains(index)).map(nothing_done));
            }
            Input::Interface { .. }
            | Input::NoInterface(_)
            | Input::Check { .. }
            | Input::Value { .. }
            | Input::Shutdown => {
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
        let adverts: Vec<Claim> = actions.iter().filter_map(|action| advertised(action)).collect();
        let for_it = match input {
            Input::Advert(id, heard) if id.index() == index => {
                heard.source == self.address || !self.groups[index].is_repetition(at, after.effective.get(), &heard)
            }
            _ => false,
        };
        let scene = Scene {
            address: self.address,
            priority: after.effective.get(),
            after: after.state,
            owner: self.owners(index),
            now,
            at,
            input,
            for_it,
            adverts: &adverts,
        };
        let group = &mut self.groups[index];
        group.expected = rules::expect(&group.plan, group.expected, &scene)?;
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
        let must_be = expected.word();
        must!(is == must_be, "group {index} is {is} and must be {must_be}, from {was:?}");
        if stopped || !link_up && watches_link(&group.plan) {
            must!(is == "out", "group {index} is {is} with its link down or its daemon stopped");
        }
        let came_late = |action: &&Action| matches!(action, Action::Tell { event: Event::CameTooLate { .. }, .. });
        let hears = matches!(input, Input::Advert(id, _) if id.index() == index);
        let yields = hears || actions.iter().any(came_late);
        group.judge_actions(input, actions, is == "master", priority, yields)?;
        group.judge_gap(now, &adverts, is == "master")?;

        group.due = expected.due(&group.plan, priority);
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
            let is_ready = |&index: &usize| groups[index].expected.is_ready();
            let yielded = |&index: &usize| {
                before.get(&index).is_some_and(Expected::is_master)
                    && matches!(groups[index].expected, Expected::Backup(_))
            };
            if party.iter().any(yielded) {
                for &index in party {
                    if groups[index].expected.is_master() {
                        groups[index].expected = Expected::Backup(backup_since(&groups[index].plan, at));
                    }
                }
            } else if party.iter().all(is_ready) {
                party.iter().for_each(|&index| groups[index].expected = master_since(&groups[index].plan, now));
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

/// Members of sync groups.
fn parties(plan: &Plan) -> Vec<Vec<usize>> {
    let members = |group: &GroupPlan| group.members.iter().map(|id| id.index()).collect();
    plan.groups.iter().map(members).collect()
}

impl Group {
    fn new(plan: &InstancePlan) -> Self {
        Self {
            plan: plan.clone(),
            expected: Expected::Out,
            due: Nanos::MAX,
            wishes: false,
            tenure: Tenure::default(),
            answered: Vec::new(),
            sent_at: None,
            speakers: BTreeMap::new(),
        }
    }

    /// With both versions (RFC 9568 section 8.4): whether a router that was heard in version 3, so lately that the next would
    /// still be waited for, says the same in version 2.
    fn is_repetition(&mut self, at: Nanos, priority: u8, heard: &Heard) -> bool {
        let listens = !matches!(self.expected, Expected::Out) && !self.plan.ignores_adverts;
        if !self.plan.both_versions || !listens {
            return false;
        }
        let known = self.speakers.get(&heard.source).copied();
        if heard.version == Version::V3 {
            let heard_at = known.map_or(at, |(before, _)| before.max(at));
            self.speakers.insert(heard.source, (heard_at, heard.interval.get().into()));
            return false;
        }
        let adverts = self.plan.down_adverts.into();
        known.is_some_and(|(heard_at, interval)| at < heard_at + rules::down(&self.plan, priority, interval, adverts))
    }

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
                    // A last one before it yields, or in time before its sync group does.
                    let synced = input == Input::Deadline && self.plan.group.is_some();
                    let last = self.wishes && (yields && self.plan.answers_higher || synced);
                    must!(is_master || last, "advertises and is not master");
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
                    let answer = self.answered.get(address as usize).copied().flatten();
                    let again = self.plan.garp.extra.as_ref().is_some_and(|extra| extra.addresses.contains(&address));
                    must!(
                        answer == Some(true) || again && answer.is_some(),
                        "announces address {address}, which is not set"
                    );
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
                let longest = interval(&self.plan) * 3 / 2;
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
                for other in (0..rest.len()).filter(|&other| together(other)) {
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
    let Some(sync) = router.plan.instances.get(group).map(|plan| plan.group) else { return false };
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
        let counts = router.passing == (value > 0);
        sum += match (counts, watch.weight.reverse) {
            (false, _) => 0,
            (true, false) => value,
            (true, true) => -value,
        };
    }
    sum.clamp(1, 254) as u8
}
