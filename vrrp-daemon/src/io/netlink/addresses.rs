//! Setting and removing one virtual address over rtnetlink.

use std::net::IpAddr;

use rtnetlink::Handle;
use rtnetlink::packet_core::ErrorMessage;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use vrrp_common::IfIndex;

use crate::config::setup::VirtualAddress;

/// What came of setting an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Set,
    /// It was there already: somebody else's.
    Present,
    /// The kernel's error.
    Failed(String),
}

pub async fn add(handle: &Handle, index: IfIndex, address: &VirtualAddress) -> Outcome {
    let mut request = handle.address().add(index.0, address.address, address.prefix);
    *request.message_mut() = message(index, address);
    match request.execute().await {
        Ok(()) => Outcome::Set,
        Err(error) => match code(&error) {
            Some(libc::EEXIST) => Outcome::Present,
            _ => Outcome::Failed(describe(&error)),
        },
    }
}

/// Removes an address; one that is not there is no error.
pub async fn remove(handle: &Handle, index: IfIndex, address: IpAddr, prefix: u8) -> Result<(), String> {
    let mut message = AddressMessage::default();
    message.header.index = index.0;
    message.header.family = family(address);
    message.header.prefix_len = prefix;
    message.attributes.push(AddressAttribute::Local(address));
    match handle.address().del(message).execute().await {
        Ok(()) => Ok(()),
        Err(error) => match code(&error) {
            Some(libc::EADDRNOTAVAIL | libc::ENODEV) => Ok(()),
            _ => Err(describe(&error)),
        },
    }
}

/// As `ip address add` would write it; a broadcast address only where the configuration gives one.
fn message(index: IfIndex, address: &VirtualAddress) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index.0;
    message.header.family = family(address.address);
    message.header.prefix_len = address.prefix;
    message.header.scope = AddressScope::from(address.scope);
    message.attributes.push(AddressAttribute::Local(address.address));
    message.attributes.push(AddressAttribute::Address(address.address));
    if let Some(IpAddr::V4(broadcast)) = address.broadcast {
        message.attributes.push(AddressAttribute::Broadcast(broadcast));
    }
    if let Some(label) = &address.label {
        message.attributes.push(AddressAttribute::Label(label.clone()));
    }
    message
}

const fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn code(error: &rtnetlink::Error) -> Option<i32> {
    match error {
        rtnetlink::Error::NetlinkError(ErrorMessage { code: Some(code), .. }) => Some(code.get().abs()),
        _ => None,
    }
}

fn describe(error: &rtnetlink::Error) -> String {
    match code(error) {
        Some(code) => std::io::Error::from_raw_os_error(code).to_string(),
        None => error.to_string(),
    }
}
