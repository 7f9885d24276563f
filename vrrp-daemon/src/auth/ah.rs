//! The Authentication Header of VRRPv2 (RFC 2338 section 5.3.6.3, RFC 2402), HMAC-MD5-96, as keepalived 2.2.7 sends it.
//!
//! Of the IP header everything is signed but type of service, flags and fragment offset, checksum and, of unicast, the TTL.
//! All routers of a virtual router share one sequence: whoever sends goes on above what was heard last.

use std::ops::Range;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use vrrp_common::drop::Reason;
use vrrp_common::wire::checksum::Sum;
use vrrp_common::wire::ip::{PROTOCOL_AH, PROTOCOL_VRRP};
use vrrp_common::wire::ip4::{AUTH_HEADER, IPV4_HEADER};

use super::key::Password;

/// The header's length field: words of four octets, less two.
const WORDS: u8 = (AUTH_HEADER / 4 - 2) as u8;
/// Where in it the key is named, the packet numbered, and the check value.
const SPI: Range<usize> = 4..8;
const SEQUENCE: Range<usize> = 8..12;
const ICV: Range<usize> = 12..AUTH_HEADER;
/// Where in the IP header these are.
const IDENTIFICATION: Range<usize> = 4..6;
const CHECKSUM: Range<usize> = 10..12;
const SOURCE: Range<usize> = 12..16;
/// What keepalived sends last, again and again. A sequence must not begin anew under the same key (RFC 2402 section
/// 3.3.2); at one advert a second it takes 136 years.
const LAST: u32 = u32::MAX - 1;

/// The key and the sequence of one virtual router.
#[derive(Clone, Debug)]
pub struct Association {
    mac: Hmac<Md5>,
    /// Sent or heard last.
    sequence: u32,
}

impl Association {
    pub fn new(password: Password) -> Self {
        Self { mac: Hmac::new(&password.block().into()), sequence: 0 }
    }

    /// Numbers as the other one would have.
    pub const fn go_on_from(&mut self, before: &Self) {
        self.sequence = before.sequence;
    }

    /// Fills in the header of a packet that has room for it, and numbers the packet: the kernel would give a number to one
    /// without that it routes, and it is signed.
    pub fn sign(&mut self, packet: &mut [u8]) {
        let Some((header, _)) = places(packet) else { return };
        self.sequence = self.sequence.saturating_add(1).min(LAST);
        packet[IDENTIFICATION].copy_from_slice(&number(self.sequence).to_be_bytes());
        packet[CHECKSUM].fill(0);
        let checksum = Sum::default().octets(&packet[..header]).checksum();
        packet[CHECKSUM].copy_from_slice(&checksum);
        // keepalived's index of the key is the sender's address.
        packet.copy_within(SOURCE, header + SPI.start);
        packet[header] = PROTOCOL_VRRP;
        packet[header + 1] = WORDS;
        packet[header..][SEQUENCE].copy_from_slice(&self.sequence.to_be_bytes());
        let code = self.check_value(packet).map(|value| value.finalize().into_bytes());
        if let Some(code) = code {
            packet[header..][ICV].copy_from_slice(&code[..ICV.len()]);
        }
    }

    /// Whether an IPv4 packet, from its header on, is authentic and new.
    pub fn verify(&mut self, packet: &[u8]) -> Result<(), Reason> {
        let (header, _) = places(packet).ok_or(Reason::AuthType)?;
        let value = self.check_value(packet).ok_or(Reason::AuthType)?;
        let from = &packet[SOURCE];
        let header = &packet[header..];
        if header[1] != WORDS || header[SPI] != *from {
            return Err(Reason::AuthFailure);
        }
        value.verify_truncated_left(&header[ICV]).map_err(|_| Reason::AuthFailure)?;
        let sequence = header[SEQUENCE].iter().fold(0, |number, &octet| number << 8 | u32::from(octet));
        if sequence <= self.sequence {
            return Err(Reason::AuthReplay);
        }
        self.sequence = sequence;
        Ok(())
    }

    /// The check value of a packet, still to be finished.
    fn check_value(&self, packet: &[u8]) -> Option<Hmac<Md5>> {
        let (header, end) = places(packet)?;
        let (mut fixed, options) = packet[..header].split_first_chunk::<IPV4_HEADER>().map(|(f, o)| (*f, o))?;
        (fixed[1], fixed[6], fixed[7], fixed[10], fixed[11]) = (0, 0, 0, 0, 0);
        let is_unicast = fixed[16] < 224;
        if is_unicast {
            fixed[8] = 0;
        }
        let before = &packet[header..][..ICV.start];
        let message = &packet[header + AUTH_HEADER..end];
        let mac = self.mac.clone().chain_update(fixed).chain_update(options);
        Some(mac.chain_update(before).chain_update([0; ICV.end - ICV.start]).chain_update(message))
    }
}

/// A packet's identification: as the sequence, and never 0.
const fn number(sequence: u32) -> u16 {
    ((sequence - 1) % 0xffff + 1) as u16
}

