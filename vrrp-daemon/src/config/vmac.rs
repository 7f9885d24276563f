//! `use_vmac` and its own words: `[[name] INTERFACE] [MAC] [netlink_notify_msg] [group GROUP]`.

use std::iter::Peekable;

use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::lexer::Word;
use crate::syntax::schema::{Foreign, FromEntry, Keyword, Outcome};
use crate::syntax::tree::Entry;
use crate::syntax::value::{InterfaceName, Value};

use super::words::options;

/// A virtual MAC interface as it is written; nothing of it need be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UseVmac {
    pub name: Option<InterfaceName>,
    pub mac: Option<MacAddress>,
    /// Link group; otherwise that of the interface below.
    pub group: Option<u32>,
}

options! {
    /// What may follow `use_vmac`, for documentation.
    OPTIONS {
        "name" "The interface's name; it may stand without this word, too.";
        "group" "Link group; default that of the interface below.";
    }
}

const NOTIFY: Foreign =
    Foreign { name: "netlink_notify_msg", outcome: Outcome::Skipped, why: "the kernel's own messages have to do" };

/// What may follow it in keepalived, too.
pub const FOREIGN: &[Foreign] = &[NOTIFY];

/// The blocks of RFC 9568 section 7.3; who wants one of them gives no address.
const PROTOCOL: [[u8; 5]; 2] = [[0, 0, 0x5e, 0, 1], [0, 0, 0x5e, 0, 2]];

/// An individual MAC address. With five octets given the VRID is the sixth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacAddress {
    first: [u8; 5],
    last: Option<u8>,
}

impl MacAddress {
    pub fn octets(self, vrid: u8) -> [u8; 6] {
        let [a, b, c, d, e] = self.first;
        [a, b, c, d, e, self.last.unwrap_or(vrid)]
    }

    /// `None`: not written like one. The inner: it is no address that an interface can have.
    fn read(word: &str) -> Option<Option<Self>> {
        let octets: Vec<_> = word.split(':').map(|octet| u8::from_str_radix(octet, 16).ok()).collect();
        if !word.contains(':') {
            return None;
        }
        let octets: Option<Vec<u8>> = octets.into_iter().collect();
        let Some((&first, rest)) = octets.as_deref().and_then(<[u8]>::split_first_chunk::<5>) else {
            return Some(None);
        };
        let is_individual = first[0] & 1 == 0 && first != [0; 5] && !PROTOCOL.contains(&first);
        Some((is_individual && rest.len() <= 1).then(|| Self { first, last: rest.first().copied() }))
    }
}

impl FromEntry for UseVmac {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.no_block(found);
        let mut words = entry.parameters().iter().peekable();
        Some(Self::read(&mut words, &[], found))
    }
}

impl UseVmac {
    /// Takes words up to one of `ends`. What cannot be read is reported, and as if it were not there.
    pub fn read<'a>(
        words: &mut Peekable<impl Iterator<Item = &'a Word>>,
        ends: &[Keyword],
        found: &mut Diagnostics,
    ) -> Self {
        let mut read = Self::default();
        let is_end = |word: &str| ends.iter().any(|end| end.names.contains(&word));
        while let Some(word) = words.next_if(|word| !is_end(&word.text)) {
            match (word.text.as_str(), MacAddress::read(&word.text)) {
                (known, _) if known == NOTIFY.name => {
                    let message = format!("`{known}` is known to keepalived; {}", NOTIFY.why);
                    found.notice(Class::WithoutEffect, word.span, message).done("it has no effect here");
                }
                ("group", _) => read.group = group(words.next().unwrap_or(word), found),
                ("name", _) => read.name = name(words.next().unwrap_or(word), found),
                (_, Some(Some(mac))) => read.mac = Some(mac),
                (text, Some(None)) => {
                    let message = format!(
                        "`{text}` is no MAC address to give; expected five or six octets of an address of one's own"
                    );
                    found.error(Class::Value, word.span, message).done("the MAC address is that of the protocol");
                }
                (_, None) => read.name = name(word, found),
            }
        }
        read
    }
}

fn name(word: &Word, found: &mut Diagnostics) -> Option<InterfaceName> {
    let name = InterfaceName::parse(&word.text);
    if name.is_none() {
        let message = format!("`use_vmac` is `{}`; expected {}", word.text, InterfaceName::expected());
        found.error(Class::Value, word.span, message).done("the interface has the default name");
    }
    name
}

/// A link group.
pub(super) fn group(word: &Word, found: &mut Diagnostics) -> Option<u32> {
    let group = if word.text == "default" { Some(0) } else { word.text.parse().ok() };
    if group.is_none() {
        let message = format!("`group` is `{}`; expected a link group's number, or `default`", word.text);
        found.error(Class::Value, word.span, message).done("it has the group of the interface below");
    }
    group
}

/// What the names of virtual MAC interfaces start with: `vrrp` of `vrrp.51`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(pub String);

impl Value for Prefix {
    fn expected() -> String {
        "1 to 10 characters of an interface's name".to_owned()
    }

    fn parse(word: &str) -> Option<Self> {
        (word.len() <= 10).then(|| InterfaceName::parse(word))?.map(|name| Self(name.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_addresses() {
        let read = |word: &str| MacAddress::read(word).map(|mac| mac.map(|mac| mac.octets(51)));
        assert_eq!(read("02:00:00:00:0a:9"), Some(Some([2, 0, 0, 0, 10, 9])));
        assert_eq!(read("02:00:00:00:00"), Some(Some([2, 0, 0, 0, 0, 51])));
        assert_eq!(read("vrrp0"), None);
        for wrong in
            ["01:00:00:00:00:09", "00:00:00:00:00:01", "02:00", "02:00:00:00:00:00:00", "00:00:5e:00:02:09", "eth0:1"]
        {
            assert_eq!(read(wrong), Some(None), "{wrong}");
        }
    }
}
