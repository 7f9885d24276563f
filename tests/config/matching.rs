//! What a reload takes for the same as before: virtual routers as keepalived does, whatever they are called.

use vrrp_daemon::config::matching;
use vrrp_daemon::config::setup::Setup;
use vrrp_daemon::engine::plan::{InstanceId, InterfaceId, TrackerId};

use crate::{Memory, read};

const PLAIN: &str = "interface eth0\nvirtual_router_id 51\nvirtual_ipaddress {\n10.0.0.1\n}";

fn setup(text: &str) -> Setup {
    let source = Memory { files: [("x.conf".into(), text.into())].into(), ..Memory::default() };
    let checked = read(&source, "x.conf");
    assert!(!checked.has_errors(), "{}", checked.report());
    checked.setup
}

fn instance(name: &str, lines: &str) -> String {
    format!("vrrp_instance {name} {{\n{lines}\n}}\n")
}

/// Whether the second is the first, after a reload.
fn is_same(before: &str, after: &str) -> bool {
    let (old, new) = (setup(&instance("VI_1", before)), setup(&instance("VI_2", after)));
    let matching = matching(&old, &new);
    assert_eq!(matching.instances.gone().count(), usize::from(matching.instances.from(InstanceId(0)).is_none()));
    matching.instances.from(InstanceId(0)) == Some(InstanceId(0))
}

#[test]
fn a_virtual_router_is_known_by_what_is_on_the_wire() {
    let with = |line: &str| format!("{PLAIN}\n{line}");
    for other in ["version 3", "priority 7", "advert_int 9", "state MASTER", "nopreempt", "garp_master_delay 1"] {
        assert!(is_same(PLAIN, &with(other)), "{other}");
    }
    assert!(is_same(PLAIN, &PLAIN.replace("10.0.0.1", "10.0.0.2")));
    assert!(is_same(PLAIN, &with("authentication {\nauth_type PASS\nauth_pass 1234\n}")));
    assert!(!is_same(PLAIN, &PLAIN.replace("eth0", "eth1")));
    assert!(!is_same(PLAIN, &PLAIN.replace("51", "52")));
    assert!(!is_same(PLAIN, &PLAIN.replace("10.0.0.1", "fe80::1")));
    assert!(!is_same(PLAIN, &with("mcast_dst_ip 224.0.0.99")));
    assert!(!is_same(PLAIN, &with("use_vmac")));
    assert!(!is_same(&with("use_vmac"), &with("use_vmac\nvmac_xmit_base")));
    let unicast = |own: &str, peer: &str| with(&format!("unicast_src_ip {own}\nunicast_peer {{\n{peer}\n}}"));
    assert!(!is_same(PLAIN, &unicast("10.0.0.8", "10.0.0.9")));
    assert!(!is_same(&unicast("10.0.0.7", "10.0.0.9"), &unicast("10.0.0.8", "10.0.0.9")));
    assert!(is_same(&unicast("10.0.0.8", "10.0.0.9"), &unicast("10.0.0.8", "10.0.0.5")), "peers may change");
}

/// What hears otherwise than before must hear everything; what moved is not set again.
#[test]
fn what_a_virtual_router_has_in_common_with_itself() {
    let common = |before: &str, after: &str| {
        let (old, new) = (setup(&instance("VI_1", before)), setup(&instance("VI_1", after)));
        matching(&old, &new).common[0].clone()
    };
    let alike = common(PLAIN, &format!("{PLAIN}\npriority 3"));
    assert!(alike.hears_alike && alike.addresses.is_none());
    assert!(!common(PLAIN, &format!("{PLAIN}\nauthentication {{\nauth_type PASS\nauth_pass 1234\n}}")).hears_alike);
    let moved = common(PLAIN, &PLAIN.replace("10.0.0.1", "10.0.0.9\n10.0.0.1 dev eth0"));
    assert!(!moved.hears_alike);
    assert_eq!(moved.address(0), Some(1), "the same, and said otherwise");
    let labelled = common(PLAIN, &PLAIN.replace("10.0.0.1", "10.0.0.1 label eth0:1"));
    assert!(labelled.hears_alike);
    assert_eq!(labelled.address(0), None, "the kernel has to be told of it anew");
    let excluded = format!("{}\nvirtual_ipaddress_excluded {{\n10.0.0.1\n}}", PLAIN.replace("10.0.0.1", "10.0.0.9"));
    let excluded = common(PLAIN, &excluded);
    assert!(!excluded.hears_alike);
    assert_eq!(excluded.address(0), Some(1));
}

#[test]
fn interfaces_go_by_name_and_checks_by_what_they_do() {
    let script = |name: &str, command: &str, more: &str| {
        format!("vrrp_script {name} {{\nscript \"{command}\"\nuser root\n{more}\n}}\n")
    };
    let tracks = |names: &str| format!("{PLAIN}\ntrack_script {{\n{names}\n}}");
    let old = script("a", "/bin/true 1", "") + &script("b", "/bin/true 2", "");
    let old = setup(&(old + &instance("VI_1", &tracks("a\nb"))));
    let new = script("x", "/bin/true 2", "interval 5\nweight 9") + &script("a", "/bin/true 3", "");
    let other = PLAIN.replace("eth0", "eth1");
    let new = setup(&(new + &instance("VI_0", &other) + &instance("VI_1", &tracks("x\na"))));
    let matching = matching(&old, &new);
    assert_eq!([0, 1].map(|id| matching.trackers.from(TrackerId(id))), [Some(TrackerId(1)), None]);
    assert_eq!([0, 1].map(|id| matching.interfaces.from(InterfaceId(id))), [None, Some(InterfaceId(0))]);
    assert_eq!([0, 1].map(|id| matching.instances.from(InstanceId(id))), [None, Some(InstanceId(0))]);
}
