//! `vrrp_instance`: one virtual router, as it is written.

use std::net::IpAddr;

use super::address::Address;
use super::auth::{AuthHmac, Authentication};
use super::global::{GarpDelay, GarpExtra, GarpRefresh, GarpRepeat};
use super::ipvlan::UseIpvlan;
use super::notify::DeletedLine;
use super::setup::{Route, Rule};
use super::unicast::Peer;
use super::unsupported;
use super::vmac::UseVmac;
use super::written::Written;
use crate::syntax::command::CommandLine;
use crate::syntax::diagnostic::Diagnostics;
use crate::syntax::schema::{At, Field, FromEntry, Items, Mark, Switch, block};
use crate::syntax::tree::Entry;
use crate::syntax::value::{InterfaceName, Seconds, Whole, choice};
use crate::track::{Use, Uses};

block! {
    /// One virtual router on one interface.
    pub struct Instance, others (unsupported::INSTANCE) {
        /// What it wants to be at start: MASTER or BACKUP.
        "state" => state: Option<At<State>>;
        /// Interface it runs on.
        "interface" => interface: Option<At<InterfaceName>>;
        /// With unicast peers and no interface: the VRF it runs in.
        "vrf" => vrf: Option<At<InterfaceName>>;
        /// Its VRID, the same on all routers of the virtual router.
        "virtual_router_id" => virtual_router_id: Option<At<Whole<1, 255>>>;
        /// The highest serves; 255 for the router that owns the address.
        "priority" => priority: Option<At<Whole<1, 255>>>;
        /// Seconds between adverts: whole ones in version 2, 0.01 to 40.95 in version 3.
        "advert_int" => advert_int: Option<At<Seconds<10_000, 255_000_000>>>;
        /// Protocol version.
        "version" => version: Option<At<Whole<2, 3>>>;
        /// Of version 3: speak and hear version 2 as well, while routers are upgraded one by one.
        "vrrpd_dual_version" => vrrpd_dual_version: Switch;
        /// Password of version 2.
        "authentication" => authentication: Authentication;
        /// Authentication of either version, by HMAC.
        "auth_hmac" => auth_hmac: Option<At<AuthHmac>>;
        /// Addresses it serves.
        "virtual_ipaddress" => virtual_ipaddress: Items<Address>;
        /// Addresses it holds beside those and does not advertise.
        "virtual_ipaddress_excluded" => virtual_ipaddress_excluded: Items<Address>;
        /// Routes it has while it is master.
        "virtual_routes" => virtual_routes: Items<Written<Route>>;
        /// Rules it has while it is master.
        "virtual_rules" => virtual_rules: Items<Written<Rule>>;
        /// Have the addresses on an interface of their own, with the virtual MAC address, and advertise from that address.
        "use_vmac" => use_vmac: Option<At<UseVmac>>;
        /// The same for addresses on other interfaces, or of the other family.
        "use_vmac_addr" => use_vmac_addr: Mark;
        /// Advertise from the interface's own MAC address all the same.
        "vmac_xmit_base" => vmac_xmit_base: Mark;
        /// Advertise from the address of an ipvlan interface, made on the one it runs on, which has the virtual addresses all the same.
        "use_ipvlan" => use_ipvlan: Option<At<UseIpvlan>>;
        /// Take over from a master of lower priority, or wait until it is gone.
        "preempt" | "nopreempt" => preempt: Preempt;
        /// Take packets to the virtual addresses, or drop them unless it owns the addresses.
        "accept" | "no_accept" => accept: Accept;
        /// Seconds for which a weaker master is let be.
        "preempt_delay" => preempt_delay: Option<At<Seconds<0, 1_000_000_000>>>;
        /// Whether what contradicts the RFC is refused.
        "strict_mode" => strict_mode: Switch;
        /// As the owner, listen to nobody.
        "owner_ignore_adverts" => owner_ignore_adverts: Switch;
        /// Do not answer a weaker master.
        "lower_prio_no_advert" => lower_prio_no_advert: Switch;
        /// Send a last advert before yielding.
        "higher_prio_send_advert" => higher_prio_send_advert: Switch;
        /// Compare the addresses of a master's first advert alone.
        "skip_check_adv_addr" => skip_check_adv_addr: Switch;
        /// As a master that comes too late, let a router of this priority be that has taken over meanwhile.
        "timer_expired_backup" | "thread_timer_expired" => timer_expired_backup: Option<At<LateRival>>;
        /// Source address of adverts.
        "mcast_src_ip" => mcast_src_ip: Option<At<IpAddr>>;
        /// Group that adverts go to; over IPv6 a link-local one.
        "mcast_dst_ip" => mcast_dst_ip: Option<At<IpAddr>>;
        /// Source address of unicast adverts.
        "unicast_src_ip" => unicast_src_ip: Option<At<IpAddr>>;
        /// A fault while the source address that is given is not on the interface.
        "track_src_ip" => track_src_ip: Mark;
        /// Routers that adverts go to, one by one, in place of the group.
        "unicast_peer" => unicast_peer: Items<Peer>;
        /// TTL or hop limit of unicast adverts.
        "unicast_ttl" => unicast_ttl: Option<At<Whole<0, 255>>>;
        /// Refuse adverts of others than the peers.
        "check_unicast_src" => check_unicast_src: Switch;
        /// Do not serve without a peer.
        "unicast_fault_no_peer" => unicast_fault_no_peer: Mark;
        /// Announcement rounds: time to the second.
        "garp_master_delay" => garp_master_delay: Option<GarpDelay>;
        /// Announcements in a round.
        "garp_master_repeat" => garp_master_repeat: Option<At<GarpRepeat>>;
        /// Seconds between rounds while master; 0 for none.
        "garp_master_refresh" => garp_master_refresh: Option<GarpRefresh>;
        /// Announcements in such a round.
        "garp_master_refresh_repeat" => garp_master_refresh_repeat: Option<At<GarpRepeat>>;
        /// Seconds between announcements, while master, on interfaces that no advert comes from; 0 for none.
        "garp_extra_if" | "vmac_garp_intvl" => garp_extra_if: Option<GarpExtra>;
        /// When a weaker master was heard: time to a second round.
        "garp_lower_prio_delay" => garp_lower_prio_delay: Option<At<GarpDelay>>;
        /// The same: announcements in a round, 0 for none.
        "garp_lower_prio_repeat" => garp_lower_prio_repeat: Option<At<GarpRepeat>>;
        /// Missed adverts until the master counts as dead.
        "down_timer_adverts" => down_timer_adverts: Option<At<Whole<1, 100>>>;
        /// Sum v3 adverts over IPv4 without the pseudo header.
        "v3_checksum_as_v2" => v3_checksum_as_v2: Switch;
        /// Keep the interface's other addresses of a subnet when the first of them is removed.
        "promote_secondaries" => promote_secondaries: Mark;
        /// Stay in service while the interface is down.
        "dont_track_primary" => dont_track_primary: Mark;
        /// Trackers whose outcome counts.
        "track_script" | "track_file" | "track_process" | "track_check" | "track_bfd" => tracks: Uses;
        /// Interfaces whose link state counts.
        "track_interface" => track_interface: Items<Use>;
        /// Run on becoming master.
        "notify_master" => notify_master: Option<CommandLine>;
        /// Run on becoming backup.
        "notify_backup" => notify_backup: Option<CommandLine>;
        /// Run on entering fault.
        "notify_fault" => notify_fault: Option<CommandLine>;
        /// Run when the daemon stops.
        "notify_stop" => notify_stop: Option<CommandLine>;
        /// A reload that takes it away is told as DELETED and not as FAULT; the script, if there is one, is run.
        "notify_deleted" => notify_deleted: Option<DeletedLine>;
        /// Run when a master hears a weaker one.
        "notify_master_rx_lower_pri" => notify_master_rx_lower_pri: Option<CommandLine>;
        /// Run on every change, with four words appended.
        "notify" => notify: Option<CommandLine>;
        /// Changes of effective priority are written to the FIFOs, too.
        "notify_priority_changes" => notify_priority_changes: Switch;
        /// Changes of state are mailed.
        "smtp_alert" => smtp_alert: Switch;
    }
}

choice! {
    pub enum State {
        "MASTER" => Master,
        "BACKUP" => Backup,
    }
}

/// The priority of the strongest router beside this one; 254 when none is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LateRival(pub u8);

impl FromEntry for LateRival {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        if entry.parameters().is_empty() {
            entry.no_block(found);
            return Some(Self(254));
        }
        Some(Self(Whole::<1, 254>::from_entry(entry, found)?.get() as u8))
    }
}

/// `preempt` or `nopreempt`, the last one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preempt(pub Option<At<bool>>);

impl Field for Preempt {
    fn take(&mut self, entry: &Entry, found: &mut Diagnostics) {
        entry.no_block(found);
        self.0 = Some(At { value: entry.keyword().text == "preempt", at: entry.span() });
    }
}

/// `accept` or `no_accept`, the last one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accept(pub Option<bool>);

impl Field for Accept {
    fn take(&mut self, entry: &Entry, found: &mut Diagnostics) {
        entry.no_block(found);
        self.0 = Some(entry.keyword().text == "accept");
    }
}
