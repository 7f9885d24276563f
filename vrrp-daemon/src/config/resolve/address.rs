//! The addresses of a virtual router: which are advertised, which are only held.

use std::collections::BTreeSet;
use std::net::IpAddr;

use vrrp_common::Version;
use vrrp_common::wire::advert::ADDRESSES_MAX;

use super::Resolver;
use super::instance::LEFT_OUT;
use super::vmac::Home;
use crate::config::address::Address;
use crate::config::setup::VirtualAddress;
use crate::engine::plan::InterfaceId;
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::{At, Items};
use crate::syntax::source::Span;

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
        version: Version,
    ) -> Option<Addresses> {
        let mut out = Addresses { list: Vec::new(), watched: BTreeSet::new(), known: BTreeSet::new() };
        let name = home.name;
        let mut refused = false;
        let first_is_ipv6 = advertised.items.first().is_some_and(|first| first.value.address.is_ipv6());
        let mut count = 0;
        for item in advertised.items {
            if item.value.address.is_ipv6() && !first_is_ipv6 {
                let message = format!("({name}) `{}` beside IPv4 addresses in one advert", item.value.address);
                let diagnostic = self.found.error(Class::Conflict, item.at, message).done("the address is skipped");
                diagnostic.hint("put it into a vrrp_instance of its own");
                continue;
            }
            if count == ADDRESSES_MAX {
                let message = format!("({name}) an advert carries {ADDRESSES_MAX} addresses");
                let done = "this one and those after it are held and not advertised";
                self.found.warning(Class::Limit, item.at, message).done(done);
            }
            count += 1;
            refused |= !self.address(item, count <= ADDRESSES_MAX, &mut out, home);
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
            if version == Version::V3 {
                self.found.error(Class::Incomplete, at, message).done(LEFT_OUT);
                return None;
            }
            self.found.warning(Class::Incomplete, at, message);
        }
        Some(out)
    }

    /// `false`: the virtual router cannot be done, reported.
    fn address(&mut self, item: At<Address>, advertised: bool, out: &mut Addresses, home: &Home) -> bool {
        let At { value: Address { address, prefix, broadcast, dev, scope, label, no_track, use_vmac, refused }, at } =
            item;
        let name = home.name;
        if let Some(At { value, at }) = refused {
            let message = format!("({name}) `{value}` of an address is known to keepalived and not done here");
            self.found.error(Class::Unsupported, at, message).done(LEFT_OUT);
            return false;
        }
        if address.is_ipv6() {
            let message = format!("({name}) IPv6 virtual addresses are not done here yet: `{address}`");
            self.found.error(Class::Unsupported, at, message).done(LEFT_OUT);
            return false;
        }
        let below = match dev {
            Some(dev) => self.interface(&dev.0, at),
            None => home.interface,
        };
        let Some(interface) = self.address_interface(address, use_vmac, below, home, at) else { return false };
        if !out.known.insert((address, interface)) {
            let message = format!("({name}) `{address}` is there a second time");
            self.found.warning(Class::Duplicate, at, message).done("the first one counts");
            return true;
        }
        let below = self.below(below);
        if below != home.interface && !no_track {
            out.watched.insert(below);
        }
        let broadcast = broadcast.map(IpAddr::V4);
        out.list.push(VirtualAddress { address, prefix, interface, broadcast, label, scope, advertised });
        true
    }
}
