//! What an advert that was judged valid comes to: whether it is genuine, and what it says to the engine.
//!
//! The program's ring and the raw sockets both end here.

use std::collections::BTreeMap;
use std::net::IpAddr;

use vrrp_common::drop::Reason;
use vrrp_common::wire::advert::{ADDRESSES_MAX, Advert};
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

/// The octets of the addresses that an instance's adverts name, as many as the count octet can.
pub fn advertised(instance: &Instance) -> Vec<u8> {
    let advertised = instance.addresses.iter().filter(|address| address.advertised);
    let octets = advertised.take(ADDRESSES_MAX).map(|address| match address.address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    });
    octets.flatten().collect()
}

/// What an advert says to the engine; `octets` are what [`judge`] delivers of it, by instance what is `advertised`.
pub fn input(setup: &Setup, advertised: &[Vec<u8>], id: InstanceId, source: Address, octets: &[u8]) -> Option<Input> {
    let plan = setup.plan.instances.get(id.index())?;
    let message = match setup.instances[id.index()].authentication {
        Authentication::Ah(_) => octets.get(ip4::parse(octets, 0)?.payload..)?,
        Authentication::None | Authentication::Password(_) | Authentication::Hmac(_) => octets,
    };
    let advert = Advert::parse(message, plan.family)?;
    // A rule removed while the kernel was reading it may have named another slot.
    if advert.vrid != plan.vrid {
        return None;
    }
    let ours = &advertised[id.index()];
    let addresses_match = match plan.family {
        Family::V4 => same_addresses::<4>(advert.addresses, ours),
        Family::V6 => same_addresses::<16>(advert.addresses, ours),
    };
    let Advert { version, claim, interval, .. } = advert;
    Some(Input::Advert(id, Heard { source: source.ip(plan.family), version, claim, interval, addresses_match }))
}

/// Whether two lists have the same addresses of `N` octets, in whatever order.
fn same_addresses<const N: usize>(theirs: &[u8], ours: &[u8]) -> bool {
    if theirs == ours {
        return true;
    }
    let ((theirs, _), (ours, _)) = (theirs.as_chunks::<N>(), ours.as_chunks::<N>());
    theirs.len() == ours.len() && theirs.iter().all(|address| ours.contains(address))
}
