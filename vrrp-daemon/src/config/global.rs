//! `global_defs`: settings of the daemon, and defaults of its virtual routers.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::dbus::{BusName, PathWord};
use super::mail::{ConnectTime, HelloName, MailAddress, Recipients, SmtpServer};
use super::notify::{FifoPath, FilePath, MarkPath, TimePath};
use super::service::{BracketTime, ProcessName, Umask};
use super::unsupported;
use super::vmac::Prefix;
use crate::syntax::command::{CommandLine, UserName};
use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::expand::include::DEMANDS;
use crate::syntax::lexer::Word;
use crate::syntax::schema::{At, Field, FromEntry, Lenient, Mark, Switch, block};
use crate::syntax::tree::Entry;
use crate::syntax::value::{InterfaceName, Seconds, Value, Whole, choice};

/// `garp_master_delay`: up to an hour, 0 for no second round.
pub type GarpDelay = Seconds<0, 3_600_000_000>;
/// `garp_master_repeat`; 0 reads as 1.
pub type GarpRepeat = Whole<0, 1000>;
/// `garp_master_refresh`: up to a day, 0 for never.
pub type GarpRefresh = Whole<0, 86_400>;

/// `garp_extra_if [all] SECONDS`: where `all` is not said, on virtual MAC interfaces alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GarpExtra {
    pub all: bool,
    pub every: GarpRefresh,
}

impl FromEntry for GarpExtra {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.no_block(found);
        let (all, seconds) = match entry.parameters() {
            [all, rest @ ..] if all.text == "all" => (true, rest),
            rest => (false, rest),
        };
        let every = match seconds {
            [seconds] => GarpRefresh::parse(&seconds.text),
            _ => None,
        };
        if every.is_none() {
            let message = format!("`{}` expects `[all] SECONDS`, up to a day, 0 for never", entry.keyword().text);
            found.error(Class::Value, entry.span(), message).done("the line is skipped");
        }
        every.map(|every| Self { all, every })
    }
}

/// Time between two announcements, bounded as in keepalived.
pub type Pause = Seconds<1, 4_294_967_295>;

/// `vrrp_rlimit_rttime`, in microseconds.
pub type RtTime = Whole<1, { u32::MAX as i64 }>;

/// `vrrp_cpu_affinity`: CPUs by their numbers, as many as the kernel's mask has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpus(pub Vec<Whole<0, 1023>>);

impl FromEntry for Cpus {
    /// One word that is no CPU spoils the line, as in keepalived.
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.no_block(found);
        let mut cpus = Vec::new();
        for word in entry.parameters() {
            let Some(cpu) = Whole::parse(&word.text) else {
                let message = format!("`{}` has `{}`; expected numbers of CPUs", entry.keyword().text, word.text);
                found.error(Class::Value, word.span, message).done("the line is skipped, what held before it stands");
                return None;
            };
            cpus.push(cpu);
        }
        Some(Self(cpus))
    }
}

