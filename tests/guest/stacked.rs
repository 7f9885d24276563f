//! The program on devices that stand on others: VLANs and bonds.

use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt};
use nix::sys::time::TimeVal;
use vrrp_common::Address;
use vrrp_common::abi::{RULE_VLAN_AMBIGUOUS, RouterKey, RuleKey};
use vrrp_common::drop::Reason;
use vrrp_daemon::io::xdp::{Attached, Mode, Ring, Sizes, Xdp};
use vrrp_tests::forge::packet_socket;
use vrrp_tests::frames::{FrameSpec, OWN, V3_VRID};

use vrrp_tests::judges::{DEVICE_ROW, V3_ROW, VLAN, device, loaded, rules};
use vrrp_tests::veth::{in_namespace, ip, send, wait_free};

/// The program with one rule, for untagged adverts on a device.
struct Ruled {
    xdp: Xdp,
    ring: Ring,
    index: u32,
}

impl Ruled {
    fn load(name: &str, flags: u32) -> Option<Self> {
        let mut xdp = loaded(Sizes { rows: V3_ROW + 1, ..Sizes::default() })?;
        let index = if_nametoindex(name).unwrap();
        let mut rule = rules().iter().map(|(_, rule)| *rule).find(|rule| rule.row == V3_ROW).unwrap();
        (rule.slot, rule.flags) = (0, flags);
        xdp.set_device(index, &device(0)).unwrap();
        let router = RouterKey { ifindex: index, vlan: 0, family: 4, vrid: V3_VRID };
        xdp.set_rule(RuleKey { router, destination: Address::NONE }, &rule).unwrap();
        let ring = xdp.take_ring().unwrap();
        Some(Self { xdp, ring, index })
    }

    /// Waits until the program has counted a frame in this row, for this reason and no other.
    fn counts(&mut self, row: u32, reason: Reason) {
        let start = Instant::now();
        loop {
            let counters = self.xdp.counters(row).unwrap();
            if counters.iter().sum::<u64>() > 0 {
                assert_eq!(counters[reason as usize], 1, "{reason:?} in {counters:?}");
                return self.xdp.clear_counters(row).unwrap();
            }
            assert!(start.elapsed() < Duration::from_secs(5), "nothing counted: {reason:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn delivered(&mut self) -> usize {
        self.ring.drain(usize::MAX, |_, _| {})
    }
}

/// What a device receives, for five seconds at most.
fn ear(device: &str) -> OwnedFd {
    let ear = packet_socket(device, libc::ETH_P_IP as u16).unwrap();
    setsockopt(&ear, sockopt::ReceiveTimeout, &TimeVal::new(5, 0)).unwrap();
    ear
}

fn hears(ear: &OwnedFd, frame: &[u8]) {
    let mut octets = [0; 2048];
    let length = recv(ear.as_raw_fd(), &mut octets, MsgFlags::empty()).unwrap();
    assert_eq!(octets[..length], *frame);
}

fn vlans() {
    for end in ["one", "two"] {
        ip(&format!("link add link {end} name {end}.{VLAN} type vlan id {VLAN}"));
        ip(&format!("link set {end}.{VLAN} up"));
    }
}

#[test]
fn a_vlan_runs_it_generically() {
    in_namespace(|| {
        vlans();
        let Some(mut ruled) = Ruled::load("one.10", 0) else { return };
        let refused = ruled.xdp.attach(ruled.index, Mode::Native).unwrap_err().to_string();
        assert_eq!(refused, "its driver has no native XDP; xdp_mode generic works with any");
        assert_eq!(ruled.xdp.attach(ruled.index, Mode::Auto), Ok(Attached::Generic));
        send("two.10", &FrameSpec::v3().build());
        ruled.counts(V3_ROW, Reason::OkPassed);
        assert_eq!(ruled.delivered(), 1);
    });
}

/// What [`RULE_VLAN_AMBIGUOUS`] is for: the tag is beside the frame when a VLAN device of another veth sent it, or a
/// network card took it off, and the program then sees an untagged frame. All of these come to the VLAN they are for.
#[test]
fn a_parent_may_not_see_the_tag() {
    in_namespace(|| {
        vlans();
        let Some(mut ruled) = Ruled::load("one", RULE_VLAN_AMBIGUOUS) else { return };
        let advert = FrameSpec::v3();
        // Right or wrong where they belong: which of it, nobody knows here.
        let others = [
            FrameSpec { source: OWN, ..advert.clone() },
            FrameSpec { version: 2, ..advert.clone() },
            FrameSpec { ttl: 254, ..advert.clone() },
            FrameSpec { checksum_error: 1, ..advert.clone() },
            advert.clone(),
        ];
        for mode in [Mode::Native, Mode::Generic] {
            ruled.xdp.attach(ruled.index, mode).unwrap();
            let ear = ear("one.10");
            for other in &others {
                send("two.10", &other.build());
                ruled.counts(V3_ROW, Reason::VlanAmbiguous);
                hears(&ear, &other.build());
            }
            send("two", &FrameSpec { tags: vec![(0x8100, VLAN)], ..FrameSpec::v3() }.build());
            ruled.counts(DEVICE_ROW, Reason::VridUnknown);
            assert_eq!(ruled.delivered(), 0, "{mode:?}");
            ruled.xdp.detach(ruled.index);
            wait_free("one");
        }
    });
}

/// Natively a bond's program runs on its ports, as theirs: no rule of the bond is found there.
#[test]
fn a_bond_runs_it_generically() {
    in_namespace(|| {
        ip("link add bond type bond mode active-backup miimon 10");
        ip("link set one down");
        ip("link set one master bond");
        ip("link set bond up");
        let Some(mut ruled) = Ruled::load("bond", 0) else { return };
        let refused = ruled.xdp.attach(ruled.index, Mode::Native).unwrap_err().to_string();
        assert_eq!(refused, "its driver has no native XDP; xdp_mode generic works with any");
        assert_eq!(ruled.xdp.attach(ruled.index, Mode::Auto), Ok(Attached::Generic));
        // Until the bond has chosen its port, it drops what that receives.
        thread::sleep(Duration::from_millis(500));
        send("two", &FrameSpec::v3().build());
        ruled.counts(V3_ROW, Reason::OkPassed);
        assert_eq!(ruled.delivered(), 1);
    });
}
