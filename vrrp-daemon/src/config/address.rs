//! One line of `virtual_ipaddress`: `ADDRESS[/LENGTH] [brd ADDRESS|+|-] [dev IF] [scope SCOPE] [label LABEL] ...`.

use std::net::{IpAddr, Ipv4Addr};

use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::lexer::Word;
use crate::syntax::schema::{At, FromItem};
use crate::syntax::suggest;
use crate::syntax::tree::Entry;
use crate::syntax::value::{InterfaceName, Value};

use super::vmac::UseVmac;

/// An address as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub address: IpAddr,
    /// 32 or 128 when not given.
    pub prefix: u8,
    pub broadcast: Option<Ipv4Addr>,
    pub dev: Option<InterfaceName>,
    /// The kernel's number, 0 for global.
    pub scope: u8,
    pub label: Option<String>,
    /// The interface of `dev` is not watched.
    pub no_track: bool,
    /// On an interface of its own, with a virtual MAC address.
    pub use_vmac: Option<UseVmac>,
    /// The first option that would put something else on the wire than we do.
    pub refused: Option<At<&'static str>>,
}

/// Every option, for suggestions.
const OPTIONS: &[&str] = &[
    "brd",
    "broadcast",
    "dev",
    "scope",
    "label",
    "no_track",
    "use_vmac",
    "peer",
    "home",
    "-nodad",
    "mngtmpaddr",
    "noprefixroute",
    "autojoin",
    "preferred_lft",
    "track_group",
];

impl FromItem for Address {
    fn from_item(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        let first = entry.keyword();
        let (address, prefix) = with_prefix(first, found)?;
        let mut read = Self {
            address,
            prefix,
            broadcast: None,
            dev: None,
            scope: 0,
            label: None,
            no_track: false,
            use_vmac: None,
            refused: None,
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
                "brd" | "broadcast" => read.broadcast = broadcast(argument(found)?, address, prefix, found)?,
                "dev" => read.dev = Some(interface(argument(found)?, found)?),
                "scope" => read.scope = scope(argument(found)?, found),
                "label" => read.label = label(argument(found)?, found),
                "no_track" => read.no_track = true,
                "use_vmac" => read.use_vmac = Some(UseVmac::read(&mut words, OPTIONS, found)),
                "peer" => {
                    argument(found)?;
                    read.refused.get_or_insert(At { value: "peer", at: option.span });
                }
                "home" | "-nodad" | "mngtmpaddr" | "noprefixroute" | "autojoin" => without_effect(option, found),
                "preferred_lft" | "track_group" => {
                    argument(found)?;
                    without_effect(option, found);
                }
                unknown => {
                    let message = format!("unknown option `{unknown}` of address {}", first.text);
                    let diagnostic = found.error(Class::Value, option.span, message).done("the option is skipped");
                    if let Some(near) = suggest::nearest(unknown, OPTIONS.iter().copied()) {
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

/// The outer `None`: the address is skipped. The inner: there is no broadcast address.
fn broadcast(word: &Word, address: IpAddr, prefix: u8, found: &mut Diagnostics) -> Option<Option<Ipv4Addr>> {
    match (word.text.as_str(), address) {
        ("-", _) => Some(None),
        ("+", IpAddr::V4(address)) => {
            let host = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
            Some(Some(Ipv4Addr::from_bits(address.to_bits() | host)))
        }
        (given, IpAddr::V4(_)) if given.parse::<Ipv4Addr>().is_ok() => Some(given.parse().ok()),
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

fn scope(word: &Word, found: &mut Diagnostics) -> u8 {
    match word.text.as_str() {
        "global" | "universe" => 0,
        "site" => 200,
        "link" => 253,
        "host" => 254,
        "nowhere" => 255,
        other => other.parse().unwrap_or_else(|_| {
            let message = format!("scope is `{other}`; expected global, site, link, host, nowhere or 0 to 255");
            found.error(Class::Value, word.span, message).done("global is used");
            0
        }),
    }
}

fn label(word: &Word, found: &mut Diagnostics) -> Option<String> {
    if (1..=15).contains(&word.text.len()) {
        return Some(word.text.clone());
    }
    let message = format!("label `{}`; the kernel takes 1 to 15 characters", word.text);
    found.error(Class::Value, word.span, message).done("the address has no label");
    None
}

fn without_effect(option: &Word, found: &mut Diagnostics) {
    let message = format!("`{}` of an address is known to keepalived", option.text);
    found.notice(Class::WithoutEffect, option.span, message).done("it has no effect here yet and is skipped");
}
