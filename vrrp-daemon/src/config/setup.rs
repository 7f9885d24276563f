//! What a configuration comes to: the engine's plan, and beside it all that only the host side needs.
//!
//! Tables are indexed by the plan's ids.

mod paths;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use vrrp_common::wire::advert::ADDRESSES_MAX;
use vrrp_common::wire::checksum::ChecksumForm;
use vrrp_common::wire::ip::VRRP_GROUP4;

use crate::auth::Authentication;
use crate::engine::plan::{InstanceId, InterfaceId, Plan, Weight};
pub use crate::track::Kind as TrackerKind;
pub use crate::track::command::{Command, RunAs};
pub use paths::{Action, Encap, Hop, Metrics, Paths, Placement, Prefix, Route, Rule, Tunnel};

/// A whole configuration, resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    pub plan: Plan,
    pub daemon: Daemon,
    pub service: Service,
    /// By [`InterfaceId`]: the interfaces' names.
    pub interfaces: Vec<String>,
    /// Places of virtual routers without an interface of their own: [`HOST`], or VRFs. Their adverts come in by whichever
    /// interface has the route.
    pub routed: BTreeSet<InterfaceId>,
    /// By `InstanceId`.
    pub instances: Vec<Instance>,
    /// By `GroupId`.
    pub groups: Vec<Group>,
    /// By `TrackerId`.
    pub trackers: Vec<Tracker>,
    /// How announcements are paced; the first of them are not.
    pub paces: Vec<Pace>,
    /// By [`InterfaceId`]: index into `paces`.
    pub pace_of: Vec<u32>,
    /// Interfaces that the daemon makes on others; all of them are in use.
    pub uppers: Vec<Upper>,
    pub statics: Statics,
    pub telling: Telling,
    pub reloading: Reloading,
}

/// Who is told of changes beside the scripts of virtual routers and groups; from `global_defs`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telling {
    pub fifos: Vec<Fifo>,
    /// `fifo_write_vrrp_states_on_reload`.
    pub states_on_reload: bool,
    /// None without a server and somebody to write to.
    pub mail: Option<Box<Mail>>,
    /// SNMP is asked for (`enable_snmp_vrrp` and the like), which is not done.
    pub wants_snmp: bool,
    pub dumps: Dumps,
    /// `enable_dbus`.
    pub dbus: Option<Dbus>,
}

/// How the daemon is to be found on the system's message bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dbus {
    /// `dbus_service_name`.
    pub name: String,
    /// `dbus_no_interface_name`: in paths, for the interface of a virtual router that has none.
    pub no_interface: String,
}

/// Where the mail of those with `smtp_alert` goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// `smtp_server`: a name or an address, and the port.
    pub server: String,
    pub port: u16,
    /// `router_id`, which is in every subject; otherwise this host's full name.
    pub router: String,
    /// `notification_email_from`.
    pub from: String,
    /// `notification_email`; one at least.
    pub to: Vec<String>,
    /// `smtp_helo_name`.
    pub hello: String,
    /// `smtp_connect_timeout`.
    pub timeout: Duration,
    /// Without `no_email_faults`: entering fault is mailed, too.
    pub faults: bool,
}

/// The files that keepalived's signals ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dumps {
    /// `state_dump_file`, `stats_dump_file`, `json_dump_file`; otherwise one in $TMPDIR or /tmp.
    pub data: Option<String>,
    pub stats: Option<String>,
    pub json: Option<String>,
    /// `json_version 2`.
    pub second_json: bool,
    /// `data_use_instance`.
    pub name_instance: bool,
}

/// `notify_fifo` or `vrrp_notify_fifo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fifo {
    /// `vrrp_notify_fifo`.
    pub of_vrrp: bool,
    pub path: String,
    pub owner: RunAs,
    /// Its reader; the path is appended.
    pub script: Option<Command>,
}

/// What files have to do with reloads; from `global_defs`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloading {
    pub time_file: Option<TimeFile>,
    /// `reload_file`: there while a configuration is read.
    pub mark: Option<String>,
}

/// `reload_time_file`: says when to reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeFile {
    pub path: String,
    /// `reload_repeat`: it stays when its time has come, and a time of day comes again.
    pub repeats: bool,
}

/// What the daemon has on the host for as long as it runs, whoever is master.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statics {
    /// `static_ipaddress`.
    pub addresses: Vec<VirtualAddress>,
    /// `static_routes` and `static_rules`.
    pub paths: Paths,
}

/// The name of the place that is the host outside all VRFs; no interface can be called so.
pub const HOST: &str = "any interface";

impl Setup {
    /// The interface that has the source address of an instance.
    pub fn source_interface(&self, id: InstanceId) -> InterfaceId {
        self.instances[id.index()].ipvlan.unwrap_or(self.plan.instances[id.index()].interface)
    }

