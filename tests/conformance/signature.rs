//! Peers that sign their adverts: RFC 2402's header and keepalived's trailer, laid out a second time. Only the hashes are
//! the same crates as the daemon's.

use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::Sha256;

use vrrp_tests::frames::FrameSpec;

use crate::words::time;

/// `ID:KEY@TIME`: a trailer of that key, whose number is of that time. It comes last: what is before it is signed.
pub fn add_trailer(frame: &mut FrameSpec, value: &str) -> Option<()> {
    let (key, at) = value.rsplit_once('@')?;
    let (id, key) = key.split_once(':')?;
    let nanos = u128::from(time(at)?.0);
    let ticks = (nanos << 16) / 1_000_000_000;
    let number = ((ticks as u64) << 16).to_be_bytes();
    let head = [&[1, id.parse().ok()?, 0, 0][..], &number].concat();
    let mut message = frame.message();
    message[6..8].fill(0);
    let mut source = [0; 16];
    let family = match frame.source {
        IpAddr::V4(address) => {
            source[..4].copy_from_slice(&address.octets());
            4
        }
        IpAddr::V6(address) => {
            source = address.octets();
            6
        }
    };
    let mut code = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
    for part in [&[family, frame.version, frame.vrid, 0][..], &source, &message, &head, &[0; 16]] {
        code.update(part);
    }
    frame.trailer = [&head[..], &code.finalize().into_bytes()[..16]].concat();
    Some(())
}

/// `PASSWORD@NUMBER`: fills in the authentication header of an untagged IPv4 frame.
pub fn fill_header(frame: &mut [u8], value: &str) -> Option<()> {
    let (password, number) = value.rsplit_once('@')?;
    let number: u32 = number.parse().ok()?;
    let end = 14 + usize::from(u16::from_be_bytes([frame[16], frame[17]]));
    let packet = frame.get_mut(14..end)?;
    let source = packet[12..16].to_vec();
    packet[24..28].copy_from_slice(&source);
    packet[28..32].copy_from_slice(&number.to_be_bytes());
    packet[32..44].fill(0);
    let mut signed = packet.to_vec();
    // What may change on the way: type of service, fragments, checksum; and the TTL of unicast.
    for at in [1, 6, 7, 10, 11] {
        signed[at] = 0;
    }
    if signed[16] < 224 {
        signed[8] = 0;
    }
    let mut code = Hmac::<Md5>::new_from_slice(password.as_bytes()).ok()?;
    code.update(&signed);
    packet[32..44].copy_from_slice(&code.finalize().into_bytes()[..12]);
    Some(())
}
