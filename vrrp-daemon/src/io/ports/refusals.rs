//! Adverts that are refused for who seems to send them: told of each virtual router and reason at once, and then once a minute.
//!
//! The counters tell, the program's too: no frame costs anything for it. Whose they were the counters do not say.

use std::collections::BTreeMap;
use std::time::Duration;

use vrrp_common::drop::Reason;
use vrrp_common::{Instant, Version};

use super::Ports;
use crate::config::setup::Setup;
use crate::engine::matching::Moves;
use crate::engine::plan::InstanceId;

/// Between two looks, which are taken when the protocol is awake anyway.
const PERIOD: Duration = Duration::from_secs(1);
/// Virtual routers in a look: each is a system call.
const AT_ONCE: usize = 64;
/// Until the same is told again.
const SILENCE: Duration = Duration::from_secs(60);

/// What there was to tell of.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    looked_at: Instant,
    /// The first of the next look.
    next: usize,
    /// The count at the time, and the time.
    told: BTreeMap<(InstanceId, Reason), (u64, Instant)>,
}

impl Ports {
    /// What is to be told of now: how many adverts were refused for what reason since that was last told.
    pub fn refused(&mut self, now: Instant) -> Vec<(InstanceId, Reason, u64)> {
        let mut told = Vec::new();
        for id in self.refusals.look(&self.setup, now) {
            let counters = self.instance_counters(id);
            let authentication = &self.setup.instances[id.index()].authentication;
            for &reason in Reason::ALL.iter().filter(|&&reason| authentication.refusal(reason).is_some()) {
                let adverts = self.refusals.news((id, reason), counters[reason as usize], now);
                told.extend(adverts.map(|adverts| (id, reason, adverts)));
            }
        }
        told
    }
}

impl Refusals {
    /// Whose counters are to be read now. v3 without a key refuses nobody.
    fn look(&mut self, setup: &Setup, now: Instant) -> Vec<InstanceId> {
        let count = setup.instances.len();
        if count == 0 || now.since(self.looked_at) < PERIOD {
            return Vec::new();
        }
        self.looked_at = now;
        let can_refuse = |&index: &usize| {
            let plan = &setup.plan.instances[index];
            plan.version == Version::V2 || plan.both_versions || setup.instances[index].authentication.is_some()
        };
        let found: Vec<_> =
            (0..count).map(|step| (self.next + step) % count).filter(can_refuse).take(AT_ONCE).collect();
        self.next = found.last().map_or(0, |last| last + 1);
        found.into_iter().map(|index| InstanceId(index as u32)).collect()
    }

    fn news(&mut self, of: (InstanceId, Reason), count: u64, now: Instant) -> Option<u64> {
        let before = match self.told.get(&of) {
            Some((_, told_at)) if now.since(*told_at) < SILENCE => return None,
            // A count that is lower began anew.
            Some(&(before, _)) if before <= count => before,
            _ => 0,
        };
        if count == before {
            return None;
        }
        self.told.insert(of, (count, now));
        Some(count - before)
    }

    /// Instances move; what was told of them stays told.
    pub fn carry(&mut self, moves: &Moves<InstanceId>) {
        let told = std::mem::take(&mut self.told).into_iter();
        self.told = told.filter_map(|((id, reason), told)| Some(((moves.to(id)?, reason), told))).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Authentication;
    use crate::auth::key::Password;
    use crate::config::setup::Instance;
    use crate::engine::plan::{InstancePlan, InterfaceId};
    use std::sync::Arc;
    use vrrp_common::Vrid;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_reason_is_told_at_once_and_then_once_a_minute() {
        let mut refusals = Refusals::default();
        let of = (InstanceId(0), Reason::AuthFailure);
        let other = (InstanceId(1), Reason::AuthFailure);
        let told: Vec<_> = [(100, 0), (101, 3), (102, 500), (160, 501), (161, 502), (230, 502), (231, 503), (300, 2)]
            .map(|(second, count)| refusals.news(of, count, at(second)))
            .into();
        assert_eq!(told, [None, Some(3), None, None, Some(499), None, Some(1), Some(2)]);
        assert_eq!(refusals.news(other, 1, at(300)), Some(1));
    }

    #[test]
    fn a_look_is_of_a_few_and_all_have_their_turn() {
        let mut setup = Setup::default();
        for number in 0..200 {
            let version = if number == 7 { Version::V3 } else { Version::V2 };
            let plan = InstancePlan::new(InterfaceId(0), Vrid::new(51).unwrap(), version);
            Arc::make_mut(&mut setup.plan.instances).push(plan);
            setup.instances.push(Instance::default());
        }
        let mut refusals = Refusals::default();
        let looks = |refusals: &mut Refusals, second| {
            refusals.look(&setup, at(second)).into_iter().map(|id| id.0).collect::<Vec<_>>()
        };
        assert_eq!(looks(&mut refusals, 10), (0..65).filter(|id| *id != 7).collect::<Vec<_>>());
        assert!(looks(&mut refusals, 10).is_empty(), "too early");
        assert_eq!(looks(&mut refusals, 11), (65..129).collect::<Vec<_>>());
        assert_eq!(looks(&mut refusals, 12), (129..193).collect::<Vec<_>>());
        assert_eq!(looks(&mut refusals, 13)[..8], [193, 194, 195, 196, 197, 198, 199, 0]);
        let keyed = Setup {
            instances: vec![Instance { authentication: Authentication::Ah(Password([1; 8])), ..Instance::default() }],
            ..setup
        };
        assert_eq!(Refusals::default().look(&keyed, at(10)), [InstanceId(0)]);
    }
}
