//! The rules that the frames are judged by, and the two who judge.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::frames::*;
use crate::skip;
use vrrp_common::abi::{
    AUTH_HEADER, AUTH_NONE, AUTH_PASS, Device, MESSAGE_BUDGET, Peer, PeerKey, RULE_ANY_FIRST_ADDRESS,
    RULE_BOTH_VERSIONS, RULE_HMAC, RULE_HMAC_ENFORCED, RULE_PEERS_ONLY, RULE_VLAN_AMBIGUOUS, RecordHead, RouterKey,
    Rule, RuleKey,
};
use vrrp_common::classify::{Ingress, Judgement, classify};
use vrrp_common::drop::{Disposition, Reason};
use vrrp_common::{Address, Family};
use vrrp_daemon::io::filter::RuleTable;
use vrrp_daemon::io::xdp::{Ring, Sizes, TEST_IFINDEX, Unavailable, Xdp};

pub const PASS: u32 = 2;
pub const DROP: u32 = 1;

/// The row of the device; those of the rules follow.
pub const DEVICE_ROW: u32 = 0;
pub const V3_ROW: u32 = 1;
pub const V2_ROW: u32 = 2;
pub const V2_PASSWORD_ROW: u32 = 3;
pub const AMBIGUOUS_ROW: u32 = 4;
pub const VLAN_ROW: u32 = 5;
pub const V6_ROW: u32 = 6;
pub const ANY_FIRST_ROW: u32 = 7;
/// The same VRID, to other addresses.
pub const OTHER_GROUP_ROW: u32 = 8;
pub const UNICAST_ROW: u32 = 9;
pub const UNICAST6_ROW: u32 = 10;
/// One that hears others than its peers, too.
pub const OPEN_ROW: u32 = 11;
pub const AUTH_HEADER_ROW: u32 = 12;
pub const HMAC_ROW: u32 = 13;
pub const HMAC6_ROW: u32 = 14;
pub const HMAC_OPTIONAL_ROW: u32 = 15;
pub const BOTH_VERSIONS_ROW: u32 = 16;
pub const OTHER_GROUP6_ROW: u32 = 17;
pub const ROWS: u32 = 18;
/// A VLAN with a rule for [`V3_VRID`].
pub const VLAN: u16 = 10;

/// The rules of all tests; a rule's slot is its row and 100.
pub fn rules() -> RuleTable {
    let v3 = Rule {
        slot: 100 + V3_ROW,
        row: V3_ROW,
        source: OWN.into(),
        auth_pass: [0; 8],
        interval: 100,
        version: 3,
        auth_type: AUTH_NONE,
        flags: 0,
    };
    let v6 = Rule { source: OWN6.into(), ..v3 };
    let to = |family, vlan, vrid, destination| RuleKey {
        router: RouterKey { ifindex: TEST_IFINDEX, vlan, family: family as u8, vrid },
        destination,
    };
    let key = |vlan, vrid| to(Family::V4, vlan, vrid, Address::NONE);
    let key6 = |vrid| to(Family::V6, 0, vrid, Address::NONE);
    let unicast = Rule { flags: RULE_PEERS_ONLY, ..v3 };
    let unicast6 = Rule { source: OWN6_GLOBAL.into(), flags: RULE_PEERS_ONLY, ..v6 };
    let row = |row, rule: Rule| Rule { row, slot: 100 + row, ..rule };
    let peer = |row, address: IpAddr| PeerKey { slot: 100 + row, unused: 0, address: address.into() };
    let mut rules = RuleTable::new([
        (peer(UNICAST_ROW, PEER), Peer { min_ttl: 60, max_ttl: 254 }),
        (peer(UNICAST6_ROW, PEER6_GLOBAL), Peer { min_ttl: 0, max_ttl: 255 }),
        (peer(OPEN_ROW, PEER), Peer { min_ttl: 64, max_ttl: 64 }),
    ]);
    rules.extend([
        (key(0, V3_VRID), v3),
        (key(0, V2_VRID), row(V2_ROW, Rule { version: 2, ..v3 })),
        (
            key(0, V2_PASSWORD_VRID),
            row(V2_PASSWORD_ROW, Rule { version: 2, auth_type: AUTH_PASS, auth_pass: PASSWORD, ..v3 }),
        ),
        (key(0, AMBIGUOUS_VRID), row(AMBIGUOUS_ROW, Rule { flags: RULE_VLAN_AMBIGUOUS, ..v3 })),
        (key(VLAN, V3_VRID), row(VLAN_ROW, v3)),
        (key6(V3_VRID), row(V6_ROW, v6)),
        (key6(ANY_FIRST_VRID), row(ANY_FIRST_ROW, Rule { flags: RULE_ANY_FIRST_ADDRESS, ..v6 })),
        (to(Family::V4, 0, V3_VRID, OTHER_GROUP.into()), row(OTHER_GROUP_ROW, v3)),
        (to(Family::V6, 0, V3_VRID, OTHER_GROUP6.into()), row(OTHER_GROUP6_ROW, v6)),
        (to(Family::V4, 0, V3_VRID, OWN.into()), row(UNICAST_ROW, unicast)),
        (to(Family::V6, 0, V3_VRID, OWN6_GLOBAL.into()), row(UNICAST6_ROW, unicast6)),
        (to(Family::V4, 0, OPEN_VRID, OWN.into()), row(OPEN_ROW, v3)),
        (key(0, AUTH_HEADER_VRID), row(AUTH_HEADER_ROW, Rule { version: 2, auth_type: AUTH_HEADER, ..v3 })),
        (key(0, HMAC_VRID), row(HMAC_ROW, Rule { flags: RULE_HMAC | RULE_HMAC_ENFORCED, ..v3 })),
        (key6(HMAC_VRID), row(HMAC6_ROW, Rule { flags: RULE_HMAC | RULE_HMAC_ENFORCED, ..v6 })),
        (key(0, BOTH_VERSIONS_VRID), row(BOTH_VERSIONS_ROW, Rule { flags: RULE_BOTH_VERSIONS, ..v3 })),
        (
            key(0, HMAC_OPTIONAL_VRID),
            row(
                HMAC_OPTIONAL_ROW,
                Rule { version: 2, auth_type: AUTH_PASS, auth_pass: PASSWORD, flags: RULE_HMAC, ..v3 },
            ),
        ),
    ]);
    rules
}

