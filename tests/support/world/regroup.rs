//! Reloads after which instances are in other sync groups, are others than before, or are fewer or more.

use vrrp_daemon::engine::matching::{Common, Matching, Moves};
use vrrp_daemon::engine::plan::{InstanceId, Plan};
use vrrp_daemon::engine::{Action, Input};

use super::{CHECK, INTERFACE, Pending, World, seconds};

impl World {
    /// The daemon of a router goes on by another plan, unless it is starved. Of the instances that both have, those that are
    /// not `kept` are others of the same number.
    pub fn regroup(&mut self, router: usize, plan: Plan, kept: impl Fn(usize) -> bool) {
        if self.routers[router].paused {
            return;
        }
        self.trace(router, &format!("goes on by {:?}", plan.groups));
        let (old, new) = (self.routers[router].plan.instances.len(), plan.instances.len());
        let stays = |id: usize| id < old.min(new) && kept(id);
        let matching = Matching {
            common: vec![Common { hears_alike: true, addresses: None }; new],
            instances: Moves::new(old, (0..new).map(|id| stays(id).then_some(InstanceId(id as u32))).collect()),
            interfaces: Moves::new(1, vec![Some(INTERFACE)]),
            trackers: Moves::new(plan.trackers.len(), plan.trackers.iter().map(|_| Some(CHECK)).collect()),
        };
        let (now, address) = (self.now, self.routers[router].address);
        let is_running = self.routers[router].is_running();
        let Some(machine) = self.routers[router].machine.as_mut().filter(|_| is_running) else {
            // Who has stopped is gone when it is started anew.
            (self.routers[router].plan, self.routers[router].machine) = (plan, None);
            return;
        };
        let (sources, mut left, mut done) = (vec![Some(address); new], Vec::new(), Vec::new());
        machine.engine.remove(now, &matching, &mut left);
        machine.engine.reload(now, &plan, &matching, &sources, &mut done);
        for actions in [&mut left, &mut done] {
            actions.retain(|action| !matches!(action, Action::Absorb { .. }));
        }
        let quiet = machine.quiet.reload(now, &plan, &matching, &sources);
        assert_eq!(
            quiet,
            [&left[..], &done[..]].concat(),
            "at {} router {router}: quiet mode reloads otherwise",
            seconds(now)
        );
        let verdict = machine.watcher.regrouped(now, &plan, &matching, [&left, &done], &machine.engine);
        if let Err(breach) = verdict {
            panic!("at {} router {router}, going on by {:?}: {breach}", seconds(now), plan.groups);
        }
        self.pending.retain(|_, pending| match pending {
            Pending::Settled { router: of, input: Input::Address { id, .. }, .. } => *of != router || stays(id.index()),
            _ => true,
        });
        left.into_iter().for_each(|action| self.perform(router, action));
        self.routers[router].plan = plan;
        done.into_iter().for_each(|action| self.perform(router, action));
        self.turn(router);
    }
}
