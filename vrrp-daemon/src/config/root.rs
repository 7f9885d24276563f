//! The whole configuration as it is written, and the grammar that the tree needs to know.

use super::address::Address;
use super::garp_group::GarpGroup;
use super::global::GlobalDefs;
use super::instance::Instance;
use super::link::Delay;
use super::service::Name;
use super::setup::{Route, Rule};
use super::statics::TrackGroup;
use super::sync_group::SyncGroup;
use super::unsupported;
use super::written::Written;
use crate::syntax::diagnostic::Diagnostics;
use crate::syntax::schema::{At, Block, Items, Lenient, Mark, Named, block};
use crate::syntax::text::Text;
use crate::syntax::tree::{self, Grammar};
use crate::track::Definitions;

block! {
    /// A configuration.
    pub struct Config, others (unsupported::ROOT) {
        /// Network namespace that the daemon runs in.
        "net_namespace" => net_namespace: Lenient<At<String>>;
        /// Name of this daemon among several on the host.
        "instance" => instance: Lenient<Name>;
        /// Keep pid files in /run/keepalived.
        "use_pid_dir" => use_pid_dir: Mark;
        /// Settings of the daemon, and defaults.
        "global_defs" => global: GlobalDefs;
        /// Something that virtual routers track.
        "vrrp_script" | "track_file" | "vrrp_track_file" | "vrrp_track_process" | "vrrpd_check" | "bfd_instance" => trackers: Definitions;
        /// For how long an interface must be down, or up, until it counts as that.
        "interface_up_down_delays" => delays: Items<Delay>;
        /// Interfaces whose announcements share one pace.
        "garp_group" => garp_groups: Vec<At<GarpGroup>>;
        /// Virtual routers that cannot serve without static addresses, routes and rules that name it.
        "track_group" => track_groups: Vec<Named<TrackGroup>>;
        /// Addresses that the daemon has, whoever is master.
        "static_ipaddress" => static_ipaddress: Items<Address>;
        /// Routes that it has.
        "static_routes" => static_routes: Items<Written<Route>>;
        /// Rules that it has.
        "static_rules" => static_rules: Items<Written<Rule>>;
        /// Virtual routers that change state together.
        "vrrp_sync_group" => sync_groups: Vec<Named<SyncGroup>>;
        /// A virtual router.
        "vrrp_instance" => instances: Vec<Named<Instance>>;
    }
}

/// Keywords that open blocks at the root and nowhere else.
const ROOTS: &[&str] = &[
    "global_defs",
    "vrrp_script",
    "vrrp_sync_group",
    "vrrp_instance",
    "vrrp_track_process",
    "vrrp_track_file",
    "vrrpd_check",
    "bfd_instance",
    "garp_group",
    "interface_up_down_delays",
    "track_group",
    "static_ipaddress",
    "static_routes",
    "static_rules",
    "virtual_server",
    "virtual_server_group",
];

/// Keywords whose parameters are a command and who runs it.
fn is_command(keyword: &str) -> bool {
    matches!(keyword, "script" | "startup_script" | "shutdown_script")
        || keyword.starts_with("notify") && !keyword.starts_with("notify_priority")
        || keyword.ends_with("_fifo_script")
}

impl Config {
    /// Reads expanded lines.
    pub fn from_lines(lines: Vec<Text>, found: &mut Diagnostics) -> Self {
        let tree = tree::read(lines, &Grammar { roots: ROOTS, is_command: &is_command }, found);
        let mut config = Self::default();
        // One by one: each is forgotten when it is read.
        tree.into_iter().for_each(|entry| config.read(&[entry], found));
        config
    }
}
