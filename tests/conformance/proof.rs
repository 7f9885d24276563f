//! The runner itself: a case that says something wrong fails, at its line and with what is so instead.

use crate::reader::read;
use crate::runner::run;
use crate::table;
use crate::words::{octets, time};

/// A case that holds.
const SOUND: &str = "\
FSM-B2: A backup takes over.
source RFC 9568 6.4.2
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    version 3
    virtual_ipaddress {
        192.168.1.100
    }
}
at 0us interface eth0 up 192.168.1.2
    expect state BACKUP
    expect deadline 3609375us master-down
at 1s hear 192.168.1.3 priority 150 ttl 254
    expect drop ttl_not_255
at 2s hear 192.168.1.3 priority 90
    expect nothing
at 3609375us deadline
    expect advert priority 100 interval 100
    expect install
    expect state MASTER
    expect deadline 4609375us advert-due
at 3700000us address 192.168.1.100 set
    expect announce 192.168.1.100
    expect announce all x4
";

/// What is found of a case, `line: text` each.
fn found(text: &str) -> Vec<String> {
    let faults = match read("FSM-B2.case", text) {
        Ok(case) => run(&case),
        Err(fault) => vec![fault],
    };
    faults.into_iter().map(|fault| format!("{}: {}", fault.line, fault.text)).collect()
}

/// What is found when `right` is replaced.
fn with(right: &str, wrong: &str) -> Vec<String> {
    assert_eq!(SOUND.matches(right).count(), 1, "{right:?}");
    found(&SOUND.replace(right, wrong))
}

#[test]
fn a_sound_case_holds() {
    assert_eq!(found(SOUND), [""; 0]);
}

#[test]
fn a_wrong_number_is_found() {
    for (right, wrong, says) in [
        ("    expect deadline 3609375us", "    expect deadline 3609376us", "13: the deadline 3609375us master-down"),
        ("3609375us master-down", "3609375us advert-due", "13: the deadline 3609375us master-down"),
        ("state BACKUP", "state MASTER", "12: the state is BACKUP"),
        ("advert priority 100", "advert priority 101", "19: priority is 100, not 101"),
        ("100 interval 100", "100 interval 99", "19: interval is 100, not 99"),
        ("drop ttl_not_255", "drop checksum", "15: what comes is `drop ttl_not_255`"),
        ("drop ttl_not_255", "pass ttl_not_255", "15: what comes is `drop ttl_not_255`"),
        ("all x4", "all x5", "25: what comes is `announce all x4`"),
        ("announce 192.168.1.100", "announce 192.168.1.100 frame ffffffffffff", "24: the frame is ffffffff ffff0200"),
        ("announce 192.168.1.100", "announce 192.168.1.101", "24: what comes is `announce 192.168.1.100 x1`"),
        ("expect nothing", "expect effective 99", "17: the effective priority is 100"),
        ("expect nothing", "expect counter advert_rcvd 2", "17: advert_rcvd is 1"),
        ("expect nothing", "expect counter adverts 1", "17: there is no counter `adverts`"),
        ("expect nothing", "expect log higher priority", "17: no such line; logged was `received lower priority (90)"),
    ] {
        let found = with(right, wrong);
        assert!(found[0].starts_with(says), "{wrong}: {found:?}");
    }
}

#[test]
fn what_is_left_over_is_found() {
    for (right, says) in [
        ("    expect state BACKUP\n", "11: not expected: state BACKUP"),
        ("    expect deadline 3609375us master-down\n", "11: not expected: deadline 3609375us master-down"),
        ("    expect drop ttl_not_255\n", "14: not expected: drop ttl_not_255"),
        ("    expect install\n", "18: not expected: install"),
        ("    expect announce all x4\n", "23: not expected: announce all x4"),
    ] {
        assert_eq!(with(right, ""), [says], "{right}");
    }
    // A deed in the middle: the next expectation meets it in place of its own.
    assert_eq!(
        with("    expect advert priority 100 interval 100\n", ""),
        ["19: what comes is `advert priority 100 message 31336401 00640621 c0a80164`", "18: not expected: install"]
    );
    // Something expected that does not come, and something that comes when nothing is expected.
    assert_eq!(with("all x4\n", "all x4\n    expect release\n"), ["26: it does not come"]);
    assert_eq!(with("expect drop ttl_not_255", "expect nothing"), ["14: not expected: drop ttl_not_255"]);
    assert_eq!(
        with("expect nothing", "expect nothing\n    expect state BACKUP"),
        ["16: `expect nothing` stands alone"]
    );
    // A warning is something; a change of the effective priority, too.
    let itself = with("hear 192.168.1.3 priority 90", "hear 192.168.1.3 priority 100 addresses 10.0.0.1");
    assert!(
        itself.iter().any(|text| text.contains("not expected: log advert from 192.168.1.3 names other")),
        "{itself:?}"
    );
}

