//! keepalived's `auth_hmac` (draft-cassen-vrrp-auth-hmac, as of keepalived 2.4.2): a trailer of 28 octets behind the message
//! of either version and family, with an HMAC-SHA256 cut to 128 bits.
//!
//! It signs the sender's address, the message without its checksum, and itself. The address it goes to is not signed.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use vrrp_common::drop::Reason;
use vrrp_common::wire::advert::{HMAC_TRAILER as TRAILER, Header};
use vrrp_common::wire::checksum::Sum;
use vrrp_common::wire::ip::PROTOCOL_VRRP;
use vrrp_common::wire::ip4::IPV4_HEADER;
use vrrp_common::wire::ip6::IPV6_HEADER;
use vrrp_common::{Address, Family, Version};

use super::key::KeyRing;
use super::replay::{Senders, Sequence};

/// The only type of extension there is, in the first octet; the second has the key's id, the next two are zero.
const TYPE: u8 = 1;
const SEQUENCE: Range<usize> = 4..12;
const CODE: Range<usize> = 12..TRAILER;
/// Where in the message the checksum is.
const CHECKSUM: Range<usize> = 6..8;

/// `auth_hmac`, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub keys: KeyRing,
    /// `active_key`: id of the key that adverts are signed with; `None` in mode receive-only.
    pub sign_with: Option<u8>,
    /// Not in mode enforce: adverts without a trailer are heard. Who signs wrongly never is.
    pub hears_unsigned: bool,
    /// `time_window`: seconds that clocks may differ, in which an advert must come. `None` with `anti_replay monotonic`: no
    /// clocks need to agree, and what was withheld may be said later. Either way an advert comes after the last one heard.
    pub window: Option<u64>,
}

impl Policy {
    /// Octets that a message needs behind it to be signed.
    pub const fn room(&self) -> usize {
        if self.sign_with.is_some() { TRAILER } else { 0 }
    }
}

/// How an advert that is to be heard was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    Signed,
    Unsigned,
}

/// The keys and sequences of one virtual router.
#[derive(Clone, Debug)]
pub struct Association {
    family: Family,
    keys: BTreeMap<u8, Hmac<Sha256>>,
    sign_with: Option<u8>,
    hears_unsigned: bool,
    window: Option<u64>,
    /// Of the last advert sent.
    sent: Sequence,
    heard: Senders,
}

impl Association {
    pub fn new(policy: &Policy, family: Family) -> Self {
        let Policy { keys, sign_with, hears_unsigned, window } = policy;
        Self {
            family,
            keys: keys.iter().map(|(&id, key)| (id, Hmac::new(&key.block().into()))).collect(),
            sign_with: *sign_with,
            hears_unsigned: *hears_unsigned,
            window: *window,
            sent: Sequence::default(),
            heard: Senders::default(),
        }
    }

    /// Numbers, and knows what was said, as the other one would: a key may be added or dropped, and those that stay must
    /// not be replayable for it.
    pub fn go_on_from(&mut self, before: &Self) {
        (self.sent, self.heard) = (before.sent, before.heard.clone());
    }

    /// Fills in the trailer of an IP packet of ours that has [`room`](Policy::room) for it. `now` is the time since 1970.
    pub fn sign(&mut self, packet: &mut [u8], now: Duration) {
        let (header, source, destination) = match self.family {
            Family::V4 => (IPV4_HEADER, 12..16, 16..20),
            Family::V6 => (IPV6_HEADER, 8..24, 24..40),
        };
        let Some((ip, message)) = packet.split_at_mut_checked(header) else { return };
        let (source, destination) = (address(&ip[source]), address(&ip[destination]));
        self.sign_message(source, message, now);
        // Over IPv6 the checksum is of all behind the header (RFC 8200 section 8.1), and kernels insist on that.
        if self.family == Family::V6 {
            message[CHECKSUM].fill(0);
            let sum = Sum::default().octets(message);
            let sum = sum.pseudo_header(source, destination, PROTOCOL_VRRP, message.len() as u16);
            message[CHECKSUM].copy_from_slice(&sum.checksum());
        }
    }

