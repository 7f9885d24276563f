//! Turns what is written into numbers and facts. Every block is destructured without `..`: a keyword that is read
//! cannot be forgotten here.

mod address;
mod command;
mod instance;
mod tracker;
mod vmac;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::global::{GlobalDefs, XdpDeliver, XdpMode, XdpUnknownVrid};
use super::host::Host;
use super::instance::{Instance, SyncGroup};
use super::root::Config;
use super::setup::{self, Daemon, Firewall, Setup, Xdp};
use crate::engine::plan::InterfaceId;
use crate::syntax::command::UserName;
use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::schema::{At, Met, Named, Outcome, Switch};
use crate::syntax::source::Span;
use crate::syntax::value::{InterfaceName, Whole};

/// VRRP's group over IPv4 (RFC 9568 section 5.1.1.2).
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// The interface of a virtual router that names none, as in keepalived.
const DEFAULT_INTERFACE: &str = "eth0";

/// The setup that a configuration comes to.
pub fn resolve(config: Config, host: &dyn Host, found: &mut Diagnostics) -> Setup {
    let Config { global, trackers, sync_groups, instances, foreign } = config;
    let mut refused = refuses_all(&foreign, found);
    load_balancing(&foreign, &global, &instances, found);
    let (daemon, defaults) = global_defs(global, &mut refused, found);
    let mut resolver = Resolver {
        host,
        found,
        defaults,
        setup: Setup { daemon, ..Setup::default() },
        interfaces: BTreeMap::new(),
        trackers: Vec::new(),
        tracker_names: BTreeMap::new(),
        names: BTreeSet::new(),
        routers: BTreeMap::new(),
        vmacs: BTreeMap::new(),
        parents: BTreeMap::new(),
        warned_of_security: false,
    };
    resolver.trackers(trackers);
    let groups = resolver.sync_groups(sync_groups);
    for instance in instances {
        resolver.instance(instance, &groups, refused);
    }
    resolver.unused_trackers();
    resolver.unused_vmacs();
    resolver.setup.plan.interfaces = resolver.setup.interfaces.len() as u32;
    resolver.setup
}

struct Resolver<'a> {
    host: &'a dyn Host,
    found: &'a mut Diagnostics,
    defaults: Defaults,
    setup: Setup,
    interfaces: BTreeMap<String, InterfaceId>,
    trackers: Vec<tracker::Tracker>,
    /// Index into `trackers`, by the keyword that uses it and its name.
    tracker_names: BTreeMap<(&'static str, String), usize>,
    /// Names of virtual routers so far.
    names: BTreeSet<String>,
    /// Who has an interface and VRID so far.
    routers: BTreeMap<(InterfaceId, u8), String>,
    /// Who has a virtual MAC address on an interface so far, and the interface made for it.
    vmacs: BTreeMap<(InterfaceId, [u8; 6]), (String, InterfaceId)>,
    /// Of interfaces so made: what they stand on.
    parents: BTreeMap<InterfaceId, InterfaceId>,
    warned_of_security: bool,
}

/// What `global_defs` says for virtual routers and scripts that do not say.
struct Defaults {
    version: Option<At<Whole<2, 3>>>,
    garp_master_delay: Option<At<super::global::GarpDelay>>,
    garp_master_repeat: Option<At<super::global::GarpRepeat>>,
    min_garp: Switch,
    down_timer_adverts: Option<At<Whole<1, 100>>>,
    v3_checksum_as_v2: Switch,
    interface: Option<InterfaceName>,
    vmac_prefix: Option<String>,
    vmac_addr_prefix: Option<String>,
    script_user: Option<UserName>,
    script_security: bool,
}