#[test]
fn a_deadline_cannot_be_passed_over() {
    assert_eq!(
        with("at 3609375us deadline", "at 3609376us shutdown")[0],
        "18: the deadline at 3609375us, master-down, is passed over; write `at 3609375us deadline` before"
    );
    assert_eq!(
        with("at 3609375us deadline", "at 1999999us deadline")[0],
        "18: 1999999us is before the last step, 2000000us"
    );
}

#[test]
fn what_cannot_be_read_is_told_with_its_line() {
    for (right, wrong, says) in [
        ("FSM-B2: A", "FSM-B2 A", "1: the first line is"),
        ("over.", "over", "1: the first line is"),
        ("FSM-B2:", "FSM-B3:", "1: a case of FSM-B3 is in FSM-B3.case or FSM-B3-WHAT.case"),
        ("source RFC", "from RFC", "2: the second line is"),
        ("virtual_router_id 51", "virtual_routre_id 51", "5: not expected: error"),
        ("at 0us", "ta 0us", "11: not expected: error"),
        ("at 1s hear", "at 1s heer", "14: `heer` does not happen; write interface, hear"),
        ("at 1s hear", "on 1s hear", "14: `on` is unknown here; write `at` or `expect`"),
        ("at 1s", "at 1", "14: `1` is no time; write 3609375us, 10ms or 1s"),
        ("priority 150 ttl", "priority 150 tll", "14: a frame that is heard has no field `tll`; it has mac,"),
        ("ttl 254", "ttl 256", "14: `256` is no value for `ttl`"),
        ("ttl 254", "ttl", "14: the line ends where a value is expected"),
        ("ttl_not_255", "ttl_not_254", "15: `ttl_not_254` is no reason"),
        ("expect nothing", "expect nothin", "17: `nothin` cannot be expected; write advert, install"),
        ("expect nothing", "expect nothing at all", "17: `at all` is too much here"),
        ("expect nothing", "expect VI_2 state BACKUP", "17: there is no vrrp_instance `VI_2`"),
        (
            "100 interval 100",
            "100 intervall 100",
            "19: an advert that is sent has no field `intervall`; it has mac, tos,",
        ),
        ("state MASTER", "state ACTIVE", "21: `ACTIVE` is not a state"),
        ("address 192.168.1.100 set", "address 192.168.1.101 set", "23: no virtual router has 192.168.1.101"),
        ("eth0 up", "eth9 up", "11: no interface `eth9` is configured"),
    ] {
        let found = with(right, wrong);
        assert!(found[0].starts_with(says), "{wrong}: {found:?}");
    }
    let expecting = with("at 0us", "expect error no such thing\nat 0us");
    assert_eq!(expecting, ["11: the configuration has no finding `error no such thing`"]);
}

/// An unnamed expectation is nobody's when there are two.
#[test]
fn two_routers_are_told_apart() {
    let second = "vrrp_instance VI_2 {\n interface eth0\n virtual_router_id 52\n version 3\n virtual_ipaddress {\n 10.0.0.9\n }\n}\nat 0us";
    let found = with("at 0us", second);
    assert!(found[0].starts_with("20: say of which virtual router: `expect NAME ..`"), "{found:?}");
    assert!(found.contains(&"19: not expected: VI_2 state BACKUP".to_owned()), "{found:?}");
}

#[test]
fn a_rule_needs_a_case_or_a_reason() {
    let unknown = SOUND.replace("FSM-B2:", "FSM-B9:");
    let gaps = table::gaps(&[read("FSM-B9.case", &unknown).unwrap()]);
    assert!(gaps.contains(&"FSM-B9.case:1: FSM-B9 is no rule of rules.rs".to_owned()), "{gaps:?}");
    assert!(gaps.contains(&"FSM-B2 has neither a case nor a reason".to_owned()), "{gaps:?}");
    assert!(table::exists("tidy modules_use_what_they_may") && table::exists("e2e wire::tshark_is_content_with_v3"));
    assert!(!table::exists("tidy modules_use") && !table::exists("e2e wire::tshark") && !table::exists("tidy"));
}

#[test]
fn times_are_exact() {
    let nanos = |word| time(word).map(|time| time.0);
    let known =
        [("1s", 1_000_000_000), ("10ms", 10_000_000), ("36093.75us", 36_093_750), ("0us", 0), ("1.5s", 1_500_000_000)];
    for (word, wanted) in known {
        assert_eq!(nanos(word), Some(wanted), "{word}");
    }
    for word in ["1", "s", "1.0001us", "-1s", "1.s", "1.2.3s", "99999999999999999999s"] {
        assert_eq!(nanos(word), None, "{word}");
    }
    assert_eq!(time("39962.5us").unwrap().to_string(), "39962.5us");
    assert_eq!(octets("01:00 5e.ff"), Some(vec![1, 0, 0x5e, 0xff]));
    assert_eq!((octets("123"), octets("zz")), (None, None));
}
