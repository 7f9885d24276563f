//! One line of `virtual_ipaddress` or `static_ipaddress`: `ADDRESS[/LENGTH] [brd ADDRESS|+|-] [dev IF] [scope SCOPE] [label LABEL] ...`.

use std::net::{IpAddr, Ipv4Addr};

use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::lexer::Word;
use crate::syntax::schema::{At, FromItem, Keyword};
use crate::syntax::suggest;
use crate::syntax::tree::Entry;
use crate::syntax::value::{InterfaceName, Value, Whole};

use super::vmac::UseVmac;
use super::words::{names, options};

/// An address as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub address: IpAddr,
    /// 32 or 128 when not given.
    pub prefix: u8,
    pub broadcast: Option<Ipv4Addr>,
    pub dev: Option<InterfaceName>,
    /// A name or a number.
    pub scope: Option<Word>,
    pub label: Option<String>,
    /// The interface of `dev` is not watched.
    pub no_track: bool,
    /// On an interface of its own, with a virtual MAC address.
    pub use_vmac: Option<UseVmac>,
    /// The other end of a point-to-point link; `prefix` is then its length.
    pub peer: Option<IpAddr>,
    /// IFA_F flags.
    pub flags: u32,
    /// Seconds.
    pub preferred: Option<u32>,
    /// Of a static address.
    pub track_group: Option<At<String>>,
}

/// Options that are a flag of the kernel's: the name, the flag, and whether IPv6 alone has it.
const FLAGS: &[(&str, u32, bool)] =
    &[("home", 0x10, true), ("mngtmpaddr", 0x100, true), ("noprefixroute", 0x200, false), ("autojoin", 0x400, false)];

/// IFA_F_NODAD. VRRP itself sees to it that one router has the address: waiting for the kernel to ask whether another does
/// would cost a second, and while the old master still answers it would lose the address for good.
const NODAD: u32 = 0x02;

options! {
    /// What may follow an address, for suggestions and documentation.
    OPTIONS {
        "brd" | "broadcast" "Broadcast address; `+` and `-` make it of the prefix.";
        "dev" "Interface that the address is set on; default that of the adverts, or its virtual MAC interface.";
        "scope" "Scope of an IPv4 address, by name or number; IPv6 addresses have their own.";
        "label" "Name that the kernel shows beside an IPv4 address.";
        "no_track" "The interface of `dev` is not watched.";
        "use_vmac" "On an interface of its own, with a virtual MAC address.";
        "peer" "The other end of a point-to-point link.";
        "home" "IPv6: a home address of Mobile IPv6.";
        "-nodad" "IPv6: the kernel asks whether somebody else has the address before it is used.";
        "mngtmpaddr" "IPv6: temporary addresses are made of its prefix.";
        "noprefixroute" "The kernel makes no route of its prefix.";
        "autojoin" "The kernel joins the multicast group of this address.";
        "preferred_lft" "IPv6: seconds for which it is preferred as a source, or `forever`.";
        "track_group" "Static addresses: the `track_group` that cannot serve without it.";
    }
}

