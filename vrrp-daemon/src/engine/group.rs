//! Sync groups (keepalived `vrrp_sync_group`): instances that change state together, as firewalls and routers need it.
//!
//! A group has no state of its own: after every input its members are in the same one. They are at fault when one of them
//! is. They serve when all could, since one that hears a better master would lose its part at once; so the group prefers
//! to be backup. One that must yield takes all with it.

use vrrp_common::Instant;

use super::event::GroupEvent;
use super::instance::Instance;
use super::plan::{GroupId, InstanceId};
use super::snapshot::StateName;
use super::tracking::{Fault, Standing, Surroundings};
use super::{Action, Due, Engine, Out};

#[derive(Clone, Debug)]
pub struct Group {
    /// One or more.
    members: Vec<InstanceId>,
    /// Who was last found not to be ready: whoever asks again starts there, and not at the beginning each time.
    holdout: usize,
}

impl Group {
    pub const fn new(members: Vec<InstanceId>) -> Self {
        Self { members, holdout: 0 }
    }

    pub fn state(&self, instances: &[Instance]) -> StateName {
        self.members.first().map_or(StateName::Init, |first| instances[first.index()].state())
    }

    fn states(&self, instances: &[Instance]) -> impl Iterator<Item = StateName> {
        self.members.iter().map(|id| instances[id.index()].state())
    }

    /// Since when the waits of all are over.
    fn ready_at(&mut self, instances: &[Instance]) -> Option<Instant> {
        let from = self.holdout;
        let ready_at = |place: usize| instances[self.members[place].index()].ready_at();
        match (from..self.members.len()).chain(0..from).find(|&place| ready_at(place).is_none()) {
            Some(holdout) => {
                self.holdout = holdout;
                None
            }
            None => (0..self.members.len()).filter_map(ready_at).max(),
        }
    }

    /// How all of them stand: at fault with any, waiting with any. The priority is each one's own.
    fn standing(&self, instances: &[Instance], surroundings: &Surroundings) -> GroupStanding {
        let mut whole = GroupStanding::Ready;
        for id in &self.members {
            match instances[id.index()].standing(surroundings) {
                Standing::Faulty(_) => return GroupStanding::Faulty,
                Standing::Waiting => whole = GroupStanding::Waiting,
                Standing::Ready(_) => {}
            }
        }
        whole
    }
}

enum GroupStanding {
    Waiting,
    Faulty,
    Ready,
}

impl Engine {
    /// What an input to one instance, which was in this state before, makes of the rest of its group.
    pub(super) fn follow(&mut self, now: Instant, id: InstanceId, before: StateName, out: &mut Vec<Action>) {
        let instance = &self.instances[id.index()];
        let Some(group) = instance.group() else { return };
        if instance.state() != StateName::Backup {
            return;
        }
        if before == StateName::Master {
            self.lead(group, id, StateName::Backup, |instance, out| instance.step_back(now, out), out);
        } else if instance.ready_at().is_some()
            && let Some(due) = self.groups[group.index()].ready_at(&self.instances)
        {
            self.lead(
                group,
                id,
                StateName::Master,
                |instance, out| instance.take_over(now, Due::Takeover(due), out),
                out,
            );
        }
    }

    /// One member goes, the others follow.
    fn lead(
        &mut self,
        group: GroupId,
        first: InstanceId,
        state: StateName,
        go: impl Fn(&mut Instance, &mut Out),
        out: &mut Vec<Action>,
    ) {
        self.with(first, out, &go);
        let members = self.groups[group.index()].members.len();
        if members > 1 {
            out.push(Action::TellGroup { id: group, event: GroupEvent::Syncs(state) });
        }
        for place in 0..members {
            let id = self.groups[group.index()].members[place];
            if id != first {
                self.with(id, out, &go);
            }
        }
        out.push(Action::TellGroup { id: group, event: GroupEvent::Entered(state) });
    }

    /// Lets a group see its surroundings after a change.
    pub(super) fn settle_group(&mut self, now: Instant, id: GroupId, out: &mut Vec<Action>) {
        let group = &self.groups[id.index()];
        let all = |states: &[StateName]| group.states(&self.instances).all(|state| states.contains(&state));
        match group.standing(&self.instances, &self.surroundings) {
            _ if all(&[StateName::Stop]) => {}
            GroupStanding::Waiting => {}
            GroupStanding::Faulty if all(&[StateName::Fault]) => {}
            GroupStanding::Faulty => self.fail_group(now, id, out),
            GroupStanding::Ready if all(&[StateName::Init, StateName::Fault]) => self.start_group(now, id, out),
            GroupStanding::Ready if all(&[StateName::Backup]) || all(&[StateName::Master]) => {
                self.each_stands(now, id, out);
                self.serve_if_ready(id, now, out);
            }
            GroupStanding::Ready => self.unite_group(now, id, out),
        }
    }

