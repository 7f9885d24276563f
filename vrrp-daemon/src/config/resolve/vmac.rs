//! Virtual MAC interfaces: which addresses are on one, and whose it is.

use std::net::IpAddr;

use vrrp_common::{Family, Vrid};

use super::{LEFT_OUT, Resolver};
use crate::config::setup::UpperKind;
use crate::config::vmac::UseVmac;
use crate::engine::plan::InterfaceId;
use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::schema::{At, Mark};
use crate::syntax::source::Span;

/// Where a virtual router lives.
pub struct Home<'a> {
    pub name: &'a str,
    pub interface: InterfaceId,
    pub family: Family,
    pub vrid: Vrid,
    /// `use_vmac`: the interface made for it, and its MAC address.
    own: Option<(InterfaceId, [u8; 6])>,
    /// `use_vmac_addr`.
    others: bool,
}

impl Home<'_> {
    /// The interface whose MAC address adverts come from.
    pub fn speaks_from(&self, with_own: bool) -> InterfaceId {
        self.own.filter(|_| with_own).map_or(self.interface, |(interface, _)| interface)
    }

    /// The MAC address that adverts come from, if not the interface's own.
    pub fn source_mac(&self, Mark(xmit_base): Mark, strict: bool, found: &mut Diagnostics) -> Option<[u8; 6]> {
        let against = match self.own {
            None => Some("without `use_vmac`"),
            // keepalived lets IPv6 have it.
            Some(_) if strict && self.family == Family::V4 => Some("is not in RFC 9568"),
            Some(_) => None,
        };
        if let (Some(against), Some(at)) = (against, xmit_base) {
            let message = format!("({}) `vmac_xmit_base` {against}", self.name);
            found.warning(Class::Conflict, at, message).done("it has no effect");
        }
        self.own.filter(|_| xmit_base.is_none() || against.is_some()).map(|(_, mac)| mac)
    }
}

impl Resolver<'_> {
    /// `None`: the virtual router is left out, reported.
    pub(super) fn home<'a>(
        &mut self,
        name: &'a str,
        interface: InterfaceId,
        family: Family,
        vrid: Vrid,
        (use_vmac, use_vmac_addr): (Option<At<UseVmac>>, Mark),
        strict: bool,
    ) -> Option<Home<'a>> {
        let mut home = Home { name, interface, family, vrid, own: None, others: use_vmac_addr.0.is_some() };
        if let Some(At { mut value, at }) = use_vmac {
            if strict && value.mac.take().is_some() {
                let message = format!("({name}) another MAC address than the protocol's is not in RFC 9568");
                self.found.warning(Class::Conflict, at, message).done("the MAC address is that of the protocol");
            }
            let mac = mac(&value, family, vrid);
            let prefix = self.defaults.vmac_prefix.clone();
            home.own = Some((self.vmac(&home, interface, mac, (value, prefix, family), at)?, mac));
        }
        Some(home)
    }

    /// The interface that an address is on, of those on `below`. `None`: the virtual router is left out, reported.
    pub(super) fn address_interface(
        &mut self,
        address: IpAddr,
        use_vmac: Option<UseVmac>,
        below: InterfaceId,
        home: &Home,
        at: Span,
    ) -> Option<InterfaceId> {
        let family = Family::of(address);
        let is_elsewhere = below != home.interface || family != home.family;
        let use_vmac = use_vmac.or_else(|| (home.others && is_elsewhere).then(UseVmac::default));
        // One that is named by `dev` itself is what it stands on already.
        let use_vmac = use_vmac.filter(|_| self.below(below) == below);
        match (use_vmac, home.own) {
            (Some(used), own) => {
                let mac = mac(&used, family, home.vrid);
                if let Some((interface, _)) = own.filter(|own| (below, mac) == (home.interface, own.1)) {
                    return Some(interface);
                }
                let prefix = self.defaults.vmac_addr_prefix.clone().or(self.defaults.vmac_prefix.clone());
                self.vmac(home, below, mac, (used, prefix, family), at)
            }
            // keepalived puts addresses of the other family there, too.
            (None, Some((interface, _))) if below == home.interface => Some(interface),
            (None, _) => Some(below),
        }
    }

    /// The interface with this MAC address on another; it is entered in the setup at its first mention.
    fn vmac(
        &mut self,
        home: &Home,
        parent: InterfaceId,
        mac: [u8; 6],
        (used, prefix, family): (UseVmac, Option<String>, Family),
        at: Span,
    ) -> Option<InterfaceId> {
        let name = home.name;
        if let Some((owner, interface)) = self.vmacs.get(&(parent, mac)) {
            if owner == name {
                return Some(*interface);
            }
            let message = format!("({name}) the virtual MAC address {} is `{owner}`'s on that interface", text(mac));
            self.found.error(Class::Duplicate, at, message).done(LEFT_OUT);
            return None;
        }
        let default = self.free_name(prefix.as_deref(), family, home.vrid);
        let kind = UpperKind::Vmac(mac);
        let interface = self.upper((name, at), (used.name, default), parent, (kind, used.group))?;
        self.vmacs.insert((parent, mac), (name.to_owned(), interface));
        Some(interface)
    }
}

/// The MAC address of RFC 9568 section 7.3, or the one that is given.
fn mac(used: &UseVmac, family: Family, vrid: Vrid) -> [u8; 6] {
    let block = match family {
        Family::V4 => 1,
        Family::V6 => 2,
    };
    used.mac.map_or([0, 0, 0x5e, 0, block, vrid.get()], |mac| mac.octets(vrid.get()))
}

fn text(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}
