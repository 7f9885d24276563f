//! Where a virtual router is: on its interface or, with unicast peers and without one, wherever the kernel routes its
//! adverts.

use std::net::IpAddr;

use vrrp_common::{Family, Vrid};

use super::{DEFAULT_INTERFACE, Key, LEFT_OUT, Resolver};
use crate::config::setup::{Destination, HOST};
use crate::engine::plan::InterfaceId;
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::At;
use crate::syntax::source::Span;
use crate::syntax::value::InterfaceName;

impl Resolver<'_> {
    /// `None`: the virtual router is left out, reported.
    pub(super) fn place(
        &mut self,
        interface: Option<At<InterfaceName>>,
        vrf: Option<At<InterfaceName>>,
        (destination, source): (&Destination, Option<IpAddr>),
        (name, at): (&str, Span),
    ) -> Option<InterfaceId> {
        let is_routed = interface.is_none() && can_be_routed(destination, source);
        if let Some(At { at, .. }) = vrf.as_ref().filter(|_| !is_routed) {
            let message = format!("({name}) `vrf` is for unicast peers that are not link-local, without `interface`");
            let diagnostic = self.found.warning(Class::Conflict, *at, message).done("it is ignored");
            diagnostic.hint("an interface that belongs to a VRF brings its adverts there");
        }
        if !is_routed {
            return match interface {
                Some(At { value, at }) => self.interface(&value.0, at),
                None => self.default_interface(format!("({name}) names no interface; it runs on"), at),
            };
        }
        if source.is_none() {
            let message = format!("({name}) has neither an `interface` nor a `unicast_src_ip`");
            let diagnostic = self.found.error(Class::Incomplete, at, message).done(LEFT_OUT);
            diagnostic.hint("write `unicast_src_ip`, the address that its peers send to");
            return None;
        }
        let place = match vrf {
            Some(At { value, at }) => self.interface(&value.0, at)?,
            None => self.enter(HOST.to_owned()),
        };
        self.setup.routed.insert(place);
        Some(place)
    }

    /// keepalived's interface for whoever names none.
    pub(super) fn default_interface(&mut self, who: String, at: Span) -> Option<InterfaceId> {
        let default = self.defaults.interface.as_ref().map_or(DEFAULT_INTERFACE, |name| name.0.as_str()).to_owned();
        self.found.notice(Class::Incomplete, at, format!("{who} `{default}`"));
        self.interface(&default, at)
    }

    /// A keyword that needs an interface, unless there is none.
    pub(super) fn on_interface<T>(
        &mut self,
        given: Option<At<T>>,
        keyword: &str,
        place: InterfaceId,
        name: &str,
    ) -> Option<At<T>> {
        let given = given?;
        if !self.setup.routed.contains(&place) {
            return Some(given);
        }
        let message = format!("({name}) `{keyword}` needs an `interface`");
        self.found.warning(Class::Conflict, given.at, message).done("it is ignored");
        None
    }

    /// Who hears the adverts of this one already: another on the interface, or on the host as a whole.
    pub(super) fn hearer(&self, key: Key) -> Option<&str> {
        let (place, family, vrid, heard_at) = key;
        if let Some(name) = self.routers.get(&key) {
            return Some(name);
        }
        heard_at.filter(|at| !at.is_multicast() && !self.setup.routed.is_empty())?;
        let is_vrf = |place: InterfaceId| self.setup.routed.contains(&place) && !self.is_host(place);
        let same = |&(&(other, of, with, at), _): &(&(InterfaceId, Family, Vrid, Option<IpAddr>), &String)| {
            let overlap = self.is_host(place) && !is_vrf(other) || self.is_host(other) && !is_vrf(place);
            overlap && (of, with, at) == (family, vrid, heard_at)
        };
        self.routers.iter().find(same).map(|(_, name)| name.as_str())
    }

    fn is_host(&self, place: InterfaceId) -> bool {
        self.setup.interfaces[place.index()] == HOST
    }
}

/// Whether adverts get there without being told by which interface.
fn can_be_routed(destination: &Destination, source: Option<IpAddr>) -> bool {
    let is_link_local = |address: IpAddr| matches!(address, IpAddr::V6(six) if six.is_unicast_link_local());
    match destination {
        Destination::Group(_) => false,
        Destination::Peers(unicast) => !unicast.peers.iter().map(|peer| peer.address).chain(source).any(is_link_local),
    }
}