pub fn device(flags: u32) -> Device {
    Device { row: DEVICE_ROW, flags }
}

/// What the host finds, and the message of a delivered advert.
pub fn host(frame: &[u8], flags: u32) -> (Judgement, Vec<u8>) {
    let mut message = [0xee; MESSAGE_BUDGET];
    let ingress = Ingress { ifindex: TEST_IFINDEX, device: device(flags) };
    let judgement = classify(frame, ingress, &rules(), &mut message);
    let length = if judgement.disposition == Disposition::Deliver { judgement.length } else { 0 };
    (judgement, message[..length].to_vec())
}

/// Counters by row and reason, zeros left out.
pub type Counts = BTreeMap<(u32, Reason), u64>;

/// The loaded program; `None` on a host that cannot run it: the test is skipped then. One that the verifier refuses
/// fails the test.
pub fn loaded(sizes: Sizes) -> Option<Xdp> {
    match Xdp::load(sizes) {
        Ok(xdp) => Some(xdp),
        Err(error) if error.is::<Unavailable>() => {
            skip(error);
            None
        }
        Err(error) => panic!("{error:#}"),
    }
}

/// A loaded program with the rules.
pub struct Kernel {
    pub xdp: Xdp,
    pub ring: Ring,
}

impl Kernel {
    /// `None` on a host that cannot run it.
    pub fn load(flags: u32) -> Option<Self> {
        let rules = rules();
        let peers = rules.peers().count() as u32;
        let mut xdp = loaded(Sizes { rows: ROWS, rules: rules.len() as u32, peers, devices: 1 })?;
        xdp.set_device(TEST_IFINDEX, &device(flags)).unwrap();
        for (key, rule) in rules.iter() {
            xdp.set_rule(key, rule).unwrap();
        }
        for (key, peer) in rules.peers() {
            xdp.set_peer(key, peer).unwrap();
        }
        let ring = xdp.take_ring().unwrap();
        Some(Self { xdp, ring })
    }

    pub fn run(&self, frame: &[u8]) -> u32 {
        self.xdp.test_run(frame).unwrap()
    }

    /// The records that are in the ring.
    pub fn records(&mut self) -> Vec<(RecordHead, Vec<u8>)> {
        let mut records = Vec::new();
        self.ring.drain(usize::MAX, |head, message| records.push((*head, message.to_vec())));
        records
    }

    pub fn counts(&self) -> Counts {
        let mut counts = Counts::new();
        for row in 0..ROWS {
            for (number, &count) in self.xdp.counters(row).unwrap().iter().enumerate() {
                if count > 0 {
                    counts.insert((row, Reason::from_number(number as u8).unwrap()), count);
                }
            }
        }
        counts
    }
}