    /// What unicast adverts of an instance must leave by, a VRF or an ipvlan; otherwise the kernel's rules say by what.
    pub fn bound_to(&self, id: InstanceId) -> Option<InterfaceId> {
        let place = self.plan.instances[id.index()].interface;
        let vrf = (self.routed.contains(&place) && self.interfaces[place.index()] != HOST).then_some(place);
        let Instance { ipvlan, destination, .. } = &self.instances[id.index()];
        // The answer of ARP to the ipvlan's address comes to nobody else.
        vrf.or(ipvlan.filter(|_| matches!(destination, Destination::Peers(_))))
    }
}

/// Time between two announcements on an interface, or on those of one `garp_group`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Of gratuitous ARPs.
    pub garp: Duration,
    /// Of unsolicited neighbour advertisements.
    pub gna: Duration,
}

/// How the daemon lives on its host, from the root and `global_defs`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    pub net_namespace: Option<String>,
    /// Tells several daemons of a host apart.
    pub instance: Option<String>,
    pub use_pid_dir: bool,
    /// Permissions that new files do not have.
    pub umask: Option<u16>,
    pub process_name: Option<String>,
    /// Log every address that is set or removed: `-a`, which no keyword says.
    pub address_monitoring: bool,
    /// `startup_script`
    pub startup: Option<Bracket>,
    /// `shutdown_script`
    pub shutdown: Option<Bracket>,
}

impl Service {
    /// `umask` where nothing is said: keepalived's.
    pub const UMASK: u16 = 0o177;
}

/// A command that is run once and waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bracket {
    pub command: Command,
    /// Then it is ended.
    pub timeout: Duration,
}

/// Settings of the process, from `global_defs`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Daemon {
    pub router_id: Option<String>,
    pub scheduling: Scheduling,
    /// `dynamic_interfaces`: an interface that does not exist may come later.
    pub dynamic_interfaces: bool,
    pub firewall: Firewall,
    pub xdp: Xdp,
}

/// The table of nftables that `no_accept` needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firewall {
    /// `nftables`.
    pub table: String,
    /// `nftables_priority` of its chains.
    pub priority: i32,
    /// `nftables_counters`.
    pub counters: bool,
}

impl Default for Firewall {
    fn default() -> Self {
        Self { table: "keepalived".into(), priority: -1, counters: false }
    }
}

/// How the protocol's threads get their time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scheduling {
    /// `vrrp_rt_priority`, 1 to 99.
    pub rt_priority: Option<u8>,
    /// `vrrp_rlimit_rttime`: real-time work without a pause after which the kernel ends the daemon.
    pub rt_time: Option<Duration>,
    /// `vrrp_priority`, -20 to 19.
    pub nice: Option<i8>,
    /// `vrrp_cpu_affinity`; empty is all CPUs.
    pub cpus: Vec<u16>,
    /// `vrrp_no_swap`.
    pub no_swap: bool,
}

/// Our own keywords `xdp_mode`, `xdp_unknown_vrid` and `xdp_deliver`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Xdp {
    pub mode: XdpMode,
    /// `xdp_unknown_vrid pass`: adverts of VRIDs that are not configured here pass up the stack.
    pub pass_unknown: bool,
    /// `xdp_deliver observe`: valid adverts stay visible to tcpdump and reach us by the raw socket.
    pub observe: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XdpMode {
    /// Native, else generic, else raw sockets alone.
    #[default]
    Auto,
    /// Native or refuse to start.
    Native,
    /// Generic or refuse to start.
    Generic,
    /// Raw sockets alone.
    Off,
}

/// The host side of one virtual router.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    pub name: String,
    /// In configured order; those of the advert first.
    pub addresses: Vec<VirtualAddress>,
    /// `virtual_routes` and `virtual_rules`.
    pub paths: Paths,
    /// `use_vmac` without `vmac_xmit_base`: the MAC address that adverts come from; otherwise the interface's own.
    pub source_mac: Option<[u8; 6]>,
    /// `mcast_src_ip`, `unicast_src_ip` or the address of `use_ipvlan`; otherwise the interface's primary address, of IPv6 its
    /// link-local one.
    pub source: Option<IpAddr>,
    /// `use_ipvlan`: the interface that has the source address, in place of the one that adverts leave by.
    pub ipvlan: Option<InterfaceId>,
    /// `track_src_ip`: nothing is sent while that address is not there.
    pub tracks_source: bool,
    pub destination: Destination,
    pub authentication: Authentication,
    /// `no_accept`, of one that does not own its addresses: packets to them are not for this host.
    pub no_accept: bool,
    /// `strict_mode`, or `vrrp_strict`.
    pub strict: bool,
    /// When an address is removed, others of its subnet on the interface stay.
    pub promote_secondaries: bool,
    /// `v3_checksum_as_v2`: how v3 adverts over IPv4 are summed. Not said: as those of the peer.
    pub checksum_form: Option<ChecksumForm>,
    /// `smtp_alert`: mail is sent of it, if there is where to.
    pub smtp_alert: bool,
    /// None for most.
    pub notify: Option<Box<Notify>>,
}

