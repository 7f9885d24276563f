//! Messages that set and remove virtual addresses.

use std::net::IpAddr;

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope, CacheInfo};
use vrrp_common::IfIndex;

use crate::config::setup::VirtualAddress;

/// Where an address is set: interface, address, prefix length.
pub type Place = (IfIndex, IpAddr, u8);

/// INFINITY_LIFE_TIME.
const FOREVER: u32 = u32::MAX;

/// As `ip address add` would write it; a broadcast address only where the configuration gives one.
pub fn new_address(index: IfIndex, address: &VirtualAddress) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index.0;
    message.header.family = family(address.address);
    message.header.prefix_len = address.prefix;
    message.header.scope = AddressScope::from(address.scope);
    message.attributes.push(AddressAttribute::Local(address.address));
    message.attributes.push(AddressAttribute::Address(address.peer.unwrap_or(address.address)));
    if let Some(broadcast) = address.broadcast {
        message.attributes.push(AddressAttribute::Broadcast(broadcast));
    }
    if address.flags != 0 {
        message.attributes.push(AddressAttribute::Flags(AddressFlags::from_bits_retain(address.flags)));
    }
    if let Some(preferred) = address.preferred {
        let mut lifetimes = CacheInfo::default();
        (lifetimes.ifa_preferred, lifetimes.ifa_valid) = (preferred, FOREVER);
        message.attributes.push(AddressAttribute::CacheInfo(lifetimes));
    }
    if let Some(label) = &address.label {
        message.attributes.push(AddressAttribute::Label(label.to_string()));
    }
    message
}

pub fn old_address((index, address, prefix): Place) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index.0;
    message.header.family = family(address);
    message.header.prefix_len = prefix;
    message.attributes.push(AddressAttribute::Local(address));
    message
}

const fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}
