//! What can be said in two ways comes to the same: a synonym, a default of `global_defs` in place of the virtual router's own
//! word. What the one does the other does, then.

use vrrp_daemon::config::setup::Setup;
use vrrp_daemon::config::{Checked, check};
use vrrp_daemon::syntax::expand::Reading;
use vrrp_daemon::syntax::source::Memory;
use vrrp_tests::configuration::Anywhere;

/// Lines of `global_defs`, blocks before the virtual router, and lines of that.
#[derive(Clone, Copy, Default)]
struct Said {
    global: &'static str,
    before: &'static str,
    router: &'static str,
}

const NOTHING: Said = Said { global: "", before: "", router: "" };

const fn global(global: &'static str) -> Said {
    Said { global, ..NOTHING }
}

const fn before(before: &'static str) -> Said {
    Said { before, ..NOTHING }
}

const fn router(router: &'static str) -> Said {
    Said { router, ..NOTHING }
}

/// On its interface, which it has unless something is said of that, and with an address of the family that the lines are of.
fn read(said: [Said; 2]) -> Checked {
    let all = |part: fn(&Said) -> &str| said.iter().map(part).collect::<Vec<_>>().join("\n");
    let (global, before, router) = (all(|said| said.global), all(|said| said.before), all(|said| said.router));
    let has_interface =
        router.lines().any(|line| line.starts_with("interface ")) || global.contains("default_interface");
    let interface = if has_interface { "" } else { "interface eth0\n" };
    let address = if router.contains("ff02:") || global.contains("ff02:") { "fe80::1" } else { "10.0.0.1" };
    let text = format!(
        "global_defs {{\n{global}\n}}\n{before}\nvrrp_instance VI_1 {{\n{interface}virtual_router_id 51\n{router}\n\
         virtual_ipaddress {{\n{address}\n}}\n}}\n"
    );
    let source = Memory::of("k.conf", text.as_str());
    check(&Reading { source: &source, id: None, all_includes: false }, &Anywhere, "k.conf")
}

fn setup(said: [Said; 2]) -> Setup {
    let checked = read(said);
    assert!(!checked.has_errors(), "{}", checked.report());
    checked.setup
}

const V3: Said = router("version 3");
const PEERS: Said = router("unicast_peer {\n10.0.0.2\n}");
const PATIENT: Said = router("nopreempt");
const OWNER: Said = router("priority 255");
const MAILED: Said =
    global("smtp_server 192.0.2.1\nnotification_email {\na@example.org\n}\nnotification_email_from b@example.org");
const FIFO: Said = global("vrrp_notify_fifo /run/fifo");
const FILE: Said = router("track_file {\nf\n}");
const PROCESS: Said = router("track_process {\np\n}");
const BFD: Said = router("track_bfd {\nb\n}");
const MEMBER: Said = router("track_script {\ns weight 3\n}");
const SCRIPT: Said = before("vrrp_script s {\nscript /bin/true\nweight 9 reverse\n}");
const NUMBER: Said = before("track_file f {\nfile /run/f\nweight 9 reverse\n}");

