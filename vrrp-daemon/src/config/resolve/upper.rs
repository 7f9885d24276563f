//! Interfaces that are made on others: what they are called, and whose adverts come from an ipvlan.

use std::collections::BTreeSet;
use std::mem::discriminant;

use vrrp_common::{Family, Vrid};

use super::vmac::Home;
use super::{LEFT_OUT, Resolver};
use crate::config::ipvlan::UseIpvlan;
use crate::config::setup::{Isolation, Prefix, Upper, UpperKind};
use crate::engine::plan::InterfaceId;
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::At;
use crate::syntax::source::Span;
use crate::syntax::value::InterfaceName;

impl Resolver<'_> {
    /// `use_vmac`, unless there is `use_ipvlan`.
    pub(super) fn not_both<T>(&mut self, use_vmac: Option<At<T>>, is_ipvlan: bool, name: &str) -> Option<At<T>> {
        let given = use_vmac?;
        if !is_ipvlan {
            return Some(given);
        }
        let message = format!("({name}) `use_vmac` and `use_ipvlan` exclude each other");
        self.found.warning(Class::Conflict, given.at, message).done("`use_vmac` is ignored");
        None
    }

    /// The ipvlan that a virtual router sends from. `None`: the virtual router is left out, reported.
    pub(super) fn ipvlan(&mut self, home: &Home, At { value, at }: At<UseIpvlan>) -> Option<InterfaceId> {
        let UseIpvlan { name: called, address, isolation, group } = value;
        let name = home.name;
        let against = match (address, home.family) {
            (None, Family::V4) => Some("has no address for its IPv4 adverts to come from".to_owned()),
            (Some(Prefix { address, .. }), family) if Family::of(address) != family => {
                Some(format!("has the address {address}, of the other family than the virtual addresses"))
            }
            _ => None,
        };
        if let Some(against) = against {
            let message = format!("({name}) `use_ipvlan` {against}");
            self.found.error(Class::Conflict, at, message).done(LEFT_OUT);
            return None;
        }
        let neighbour = match self.first_upper.get(&home.interface) {
            Some(UpperKind::Ipvlan(isolation, _)) => Some(*isolation),
            _ => None,
        };
        let wanted = isolation.or(neighbour).unwrap_or(Isolation::Bridge);
        let isolation = neighbour.unwrap_or(wanted);
        if wanted != isolation {
            let message = format!("({name}) ipvlans of one interface are all bridge, all private or all vepa");
            self.found.warning(Class::Conflict, at, message).done("it is like the first one");
        }
        let default = self.free_name(self.defaults.vmac_prefix.as_deref(), Family::V4, home.vrid);
        self.upper((name, at), (called, default), home.interface, (UpperKind::Ipvlan(isolation, address), group))
    }

    /// Enters an interface on another in the setup. `None`: the virtual router is left out, reported.
    pub(super) fn upper(
        &mut self,
        (router, at): (&str, Span),
        (called, default): (Option<InterfaceName>, String),
        parent: InterfaceId,
        (kind, group): (UpperKind, Option<u32>),
    ) -> Option<InterfaceId> {
        let first = *self.first_upper.entry(parent).or_insert(kind);
        if discriminant(&first) != discriminant(&kind) {
            let below = &self.setup.interfaces[parent.index()];
            let message = format!("({router}) `{below}` cannot have ipvlans beside virtual MAC interfaces");
            self.found.error(Class::Conflict, at, message).done(LEFT_OUT);
            return None;
        }
        let called = match called {
            Some(called) if self.is_taken(&called.0, parent) => {
                let what = match kind {
                    UpperKind::Vmac(_) => "a virtual MAC interface",
                    UpperKind::Ipvlan(..) => "an ipvlan interface",
                };
                let message = format!("({router}) {what} cannot be called `{}`", called.0);
                let diagnostic = self.found.error(Class::Duplicate, at, message);
                diagnostic.done(format!("it is called `{default}`"));
                default
            }
            Some(called) => called.0,
            None => default,
        };
        let interface = self.enter(called);
        self.parents.insert(interface, parent);
        self.setup.uppers.push(Upper { interface, parent, group, ipv6: false, kind });
        Some(interface)
    }

    /// Whether a name is that of the interface below, of another one so made, or of one with virtual routers on it.
    fn is_taken(&self, name: &str, parent: InterfaceId) -> bool {
        let taken = |id| id == parent || self.below(id) != id || self.routers.keys().any(|(used, ..)| *used == id);
        self.interfaces.get(name).is_some_and(|&id| taken(id))
    }

    /// keepalived's name: `vrrp.VRID`, `vrrp6.VRID` for IPv6, and `vrrpN.VRID` when that is another's.
    pub(super) fn free_name(&self, prefix: Option<&str>, family: Family, vrid: Vrid) -> String {
        let prefix = prefix.unwrap_or("vrrp");
        let plain = match family {
            Family::V4 => format!("{prefix}.{vrid}"),
            Family::V6 => format!("{prefix}6.{vrid}"),
        };
        let numbered = (1..).filter(|&number| number != 6).map(|number: u32| format!("{prefix}{number}.{vrid}"));
        let mut names = std::iter::once(plain).chain(numbered);
        names.find(|name| !self.interfaces.contains_key(name)).unwrap_or_default()
    }

    /// What an interface stands on, if it is one of ours; otherwise itself.
    pub(super) fn below(&self, interface: InterfaceId) -> InterfaceId {
        self.parents.get(&interface).copied().unwrap_or(interface)
    }

    /// Those that nobody has an address on, or sends from, are not made.
    pub(super) fn unused_uppers(&mut self) {
        let instances = &self.setup.instances;
        let held = instances.iter().flat_map(|instance| &instance.addresses);
        let held = held.map(|address| (address.interface, Family::of(address.address)));
        let senders = instances.iter().zip(self.setup.plan.instances.iter());
        let sent = senders.filter_map(|(instance, plan)| Some((instance.ipvlan?, plan.family)));
        let used: BTreeSet<_> = held.chain(sent).collect();
        self.setup.uppers.retain_mut(|upper| {
            upper.ipv6 = used.contains(&(upper.interface, Family::V6));
            upper.ipv6 || used.contains(&(upper.interface, Family::V4))
        });
    }
}
