//! Interoperation: every mode with every peer in either role, through crash, change of priority and graceful stop.
//!
//! `modes!` is the one table. An entry is a mode: its cells are tests, and its last words are why the others cannot be.
//! `board.rs` writes what was held as a table; `mixed.rs` has groups of three.

mod board;
mod cell;
mod mixed;

use vrrp_tests::conf::{Conf, Preempt};
use vrrp_tests::daemon::Program::{self, Frr, Keepalived, Vrrpd};
use vrrp_tests::lab::{own_address, own_global};

/// One row of the table.
pub struct Mode {
    pub name: &'static str,
    /// The configuration of a router, by its place and priority.
    pub conf: fn(usize, u8) -> Conf,
    /// The names of the cells that are run.
    pub cells: &'static [&'static str],
    /// Why the others are not.
    pub lacking: &'static str,
}

/// The columns: who is master first, and who is its backup.
pub const COLUMNS: [(&str, [Program; 2]); 4] = [
    ("ours_then_keepalived", [Vrrpd, Keepalived]),
    ("keepalived_then_ours", [Keepalived, Vrrpd]),
    ("ours_then_frr", [Vrrpd, Frr]),
    ("frr_then_ours", [Frr, Vrrpd]),
];

macro_rules! modes {
    ($($test:ident $name:literal ($conf:expr) [$($cell:ident)+] $lacking:literal;)+) => {
        pub const MODES: &[Mode] =
            &[$(Mode { name: $name, conf: $conf, cells: &[$(stringify!($cell)),+], lacking: $lacking }),+];
        $(mod $test {$(
            #[test]
            fn $cell() {
                super::cell::run($name, stringify!($cell));
            }
        )+})+
    };
}

modes! {
    v2_pass "v2 PASS" (|_, priority| Conf::v2(priority))
        [ours_then_keepalived keepalived_then_ours] "no authentication";
    v2_ah "v2 AH" (|_, priority| Conf::v2_ah(priority))
        [ours_then_keepalived keepalived_then_ours] "no authentication";
    v2_plain "v2" (|_, priority| Conf { password: None, ..Conf::v2(priority) })
        [ours_then_keepalived keepalived_then_ours ours_then_frr frr_then_ours] "";
    v3_ipv4 "v3/IPv4" (|_, priority| Conf::v3(priority))
        [ours_then_keepalived keepalived_then_ours ours_then_frr frr_then_ours] "";
    v3_ipv6 "v3/IPv6" (|_, priority| Conf::v6(priority))
        [ours_then_keepalived keepalived_then_ours ours_then_frr frr_then_ours] "";
    unicast_v4 "unicast v4" (|router, priority| Conf::v3(priority).unicast(own_address(router), own_address(1 - router)))
        [ours_then_keepalived keepalived_then_ours] "no unicast";
    // Without the keyword keepalived sends these, and only these, with a hop limit of 64.
    unicast_v6 "unicast v6" (|router, priority| {
        let conf = Conf::v6(priority).line("unicast_ttl 255");
        conf.unicast(own_global(router), own_global(1 - router))
    })
        [ours_then_keepalived keepalived_then_ours] "no unicast";
    vmac "VMAC" (|_, priority| Conf { use_vmac: true, ..Conf::v3(priority) })
        [ours_then_keepalived keepalived_then_ours ours_then_frr frr_then_ours] "";
    vmac_ipv6 "VMAC/IPv6" (|_, priority| Conf { use_vmac: true, ..Conf::v6(priority) })
        [ours_then_keepalived keepalived_then_ours ours_then_frr frr_then_ours] "";
    sync_group "sync group" (|_, priority| Conf { has_twin: true, ..Conf::v3(priority) })
        [ours_then_keepalived keepalived_then_ours] "no sync groups";
    // FRR has none, and takes over at once.
    preempt_delay "preempt_delay" (|_, priority| Conf { preempt: Preempt::After(2), ..Conf::v3(priority) })
        [ours_then_keepalived keepalived_then_ours ours_then_frr frr_then_ours] "";
    nopreempt "nopreempt" (|_, priority| Conf { preempt: Preempt::Never, ..Conf::v3(priority) })
        [ours_then_keepalived keepalived_then_ours ours_then_frr frr_then_ours] "";
}
