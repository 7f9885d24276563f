//! When adverts of many virtual routers leave: batch after batch, and not all at once.

use std::collections::BTreeMap;

use vrrp_common::Centis;

use crate::engine::plan::InstancePlan;

/// Adverts that leave together: as many as one batch of the sending system call.
const BATCH: usize = 64;

/// Spreads the instances of each interval that has more than one batch of them over that interval. Instances of one
/// interface stay together, as far as they fit: a batch is sent socket by socket.
pub fn spread(instances: &mut [InstancePlan]) {
    let mut by_interval: BTreeMap<Centis, Vec<&mut InstancePlan>> = BTreeMap::new();
    for instance in instances {
        by_interval.entry(instance.advert_int).or_default().push(instance);
    }
    for (interval, mut alike) in by_interval {
        let slots = alike.len().div_ceil(BATCH);
        if slots < 2 {
            continue;
        }
        alike.sort_by_key(|instance| instance.interface);
        let count = alike.len();
        for (place, instance) in alike.into_iter().enumerate() {
            let slot = place * slots / count;
            instance.phase = Some(interval.duration() * slot as u32 / slots as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vrrp_common::{Version, Vrid};

    use super::*;
    use crate::engine::plan::InterfaceId;

    fn instance(interface: u32, interval: u16) -> InstancePlan {
        InstancePlan {
            advert_int: Centis::new(interval).unwrap(),
            ..InstancePlan::new(InterfaceId(interface), Vrid::new(1).unwrap(), Version::V3)
        }
    }

    /// Phases of so many instances, one interface after the other, with how many have each.
    fn spread_over(interfaces: u32, count: u32, interval: u16) -> Vec<(Option<Duration>, usize)> {
        let mut instances: Vec<_> = (0..count).map(|number| instance(number % interfaces, interval)).collect();
        spread(&mut instances);
        let mut phases: BTreeMap<_, usize> = BTreeMap::new();
        instances.iter().for_each(|instance| *phases.entry(instance.phase).or_default() += 1);
        phases.into_iter().collect()
    }

    #[test]
    fn one_batch_is_not_spread() {
        assert_eq!(spread_over(1, 64, 100), [(None, 64)]);
        let mut mixed: Vec<_> = (0..128).map(|number| instance(0, 1 + number % 2)).collect();
        spread(&mut mixed);
        assert!(mixed.iter().all(|instance| instance.phase.is_none()), "64 of each interval");
    }

    #[test]
    fn batches_are_even_and_fill_the_interval() {
        let milliseconds = |count| Some(Duration::from_millis(count));
        assert_eq!(spread_over(1, 65, 100), [(milliseconds(0), 33), (milliseconds(500), 32)]);
        let phases = spread_over(4, 1020, 1);
        assert_eq!(phases.len(), 16);
        assert!(phases.iter().all(|&(_, count)| (63..=64).contains(&count)));
        assert!(phases.iter().zip(0..).all(|(&(phase, _), slot)| phase == Some(Duration::from_micros(625) * slot)));
    }

    #[test]
    fn an_interface_stays_together() {
        let mut instances: Vec<_> = (0..200).map(|number| instance(number % 4, 10)).collect();
        spread(&mut instances);
        for interface in (0..4).map(InterfaceId) {
            let of = instances.iter().filter(|instance| instance.interface == interface);
            let phases: std::collections::BTreeSet<_> = of.map(|instance| instance.phase).collect();
            assert_eq!(phases.len(), 1, "{interface:?}: 50 of 200 are one of four batches");
        }
    }
}
