//! What an advert that was judged valid comes to: whether it is genuine, and what it says to the engine.
//!
//! The program's ring and the raw sockets both end here.

use std::collections::BTreeMap;
use std::net::IpAddr;

use vrrp_common::drop::Reason;
use vrrp_common::wire::advert::Advert;
use vrrp_common::wire::ip4;
use vrrp_common::{Address, Family, Instant};

use super::clock;
use crate::auth::trailer::Sent;
use crate::auth::{Association, Authentication};
use crate::config::setup::{Instance, Setup};
use crate::engine::plan::{InstanceId, InstancePlan};
use crate::engine::{Heard, Input};

/// What adverts are signed and verified with, of the instances where they are.
pub fn associations(setup: &Setup) -> BTreeMap<InstanceId, Association> {
    let instances = (0..).map(InstanceId).zip(setup.instances.iter().zip(setup.plan.instances.iter()));
    let association =
        |(instance, plan): (&Instance, &InstancePlan)| Association::new(&instance.authentication, plan.family);
    instances.filter_map(|(id, both)| Some((id, association(both)?))).collect()
}

/// Whether what was delivered of an advert is from who it says; of those that are not, or do not say, `count` hears why.
pub fn is_authentic(
    association: Option<&mut Association>,
    (arrival, source): (Instant, Address),
    delivered: &[u8],
    count: &mut impl FnMut(Reason),
) -> bool {
    let Some(association) = association else { return true };
    match association.verify(source, delivered, clock::wall(arrival)) {
        Ok(Sent::Signed) => true,
        Ok(Sent::Unsigned) => {
            count(Reason::AuthMissing);
            true
        }
        Err(reason) => {
            count(reason);
            false
        }
    }
}

/// What an advert says to the engine; `octets` are what [`judge`] delivers of it.
pub fn input(setup: &Setup, id: InstanceId, source: Address, octets: &[u8]) -> Option<Input> {
    let (plan, instance) = (setup.plan.instances.get(id.index())?, &setup.instances[id.index()]);
    let message = match instance.authentication {
        Authentication::Ah(_) => octets.get(ip4::parse(octets, 0)?.payload..)?,
        Authentication::None | Authentication::Password(_) | Authentication::Hmac(_) => octets,
    };
    let advert = Advert::parse(message, plan.family)?;
    // A rule removed while the kernel was reading it may have named another slot.
    if advert.vrid != plan.vrid {
        return None;
    }
    let addresses_match = same_addresses(advert.addresses, plan.family, instance.advertised());
    let Advert { version, claim, interval, .. } = advert;
    Some(Input::Advert(id, Heard { source: source.ip(plan.family), version, claim, interval, addresses_match }))
}

/// Whether the octets of addresses are those of `ours`, in whatever order.
fn same_addresses(octets: &[u8], family: Family, ours: impl Iterator<Item = IpAddr> + Clone) -> bool {
    let is = |octets: &[u8], address: IpAddr| match address {
        IpAddr::V4(address) => octets == address.octets(),
        IpAddr::V6(address) => octets == address.octets(),
    };
    let theirs = octets.chunks_exact(family.octets());
    theirs.len() == ours.clone().count()
        && (theirs.clone().zip(ours.clone()).all(|(one, address)| is(one, address))
            || theirs.clone().all(|one| ours.clone().any(|address| is(one, address))))
}