impl Instance {
    /// The addresses that its adverts name, as many as the count octet can.
    pub fn advertised(&self) -> impl Iterator<Item = IpAddr> + Clone {
        let advertised = self.addresses.iter().filter(|address| address.advertised);
        advertised.map(|address| address.address).take(ADDRESSES_MAX)
    }
}

/// Where adverts go, and where those of others come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Everybody who listens on the link: VRRP's group, or that of `mcast_dst_ip`, `vrrp_mcast_group4`,
    /// `vrrp_mcast_group6`.
    Group(IpAddr),
    /// `unicast_peer`: each of these; what comes from them, comes to our own address.
    Peers(Unicast),
}

impl Default for Destination {
    fn default() -> Self {
        Self::Group(VRRP_GROUP4.into())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unicast {
    pub peers: Vec<Peer>,
    /// `unicast_ttl`: of our own adverts.
    pub ttl: u8,
    /// `check_unicast_src`: nobody else is heard. Without it keepalived hears all who know the VRID.
    pub peers_only: bool,
}

/// A router of `unicast_peer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub address: IpAddr,
    /// `min_ttl` and `max_ttl` of what comes from it; 0 and 255 where nothing is said.
    pub min_ttl: u8,
    pub max_ttl: u8,
}

/// An address that the master holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualAddress {
    pub address: IpAddr,
    /// Prefix length; 32 or 128 when the configuration gives none.
    pub prefix: u8,
    /// `dev`, otherwise the instance's interface; or the virtual MAC interface on it.
    pub interface: InterfaceId,
    /// `brd`: none, given, or made of the address by `+` (all host bits one) or `-` (all zero).
    pub broadcast: Option<Ipv4Addr>,
    /// `label`, of IPv4 addresses.
    pub label: Option<Box<str>>,
    /// `scope` as the kernel's number; 0 is global.
    pub scope: u8,
    /// `peer`: the other end of a point-to-point link; the prefix length is that of this one.
    pub peer: Option<IpAddr>,
    /// The kernel's IFA_F flags: `home`, `mngtmpaddr`, `noprefixroute`, `autojoin`, and `nodad` unless `-nodad` is given.
    pub flags: u32,
    /// `preferred_lft` of IPv6, in seconds; with 0 it is only the source of what must come from it.
    pub preferred: Option<u32>,
    /// Without `no_track`: set again when others remove it.
    pub kept: bool,
    /// In the advert; `false` for `virtual_ipaddress_excluded`.
    pub advertised: bool,
}

impl VirtualAddress {
    /// An advertised address that nothing else is said of.
    pub const fn new(address: IpAddr, prefix: u8, interface: InterfaceId) -> Self {
        Self {
            address,
            prefix,
            interface,
            broadcast: None,
            label: None,
            scope: 0,
            peer: None,
            flags: 0,
            preferred: None,
            kept: true,
            advertised: true,
        }
    }
}

/// An interface that the daemon makes on another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upper {
    /// Its own place in [`Setup::interfaces`].
    pub interface: InterfaceId,
    /// The interface that it stands on.
    pub parent: InterfaceId,
    /// Link group; otherwise the parent's.
    pub group: Option<u32>,
    /// It will have IPv6 addresses.
    pub ipv6: bool,
    pub kind: UpperKind,
}

/// What it is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UpperKind {
    /// A macvlan for a virtual MAC address (RFC 9568 section 7.3). It is up while an instance that has addresses on it is master.
    Vmac([u8; 6]),
    /// `use_ipvlan`: an ipvlan of mode L2, always up, whose address adverts come from. Its virtual addresses are on the parent.
    Ipvlan(Isolation, Option<Prefix>),
}

/// How ipvlans of one parent see each other; the kernel has one for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isolation {
    Bridge,
    Private,
    Vepa,
}

/// The host side of a sync group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    /// `smtp_alert`, as of an instance.
    pub smtp_alert: bool,
    pub notify: Option<Box<Notify>>,
}

/// Commands run when the state changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    pub master: Option<Command>,
    pub backup: Option<Command>,
    pub fault: Option<Command>,
    pub stop: Option<Command>,
    /// `notify_deleted`: a reload took it away.
    pub deleted: Option<Command>,
    /// `notify_deleted`, with a script or without: that is told as DELETED and not as FAULT.
    pub says_deleted: bool,
    /// `notify_master_rx_lower_pri`: a master heard a weaker one.
    pub rx_lower: Option<Command>,
    /// `notify`: on every change, with four arguments appended.
    pub any: Option<Command>,
    /// `notify_priority_changes`: of the effective priority the FIFOs are told, too.
    pub priority_changes: bool,
}

impl Notify {
    /// Boxed, unless it says nothing: most say nothing.
    pub fn if_any(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// What is watched by the host side for the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracker {
    pub name: String,
    pub kind: TrackerKind,
    /// Of virtual routers that say no other.
    pub weight: Weight,
}
