//! Frames that are nearly adverts: valid and spoilt ones, mutated, in part with their checksums made right again so
//! that the tests behind the checksum are reached. The same seed gives the same frames.

use vrrp_common::drop::Reason;
use vrrp_common::wire::checksum::{ChecksumForm, Sum};
use vrrp_tests::frames::*;

use crate::world::VLAN;

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
    let mut spec = match rng.below(3) {
        0 => FrameSpec::v3(),
        1 => FrameSpec::v2(),
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
        spec.addresses = (0..1 + rng.below(62)).map(|n| [10, 0, 0, n as u8]).collect();
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
    match rng.below(18) {
        0 => spec.ttl = rng.pick(&[0, 1, 64, 254, 255]),
        1 => spec.ip_header = Some(rng.below(16) as u8),
        2 => spec.total_length = Some(rng.pick(&[0, 19, 20, 27, 28, 36, 40, 255, 276, 65535, number as u16])),
        3 => spec.fragment = rng.pick(&[0x4000, 0x2000, 1, 0x1fff, 0x8000]),
        4 => spec.source = rng.pick(&[OWN, [0; 4], [127, 0, 0, 1], [224, 0, 0, 18], [255; 4], [223, 255, 0, 1]]),
        5 => spec.destination = rng.pick(&[[224, 0, 0, 17], OWN]),
        6 => spec.destination_mac[rng.below(6)] ^= 1,
        7 => spec.version = rng.below(16) as u8,
        8 => spec.kind = rng.below(16) as u8,
        9 => spec.vrid = rng.pick(&[0, V3_VRID, V2_VRID, V2_PASSWORD_VRID, AMBIGUOUS_VRID, UNKNOWN_VRID]),
        10 => spec.address_count = Some(rng.pick(&[0, 1, 7, 61, 62, 63, 255, number as u8])),
        11 => spec.extra = vec![number as u8; rng.pick(&[1, 2, 4, 8, 20, 28])],
        12 => spec.cut = Some(rng.below(40)),
        13 => spec.interval = rng.pick(&[0, 1, 100, 0x0fff, 0xf000, number as u16]),
        14 => spec.auth_type = rng.pick(&[0, 1, 2]),
        15 => spec.auth_data = rng.pick(&[None, Some(PASSWORD), Some([0; 8]), Some(*b"secret\0x")]),
        16 => spec.checksum_error = rng.pick(&[1, 0x100, 0xffff]),
        _ => spec.protocol = rng.pick(&[89, 2, 112, 112]),
    }
}

/// Makes the VRRP checksum right by what the headers say now, where there is room for one.
fn repair(frame: &mut [u8], form: ChecksumForm) -> Option<()> {
    let at = match frame.get(12..14)? {
        [0x08, 0x00] => 14,
        [0x81 | 0x88, _] if frame.get(16..18)? == [0x81, 0x00] => 22,
        _ => 18,
    };
    let ip = *frame.get(at..)?.first_chunk::<20>()?;
    let header = (ip[0] & 0x0f) as usize * 4;
    let total = u16::from_be_bytes([ip[2], ip[3]]) as usize;
    let message = frame.get_mut(at + header..at + total)?;
    message.get_mut(6..8)?.fill(0);
    let mut sum = Sum::default().octets(message);
    if form == ChecksumForm::PseudoHeader {
        let [source, destination] = [*ip[12..].first_chunk()?, *ip[16..].first_chunk()?];
        sum = sum.pseudo_header4(source, destination, message.len() as u16);
    }
    message[6..8].copy_from_slice(&sum.checksum());
    Some(())
}