impl FromItem for Address {
    fn from_item(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        let first = entry.keyword();
        let (address, prefix) = with_prefix(first, found)?;
        let mut read = Self {
            address,
            prefix,
            broadcast: None,
            dev: None,
            scope: None,
            label: None,
            no_track: false,
            use_vmac: None,
            peer: None,
            flags: if address.is_ipv6() { NODAD } else { 0 },
            // One that is no subnet's is not to be a source, as in keepalived.
            preferred: (address.is_ipv6() && prefix == 128).then_some(0),
            track_group: None,
        };
        let mut words = entry.parameters().iter().peekable();
        while let Some(option) = words.next() {
            let mut argument = |found: &mut Diagnostics| {
                let word = words.next();
                if word.is_none() {
                    let message = format!("`{}` of {} lacks its parameter", option.text, first.text);
                    found.error(Class::Value, option.span, message).done("the address is skipped");
                }
                word
            };
            match option.text.as_str() {
                "brd" | "broadcast" => read.broadcast = Some(broadcast(argument(found)?, address, prefix, found)?),
                "dev" => read.dev = Some(interface(argument(found)?, found)?),
                "scope" => {
                    let word = argument(found)?;
                    if address.is_ipv6() {
                        let message = format!("scope `{}` of {}: IPv6 addresses have their own", word.text, first.text);
                        found.warning(Class::Conflict, word.span, message).done("it is ignored");
                    } else {
                        read.scope = Some(word.clone());
                    }
                }
                "label" => read.label = label(argument(found)?, found),
                "no_track" => read.no_track = true,
                "use_vmac" => read.use_vmac = Some(UseVmac::read(&mut words, OPTIONS, found)),
                "peer" => {
                    let (peer, length) = with_prefix(argument(found)?, found)?;
                    if peer.is_ipv4() != address.is_ipv4() {
                        let message = format!("`{}` and its peer are of two families", first.text);
                        found.error(Class::Conflict, option.span, message).done("the address is skipped");
                        return None;
                    }
                    if first.text.contains('/') {
                        let message =
                            format!("`{}` has a peer, whose prefix length is the one that counts", first.text);
                        found.warning(Class::Conflict, first.span, message).done(format!("it is {length}"));
                    }
                    (read.peer, read.prefix) = (Some(peer), length);
                }
                "-nodad" if address.is_ipv6() => read.flags &= !NODAD,
                "-nodad" => six_alone(option, found),
                "preferred_lft" => {
                    let word = argument(found)?;
                    match (Whole::<0, { u32::MAX as i64 }>::parse(&word.text), word.text.as_str()) {
                        (None, "forever") if address.is_ipv6() => read.preferred = None,
                        (Some(seconds), _) if address.is_ipv6() => read.preferred = Some(seconds.get() as u32),
                        (None, other) if other != "forever" => {
                            let message = format!("preferred_lft is `{other}`; expected seconds, or forever");
                            found.error(Class::Value, word.span, message).done("the address is skipped");
                            return None;
                        }
                        _ => six_alone(option, found),
                    }
                }
                "track_group" => {
                    let group = argument(found)?;
                    read.track_group = Some(At { value: group.text.clone(), at: group.span });
                }
                known if FLAGS.iter().any(|(name, ..)| *name == known) => {
                    let flag = FLAGS.iter().find(|(name, ..)| *name == known);
                    match flag.filter(|(.., six)| !six || address.is_ipv6()) {
                        Some((_, flag, _)) => read.flags |= flag,
                        None => six_alone(option, found),
                    }
                }
                unknown => {
                    let message = format!("unknown option `{unknown}` of address {}", first.text);
                    let diagnostic = found.error(Class::Value, option.span, message).done("the option is skipped");
                    if let Some(near) = suggest::nearest(unknown, names(OPTIONS)) {
                        diagnostic.hint(format!("did you mean `{near}`?"));
                    }
                }
            }
        }
        Some(read)
    }
}

fn with_prefix(word: &Word, found: &mut Diagnostics) -> Option<(IpAddr, u8)> {
    let (address, length) = match word.text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (word.text.as_str(), None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        let message = format!("`{}` is no address; expected an IP address, perhaps with /LENGTH", word.text);
        found.error(Class::Value, word.span, message).done("the address is skipped");
        return None;
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match length.map(str::parse::<u8>) {
        None => most,
        Some(Ok(prefix)) if prefix <= most => prefix,
        Some(_) => {
            let message = format!("the prefix length of `{}`; expected 0 to {most}", word.text);
            found.error(Class::Value, word.span, message).done(format!("{most} is used"));
            most
        }
    };
    Some((address, prefix))
}

/// `None`: the address is skipped, reported.
fn broadcast(word: &Word, address: IpAddr, prefix: u8, found: &mut Diagnostics) -> Option<Ipv4Addr> {
    match (word.text.as_str(), address) {
        (sign @ ("+" | "-"), IpAddr::V4(address)) => {
            let host = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
            let bits = if sign == "+" { address.to_bits() | host } else { address.to_bits() & !host };
            Some(Ipv4Addr::from_bits(bits))
        }
        (given, IpAddr::V4(_)) if given.parse::<Ipv4Addr>().is_ok() => given.parse().ok(),
        _ => {
            let message = format!("`{}` is no broadcast address; expected an IPv4 address, + or -", word.text);
            found.error(Class::Value, word.span, message).done("the address is skipped");
            None
        }
    }
}

fn interface(word: &Word, found: &mut Diagnostics) -> Option<InterfaceName> {
    let name = InterfaceName::parse(&word.text);
    if name.is_none() {
        let message = format!("`dev` is `{}`; expected {}", word.text, InterfaceName::expected());
        found.error(Class::Value, word.span, message).done("the address is skipped");
    }
    name
}

fn label(word: &Word, found: &mut Diagnostics) -> Option<String> {
    if (1..=15).contains(&word.text.len()) {
        return Some(word.text.clone());
    }
    let message = format!("label `{}`; the kernel takes 1 to 15 characters", word.text);
    found.error(Class::Value, word.span, message).done("the address has no label");
    None
}

fn six_alone(option: &Word, found: &mut Diagnostics) {
    let message = format!("`{}` is for IPv6 addresses alone", option.text);
    found.notice(Class::WithoutEffect, option.span, message).done("it is ignored");
}
