//! The addresses of a virtual router: which are advertised, which are only held.

use std::collections::BTreeSet;
use std::net::IpAddr;

use vrrp_common::Family;
use vrrp_common::wire::advert::{ADDRESSES_MAX, HEADER};
use vrrp_common::wire::ip6::IPV6_HEADER;

use super::vmac::Home;
use super::{LEFT_OUT, Resolver};
use crate::config::address::Address;
use crate::config::setup::VirtualAddress;
use crate::config::written::Naming;
use crate::engine::plan::InterfaceId;
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::{At, Items};
use crate::syntax::source::Span;

/// IPv6 addresses that an advert carries: as many as fit an Ethernet frame's 1500 octets.
const ADDRESSES6_MAX: usize = (1500 - IPV6_HEADER - HEADER) / 16;
/// Addresses of one virtual router, advertised or not. keepalived has no bound of its own.
const ADDRESSES: usize = 1000;

/// The addresses that a virtual router holds.
pub struct Addresses {
    /// Those of the advert first.
    pub list: Vec<VirtualAddress>,
    /// Interfaces of `dev`, whose link state counts.
    pub watched: BTreeSet<InterfaceId>,
    /// What is in the list.
    known: BTreeSet<(IpAddr, InterfaceId)>,
}

impl Resolver<'_> {
    /// `None`: the virtual router is left out, reported.
    pub(super) fn addresses(
        &mut self,
        advertised: Items<Address>,
        excluded: Items<Address>,
        home: &Home,
        at: Span,
        (needs_one, family): (bool, Family),
    ) -> Option<Addresses> {
        let name = home.name;
        let mut out = Addresses { list: Vec::new(), watched: BTreeSet::new(), known: BTreeSet::new() };
        if let Some(beyond) = advertised.items.iter().chain(&excluded.items).nth(ADDRESSES) {
            let message = format!("({name}) has more than {ADDRESSES} addresses");
            let diagnostic = self.found.error(Class::Limit, beyond.at, message).done(LEFT_OUT);
            diagnostic.hint("put them into several vrrp_instances");
            return None;
        }
        let mut refused = false;
        let (other, most) = match family {
            Family::V4 => ("IPv4", ADDRESSES_MAX),
            Family::V6 => ("IPv6", ADDRESSES6_MAX),
        };
        let mut count = 0;
        for item in advertised.items {
            let address = item.value.address;
            if Family::of(address) != family {
                let message = format!("({name}) `{address}` beside {other} addresses in one advert");
                let diagnostic = self.found.error(Class::Conflict, item.at, message).done("the address is skipped");
                diagnostic.hint("put it into `virtual_ipaddress_excluded`, or into a vrrp_instance of its own");
                continue;
            }
            if count == 0 && matches!(address, IpAddr::V6(first) if !first.is_unicast_link_local()) {
                let message = format!("({name}) the first IPv6 address is not link-local (RFC 9568 section 5.2.9)");
                let diagnostic = self.found.warning(Class::Conflict, item.at, message);
                diagnostic.done("adverts are sent as configured; other routers than keepalived may refuse them");
                diagnostic.hint("put an address of fe80::/10 first");
            }
            if count == most {
                let message = format!("({name}) an advert carries {most} addresses");
                let done = "this one and those after it are held and not advertised";
                self.found.warning(Class::Limit, item.at, message).done(done);
            }
            count += 1;
            refused |= !self.address(item, count <= most, &mut out, home);
        }
        for item in excluded.items {
            refused |= !self.address(item, false, &mut out, home);
        }
        if refused {
            return None;
        }
        if count == 0 {
            let at = advertised.at.unwrap_or(at);
            let message = format!("({name}) has no virtual address to advertise");
            if needs_one {
                self.found.error(Class::Incomplete, at, message).done(LEFT_OUT);
                return None;
            }
            self.found.warning(Class::Incomplete, at, message);
        }
        Some(out)
    }

    /// `false`: the virtual router cannot be done, reported.
    fn address(&mut self, item: At<Address>, advertised: bool, out: &mut Addresses, home: &Home) -> bool {
        let At { value, at } = item;
        let name = home.name;
        if let Some(At { at, .. }) = value.track_group {
            let message = format!("({name}) `track_group` is for static addresses");
            self.found.error(Class::Value, at, message).done("it is ignored");
        }
        let below = match &value.dev {
            Some(dev) => self.interface(&dev.0, at),
            None if self.setup.routed.contains(&home.interface) => {
                self.default_interface(format!("({name}) {} names no `dev`; it goes on", value.address), at)
            }
            None => Some(home.interface),
        };
        let Some(below) = below else { return false };
        let (address, use_vmac) = (value.address, value.use_vmac.clone());
        let Some(interface) = self.address_interface(address, use_vmac, below, home, at) else { return false };
        if !out.known.insert((address, interface)) {
            let message = format!("({name}) `{address}` is there a second time");
            self.found.warning(Class::Duplicate, at, message).done("the first one counts");
            return true;
        }
        let below = self.below(below);
        if below != home.interface && !value.no_track {
            out.watched.insert(below);
        }
        let on_host = self.on_host(At { value, at }, interface, &format!("({name}) "));
        out.list.push(VirtualAddress { advertised, ..on_host });
        true
    }

    /// As it will be on an interface, not advertised.
    pub(super) fn on_host(&mut self, item: At<Address>, interface: InterfaceId, whose: &str) -> VirtualAddress {
        let At { value, at } = item;
        let Address {
            address,
            prefix,
            broadcast,
            dev: _,
            scope,
            label,
            no_track,
            use_vmac: _,
            peer,
            flags,
            preferred,
            track_group: _,
        } = value;
        let scope = scope.map(|word| match self.names.number(Naming::Scope, &word.text) {
            Ok(number) => number as u8,
            Err(expected) => {
                let message = format!("scope is `{}`; expected {expected}", word.text);
                self.found.error(Class::Value, word.span, message).done("global is used");
                0
            }
        });
        let label = label.filter(|label| {
            if address.is_ipv6() {
                let message = format!("{whose}label `{label}` of `{address}`: the kernel labels IPv4 addresses alone");
                self.found.warning(Class::Conflict, at, message).done("the address has no label");
            }
            address.is_ipv4()
        });
        let label = label.map(String::into_boxed_str);
        VirtualAddress {
            address,
            prefix,
            interface,
            broadcast,
            label,
            scope: scope.unwrap_or_default(),
            peer,
            flags,
            preferred,
            kept: !no_track,
            advertised: false,
        }
    }
}