/// Where in a packet the header starts, and where the packet ends; `None` when it has no such header.
fn places(packet: &[u8]) -> Option<(usize, usize)> {
    let ip: &[u8; IPV4_HEADER] = packet.first_chunk()?;
    let (header, end) = ((ip[0] & 0x0f) as usize * 4, u16::from_be_bytes([ip[2], ip[3]]) as usize);
    let fits = header >= IPV4_HEADER && header + AUTH_HEADER <= end && end <= packet.len();
    (ip[9] == PROTOCOL_AH && fits).then_some((header, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Debian's keepalived 2.2.7 sent: to the group, leaving it, and to a unicast peer.
    const SENT: [(&str, &str); 4] = [
        (
            "secret",
            "45c0004000010000ff33190dc0a80102e0000012 70040000c0a8010200000001af4fcf02305201893c35760a 21339601020184bd\
             c0a801640000000000000000",
        ),
        (
            "secret",
            "45c0004000050000ff331909c0a80102e0000012 70040000c0a80102000000053b115450ede1b7faee98c792 2133000102011abe\
             c0a801640000000000000000",
        ),
        (
            "secret12",
            "45c0004000010000ff333774c0a80102c0a80103 70040000c0a8010200000001a0aaa8f2ffcb4b95ffd0053a 213364010201b6bd\
             c0a801640000000000000000",
        ),
        (
            "secret12",
            "45c0004000020000ff333773c0a80102c0a80103 70040000c0a80102000000027cb1eb1fc73b1f9fefe1099c 213364010201b6bd\
             c0a801640000000000000000",
        ),
    ];

    fn association(password: &str, sequence: u32) -> Association {
        let mut octets = [0; 8];
        octets.iter_mut().zip(password.bytes()).for_each(|(to, from)| *to = from);
        Association { sequence, ..Association::new(Password(octets)) }
    }

    fn packet(hex: &str) -> Vec<u8> {
        let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
        digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
    }

    #[test]
    fn signed_octet_by_octet_as_by_keepalived() {
        for (password, hex) in SENT {
            let sent = packet(hex);
            let sequence = u32::from_be_bytes(*sent[28..].first_chunk().unwrap());
            let mut ours = sent.clone();
            for room in [4..6, 10..12, 20..44] {
                ours[room].fill(0);
            }
            association(password, sequence - 1).sign(&mut ours);
            assert_eq!(ours, sent);
            assert_eq!(association(password, sequence - 1).verify(&sent), Ok(()));
        }
    }

    #[test]
    fn any_octet_that_is_signed_counts() {
        let sent = packet(SENT[0].1);
        let mutable = [1, 6, 7, 10, 11];
        for at in 0..sent.len() {
            let mut changed = sent.clone();
            changed[at] ^= 1;
            let verdict = association("secret", 0).verify(&changed);
            if mutable.contains(&at) {
                assert_eq!(verdict, Ok(()), "octet {at}");
            } else {
                assert!(matches!(verdict, Err(Reason::AuthFailure | Reason::AuthType)), "octet {at}: {verdict:?}");
            }
        }
        assert_eq!(association("secret", 0).verify(&[&sent[..], &[0; 6]].concat()), Ok(()), "padding is not signed");
        assert_eq!(association("secret", 0).verify(&sent[..63]), Err(Reason::AuthType));
        assert_eq!(association("Secret", 0).verify(&sent), Err(Reason::AuthFailure));
    }

    #[test]
    fn only_unicast_may_lose_hops() {
        for (index, verdict) in [(0, Err(Reason::AuthFailure)), (2, Ok(()))] {
            let (password, hex) = SENT[index];
            let mut routed = packet(hex);
            routed[8] = 250;
            assert_eq!(association(password, 0).verify(&routed), verdict);
        }
    }

    #[test]
    fn one_sequence_for_all_routers() {
        let mut template = packet(SENT[0].1);
        let (mut a, mut b) = (association("secret", 0), association("secret", 0));
        let mut said = |by: &mut Association| {
            by.sign(&mut template);
            template.clone()
        };
        let first = said(&mut a);
        assert_eq!(b.verify(&first), Ok(()));
        assert_eq!(b.verify(&first), Err(Reason::AuthReplay));
        let answer = said(&mut b);
        assert_eq!(answer[28..32], [0, 0, 0, 2], "it goes on where the other was");
        assert_eq!(a.verify(&answer), Ok(()));
        // One that started anew is told by what it hears.
        let mut c = association("secret", 0);
        assert_eq!(a.verify(&said(&mut c)), Err(Reason::AuthReplay));
        assert_eq!(c.verify(&said(&mut a)), Ok(()));
        assert_eq!(a.verify(&said(&mut c)), Ok(()));
    }

    #[test]
    fn the_sequence_ends_and_does_not_begin_anew() {
        let mut template = packet(SENT[0].1);
        let mut last = association("secret", LAST - 1);
        for _ in 0..3 {
            last.sign(&mut template);
            assert_eq!(template[28..32], LAST.to_be_bytes());
            assert_eq!(template[4..6], [0xff, 0xfe]);
        }
        assert_eq!([1, 0xffff, 0x1_0000, 0x1_fffe].map(number), [1, 0xffff, 1, 0xffff]);
        assert_eq!(last.verify(&packet(SENT[0].1)), Err(Reason::AuthReplay));
    }
}
