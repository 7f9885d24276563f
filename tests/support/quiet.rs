//! A second engine in the shadow of a first, fed as in quiet mode: adverts that say nothing new are not handed in, only
//! when they were last seen. It must do what the first does, at the same instants.

use std::net::IpAddr;

use vrrp_common::Instant;
use vrrp_daemon::engine::matching::Matching;
use vrrp_daemon::engine::plan::{InstanceId, Plan};
use vrrp_daemon::engine::{Action, Engine, Heard, Input};

/// The engine in the shadow, and what a kernel would hold for it.
pub struct Quiet {
    engine: Engine,
    /// By instance: the advert whose like is absorbed.
    expected: Vec<Option<Heard>>,
    /// By instance: when such a one last arrived.
    last_seen: Vec<Option<Instant>>,
    /// The advert being handed in, for what [`Action::Absorb`] is about.
    heard: Option<Heard>,
    pub absorbed: u64,
}

impl Quiet {
    pub fn new(plan: &Plan, now: Instant) -> Self {
        let count = plan.instances.len();
        let (expected, last_seen) = (vec![None; count], vec![None; count]);
        Self { engine: Engine::new(plan, now), expected, last_seen, heard: None, absorbed: 0 }
    }

    /// Takes what the first engine takes; returns the actions, without those about absorbing.
    pub fn handle(&mut self, now: Instant, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::Advert(id, heard) if self.expected[id.index()] == Some(heard) => {
                let seen = &mut self.last_seen[id.index()];
                *seen = (*seen).max(Some(now));
                self.absorbed += 1;
                return actions;
            }
            Input::Advert(id, heard) => {
                self.see(id);
                self.heard = Some(heard);
            }
            Input::Deadline => {
                let mut waiting = Vec::new();
                self.engine.waiting(now, &mut waiting);
                waiting.into_iter().for_each(|id| self.see(id));
            }
            _ => {}
        }
        self.engine.handle(now, input, &mut actions);
        actions.retain(|action| match *action {
            Action::Absorb { id, on } => {
                self.expected[id.index()] = self.heard.filter(|_| on);
                if !on {
                    self.see(id);
                }
                false
            }
            _ => true,
        });
        actions
    }

    /// Goes on by another plan; returns the actions, without those about absorbing. Those that stay keep their numbers.
    pub fn reload(
        &mut self,
        now: Instant,
        plan: &Plan,
        matching: &Matching,
        sources: &[Option<IpAddr>],
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        (0..self.expected.len() as u32).for_each(|id| self.see(InstanceId(id)));
        self.engine.remove(now, matching, &mut actions);
        actions.retain(|action| !matches!(action, Action::Absorb { .. }));
        self.expected = matching.instances.carry(std::mem::take(&mut self.expected), |_| None);
        self.last_seen = vec![None; self.expected.len()];
        self.engine.reload(now, plan, matching, sources, &mut actions);
        actions.retain(|action| match *action {
            Action::Absorb { id, on } => {
                assert!(!on, "there is no advert to absorb");
                self.expected[id.index()] = None;
                false
            }
            _ => true,
        });
        actions
    }

    fn see(&mut self, id: InstanceId) {
        if let Some(at) = self.last_seen[id.index()].take() {
            let mut actions = Vec::new();
            self.engine.handle(at, Input::Seen(id), &mut actions);
            assert_eq!(actions, [], "an advert that says nothing new caused something");
        }
    }
}
