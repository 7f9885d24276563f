//! Keywords that keepalived knows and we do not read, with what becomes of each and why.
//!
//! Together with the `block!` entries these are all keywords of keepalived: none of them is ever called unknown.

use crate::syntax::schema::{Foreign, Outcome};

/// Declares a table: `"keyword" Outcome "why";`.
macro_rules! foreign {
    ($($(#[$doc:meta])* $table:ident { $($($name:literal)|+ $outcome:ident $why:expr;)* })+) => {$(
        $(#[$doc])*
        pub const $table: &[Foreign] = &[
            $($(Foreign { name: $name, outcome: Outcome::$outcome, why: $why },)+)*
        ];
    )+};
}

/// Why nothing is said by SNMP, and who says it instead. The one crate for AgentX (RFC 2741), `agentx`, has the encoding of
/// messages alone; sessions, the walk through tables and the five MIBs of keepalived's would be code of our own, in the
/// daemon, for what a line of JSON says.
pub const NO_SNMP: &str = "there is no SNMP agent; `vrrpctl status --json` has what its tables would, and a FIFO \
    (`notify_fifo`) or a notify script what its traps would";

/// keepalived asks by MII, ETHTOOL_GLINK or SIOCGIFFLAGS, once a second, and hears the kernel's own word of that interface no more.
pub const NO_POLLING: &str = "a driver is not asked each second for what it tells the kernel at once; one that tells it nothing \
    is taken for up";

foreign! {
    /// Outside all blocks.
    ROOT {
        "net_namespace_ipvs" | "namespace_with_ipsets" LoadBalancing "";
        "linkbeat_use_polling" | "linkbeat_interfaces" Skipped NO_POLLING;
        "child_wait_time" Skipped "there are no child processes";
        "virtual_server" | "virtual_server_group" | "SSL" LoadBalancing "";
    }

    /// `global_defs`.
    GLOBAL {
        "smtp_alert_checker" | "no_checker_emails" | "checker_log_all_failures" LoadBalancing "";
        "enable_traps" | "enable_snmp_keepalived" | "enable_snmp_vrrp" | "enable_snmp_rfc" | "enable_snmp_rfcv2"
            | "enable_snmp_rfcv3" | "snmp_socket" Skipped NO_SNMP;
        "enable_snmp_checker" | "snmp_vs_stats_update_interval" | "snmp_rs_stats_update_interval" LoadBalancing "";
        "vrrp_iptables" | "vrrp_ipsets" Skipped "no_accept is done by nftables";
        "nftables_ifindex" Skipped "link-local addresses are told apart by the names of their interfaces";
        "nftables_ipvs" | "nftables_ipvs_priority" | "nftables_ipvs_start_fwmark" | "lvs_sync_daemon" | "lvs_flush"
            | "lvs_flush_on_stop" | "lvs_flush_onstop" | "lvs_timeouts" | "lvs_netlink_cmd_rcv_bufs"
            | "lvs_netlink_cmd_rcv_bufs_force" | "lvs_netlink_monitor_rcv_bufs" | "lvs_netlink_monitor_rcv_bufs_force"
            | "lvs_notify_fifo" | "lvs_notify_fifo_script" | "rs_init_notifies" | "checker_priority"
            | "checker_rt_priority" | "checker_no_swap" | "checker_cpu_affinity" | "checker_rlimit_rttime"
            | "checker_rlimit_rtime" | "checker_process_name" | "lvs_process_name" LoadBalancing "";
        "bfd_priority" | "bfd_rt_priority" | "bfd_no_swap" | "bfd_cpu_affinity" | "bfd_rlimit_rttime"
            | "bfd_rlimit_rtime" | "bfd_process_name" Skipped "BFD has what the protocol's threads have";
        "max_auto_priority" | "min_auto_priority_delay" Skipped
            "real-time priority does not wait for lateness: short intervals have it from the start";
        "config_save_dir" | "tmp_config_directory" Skipped "files are written below --run-dir alone";
        "reload_check_config" Skipped "a reload is always checked before it is applied";
        "vrrp_netlink_cmd_rcv_bufs" | "vrrp_netlink_cmd_rcv_bufs_force" | "vrrp_netlink_monitor_rcv_bufs"
            | "vrrp_netlink_monitor_rcv_bufs_force" | "process_monitor_rcv_bufs" | "process_monitor_rcv_bufs_force"
            | "vrrp_rx_bufs_policy" | "vrrp_rx_bufs_multiplier" Skipped "buffers are sized by the daemon";
        "log_unknown_vrids" Skipped "adverts of unknown VRIDs are counted";
        "random_seed" Skipped "${_RANDOM} is the same in every reading, so that a reload finds what it found before";
        "use_symlink_paths" Skipped "scripts are run by the path that is written, and both paths are judged";
        "disable_local_igmp" Skipped "there is nothing like it";
    }

    /// `vrrp_instance`.
    INSTANCE {
        "old_unicast_checksum" Skipped "keepalived 1.3.6 and older summed unicast adverts wrong, and nothing else does";
        "no_virtual_ipaddress" Refused "adverts without addresses are not valid";
        "debug" | "kernel_rx_buf_size" | "native_ipv6" Skipped "there is nothing like it";
        "linkbeat_use_polling" Skipped NO_POLLING;
        "lvs_sync_daemon_interface" LoadBalancing "";
    }

    /// `vrrp_script`, `vrrp_sync_group`, `authentication` and `auth_hmac`, of which every keyword is read.
    NONE {}
}
