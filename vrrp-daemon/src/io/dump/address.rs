//! Addresses, scripts and states as keepalived writes them.

use std::borrow::Cow;

use crate::config::setup::{Command, Instance, Setup, Upper, VirtualAddress};
use crate::engine::plan::InterfaceId;
use crate::engine::snapshot::StateName;
use crate::io::status::ObservedInstance;

/// `192.0.2.1/24 dev eth0 scope global set`
pub fn address(setup: &Setup, address: &VirtualAddress, set: &str) -> String {
    let VirtualAddress { address: ip, prefix, interface, broadcast, label, scope, peer, preferred, .. } = address;
    let mut text = ip.to_string();
    if let Some(peer) = peer {
        text += &format!(" peer {peer}");
    }
    if *prefix != if ip.is_ipv4() { 32 } else { 128 } {
        text += &format!("/{prefix}");
    }
    if let Some(broadcast) = broadcast {
        text += &format!(" brd {broadcast}");
    }
    text += &format!(" dev {} scope {}", device(setup, *interface), scope_name(*scope));
    if let Some(label) = label {
        text += &format!(" label {label}");
    }
    if ip.is_ipv6() {
        match preferred {
            Some(0) => text += " deprecated",
            Some(seconds) => text += &format!(" preferred_lft {seconds}"),
            None => text += " preferred_lft forever",
        }
    }
    text + set
}

/// Whether an address of an instance is on its interface.
pub fn set(instance: &Instance, seen: &ObservedInstance, number: u32) -> &'static str {
    match (seen.held.binary_search(&number), instance.no_accept) {
        (Err(_), _) => "",
        (Ok(_), false) => " set",
        (Ok(_), true) => " set nftable_set",
    }
}

/// `eth0`, or `vrrp.51@eth0`
fn device(setup: &Setup, id: InterfaceId) -> String {
    let name = &setup.interfaces[id.index()];
    match setup.uppers.iter().find(|upper| upper.interface == id) {
        Some(upper) => format!("{name}@{}", setup.interfaces[upper.parent.index()]),
        None => name.clone(),
    }
}

/// Those of the kernel, which rt_scopes names.
fn scope_name(scope: u8) -> Cow<'static, str> {
    match scope {
        0 => "global".into(),
        200 => "site".into(),
        253 => "link".into(),
        254 => "host".into(),
        255 => "nowhere".into(),
        other => other.to_string().into(),
    }
}

/// `'/bin/x' 'an argument'`
pub fn command(command: &Command) -> String {
    let words: Vec<_> = command.argv.iter().map(|word| format!("'{word}'")).collect();
    words.join(" ")
}

/// keepalived's number of a state.
pub const fn number(state: StateName) -> u8 {
    match state {
        StateName::Init => 0,
        StateName::Backup => 1,
        StateName::Master => 2,
        StateName::Fault => 3,
        StateName::Stop => 98,
    }
}

/// The interface that was made for the adverts of an instance, if it has one.
pub fn upper<'a>(setup: &'a Setup, instance: &Instance, interface: InterfaceId) -> Option<&'a Upper> {
    let of = |id| setup.uppers.iter().find(move |upper| upper.interface == id && upper.parent == interface);
    let used = instance.addresses.iter().map(|address| address.interface).chain(instance.ipvlan);
    used.filter_map(of).next()
}