block! {
    /// All `global_defs` blocks of a configuration, one over the other.
    pub struct GlobalDefs, others (unsupported::GLOBAL) {
        /// Name of this router in reports.
        "router_id" => router_id: Lenient<String>;
        /// Protocol version of virtual routers that do not say.
        "vrrp_version" => vrrp_version: Option<At<Whole<2, 3>>>;
        /// Run before anything else is done, and waited for.
        "startup_script" => startup_script: Lenient<CommandLine>;
        /// Seconds until it is ended; default 10.
        "startup_script_timeout" => startup_script_timeout: Option<BracketTime>;
        /// Run when everything else is done, and waited for.
        "shutdown_script" => shutdown_script: Lenient<CommandLine>;
        /// Seconds until it is ended; default 10.
        "shutdown_script_timeout" => shutdown_script_timeout: Option<BracketTime>;
        /// What others may not do with files that the daemon and its scripts make; default 0177.
        "umask" => umask: Option<Umask>;
        /// The process is called keepalived_vrrp.
        "process_names" => process_names: Mark;
        /// What the process is called.
        "process_name" => process_name: Lenient<ProcessName>;
        /// The same: it is the process that speaks VRRP.
        "vrrp_process_name" => vrrp_process_name: Lenient<ProcessName>;
        /// Who runs scripts that do not say: user, and group if another than the user's.
        "script_user" => script_user: Lenient<UserName>;
        /// Refuse scripts that run as root and that others than root could change.
        "enable_script_security" => enable_script_security: Switch;
        /// Scripts also get the other groups of who runs them.
        "set_supplementary_groups" => set_supplementary_groups: Mark;
        /// FIFO that each change of a virtual router or a group is written to: its path, and who owns it.
        "notify_fifo" => notify_fifo: Option<FifoPath>;
        /// Run from the start on, with that path appended, to read it.
        "notify_fifo_script" => notify_fifo_script: Option<CommandLine>;
        /// A second such FIFO; in keepalived the one that is for VRRP alone.
        "vrrp_notify_fifo" => vrrp_notify_fifo: Option<FifoPath>;
        /// Its reader.
        "vrrp_notify_fifo_script" => vrrp_notify_fifo_script: Option<CommandLine>;
        /// Changes of effective priority are written, too, of virtual routers that do not say.
        "vrrp_notify_priority_changes" => notify_priority_changes: Switch;
        /// After a reload all states are written.
        "fifo_write_vrrp_states_on_reload" => states_on_reload: Switch;
        /// Who is written to when a state changes, as far as `smtp_alert` says.
        "notification_email" => notification_email: Recipients;
        /// In whose name; default root of this host.
        "notification_email_from" => notification_email_from: Lenient<MailAddress>;
        /// Server that takes the mail, and its port if not 25.
        "smtp_server" => smtp_server: Option<SmtpServer>;
        /// How this host names itself to it; default its full name.
        "smtp_helo_name" => smtp_helo_name: Lenient<HelloName>;
        /// Seconds until a server that does not answer is given up; default 30.
        "smtp_connect_timeout" => smtp_connect_timeout: Option<ConnectTime>;
        /// Mail is sent of virtual routers and groups that do not say.
        "smtp_alert" => smtp_alert: Switch;
        /// The same; it counts where both are there.
        "smtp_alert_vrrp" => smtp_alert_vrrp: Switch;
        /// Entering fault is not mailed.
        "no_email_faults" => no_email_faults: Mark;
        /// Be on the system's message bus, to be asked and heard there as keepalived is.
        "enable_dbus" => enable_dbus: Mark;
        /// Under this name; default org.keepalived.Vrrp1.
        "dbus_service_name" => dbus_service_name: Lenient<BusName>;
        /// What stands there for the interface of virtual routers that have none; default `none`.
        "dbus_no_interface_name" => dbus_no_interface_name: Lenient<PathWord>;
        /// File of the state that SIGUSR1 asks for, in place of keepalived.data in $TMPDIR or /tmp.
        "state_dump_file" => state_dump_file: Option<FilePath>;
        /// The same of the statistics that SIGUSR2 asks for.
        "stats_dump_file" => stats_dump_file: Option<FilePath>;
        /// The same of keepalived.json.
        "json_dump_file" => json_dump_file: Option<FilePath>;
        /// Form of that file.
        "json_version" => json_version: Option<Whole<1, 2>>;
        /// The names of these files say which instance and network namespace they are of.
        "data_use_instance" => data_use_instance: Switch;
        /// File whose first line says when to reload: HH:MM:SS or YYYY-MM-DD HH:MM:SS, UTC with a Z behind it.
        "reload_time_file" => reload_time_file: Option<TimePath>;
        /// It is not removed when its time has come, and a time of day comes again.
        "reload_repeat" => reload_repeat: Mark;
        /// File that is there while a configuration is read; by default keepalived.reload beside keepalived's pid files.
        "reload_file" => reload_file: Option<MarkPath>;
        /// Announcement rounds of virtual routers that follow and do not say: time to the second.
        "vrrp_garp_master_delay" => garp_master_delay: Option<At<GarpDelay>>;
        /// The same: announcements in a round.
        "vrrp_garp_master_repeat" => garp_master_repeat: Option<At<GarpRepeat>>;
        /// One announcement and no second round, for virtual routers that follow.
        "vrrp_min_garp" => min_garp: Switch;
        /// Time between two gratuitous ARPs on one interface.
        "vrrp_garp_interval" => garp_interval: Option<At<Pause>>;
        /// Time between two unsolicited neighbour advertisements on one interface.
        "vrrp_gna_interval" => gna_interval: Option<At<Pause>>;
        /// Seconds between rounds while master, for virtual routers that follow; 0 for none.
        "vrrp_garp_master_refresh" => garp_master_refresh: Option<At<GarpRefresh>>;
        /// The same: announcements in such a round.
        "vrrp_garp_master_refresh_repeat" => garp_master_refresh_repeat: Option<At<GarpRepeat>>;
        /// Seconds between announcements, while master, on interfaces that no advert comes from, for virtual routers that
        /// follow; 0 for none.
        "vrrp_garp_extra_if" | "vrrp_vmac_garp_intvl" => garp_extra_if: Option<At<GarpExtra>>;
        /// When a weaker master was heard, for virtual routers that follow: time to a second round.
        "vrrp_garp_lower_prio_delay" => garp_lower_prio_delay: Option<At<GarpDelay>>;
        /// The same: announcements in a round, 0 for none.
        "vrrp_garp_lower_prio_repeat" => garp_lower_prio_repeat: Option<At<GarpRepeat>>;
        /// Do not answer a weaker master, for virtual routers that do not say.
        "vrrp_lower_prio_no_advert" => lower_prio_no_advert: Switch;
        /// Send a last advert before yielding, for virtual routers that do not say.
        "vrrp_higher_prio_send_advert" => higher_prio_send_advert: Switch;
        /// Compare the addresses of a master's first advert alone, for virtual routers that follow.
        "vrrp_skip_check_adv_addr" => skip_check_adv_addr: Switch;
        /// An owner listens to nobody, for virtual routers that do not say.
        "vrrp_owner_ignore_adverts" => owner_ignore_adverts: Switch;
        /// The RFC to the letter, for virtual routers that do not say.
        "vrrp_strict" => strict: Switch;
        /// Seconds from the daemon's start in which no virtual router takes part.
        "vrrp_startup_delay" => startup_delay: Option<Pause>;
        /// Seconds from the host's start in which no virtual router takes part.
        "vrrp_delay_after_boot" => delay_after_boot: Option<Pause>;
        /// Missed adverts until the master counts as dead, for virtual routers that follow.
        "vrrp_down_timer_adverts" => down_timer_adverts: Option<At<Whole<1, 100>>>;
        /// Sum v3 adverts over IPv4 without the pseudo header, for virtual routers that follow.
        "v3_checksum_as_v2" => v3_checksum_as_v2: Switch;
        /// Group that adverts are sent to; only the protocol's own is supported.
        "vrrp_mcast_group4" => mcast_group4: Option<At<Ipv4Addr>>;
        /// Group that IPv6 adverts go to, a link-local one.
        "vrrp_mcast_group6" => mcast_group6: Option<At<Ipv6Addr>>;
        /// Refuse unicast adverts of others than the peers.
        "vrrp_check_unicast_src" => check_unicast_src: Switch;
        /// SCHED_FIFO priority of the protocol's thread.
        "vrrp_rt_priority" => rt_priority: Lenient<Whole<1, 99>>;
        /// Microseconds of real-time work without a pause after which the kernel ends the daemon.
        "vrrp_rlimit_rttime" | "vrrp_rlimit_rtime" => rlimit_rttime: Option<At<RtTime>>;
        /// Nice value of the protocol's threads, for when they have no real-time priority.
        "vrrp_priority" => nice: Lenient<Whole<-20, 19>>;
        /// CPUs that the protocol's threads run on.
        "vrrp_cpu_affinity" => cpu_affinity: Lenient<At<Cpus>>;
        /// Lock the daemon's memory.
        "vrrp_no_swap" => no_swap: Mark;
        /// What plain includes below must find: all, or some of read, match, wildcard_match, brace_match.
        "include_check" => include_check: IncludeCheck;
        /// Interface of virtual routers that do not say.
        "default_interface" => default_interface: Lenient<InterfaceName>;
        /// Interfaces may come later; one that is missing is no finding.
        "dynamic_interfaces" => dynamic_interfaces: Mark;
        /// Table of nftables that `no_accept` sets up.
        "nftables" => nftables: TableName;
        /// Priority of its chains.
        "nftables_priority" => nftables_priority: Lenient<Whole<{ i32::MIN as i64 }, { i32::MAX as i64 }>>;
        /// Count what it drops.
        "nftables_counters" => nftables_counters: Switch;
        /// What the names of virtual MAC interfaces start with: `vrrp` of `vrrp.51`.
        "vmac_prefix" => vmac_prefix: Lenient<Prefix>;
        /// The same for those of single addresses.
        "vmac_addr_prefix" => vmac_addr_prefix: Lenient<Prefix>;
        /// Where iproute2 has the names of tables, protocols and the like.
        "iproute_usr_dir" => iproute_usr_dir: Lenient<String>;
        /// The same, for the host's own, which come first.
        "iproute_etc_dir" => iproute_etc_dir: Lenient<String>;
        /// Where the kernel's program is attached.
        "xdp_mode" => xdp_mode: Option<XdpMode>;
        /// What becomes of adverts of VRIDs that are not configured.
        "xdp_unknown_vrid" => xdp_unknown_vrid: Option<XdpUnknownVrid>;
        /// Whether valid adverts stay visible to other listeners.
        "xdp_deliver" => xdp_deliver: Option<XdpDeliver>;
    }
}

