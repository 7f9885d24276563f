//! Turns what is written into numbers and facts. Every block is destructured without `..`: a keyword that is read
//! cannot be forgotten here.

mod address;
mod auth;
mod command;
mod destination;
mod garp;
mod instance;
mod link;
mod mail;
mod names;
mod notify;
mod paths;
mod phase;
mod place;
mod scheduling;
mod service;
mod statics;
mod strict;
mod sync_group;
mod tracker;
mod upper;
mod versions;
mod vmac;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use vrrp_common::{Family, Vrid};

use self::names::Names;
use self::paths::WrittenPaths;
use super::global::{
    GarpDelay, GarpExtra, GarpRefresh, GarpRepeat, GlobalDefs, IncludeCheck, Pause, XdpDeliver, XdpMode, XdpUnknownVrid,
};
use super::host::Host;
use super::instance::Instance;
use super::root::Config;
use super::setup::{self, Daemon, Dbus, Dumps, Firewall, Reloading, Scheduling, Service, Setup, UpperKind, Xdp};
use super::unsupported;
use crate::engine::plan::{InterfaceId, Startup};
use crate::syntax::command::UserName;
use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::schema::{At, Met, Named, Outcome, Switch};
use crate::syntax::source::{Source, Span};
use crate::syntax::value::{InterfaceName, Whole};

/// Interfaces of a configuration. keepalived has no bound of its own.
const INTERFACES: usize = 4096;
/// The interface of a virtual router that names none, as in keepalived.
const DEFAULT_INTERFACE: &str = "eth0";
/// The daemon's name on the message bus where none is given; keepalived's own.
const BUS_NAME: &str = "org.keepalived.Vrrp1";
/// What stands there for the interface of a virtual router without one.
const NO_INTERFACE: &str = "none";

/// What becomes of a virtual router that cannot be done.
const LEFT_OUT: &str = "this virtual router is left out";

/// The setup that a configuration comes to.
pub fn resolve(config: Config, host: &dyn Host, source: &dyn Source, found: &mut Diagnostics) -> Setup {
    let Config {
        net_namespace,
        instance,
        use_pid_dir,
        global,
        trackers,
        delays,
        garp_groups,
        track_groups,
        static_ipaddress,
        static_routes,
        static_rules,
        sync_groups,
        instances,
        foreign,
    } = config;
    let mut refused = refuses_all(&foreign, found);
    load_balancing(&foreign, &global, &instances, found);
    let (service, has_namespace) = service::of_root(net_namespace.0, instance.0, use_pid_dir, host, found);
    let (daemon, reloading, defaults, words, told, names) =
        global_defs(global, &service, host, source, &mut refused, found);
    let mut resolver = Resolver {
        host,
        found,
        defaults,
        has_namespace,
        setup: Setup { daemon, service, reloading, ..Setup::default() },
        interfaces: BTreeMap::new(),
        trackers: Vec::new(),
        tracker_names: BTreeMap::new(),
        names,
        preferences: [0; 2],
        routers_named: BTreeSet::new(),
        routers: BTreeMap::new(),
        track_groups: BTreeMap::new(),
        vmacs: BTreeMap::new(),
        parents: BTreeMap::new(),
        first_upper: BTreeMap::new(),
        mail_lacks: None,
        warned_of_security: false,
    };
    resolver.service(words);
    resolver.setup.telling = resolver.telling(told);
    resolver.trackers(trackers);
    let statics = WrittenPaths { routes: static_routes, rules: static_rules };
    resolver.statics(track_groups, static_ipaddress, statics, &instances);
    let groups = resolver.sync_groups(sync_groups);
    for instance in instances {
        resolver.instance(instance, &groups, refused);
    }
    resolver.unused_trackers();
    resolver.join(groups);
    // A group leaves members out, and with them what they alone needed.
    resolver.unused_uppers();
    resolver.paces(garp_groups);
    resolver.delays(delays);
    resolver.setup.plan.startup = resolver.defaults.startup;
    resolver.setup.plan.interfaces = resolver.setup.interfaces.len() as u32;
    phase::spread(Arc::make_mut(&mut resolver.setup.plan.instances).as_mut_slice());
    resolver.setup
}

struct Resolver<'a> {
    host: &'a dyn Host,
    found: &'a mut Diagnostics,
    defaults: Defaults,
    /// That of the configuration exists, or there is none.
    has_namespace: bool,
    setup: Setup,
    interfaces: BTreeMap<String, InterfaceId>,
    trackers: Vec<tracker::Tracker>,
    /// Index into `trackers`, by the keyword that uses it and its name.
    tracker_names: BTreeMap<(&'static str, String), usize>,
    /// What iproute2's names stand for.
    names: Names<'a>,
    /// Of each family: how many rules had no preference.
    preferences: [u32; 2],
    /// Names of virtual routers so far.
    routers_named: BTreeSet<String>,
    /// Who has an interface, family, VRID and way of adverts so far.
    routers: BTreeMap<Key, String>,
    /// By the name of a virtual router: interfaces of the statics of its `track_group`.
    track_groups: BTreeMap<String, BTreeSet<InterfaceId>>,
    /// Who has a virtual MAC address on an interface so far, and the interface made for it.
    vmacs: BTreeMap<(InterfaceId, [u8; 6]), (String, InterfaceId)>,
    /// Of interfaces so made: what they stand on.
    parents: BTreeMap<InterfaceId, InterfaceId>,
    /// By an interface: the first one made on it, whose kind all have.
    first_upper: BTreeMap<InterfaceId, UpperKind>,
    /// What mail cannot do without, until that is reported.
    mail_lacks: Option<&'static str>,
    warned_of_security: bool,
}