    /// After a reload: a member that had left it was all that it waited for.
    fn serve_if_ready(&mut self, id: GroupId, now: Instant, out: &mut Vec<Action>) {
        let first = self.groups[id.index()].members[0];
        if self.groups[id.index()].ready_at(&self.instances).is_some() {
            self.lead(id, first, StateName::Master, |instance, out| instance.take_over(now, Due::Now, out), out);
        }
    }

    /// Makes one of those who came together by a reload. Who is new here serves with the others, and so does who was held back
    /// by another group alone; where one of them knew a better master, or was at fault, none does.
    fn unite_group(&mut self, now: Instant, id: GroupId, out: &mut Vec<Action>) {
        let members = self.groups[id.index()].members.clone();
        let in_state = |engine: &Self, state| {
            let is_in = |member: &&InstanceId| engine.instances[member.index()].state() == state;
            members.iter().find(is_in).copied()
        };
        let master = in_state(self, StateName::Master);
        let follows = |member: &InstanceId| {
            let instance = &self.instances[member.index()];
            instance.state() == StateName::Backup && instance.ready_at().is_none()
        };
        let serves = !members.iter().any(follows) && in_state(self, StateName::Fault).is_none();
        self.each_stands(now, id, out);
        match master {
            Some(master) if !serves => {
                self.lead(id, master, StateName::Backup, |instance, out| instance.step_back(now, out), out);
            }
            Some(master) => {
                self.lead(id, master, StateName::Master, |instance, out| instance.take_over(now, Due::Now, out), out);
            }
            None => {}
        }
    }

    /// Those at fault first, then those who follow.
    fn fail_group(&mut self, now: Instant, id: GroupId, out: &mut Vec<Action>) {
        let is_faulty = |engine: &Self, id: InstanceId| {
            matches!(engine.instances[id.index()].standing(&engine.surroundings), Standing::Faulty(_))
        };
        let members = self.groups[id.index()].members.clone();
        let (faulty, well): (Vec<_>, Vec<_>) = members.into_iter().partition(|&id| is_faulty(self, id));
        for member in faulty {
            let standing = self.instances[member.index()].standing(&self.surroundings);
            self.with(member, out, |instance, out| instance.settle(now, standing, out));
        }
        if !well.is_empty() {
            out.push(Action::TellGroup { id, event: GroupEvent::Syncs(StateName::Fault) });
        }
        for member in well {
            self.with(member, out, |instance, out| instance.settle(now, Standing::Faulty(Fault::Member), out));
        }
        out.push(Action::TellGroup { id, event: GroupEvent::Entered(StateName::Fault) });
    }

    /// FSM-I1, FSM-I2: it serves at once only if each member would.
    fn start_group(&mut self, now: Instant, id: GroupId, out: &mut Vec<Action>) {
        let members = self.groups[id.index()].members.clone();
        let serves = members.iter().all(|member| self.instances[member.index()].is_owner());
        let state = if serves { StateName::Master } else { StateName::Backup };
        let mut returns = self.group_state(id) == StateName::Fault && members.len() > 1;
        for member in members {
            if let Standing::Ready(priority) = self.instances[member.index()].standing(&self.surroundings) {
                self.with(member, out, |instance, out| instance.start(now, priority, serves, out));
            }
            if std::mem::take(&mut returns) {
                out.push(Action::TellGroup { id, event: GroupEvent::Syncs(state) });
            }
        }
        out.push(Action::TellGroup { id, event: GroupEvent::Entered(state) });
    }

    /// Each has its own priority.
    fn each_stands(&mut self, now: Instant, id: GroupId, out: &mut Vec<Action>) {
        for place in 0..self.groups[id.index()].members.len() {
            let member = self.groups[id.index()].members[place];
            let standing = self.instances[member.index()].standing(&self.surroundings);
            self.with(member, out, |instance, out| instance.settle(now, standing, out));
        }
    }

    /// FSM-A1, FSM-B1: everybody leaves; of each group that is told last.
    pub(super) fn stop(&mut self, now: Instant, out: &mut Vec<Action>) {
        let groups = (0..self.groups.len() as u32).map(GroupId);
        let stopping: Vec<_> = groups.filter(|&id| self.group_state(id) != StateName::Stop).collect();
        for index in 0..self.instances.len() {
            self.with(InstanceId(index as u32), out, |instance, out| instance.stop(now, out));
        }
        let event = GroupEvent::Entered(StateName::Stop);
        out.extend(stopping.into_iter().map(|id| Action::TellGroup { id, event }));
    }
}