    fn sign_message(&mut self, source: Address, message: &mut [u8], now: Duration) {
        let Some((id, key)) = self.sign_with.and_then(|id| Some((id, self.keys.get(&id)?))) else { return };
        let Some((message, trailer)) = message.split_last_chunk_mut::<TRAILER>() else { return };
        self.sent = self.sent.next(now, self.window);
        trailer[..SEQUENCE.start].copy_from_slice(&[TYPE, id, 0, 0]);
        trailer[SEQUENCE].copy_from_slice(&self.sent.octets());
        if let Some(code) = code(key, self.family, source, message, trailer) {
            trailer[CODE].copy_from_slice(&code.finalize().into_bytes()[..CODE.end - CODE.start]);
        }
    }

    /// Whether a message, with all that was behind it, is to be heard. `now` is the time since 1970 at which it came.
    pub fn verify(&mut self, source: Address, message: &[u8], now: Duration) -> Result<Sent, Reason> {
        let header = Header(*message.first_chunk().ok_or(Reason::AuthMalformed)?);
        let version = Version::new(header.version_nibble()).ok_or(Reason::AuthMalformed)?;
        let length = header.length(version, self.family);
        let (message, trailer) = message.split_at_checked(length).ok_or(Reason::AuthMalformed)?;
        if trailer.is_empty() {
            return if self.hears_unsigned { Ok(Sent::Unsigned) } else { Err(Reason::AuthMissing) };
        }
        let trailer: &[u8; TRAILER] = trailer.try_into().map_err(|_| Reason::AuthMalformed)?;
        let &[TYPE, id, ..] = trailer else { return Err(Reason::AuthMalformed) };
        let key = self.keys.get(&id).ok_or(Reason::AuthUnknownKey)?;
        let code = code(key, self.family, source, message, trailer).ok_or(Reason::AuthMalformed)?;
        code.verify_truncated_left(&trailer[CODE]).map_err(|_| Reason::AuthBadHmac)?;
        // Only now: who has no key is told apart from whose clock is wrong.
        let sequence = Sequence::from_octets(&trailer[SEQUENCE]);
        if self.window.is_some_and(|window| !sequence.is_fresh(now, window)) {
            return Err(Reason::AuthStale);
        }
        match self.heard.admit(source, sequence) {
            true => Ok(Sent::Signed),
            false => Err(Reason::AuthReplay),
        }
    }
}

/// Four or sixteen octets as an address.
fn address(octets: &[u8]) -> Address {
    let mut whole = [0; 16];
    whole.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
    Address::v6(whole)
}

/// The authentication code of a message, still to be finished; `None` when that is no message.
fn code(
    key: &Hmac<Sha256>,
    family: Family,
    source: Address,
    message: &[u8],
    trailer: &[u8; TRAILER],
) -> Option<Hmac<Sha256>> {
    let &[first, vrid, ..] = message else { return None };
    let (before, behind) = (message.get(..CHECKSUM.start)?, message.get(CHECKSUM.end..)?);
    let pseudo = [family as u8, first >> 4, vrid, 0];
    let mac = key.clone().chain_update(pseudo).chain_update(source.octets());
    let mac = mac.chain_update(before).chain_update([0; CHECKSUM.end - CHECKSUM.start]).chain_update(behind);
    Some(mac.chain_update(&trailer[..CODE.start]).chain_update([0; CODE.end - CODE.start]))
}

#[cfg(test)]
mod tests {
    use vrrp_common::wire::ip::vrrp_group;
    use vrrp_common::wire::ip4::ipv4_header;
    use vrrp_common::wire::ip6::ipv6_header;

    use super::super::key::Key;
    use super::*;

    const SENDER: Address = Address::v4([192, 168, 1, 2]);
    /// v3, for 192.168.1.100, whatever its checksum.
    const MESSAGE: [u8; 12] = [0x31, 51, 150, 1, 0, 100, 0x12, 0x34, 192, 168, 1, 100];

    fn key(octets: u8) -> Key {
        let digits: String = (0..octets).map(|octet| format!("{octet:02x}")).collect();
        Key::parse(format!("hex:{digits}").as_bytes()).unwrap()
    }

    fn policy() -> Policy {
        let keys = KeyRing::from([(1, key(32)), (255, key(64))]);
        Policy { keys, sign_with: Some(1), hears_unsigned: false, window: Some(5) }
    }

    fn association(policy: Policy) -> Association {
        Association::new(&policy, Family::V4)
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(1_700_000_000_000 + millis)
    }