/// What no two virtual routers can have in common: interface, family, VRID, and the group or the address of ours that
/// adverts come to.
type Key = (InterfaceId, Family, Vrid, Option<IpAddr>);

/// What `global_defs` says of all virtual routers, and for those and scripts that do not say.
struct Defaults {
    version: Option<At<Whole<2, 3>>>,
    garp_master_delay: Option<At<GarpDelay>>,
    garp_master_repeat: Option<At<GarpRepeat>>,
    min_garp: Switch,
    garp_master_refresh: Option<At<GarpRefresh>>,
    garp_master_refresh_repeat: Option<At<GarpRepeat>>,
    garp_extra_if: Option<At<GarpExtra>>,
    garp_lower_prio_delay: Option<At<GarpDelay>>,
    garp_lower_prio_repeat: Option<At<GarpRepeat>>,
    garp_interval: Option<Pause>,
    gna_interval: Option<Pause>,
    lower_prio_no_advert: Switch,
    higher_prio_send_advert: Switch,
    skip_check_adv_addr: Switch,
    owner_ignore_adverts: Switch,
    strict: Switch,
    startup: Startup,
    down_timer_adverts: Option<At<Whole<1, 100>>>,
    v3_checksum_as_v2: Switch,
    mcast_group4: Option<Ipv4Addr>,
    mcast_group6: Option<Ipv6Addr>,
    check_unicast_src: Switch,
    interface: Option<InterfaceName>,
    vmac_prefix: Option<String>,
    vmac_addr_prefix: Option<String>,
    script_user: Option<UserName>,
    script_security: bool,
    supplementary_groups: bool,
    priority_changes: bool,
    smtp_alert: Option<At<bool>>,
}