/// Beside what is said first, the second and the third are alike; and both make a difference.
const ALIKE: &[(Said, Said, Said)] = &[
    // Defaults, and a virtual router's own words.
    (NOTHING, global("vrrp_version 3"), router("version 3")),
    (NOTHING, global("vrrp_garp_master_delay 7"), router("garp_master_delay 7")),
    (NOTHING, global("vrrp_garp_master_repeat 3"), router("garp_master_repeat 3")),
    (NOTHING, global("vrrp_garp_master_refresh 9"), router("garp_master_refresh 9")),
    (NOTHING, global("vrrp_garp_master_refresh_repeat 4"), router("garp_master_refresh_repeat 4")),
    (NOTHING, global("vrrp_garp_lower_prio_delay 2"), router("garp_lower_prio_delay 2")),
    (NOTHING, global("vrrp_garp_lower_prio_repeat 0"), router("garp_lower_prio_repeat 0")),
    (NOTHING, global("vrrp_min_garp"), router("garp_master_repeat 1\ngarp_master_delay 0")),
    (NOTHING, global("vrrp_lower_prio_no_advert"), router("lower_prio_no_advert")),
    (NOTHING, global("vrrp_higher_prio_send_advert"), router("higher_prio_send_advert")),
    (NOTHING, global("vrrp_skip_check_adv_addr"), router("skip_check_adv_addr")),
    (NOTHING, global("vrrp_down_timer_adverts 5"), router("down_timer_adverts 5")),
    (NOTHING, global("vrrp_strict"), router("strict_mode")),
    (NOTHING, global("vrrp_mcast_group4 224.0.0.99"), router("mcast_dst_ip 224.0.0.99")),
    (NOTHING, global("vrrp_mcast_group6 ff02::99"), router("mcast_dst_ip ff02::99")),
    (NOTHING, global("default_interface eth1"), router("interface eth1")),
    (OWNER, global("vrrp_owner_ignore_adverts"), router("owner_ignore_adverts")),
    (V3, global("v3_checksum_as_v2"), router("v3_checksum_as_v2")),
    (PEERS, global("vrrp_check_unicast_src"), router("check_unicast_src")),
    (FIFO, global("vrrp_notify_priority_changes"), router("notify_priority_changes")),
    (MAILED, global("smtp_alert"), router("smtp_alert")),
    (MAILED, global("smtp_alert"), global("smtp_alert_vrrp")),
    (MAILED, global("smtp_alert off\nsmtp_alert_vrrp on"), global("smtp_alert")),
    // Synonyms, and words that may be left out.
    (NOTHING, global("process_name vr"), global("vrrp_process_name vr")),
    (NOTHING, global("process_names"), global("process_name keepalived_vrrp")),
    (NOTHING, global("process_name other\nvrrp_process_name vr"), global("process_name vr")),
    (NOTHING, global("vrrp_rlimit_rtime 5000000"), global("vrrp_rlimit_rttime 5000000")),
    (PATIENT, router("timer_expired_backup 200"), router("thread_timer_expired 200")),
    (FILE, before("track_file f {\nfile /run/f\n}"), before("vrrp_track_file f {\nfile /run/f\n}")),
    (
        PROCESS,
        before("vrrp_track_process p {\nprocess p\ndelay 3\n}"),
        before("vrrp_track_process p {\nprocess p\nfork_delay 3\nterminate_delay 3\n}"),
    ),
    (
        BFD,
        before("bfd_instance b {\nneighbor_ip 10.0.0.2\n}"),
        before("bfd_instance b {\nneighbour_ip 10.0.0.2\nvrrp\n}"),
    ),
    (
        Said { before: "vrrp_script s {\nscript /bin/true\n}", ..MEMBER },
        before("vrrp_sync_group G {\ngroup {\nVI_1\n}\nglobal_tracking\n}"),
        before("vrrp_sync_group G {\ngroup {\nVI_1\n}\nsync_group_tracking_weight\n}"),
    ),
    // What a group tracks, and what its member does.
    (NOTHING, before(GROUP_TRACKERS), Said { before: TRACKERS_GROUP, ..router(MEMBER_TRACKERS) }),
    (
        MAILED,
        Said {
            before: "vrrp_sync_group G {\ngroup {\nVI_1\n}\nsync_group_tracking_weight\nsmtp_alert\n}",
            ..router("smtp_alert")
        },
        Said { before: GROUP, ..global("smtp_alert") },
    ),
    // Without a word a weight is as reversed as that of the definition.
    (SCRIPT, router("track_script {\ns weight 4\n}"), router("track_script {\ns weight 4 reverse\n}")),
    (SCRIPT, router("track_script {\ns\n}"), router("track_script {\ns weight 9 reverse\n}")),
    (NUMBER, router("track_file {\nf weight 0\n}"), router("track_file {\nf weight 0 reverse\n}")),
    // Without a peer the group.
    (router("unicast_peer {\n}"), router("version 3"), router("unicast_peer {\n}\nversion 3")),
    // Addresses.
    (NOTHING, router(EXCLUDED_BRD), router(EXCLUDED_BROADCAST)),
    // Routes.
    (
        NOTHING,
        router("virtual_routes {\n10.9.0.0/16 via 10.0.0.2\n}"),
        router("virtual_routes {\nunicast to inet 10.9.0.0/16 gw 10.0.0.2\n}"),
    ),
    (
        NOTHING,
        router("virtual_routes {\n10.9.0.0/16 dev eth0 tos 16\n}"),
        router("virtual_routes {\n10.9.0.0/16 oif eth0 dsfield 16\n}"),
    ),
    (
        NOTHING,
        router("virtual_routes {\n10.9.0.0/16 dev eth0 metric 5\n}"),
        router("virtual_routes {\n10.9.0.0/16 dev eth0 priority 5\n}"),
    ),
    (
        NOTHING,
        router("virtual_routes {\n10.9.0.0/16 dev eth0 metric 5\n}"),
        router("virtual_routes {\n10.9.0.0/16 dev eth0 preference 5\n}"),
    ),
    (
        NOTHING,
        router("virtual_routes {\n10.9.0.0/16 via 10.0.0.2 or 10.0.0.3\n}"),
        router("virtual_routes {\n10.9.0.0/16 nexthop via 10.0.0.2 nexthop via 10.0.0.3\n}"),
    ),
    (
        NOTHING,
        router("virtual_routes {\n10.9.0.0/16 dev eth0 encap ip dst 10.0.0.2 tos 4 ttl 9\n}"),
        router("virtual_routes {\n10.9.0.0/16 dev eth0 encap ip dst 10.0.0.2 tc 4 hoplimit 9\n}"),
    ),
    // Rules.
    (
        NOTHING,
        router("virtual_rules {\nfrom 10.9.0.0/16 table 9 preference 7\n}"),
        router("virtual_rules {\ninet from 10.9.0.0/16 lookup 9 order 7\n}"),
    ),
    (
        NOTHING,
        router("virtual_rules {\niif eth0 table 9 preference 7\n}"),
        router("virtual_rules {\ndev eth0 type unicast table 9 priority 7\n}"),
    ),
    (
        NOTHING,
        router("virtual_rules {\nto 10.9.0.0/16 tos 16 table 9 preference 7 suppress_prefixlength 3\n}"),
        router("virtual_rules {\nto 10.9.0.0/16 dsfield 16 table 9 preference 7 sup_pl 3\n}"),
    ),
    (
        NOTHING,
        router("virtual_rules {\nipproto tcp table 9 preference 7 suppress_ifgroup 3\n}"),
        router("virtual_rules {\nip-proto tcp table 9 preference 7 sup_group 3\n}"),
    ),
];

