//! `encap {ip|ip6} [id N] [dst A] [src A] [tos|tc N] [ttl|hoplimit N] [flags N]`, `encap mpls L[/L ..]`, `encap ila LOCATOR`.

use std::net::IpAddr;

use vrrp_common::Family;

use crate::config::setup::{Encap, Tunnel};
use crate::config::words::{Number, Words, options};
use crate::syntax::diagnostic::Diagnostics;
use crate::syntax::lexer::Word;
use crate::syntax::schema::Keyword;

/// Labels are of 20 bits.
const LABEL_MAX: u32 = (1 << 20) - 1;
/// Labels of one packet that the kernel takes.
const LABELS: usize = 30;

options! {
    /// What may follow `encap`, for documentation.
    OPTIONS {
        "ip" | "ip6" "In packets of IP, with the words that follow.";
        "id" "Id of the tunnel.";
        "dst" "The other end of the tunnel.";
        "src" "This end.";
        "tos" | "tc" "Type of service, or traffic class, of the outer packet.";
        "ttl" | "hoplimit" "Its TTL, or hop limit.";
        "flags" "Flags of the tunnel's key.";
        "mpls" "Under labels, with / between them.";
        "ila" "Under the locator of an identifier.";
    }
}

/// `None`: the route is skipped, reported.
pub fn read(words: &mut Words, option: &Word, found: &mut Diagnostics) -> Option<Encap> {
    let kind = words.parameter(option, found)?;
    match kind.text.as_str() {
        "ip" => Some(Encap::Ip(Family::V4, tunnel(words, Family::V4, found)?)),
        "ip6" => Some(Encap::Ip(Family::V6, tunnel(words, Family::V6, found)?)),
        "mpls" => {
            let word = words.parameter(kind, found)?;
            words
                .read(kind, word, labels(&word.text), "labels from 0 to 1048575 with / between them", found)
                .map(Encap::Mpls)
        }
        "ila" => {
            let word = words.parameter(kind, found)?;
            words.read(kind, word, locator(&word.text), "four groups of hexadecimal digits", found).map(Encap::Ila)
        }
        _ => words.read(option, kind, None, "ip, ip6, mpls or ila", found),
    }
}

fn tunnel(words: &mut Words, family: Family, found: &mut Diagnostics) -> Option<Tunnel> {
    let mut tunnel = Tunnel::default();
    while let Some(text) = words.peek() {
        if !matches!(text, "id" | "dst" | "src" | "tos" | "tc" | "ttl" | "hoplimit" | "flags") {
            break;
        }
        let option = words.pull()?;
        match text {
            "id" => tunnel.id = Some(words.value::<Number<{ u64::MAX }>>(option, found)?.0),
            "dst" => tunnel.destination = Some(address(words, option, family, found)?),
            "src" => tunnel.source = Some(address(words, option, family, found)?),
            "tos" | "tc" => tunnel.tos = Some(words.value::<Number<255>>(option, found)?.0 as u8),
            "ttl" | "hoplimit" => tunnel.ttl = Some(words.value::<Number<255>>(option, found)?.0 as u8),
            _ => tunnel.flags = Some(words.value::<Number<0xffff>>(option, found)?.0 as u16),
        }
    }
    Some(tunnel)
}

fn address(words: &mut Words, option: &Word, family: Family, found: &mut Diagnostics) -> Option<IpAddr> {
    let word = words.parameter(option, found)?;
    let address = word.text.parse().ok().filter(|&address: &IpAddr| Family::of(address) == family);
    let expected = match family {
        Family::V4 => "an IPv4 address",
        Family::V6 => "an IPv6 address",
    };
    words.read(option, word, address, expected, found)
}

fn labels(text: &str) -> Option<Vec<u32>> {
    let labels: Option<Vec<u32>> =
        text.split('/').map(|label| label.parse().ok().filter(|&n| n <= LABEL_MAX)).collect();
    labels.filter(|labels| labels.len() <= LABELS)
}

/// `1:2:3:4`.
fn locator(text: &str) -> Option<u64> {
    let groups: Option<Vec<u64>> =
        text.split(':').map(|group| u16::from_str_radix(group, 16).ok().map(u64::from)).collect();
    let groups = groups.filter(|groups| groups.len() == 4)?;
    Some(groups.into_iter().fold(0, |locator, group| locator << 16 | group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_locators() {
        assert_eq!(labels("100/200"), Some(vec![100, 200]));
        assert_eq!(["", "1//2", "1048576", "x"].map(labels), [None, None, None, None]);
        assert_eq!(locator("1:2:3:ffff"), Some(0x0001_0002_0003_ffff));
        assert_eq!(["1:2:3", "1:2:3:4:5", "1:2:3:10000"].map(locator), [None, None, None]);
    }
}