    fn signed(by: &mut Association, millis: u64) -> Vec<u8> {
        let mut message = [&MESSAGE[..], &[0xee; TRAILER]].concat();
        by.sign_message(SENDER, &mut message, at(millis));
        message
    }

    fn hex(octets: &[u8]) -> String {
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    /// What Python's hmac makes of the same layout.
    #[test]
    fn signed_octet_by_octet() {
        let v2 = [0x21, 51, 150, 1, 0, 1, 0x84, 0xbd, 192, 168, 1, 100, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut v6 = [0; 24];
        v6[..10].copy_from_slice(&[0x31, 51, 150, 1, 0, 100, 0x56, 0x78, 0xfe, 0x80]);
        v6[23] = 0x64;
        let mut router = [0; 16];
        (router[0], router[1], router[15]) = (0xfe, 0x80, 2);
        let router = Address::v6(router);
        for (family, source, message, id, want) in [
            (Family::V4, SENDER, &v2[..], 1, "010100006553f10080000000f7970aa4406d3eb0b08e07ebe492f7f5"),
            (Family::V4, SENDER, &MESSAGE[..], 255, "01ff00006553f10080000001f2cf73d0932d0fd7854f5764ec3bfd02"),
            (Family::V6, router, &v6[..], 1, "010100006553f1008000000035e11f37b1fcc021e3199566f51abd34"),
        ] {
            let mut association = Association::new(&Policy { sign_with: Some(id), ..policy() }, family);
            let mut packet = [message, &[0; TRAILER]].concat();
            association.sign_message(source, &mut packet, at(500));
            if id == 255 {
                association.sign_message(source, &mut packet, at(500));
            }
            assert_eq!(packet[..message.len()], *message);
            assert_eq!(hex(&packet[message.len()..]), want);
            let mut hearer = Association::new(&policy(), family);
            assert_eq!(hearer.verify(source, &packet, at(600)), Ok(Sent::Signed));
        }
    }

    #[test]
    fn packets_of_either_family_are_signed() {
        let packet =
            [&ipv4_header([192, 168, 1, 2], [224, 0, 0, 18], 255, PROTOCOL_VRRP, 40)[..], &MESSAGE, &[0; TRAILER]]
                .concat();
        let mut signed = packet.clone();
        association(policy()).sign(&mut signed, at(0));
        assert_eq!(signed[..32], packet[..32], "the message is as it was");
        assert_eq!(association(policy()).verify(SENDER, &signed[20..], at(0)), Ok(Sent::Signed));

        let (mut from, group) = ([0; 16], vrrp_group(Family::V6));
        (from[0], from[1], from[15]) = (0xfe, 0x80, 2);
        let mut message = [0; 24];
        message[..4].copy_from_slice(&[0x31, 51, 150, 1]);
        let header = ipv6_header(from, group.octets(), 255, PROTOCOL_VRRP, 52);
        let mut signed = [&header[..], &message, &[0; TRAILER]].concat();
        Association::new(&policy(), Family::V6).sign(&mut signed, at(0));
        let behind = &signed[IPV6_HEADER..];
        let source = Address::v6(from);
        assert!(Sum::default().octets(behind).pseudo_header(source, group, PROTOCOL_VRRP, 52).is_intact());
        let mut hearer = Association::new(&policy(), Family::V6);
        assert_eq!(hearer.verify(source, behind, at(0)), Ok(Sent::Signed));
    }

    #[test]
    fn any_octet_that_is_signed_counts() {
        let sent = signed(&mut association(policy()), 0);
        for at_octet in 0..sent.len() {
            let mut changed = sent.clone();
            changed[at_octet] ^= 0x80;
            let verdict = association(policy()).verify(SENDER, &changed, at(0));
            match at_octet {
                6 | 7 => assert_eq!(verdict, Ok(Sent::Signed), "the checksum is not signed"),
                // Version, count, type and key: what they say does not fit any more.
                0 | 3 | 12 => assert_eq!(verdict, Err(Reason::AuthMalformed), "octet {at_octet}"),
                13 => assert_eq!(verdict, Err(Reason::AuthUnknownKey)),
                _ => assert_eq!(verdict, Err(Reason::AuthBadHmac), "octet {at_octet}"),
            }
        }
        let other = Address::v4([192, 168, 1, 3]);
        assert_eq!(association(policy()).verify(other, &sent, at(0)), Err(Reason::AuthBadHmac), "another sender");
    }

    #[test]
    fn half_a_trailer_is_none() {
        let sent = signed(&mut association(policy()), 0);
        for length in 0..sent.len() {
            let want = if length == MESSAGE.len() { Reason::AuthMissing } else { Reason::AuthMalformed };
            assert_eq!(association(policy()).verify(SENDER, &sent[..length], at(0)), Err(want), "{length}");
        }
        let more = [&sent[..], &[0; 4]].concat();
        assert_eq!(association(policy()).verify(SENDER, &more, at(0)), Err(Reason::AuthMalformed));
    }

    #[test]
    fn modes() {
        let permissive = Policy { hears_unsigned: true, ..policy() };
        let receive_only = Policy { sign_with: None, ..permissive.clone() };
        assert_eq!([permissive.room(), receive_only.room()], [TRAILER, 0]);
        let [mut permissive, mut receive_only] = [permissive, receive_only].map(association);
        let mut forged = signed(&mut association(policy()), 0);
        *forged.last_mut().unwrap() ^= 1;
        for (hearer, millis) in [(&mut permissive, 1), (&mut receive_only, 2)] {
            assert_eq!(hearer.verify(SENDER, &MESSAGE, at(0)), Ok(Sent::Unsigned));
            let sent = signed(&mut association(policy()), millis);
            assert_eq!(hearer.verify(SENDER, &sent, at(0)), Ok(Sent::Signed));
            assert_eq!(hearer.verify(SENDER, &forged, at(0)), Err(Reason::AuthBadHmac));
        }
        let mut unsigned = MESSAGE;
        receive_only.sign_message(SENDER, &mut unsigned, at(0));
        assert_eq!(unsigned, MESSAGE);
    }

    #[test]
    fn replays_and_stale_adverts_are_not_heard() {
        let (mut sender, mut hearer) = (association(policy()), association(policy()));
        let first = signed(&mut sender, 0);
        assert_eq!(hearer.verify(SENDER, &first, at(5_999)), Ok(Sent::Signed));
        assert_eq!(hearer.verify(SENDER, &first, at(1_000)), Err(Reason::AuthReplay));
        assert_eq!(hearer.verify(SENDER, &first, at(6_000)), Err(Reason::AuthStale));
        let early = signed(&mut sender, 7_000);
        assert_eq!(hearer.verify(SENDER, &early, at(1_000)), Err(Reason::AuthStale));
        // Stale ones leave no trace.
        let second = signed(&mut association(policy()), 1_000);
        assert_eq!(hearer.verify(SENDER, &second, at(1_000)), Ok(Sent::Signed));
    }

    #[test]
    fn without_a_window_only_the_order_counts() {
        let mut hearer = association(Policy { window: None, ..policy() });
        let sent: Vec<_> = [0, 1].map(|millis| signed(&mut association(policy()), millis)).into();
        assert_eq!(hearer.verify(SENDER, &sent[1], at(3_600_000)), Ok(Sent::Signed));
        assert_eq!(hearer.verify(SENDER, &sent[0], at(0)), Err(Reason::AuthReplay));
    }

    /// Old and new are verified with; then the new one signs; then the old one goes.
    #[test]
    fn keys_change_without_a_gap() {
        let ring = |ids: &[u8]| ids.iter().map(|&id| (id, key(30 + id))).collect::<KeyRing>();
        let steps: [(&[u8], u8); 4] = [(&[2], 2), (&[2, 3], 2), (&[2, 3], 3), (&[3], 3)];
        let router = |(ids, active)| association(Policy { keys: ring(ids), sign_with: Some(active), ..policy() });
        for pair in steps.windows(2) {
            for (from, to) in [(pair[0], pair[1]), (pair[1], pair[0])] {
                let sent = signed(&mut router(from), 0);
                assert_eq!(router(to).verify(SENDER, &sent, at(0)), Ok(Sent::Signed), "{from:?} to {to:?}");
            }
        }
        let sent = signed(&mut router(steps[0]), 0);
        assert_eq!(router(steps[3]).verify(SENDER, &sent, at(0)), Err(Reason::AuthUnknownKey));
    }
}