fn global_defs(global: GlobalDefs, refused: &mut bool, found: &mut Diagnostics) -> (Daemon, Defaults) {
    let GlobalDefs {
        router_id,
        vrrp_version,
        script_user,
        enable_script_security,
        garp_master_delay,
        garp_master_repeat,
        min_garp,
        down_timer_adverts,
        v3_checksum_as_v2,
        mcast_group4,
        rt_priority,
        no_swap,
        default_interface,
        dynamic_interfaces,
        nftables,
        nftables_priority,
        nftables_counters,
        vmac_prefix,
        vmac_addr_prefix,
        xdp_mode,
        xdp_unknown_vrid,
        xdp_deliver,
        foreign,
    } = global;
    *refused |= refuses_all(&foreign, found);
    if let Some(group) = mcast_group4.filter(|group| group.value != GROUP) {
        let message = format!("adverts can only be sent to {GROUP}");
        found.error(Class::Unsupported, group.at, message).done("no virtual router is set up");
        *refused = true;
    }
    let xdp = Xdp {
        mode: match xdp_mode {
            None | Some(XdpMode::Auto) => setup::XdpMode::Auto,
            Some(XdpMode::Native) => setup::XdpMode::Native,
            Some(XdpMode::Generic) => setup::XdpMode::Generic,
            Some(XdpMode::Off) => setup::XdpMode::Off,
        },
        pass_unknown: xdp_unknown_vrid == Some(XdpUnknownVrid::Pass),
        observe: xdp_deliver == Some(XdpDeliver::Observe),
    };
    let default = Firewall::default();
    let firewall = Firewall {
        table: nftables.0.unwrap_or(default.table),
        priority: nftables_priority.0.map_or(default.priority, |priority| priority.get() as i32),
        counters: nftables_counters.is_on(),
    };
    let daemon = Daemon {
        router_id: router_id.0,
        rt_priority: rt_priority.0.map(|priority| priority.get() as u8),
        no_swap: no_swap.0.is_some(),
        dynamic_interfaces: dynamic_interfaces.0.is_some(),
        firewall,
        xdp,
    };
    let defaults = Defaults {
        version: vrrp_version,
        garp_master_delay,
        garp_master_repeat,
        min_garp,
        down_timer_adverts,
        v3_checksum_as_v2,
        interface: default_interface.0,
        vmac_prefix: vmac_prefix.0.map(|prefix| prefix.0),
        vmac_addr_prefix: vmac_addr_prefix.0.map(|prefix| prefix.0),
        script_user: script_user.0,
        script_security: enable_script_security.is_on(),
    };
    (daemon, defaults)
}

/// Reports keywords that nothing can be set up with.
fn refuses_all(foreign: &[Met], found: &mut Diagnostics) -> bool {
    let mut refused = false;
    for Met { foreign, at } in foreign.iter().filter(|met| met.foreign.outcome == Outcome::Refused) {
        let message = format!("`{}` is known to keepalived and not done here: {}", foreign.name, foreign.why);
        found.error(Class::Unsupported, *at, message).done("no virtual router is set up");
        refused = true;
    }
    refused
}

/// One notice for all of keepalived's load balancing.
fn load_balancing(root: &[Met], global: &GlobalDefs, instances: &[Named<Instance>], found: &mut Diagnostics) {
    let inner = instances.iter().flat_map(|instance| &instance.block.foreign);
    let all = root.iter().chain(&global.foreign).chain(inner);
    let places = all.filter(|met| met.foreign.outcome == Outcome::LoadBalancing).map(|met| met.at);
    if let Some(first) = places.min() {
        let message = "this file also configures keepalived's load balancing, which is not done here";
        found.notice(Class::WithoutEffect, first, message).done("all of it is skipped");
    }
}

impl Resolver<'_> {
    /// The members of groups, with the groups' names.
    fn sync_groups(&mut self, groups: Vec<Named<SyncGroup>>) -> BTreeMap<String, String> {
        let mut members = BTreeMap::new();
        for Named { name, at, block: SyncGroup { group, foreign: _ } } in groups {
            let message = format!("({name}) `vrrp_sync_group` is known to keepalived and not done here");
            let done = "its members are left out: alone, they would be master in different places";
            self.found.error(Class::Unsupported, at, message).done(done);
            members.extend(group.items.into_iter().map(|member| (member.value.0, name.clone())));
        }
        members
    }

    /// The id of an interface. One that does not exist now is reported at its first mention.
    fn interface(&mut self, name: &str, at: Span) -> InterfaceId {
        if let Some(&id) = self.interfaces.get(name) {
            return id;
        }
        if !self.setup.daemon.dynamic_interfaces && !self.host.has_interface(name) {
            let message = format!("interface `{name}` does not exist");
            let diagnostic = self.found.warning(Class::Interface, at, message);
            diagnostic.done("the daemon does not start without it");
            diagnostic.hint("`dynamic_interfaces` in global_defs says that interfaces may come later");
        }
        self.enter(name.to_owned())
    }

    /// The id of an interface of this name, whether it exists or not.
    fn enter(&mut self, name: String) -> InterfaceId {
        if let Some(&id) = self.interfaces.get(&name) {
            return id;
        }
        let id = InterfaceId(self.setup.interfaces.len() as u32);
        self.setup.interfaces.push(name.clone());
        self.interfaces.insert(name, id);
        id
    }

    /// A default of `global_defs`, if it was there before the virtual router: keepalived copies it on reading that.
    fn default<T>(&mut self, default: Option<At<T>>, before: Span) -> Option<T> {
        let At { value, at } = default?;
        if at.order <= before.order {
            return Some(value);
        }
        let message = "this default comes after a virtual router that would use it";
        let diagnostic = self.found.notice(Class::Reference, at, message);
        diagnostic.done("it holds for virtual routers below it only, as in keepalived");
        diagnostic.hint("put global_defs first");
        None
    }
}
