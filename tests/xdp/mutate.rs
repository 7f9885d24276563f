//! Frames that are nearly adverts: valid and spoilt ones, mutated, in part with their checksums made right again so
//! that the tests behind the checksum are reached. The same seed gives the same frames.

use vrrp_common::Family;
use vrrp_common::classify::Packet;
use vrrp_common::drop::Reason;
use vrrp_common::wire::checksum::{ChecksumForm, Sum};
use vrrp_common::wire::ip::PROTOCOL_VRRP;
use vrrp_tests::frames::*;

use vrrp_tests::judges::VLAN;

/// splitmix64.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// True once in `n`.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// The next frame; never shorter than an Ethernet header, which the kernel refuses to run.
pub fn frame(rng: &mut Rng) -> Vec<u8> {
    let mut spec = match rng.below(16) {
        0 => FrameSpec::v3(),
        1 => FrameSpec::v2(),
        2 => FrameSpec::v6(),
        3 => FrameSpec { vrid: ANY_FIRST_VRID, ..FrameSpec::v6() },
        4 => FrameSpec { destination: OTHER_GROUP, destination_mac: [1, 0, 0x5e, 0, 0, 99], ..FrameSpec::v3() },
        5 => FrameSpec::unicast(),
        6 => FrameSpec::unicast6(),
        7 => FrameSpec { vrid: OPEN_VRID, ..FrameSpec::unicast() },
        8 => FrameSpec::v2_auth_header(),
        12 => FrameSpec { vrid: BOTH_VERSIONS_VRID, ..FrameSpec::v2() },
        13 => FrameSpec { vrid: BOTH_VERSIONS_VRID, ..FrameSpec::v3() },
        9 => FrameSpec::v3().with_trailer(),
        10 => FrameSpec::v6().with_trailer(),
        14 => FrameSpec { destination: OTHER_GROUP6, ..FrameSpec::v6() },
        11 => FrameSpec { vrid: HMAC_OPTIONAL_VRID, ..FrameSpec::v2_password().with_trailer() },
        _ => FrameSpec::v2_password(),
    };
    if rng.once_in(2) {
        let reasons: Vec<Reason> = earned_by_frames().collect();
        spoil(rng.pick(&reasons), &mut spec).unwrap();
    }
    vary(rng, &mut spec);
    for _ in 0..rng.pick(&[0, 0, 1, 1, 2, 3]) {
        lie(rng, &mut spec);
    }
    let mut frame = spec.build();
    for _ in 0..rng.pick(&[0, 0, 0, 1, 1, 2, 4]) {
        let at = rng.below(frame.len());
        frame[at] ^= 1 << rng.below(8);
    }
    match rng.below(12) {
        0 => frame.truncate(14 + rng.below(frame.len() - 13)),
        1 => frame.extend((0..rng.below(64)).map(|n| n as u8)),
        _ => {}
    }
    if rng.once_in(2) {
        repair(&mut frame, if rng.once_in(2) { ChecksumForm::Message } else { ChecksumForm::PseudoHeader });
    }
    frame
}

/// Changes that leave a valid advert valid.
fn vary(rng: &mut Rng, spec: &mut FrameSpec) {
    spec.priority = rng.next() as u8;
    if rng.once_in(3) {
        spec.checksum_form = rng.pick(&[ChecksumForm::Message, ChecksumForm::PseudoHeader]);
    }
    if rng.once_in(4) {
        spec.addresses = addresses(spec.family(), 1 + rng.below(if spec.family() == Family::V4 { 62 } else { 15 }));
    }
    if rng.once_in(4) {
        spec.ip_options = vec![1; 4 * rng.below(11)];
    }
    if rng.once_in(4) {
        let tag = (rng.pick(&[0x8100, 0x8100, 0x88a8]), rng.pick(&[VLAN, VLAN, 0, 11, 0xe000 | VLAN]));
        spec.tags = vec![tag];
        if rng.once_in(3) {
            spec.tags.insert(0, (rng.pick(&[0x8100, 0x88a8]), 7));
        }
    }
    spec.pad_to = rng.pick(&[60, 60, 60, 0, 200]);
}