const GROUP: &str = "vrrp_sync_group G {\ngroup {\nVI_1\n}\nsync_group_tracking_weight\n}";
const MEMBER_TRACKERS: &str =
    "track_script {\ns\n}\ntrack_file {\nf\n}\ntrack_process {\np weight 3\n}\ntrack_bfd {\nb weight -2\n}";

macro_rules! trackers {
    ($group:literal) => {
        concat!(
            "vrrp_script s {\nscript /bin/true\n}\ntrack_file f {\nfile /run/f\n}\nvrrp_track_process p {\nprocess p\n}\n",
            "bfd_instance b {\nneighbor_ip 10.0.0.2\n}\nvrrp_sync_group G {\ngroup {\nVI_1\n}\nsync_group_tracking_weight\n",
            $group,
            "\n}"
        )
    };
}

const TRACKERS_GROUP: &str = trackers!("");
const GROUP_TRACKERS: &str =
    trackers!("track_script {\ns\n}\ntrack_file {\nf\n}\ntrack_process {\np weight 3\n}\ntrack_bfd {\nb weight -2\n}");

const EXCLUDED_BRD: &str = "virtual_ipaddress_excluded {\n10.0.1.1/24 brd 10.0.1.255\n}";
const EXCLUDED_BROADCAST: &str = "virtual_ipaddress_excluded {\n10.0.1.1/24 broadcast +\n}";

#[test]
fn what_can_be_said_in_two_ways_is_the_same() {
    for &(beside, one, other) in ALIKE {
        // Of what is used beside and defined in both.
        let plain = read([beside, NOTHING]).setup;
        let (one_way, other_way) = (setup([beside, one]), setup([beside, other]));
        let said =
            format!("{}{}{} or {}{}{}", one.global, one.before, one.router, other.global, other.before, other.router);
        assert_eq!(one_way, other_way, "{said}");
        assert_ne!(one_way, plain, "{said}");
    }
}

/// A virtual router's own word counts, whatever the default is.
#[test]
fn an_own_word_counts_before_the_default() {
    for (default, own) in [
        ("vrrp_version 3", "version 2"),
        ("vrrp_garp_master_delay 7", "garp_master_delay 5"),
        ("vrrp_garp_master_repeat 3", "garp_master_repeat 5\ngarp_lower_prio_repeat 5"),
        ("vrrp_lower_prio_no_advert", "lower_prio_no_advert off"),
        ("vrrp_higher_prio_send_advert", "higher_prio_send_advert off"),
        ("vrrp_skip_check_adv_addr", "skip_check_adv_addr off"),
        ("vrrp_down_timer_adverts 5", "down_timer_adverts 3"),
        ("vrrp_strict", "strict_mode off"),
        ("vrrp_mcast_group4 224.0.0.99", "mcast_dst_ip 224.0.0.18"),
    ] {
        assert_eq!(setup([Said { global: default, ..router(own) }, NOTHING]), setup([NOTHING; 2]), "{default}");
    }
}