/// `include_check`: reading files has followed it already, so its words are looked at and forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IncludeCheck;

impl Field for IncludeCheck {
    fn take(&mut self, entry: &Entry, found: &mut Diagnostics) {
        entry.no_block(found);
        let is_known = |word: &&Word| DEMANDS.contains(&word.text.trim_start_matches(['+', '-']));
        for word in entry.parameters().iter().filter(|word| !is_known(word)) {
            let message = format!("`include_check` has `{}`; expected {}", word.text, DEMANDS.join(", "));
            found.error(Class::Value, word.span, message).done("the word is skipped");
        }
    }
}

choice! {
    pub enum XdpMode {
        "auto" => Auto,
        "native" => Native,
        "generic" => Generic,
        "off" => Off,
    }
}

choice! {
    pub enum XdpUnknownVrid {
        "drop" => Drop,
        "pass" => Pass,
    }
}

choice! {
    pub enum XdpDeliver {
        "consume" => Consume,
        "observe" => Observe,
    }
}

/// The name of a table; none is the default one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableName(pub Option<String>);

impl Field for TableName {
    fn take(&mut self, entry: &Entry, found: &mut Diagnostics) {
        entry.no_block(found);
        entry.no_more_than(1, found);
        let Some(word) = entry.parameters().first() else { return };
        let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
        if word.text.starts_with(is_letter) && word.text.chars().all(|c| is_letter(c) || c.is_ascii_digit()) {
            self.0 = Some(word.text.clone());
        } else {
            let message = format!("`nftables` is `{}`; expected a name of letters, digits and _", word.text);
            found.error(Class::Value, word.span, message).done("the line is skipped");
        }
    }
}