fn global_defs<'a>(
    global: GlobalDefs,
    service: &Service,
    host: &dyn Host,
    source: &'a dyn Source,
    refused: &mut bool,
    found: &mut Diagnostics,
) -> (Daemon, Reloading, Defaults, service::Words, notify::Global, Names<'a>) {
    let GlobalDefs {
        startup_script,
        startup_script_timeout,
        shutdown_script,
        shutdown_script_timeout,
        umask,
        process_names,
        process_name,
        vrrp_process_name,
        router_id,
        vrrp_version,
        script_user,
        enable_script_security,
        set_supplementary_groups,
        notify_fifo,
        notify_fifo_script,
        vrrp_notify_fifo,
        vrrp_notify_fifo_script,
        notify_priority_changes,
        states_on_reload,
        notification_email,
        notification_email_from,
        smtp_server,
        smtp_helo_name,
        smtp_connect_timeout,
        smtp_alert,
        smtp_alert_vrrp,
        no_email_faults,
        state_dump_file,
        stats_dump_file,
        json_dump_file,
        json_version,
        enable_dbus,
        dbus_service_name,
        dbus_no_interface_name,
        data_use_instance,
        reload_time_file,
        reload_repeat,
        reload_file,
        garp_master_delay,
        garp_master_repeat,
        min_garp,
        garp_interval,
        gna_interval,
        garp_master_refresh,
        garp_master_refresh_repeat,
        garp_extra_if,
        garp_lower_prio_delay,
        garp_lower_prio_repeat,
        lower_prio_no_advert,
        higher_prio_send_advert,
        skip_check_adv_addr,
        owner_ignore_adverts,
        strict,
        startup_delay,
        delay_after_boot,
        down_timer_adverts,
        v3_checksum_as_v2,
        mcast_group4,
        mcast_group6,
        check_unicast_src,
        rt_priority,
        rlimit_rttime,
        nice,
        cpu_affinity,
        no_swap,
        include_check: IncludeCheck,
        default_interface,
        dynamic_interfaces,
        nftables,
        nftables_priority,
        nftables_counters,
        vmac_prefix,
        vmac_addr_prefix,
        iproute_usr_dir,
        iproute_etc_dir,
        xdp_mode,
        xdp_unknown_vrid,
        xdp_deliver,
        foreign,
    } = global;
    *refused |= refuses_all(&foreign, found);
    let mcast_group4 = group(mcast_group4, "multicast group", found);
    let mcast_group6 = group(mcast_group6, "link-local multicast group", found);
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
        scheduling: Scheduling {
            rt_priority: rt_priority.0.map(|priority| priority.get() as u8),
            rt_time: rlimit_rttime.map(|limit| scheduling::rt_time(limit, found)),
            nice: nice.0.map(|nice| nice.get() as i8),
            cpus: cpu_affinity.0.map(|cpus| scheduling::cpus(cpus, host, found)).unwrap_or_default(),
            no_swap: no_swap.0.is_some(),
        },
        dynamic_interfaces: dynamic_interfaces.0.is_some(),
        firewall,
        xdp,
    };
    let defaults = Defaults {
        version: vrrp_version,
        garp_master_delay,
        garp_master_repeat,
        min_garp,
        garp_master_refresh,
        garp_master_refresh_repeat,
        garp_extra_if,
        garp_lower_prio_delay,
        garp_lower_prio_repeat,
        garp_interval: garp_interval.map(|pause| pause.value),
        gna_interval: gna_interval.map(|pause| pause.value),
        lower_prio_no_advert,
        higher_prio_send_advert,
        skip_check_adv_addr,
        owner_ignore_adverts,
        strict,
        startup: Startup {
            delay: startup_delay.map_or(Duration::ZERO, Pause::duration),
            after_boot: delay_after_boot.map_or(Duration::ZERO, Pause::duration),
        },
        down_timer_adverts,
        v3_checksum_as_v2,
        mcast_group4,
        mcast_group6,
        check_unicast_src,
        interface: default_interface.0,
        vmac_prefix: vmac_prefix.0.map(|prefix| prefix.0),
        vmac_addr_prefix: vmac_addr_prefix.0.map(|prefix| prefix.0),
        script_user: script_user.0,
        script_security: enable_script_security.is_on(),
        supplementary_groups: set_supplementary_groups.0.is_some(),
        priority_changes: notify_priority_changes.is_on(),
        smtp_alert: smtp_alert_vrrp.0.or(smtp_alert.0),
    };
    let told = notify::Global {
        fifo: notify_fifo,
        fifo_script: notify_fifo_script,
        vrrp_fifo: vrrp_notify_fifo,
        vrrp_fifo_script: vrrp_notify_fifo_script,
        states_on_reload,
        wants_snmp: foreign.iter().any(|met| met.foreign.why == unsupported::NO_SNMP),
        mail: mail::Words {
            to: notification_email,
            from: notification_email_from,
            server: smtp_server,
            hello: smtp_helo_name,
            timeout: smtp_connect_timeout,
            no_faults: no_email_faults,
        },
        dumps: Dumps {
            data: state_dump_file.map(|file| file.0),
            stats: stats_dump_file.map(|file| file.0),
            json: json_dump_file.map(|file| file.0),
            second_json: json_version.is_some_and(|version| version.get() == 2),
            name_instance: data_use_instance.is_on(),
        },
        dbus: enable_dbus.0.map(|_| Dbus {
            name: dbus_service_name.0.map_or_else(|| BUS_NAME.to_owned(), |name| name.0),
            no_interface: dbus_no_interface_name.0.map_or_else(|| NO_INTERFACE.to_owned(), |word| word.0),
        }),
    };
    let reloading = service::reloading(reload_time_file, reload_repeat, reload_file, service);
    let words = service::Words {
        startup_script,
        startup_script_timeout,
        shutdown_script,
        shutdown_script_timeout,
        umask,
        process_names,
        process_name,
        vrrp_process_name,
    };
    (daemon, reloading, defaults, words, told, Names::new(source, iproute_usr_dir.0, iproute_etc_dir.0))
}

/// A group to send to, unless it is none.
fn group<A: Copy + std::fmt::Display + Into<IpAddr>>(
    given: Option<At<A>>,
    what: &str,
    found: &mut Diagnostics,
) -> Option<A> {
    let At { value, at } = given?;
    if destination::is_group(value.into()) {
        return Some(value);
    }
    found.error(Class::Value, at, format!("{value} is no {what}")).done("VRRP's own group is used");
    None
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
    /// The id of an interface. One that does not exist now is reported at its first mention. `None`: there are too many,
    /// and the virtual router is left out, reported.
    fn interface(&mut self, name: &str, at: Span) -> Option<InterfaceId> {
        if let Some(&id) = self.interfaces.get(name) {
            return Some(id);
        }
        // Those that the daemon makes do not count: each has a virtual router of its own.
        if self.setup.interfaces.len() - self.parents.len() >= INTERFACES {
            let message = format!("interface `{name}` is one more than the {INTERFACES} that a configuration may have");
            let diagnostic = self.found.error(Class::Limit, at, message).done(LEFT_OUT);
            diagnostic.hint("run it in a second vrrpd, with a configuration and a --run-dir of its own");
            return None;
        }
        if !self.is_there(name) {
            let message = format!("interface `{name}` does not exist");
            let diagnostic = self.found.warning(Class::Interface, at, message);
            diagnostic.done("the daemon does not start without it");
            diagnostic.hint("`dynamic_interfaces` in global_defs says that interfaces may come later");
        }
        Some(self.enter(name.to_owned()))
    }

    /// Whether an interface exists, or may come later.
    fn is_there(&self, name: &str) -> bool {
        let there = self.setup.service.net_namespace.as_deref();
        let looks = self.has_namespace && !self.setup.daemon.dynamic_interfaces;
        !looks || self.host.has_interface(name, there)
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
        diagnostic.done("it holds for virtual routers below it only");
        diagnostic.hint("put global_defs first");
        None
    }
}