/// A field that says what is not so.
fn lie(rng: &mut Rng, spec: &mut FrameSpec) {
    let number = rng.next();
    let v4 = spec.family() == Family::V4;
    match rng.below(20) {
        0 => spec.ttl = rng.pick(&[0, 1, 59, 60, 64, 254, 255]),
        1 => spec.ip_header = Some(rng.below(16) as u8),
        2 => spec.total_length = Some(rng.pick(&[0, 19, 20, 27, 28, 36, 40, 255, 276, 65535, number as u16])),
        3 => spec.fragment = rng.pick(&[0x4000, 0x2000, 1, 0x1fff, 0x8000]),
        4 => spec.source = rng.pick(if v4 { SOURCES4 } else { SOURCES6 }).parse().unwrap(),
        5 => spec.destination = rng.pick(if v4 { DESTINATIONS4 } else { DESTINATIONS6 }).parse().unwrap(),
        6 => spec.destination_mac[rng.below(6)] ^= 1,
        7 => spec.version = rng.below(16) as u8,
        8 => spec.kind = rng.below(16) as u8,
        9 => spec.vrid = rng.pick(VRIDS),
        10 => spec.address_count = Some(rng.pick(&[0, 1, 7, 61, 62, 63, 255, number as u8])),
        11 => spec.extra = vec![number as u8; rng.pick(&[1, 2, 4, 8, 20, 28])],
        12 => spec.cut = Some(rng.below(40)),
        13 => spec.interval = rng.pick(&[0, 1, 100, 0x0fff, 0xf000, number as u16]),
        14 => spec.auth_type = rng.pick(&[0, 1, 2]),
        15 => spec.auth_data = rng.pick(&[None, Some(PASSWORD), Some([0; 8]), Some(*b"secret\0x")]),
        16 => spec.checksum_error = rng.pick(&[1, 0x100, 0xffff]),
        17 => spec.trailer = vec![number as u8; rng.pick(&[0, 24, 27, 28, 29, 32, 56])],
        18 => spec.extensions = rng.pick::<&[u8]>(EXTENSIONS).to_vec(),
        _ => spec.protocol = rng.pick(&[89, 2, 112, 112]),
    }
}

const VRIDS: &[u8] = &[
    0,
    V3_VRID,
    V2_VRID,
    V2_PASSWORD_VRID,
    AMBIGUOUS_VRID,
    ANY_FIRST_VRID,
    OPEN_VRID,
    AUTH_HEADER_VRID,
    HMAC_VRID,
    HMAC_OPTIONAL_VRID,
    BOTH_VERSIONS_VRID,
    UNKNOWN_VRID,
];
const SOURCES4: &[&str] =
    &["192.0.2.1", "192.0.2.2", "192.0.2.3", "0.0.0.0", "127.0.0.1", "224.0.0.18", "255.255.255.255", "223.255.0.1"];
const SOURCES6: &[&str] = &["fe80::1", "::", "::1", "ff02::12", "2001:db8::1", "2001:db8:0:1::2", "febf::1", "fec0::1"];
const DESTINATIONS4: &[&str] = &["224.0.0.17", "224.0.0.18", "224.0.0.99", "192.0.2.1", "192.0.2.9", "255.255.255.255"];
const DESTINATIONS6: &[&str] = &["ff02::1", "ff02::12", "ff12::12", "ff05::12", "fe80::1", "2001:db8::1"];
/// Headers before the message: IPv6's, an end of them, more than are looked behind.
const EXTENSIONS: &[&[u8]] =
    &[&[0], &[43], &[44], &[51], &[60], &[0, 44], &[0, 43, 60], &[59], &[0, 58], &[0, 0, 0, 0, 0]];

/// Makes the VRRP checksum right by what the headers say now, where there is room for one.
fn repair(frame: &mut [u8], form: ChecksumForm) -> Option<()> {
    let ip = Packet::find(&*frame)?.ip;
    let message = frame.get_mut(ip.payload..ip.payload + ip.length)?;
    message.get_mut(6..8)?.fill(0);
    let mut sum = Sum::default().octets(message);
    if form == ChecksumForm::PseudoHeader {
        sum = sum.pseudo_header(ip.source, ip.destination, PROTOCOL_VRRP, message.len() as u16);
    }
    message[6..8].copy_from_slice(&sum.checksum());
    Some(())
}
