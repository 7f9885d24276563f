//! What `vrrpctl check` calls risky: each rule is earned by a configuration, and a careful pair earns none.

use vrrp_daemon::config::Checked;
use vrrp_daemon::config::risk;
use vrrp_daemon::syntax::source::Memory;

/// A virtual router that nothing is said of, with these lines more, behind these.
fn text(before: &str, lines: &str) -> String {
    let address = if lines.contains("virtual_ipaddress") { "" } else { "virtual_ipaddress { 10.0.0.100/24 }\n" };
    format!("{before}\nvrrp_instance VI_1 {{\ninterface eth0\nvirtual_router_id 51\n{address}{lines}\n}}\n")
}

fn of(text: String) -> Checked {
    super::read(&Memory::of("k.conf", text), "k.conf")
}

/// Nothing is wrong with it, and it is at peace with the others of its kind.
fn careful(priority: u8) -> String {
    text(SCRIPT, &format!("version 3\nadvert_int 0.5\npriority {priority}\ntrack_script {{ chk weight -60 }}\n"))
}

const SCRIPT: &str = "\
global_defs {
    enable_script_security
    script_user root
}
vrrp_script chk {
    script /bin/true
    fall 2
    rise 2
}";

#[test]
fn a_careful_pair_has_none() {
    let (a, b) = (of(careful(150)), of(careful(100)));
    assert_eq!((a.exit_code(), b.exit_code()), (0, 0), "{}", a.report());
    assert_eq!(risk::of(&a.setup), []);
    assert_eq!(risk::between(&[("a", &a.setup), ("b", &b.setup)]), []);
}

#[test]
fn each_rule_is_earned() {
    let quick = SCRIPT.replace("fall 2", "fall 1");
    let slow = SCRIPT.replace("fall 2", "interval 1\ntimeout 3");
    for (before, lines, expected) in [
        ("", "", "version 2"),
        ("", "authentication { auth_type PASS\nauth_pass x\n}", "the password is in every advert"),
        ("", "version 3\nunicast_src_ip 10.0.0.1\nunicast_peer { 10.0.0.2 }", "heard from anybody"),
        ("", "version 3\nadvert_int 0.01", "a pause of a few hundredths"),
        (&quick, "version 3\ntrack_script { chk weight -60 }", "flutters"),
        (&slow, "version 3\ntrack_script { chk }", "longer than the interval"),
        (
            "vrrp_sync_group G {\ngroup { VI_1\nVI_2\n}\n}\n\
             vrrp_instance VI_2 {\ninterface eth1\nvirtual_router_id 52\nversion 3\npriority 90\n\
             virtual_ipaddress { 10.0.1.100/24 }\n}",
            "version 3",
            "members differ in priority",
        ),
    ] {
        let checked = of(text(before, lines));
        let risks = risk::of(&checked.setup);
        let is_there = risks.iter().any(|risk| risk.what.contains(expected));
        assert!(is_there, "{lines}: {expected}: {risks:?}\n{}", checked.report());
    }
}

#[test]
fn each_rule_of_pairs_is_earned() {
    let weighed = |weight| format!("version 3\npriority 150\ntrack_script {{ chk weight {weight} }}");
    let password = |word| format!("authentication {{ auth_type PASS\nauth_pass {word}\n}}\npriority 90");
    let peer = |own, other| format!("version 3\nunicast_src_ip 10.0.0.{own}\nunicast_peer {{ 10.0.0.{other} }}");
    for (a, b, expected) in [
        (String::new(), "virtual_ipaddress { 10.0.0.7/24 }".into(), "no address in common"),
        (String::new(), "virtual_ipaddress { 10.0.0.100/24\n10.0.0.7/24\n}".into(), "different addresses"),
        (String::new(), String::new(), "both have priority 100"),
        (peer(1, 2), peer(2, 1), "both have priority 100"),
        ("version 3".into(), "version 2".into(), "one speaks version 2"),
        ("advert_int 2".into(), String::new(), "version 2 drops what has another"),
        ("version 3\nadvert_int 0.5".into(), "version 3".into(), "depends on who is master"),
        (password("a"), password("b"), "refuse each other"),
        (password("a"), "priority 91".into(), "refuse each other"),
        ("version 3\nadvert_int 0.05".into(), "version 3\nadvert_int 0.05\npriority 99".into(), "apart"),
        (weighed(-20), "version 3".into(), "do not move mastership"),
    ] {
        let (one, two) = (of(text(SCRIPT, &a)), of(text(SCRIPT, &b)));
        for hosts in [[("one", &one.setup), ("two", &two.setup)], [("two", &two.setup), ("one", &one.setup)]] {
            let risks = risk::between(&hosts);
            let is_there = risks.iter().any(|risk| risk.what.contains(expected) && risk.of[0].contains("VI_1 of one"));
            assert!(is_there, "{a} and {b}: {expected}: {risks:?}");
        }
    }
}

/// On other interfaces, for other groups, of other VRIDs: nothing to do with each other.
#[test]
fn strangers_are_not_compared() {
    let one = of(text("", ""));
    for other in ["interface eth1", "virtual_router_id 52", "mcast_dst_ip 224.0.0.19"] {
        let two = of(text("", other));
        assert_eq!(risk::between(&[("one", &one.setup), ("two", &two.setup)]), [], "{other}");
    }
}
