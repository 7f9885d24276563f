//! Whose adverts the program may judge, as interfaces come to stand on each other. No interface of these names exists: the
//! sockets fail, and the rules are written all the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use vrrp_common::{IfIndex, Version, Vrid};

use super::Ports;
use crate::config::setup::{Instance, Setup};
use crate::engine::plan::{InstanceId, InstancePlan, InterfaceId};
use crate::io::netlink::links::Link;
use crate::io::netlink::upper::Kind;
use crate::testing::link;

const PARENT: InterfaceId = InterfaceId(0);
const UPPER: InterfaceId = InterfaceId(1);
const NONE: [u32; 0] = [];

/// Virtual router 51 and 52 on the parent, and these on the interface that stands on it.
fn ports(upper: &[u8]) -> Ports {
    let mut setup = Setup { interfaces: vec!["none0".into(), "none1".into()], ..Setup::default() };
    let on = |interface| move |&vrid: &u8| InstancePlan::new(interface, Vrid::new(vrid).unwrap(), Version::V3);
    let plans = [51, 52].iter().map(on(PARENT)).chain(upper.iter().map(on(UPPER)));
    Arc::make_mut(&mut setup.plan.instances).extend(plans);
    setup.instances.resize_with(setup.plan.instances.len(), Instance::default);
    Ports::new(Arc::new(setup)).unwrap()
}

/// The instances that the kernel's program leaves to the raw socket.
fn left(ports: &Ports) -> Vec<u32> {
    let ids = 0..ports.setup.instances.len() as u32;
    ids.filter(|&id| ports.ambiguous.contains(&ports.slot(InstanceId(id)))).collect()
}

#[tokio::test]
async fn the_program_judges_nothing_below_a_vlan() {
    let mut ports = ports(&[]);
    let mut is = |link| {
        ports.link_is(PARENT, Some(link), &mut Vec::new());
        left(&ports)
    };
    assert_eq!(is(link(2)), NONE);
    // Nobody has configured it, and it came while we ran.
    assert_eq!(is(Link { carries_others: true, carries_vlans: true, ..link(2) }), [0, 1]);
    assert_eq!(is(Link { carries_others: true, ..link(2) }), NONE, "macvlans have no tag");
    assert_eq!(is(Link { carries_vlans: true, ..link(3) }), [0, 1], "another interface of the name");
    assert_eq!(is(link(3)), NONE);
}

#[tokio::test]
async fn an_interface_in_use_that_stands_on_it_has_the_same() {
    let mut ports = ports(&[52, 53]);
    let mut is = |id, link| {
        ports.link_is(id, link, &mut Vec::new());
        left(&ports)
    };
    let upper = Link { lower: Some(IfIndex(2)), kind: Some(Kind::Macvlan), ..link(3) };
    assert_eq!(is(UPPER, Some(upper)), NONE);
    assert_eq!(is(PARENT, Some(link(2))), [1]);
    assert_eq!(is(UPPER, None), NONE);
    assert_eq!(is(UPPER, Some(upper)), [1]);
    assert_eq!(is(UPPER, Some(Link { lower: None, ..upper })), NONE);
}

/// A program that leaves adverts to the socket is looked after by what it counts; one of nobody's is not.
#[tokio::test]
async fn who_leaves_adverts() {
    let mut ports = ports(&[]);
    let [used, unused] = [0, 7].map(|slot| BTreeSet::from([slot]));
    assert!(!ports.leaves_adverts(&used));
    ports.link_is(PARENT, Some(Link { carries_vlans: true, ..link(2) }), &mut Vec::new());
    assert!(ports.leaves_adverts(&used) && !ports.leaves_adverts(&unused));
    Arc::make_mut(&mut ports.setup).daemon.xdp.observe = true;
    assert!(ports.leaves_adverts(&unused));
}
