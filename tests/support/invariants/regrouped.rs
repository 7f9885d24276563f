//! What a reload may make of instances that stay, go, come, and change their sync groups.

use vrrp_common::{Claim, Instant};
use vrrp_daemon::engine::event::GroupEvent;
use vrrp_daemon::engine::matching::Matching;
use vrrp_daemon::engine::plan::{GroupId, InstanceId, Plan};
use vrrp_daemon::engine::snapshot::StateName;
use vrrp_daemon::engine::{Action, Engine, Input};

use super::{Group, Watcher, advertised, parties, subject};
use crate::rules::{Breach, Expected, backup_since, master_since, must};

/// How an instance stood before.
#[derive(Clone, Copy, PartialEq)]
enum Stood {
    Fresh,
    Serving,
    /// Its wait was over, and its sync group held it back.
    Ready,
    /// It followed or waited, or was at fault.
    Otherwise,
}

impl Watcher {
    /// It goes on by another plan. First what was done by those that go, by their old numbers, then by the rest, by the new ones.
    pub fn regrouped(
        &mut self,
        now: Instant,
        plan: &Plan,
        matching: &Matching,
        [left, done]: [&[Action]; 2],
        engine: &Engine,
    ) -> Result<(), Breach> {
        let gone: Vec<_> = matching.instances.gone().collect();
        must!(left.iter().filter_map(subject).all(|id| gone.contains(&id)), "one that stays acts like one that goes");
        for id in gone {
            let group = &mut self.groups[id.index()];
            let actions: Vec<_> = left.iter().filter(|action| subject(action) == Some(id)).collect();
            let says = actions.iter().any(|action| advertised(action) == Some(Claim::Leaving));
            must!(says == group.wishes, "group {} goes, was master: {}, says so: {says}", id.0, group.wishes);
            group.judge_actions(Input::Shutdown, &actions, false, 0, false)?;
        }
        let fresh = |id: InstanceId| Group::new(&plan.instances[id.index()]);
        self.groups = matching.instances.carry(std::mem::take(&mut self.groups), fresh);
        self.parties = parties(plan);
        let stood: Vec<_> = (0..self.groups.len()).map(|index| self.stood(index, matching)).collect();
        for (index, plan) in plan.instances.iter().enumerate() {
            let group = &mut self.groups[index];
            if group.plan.both_versions != plan.both_versions {
                group.speakers.clear();
            }
            group.plan = plan.clone();
            let alone = vec![index];
            let party = plan.group.map_or(&alone, |id| &self.parties[id.index()]).clone();
            let after = engine.snapshot(InstanceId(index as u32));
            let (group, nanos) = (&mut self.groups[index], now.as_nanos());
            let was = group.expected;
            group.expected = match (was, after.state) {
                (Expected::Master(_), StateName::Master) | (Expected::Backup(_), StateName::Backup) => was,
                (_, StateName::Master) => master_since(plan, nanos),
                (_, StateName::Backup) => Expected::Backup(backup_since(plan, nanos)),
                _ => Expected::Out,
            };
            let could = party.iter().all(|&member| stood[member] != Stood::Otherwise);
            let is_master = group.expected.is_master();
            let served = was.is_master();
            let is_well = group.expected != Expected::Out;
            must!(!served || is_master || !could || !is_well, "group {index} served, and all of its sync group could");
            let leads = party.iter().any(|&member| matches!(stood[member], Stood::Serving | Stood::Ready));
            let may = served && party.len() == 1 || could && leads;
            must!(!is_master || may || self.owners(index), "group {index} serves by a reload: {party:?}");
            let group = &mut self.groups[index];
            let actions: Vec<_> =
                done.iter().filter(|action| subject(action) == Some(InstanceId(index as u32))).collect();
            let adverts: Vec<_> = actions.iter().filter_map(|action| advertised(action)).collect();
            must!(served != is_master || adverts.is_empty(), "group {index} is what it was, and says so: {adverts:?}");
            group.judge_actions(Input::Deadline, &actions, is_master, after.effective.get(), true)?;
            group.judge_gap(nanos, &adverts, is_master)?;
            group.due = group.expected.due(plan, after.effective.get());
        }
        self.are_united(done, engine)
    }

    fn stood(&self, index: usize, matching: &Matching) -> Stood {
        match self.groups[index].expected {
            _ if matching.instances.from(InstanceId(index as u32)).is_none() => Stood::Fresh,
            Expected::Master(_) => Stood::Serving,
            expected if expected.is_ready() => Stood::Ready,
            _ => Stood::Otherwise,
        }
    }

    /// Members are in one state, and no two are told of it.
    fn are_united(&self, done: &[Action], engine: &Engine) -> Result<(), Breach> {
        for (party, id) in self.parties.iter().zip((0..).map(GroupId)) {
            let state = engine.group_state(id);
            for &member in party {
                let is = engine.snapshot(InstanceId(member as u32)).state;
                must!(is == state, "group {member} is {is:?}, another of its sync group {state:?}");
            }
            let told = |action: &&Action| matches!(action, Action::TellGroup { id: of, event: GroupEvent::Entered(_) } if *of == id);
            let told = done.iter().filter(told).count();
            must!(told <= 1, "a reload tells of a sync group {told} times");
        }
        Ok(())
    }
}
