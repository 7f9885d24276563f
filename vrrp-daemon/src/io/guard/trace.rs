//! What the daemon leaves on the host while it runs, each kind with the words that name it and the way to remove it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use anyhow::Context;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use vrrp_common::IfIndex;

use crate::io::firewall;
use crate::io::netlink::requests::{BATCH, Outcome, Request, Requests};
use crate::io::netlink::upper::Kind;
use crate::io::sysctl::{Change, Scope};

/// One trace. They are removed in the order of the kinds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trace {
    /// A route, a rule or a static address: the message that removes it, in octets.
    Path(Vec<u8>),
    /// An address with its prefix length.
    Address(IfIndex, IpAddr, u8),
    /// An interface that was made on another, by its name: it is told of before it has an index.
    Link(Kind, String),
    Setting(Change),
    /// A table of nftables: family and name.
    Table(String, String),
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(octets) => {
                f.write_str("path ")?;
                octets.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
            Self::Address(index, address, prefix) => write!(f, "address {} {address} {prefix}", index.0),
            Self::Link(kind, name) => write!(f, "link {kind} {name}"),
            Self::Setting(Change { scope, key, before, value }) => write!(f, "setting {scope} {key} {before} {value}"),
            Self::Table(family, name) => write!(f, "table {family} {name}"),
        }
    }
}

impl Trace {
    /// What [`Display`](fmt::Display) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<_> = text.split(' ').collect();
        match words[..] {
            ["address", index, address, prefix] => {
                Some(Self::Address(IfIndex(index.parse().ok()?), address.parse().ok()?, prefix.parse().ok()?))
            }
            ["path", digits] => {
                let octets =
                    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok());
                Some(Self::Path(octets.collect::<Option<_>>()?))
            }
            ["link", kind, name] => Some(Self::Link(Kind::parse(kind)?, name.to_owned())),
            ["table", family, name] => Some(Self::Table(family.to_owned(), name.to_owned())),
            ["setting", scope, key, before, value] => Some(Self::Setting(Change {
                scope: Scope::parse(scope)?,
                key: key.to_owned(),
                before: before.parse().ok()?,
                value: value.parse().ok()?,
            })),
            _ => None,
        }
    }
}

/// Removes all of it; what cannot be removed is told of on standard error.
pub fn remove(traces: &BTreeSet<Trace>) -> anyhow::Result<()> {
    let mut kernel = Requests::open().context("cannot open a netlink socket")?;
    let mut links = Vec::new();
    let mut removals = Vec::new();
    for trace in traces {
        match trace {
            Trace::Path(octets) => {
                // Written by ourselves; what cannot be read would be no trace.
                if let Ok(NetlinkPayload::InnerMessage(message)) =
                    NetlinkMessage::deserialize(octets).map(|message| message.payload)
                {
                    removals.push(Request::Lift(message));
                }
            }
            Trace::Address(index, address, prefix) => removals.push(Request::Remove((*index, *address, *prefix))),
            Trace::Link(kind, name) => links.push(Request::Condemn(*kind, name)),
            Trace::Setting(_) | Trace::Table(..) => {}
        }
    }
    links.extend((!links.is_empty()).then_some(Request::RemoveCondemned));
    for batch in removals.chunks(BATCH).chain(links.chunks(BATCH)) {
        for (request, outcome) in batch.iter().zip(kernel.make(batch)?) {
            if let Outcome::Failed(error) = outcome {
                eprintln!("vrrpd: after the daemon's death: {request:?}: {error}");
            }
        }
    }
    for trace in traces {
        match trace {
            Trace::Setting(change) => {
                if let Err(error) = change.undo() {
                    eprintln!("vrrpd: after the daemon's death: cannot put back {change}: {error}");
                }
            }
            Trace::Table(family, name) => {
                if let Err(error) = firewall::remove(family, name) {
                    eprintln!("vrrpd: after the daemon's death: cannot remove table {family} {name}: {error:#}");
                }
            }
            Trace::Path(_) | Trace::Address(..) | Trace::Link(..) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let traces = [
            Trace::Path(vec![0, 0x1f, 0xff]),
            Trace::Address(IfIndex(7), "2001:db8::1".parse().unwrap(), 64),
            Trace::Address(IfIndex(7), "192.0.2.1".parse().unwrap(), 32),
            Trace::Link(Kind::Macvlan, "vrrp.51".into()),
            Trace::Link(Kind::Ipvlan, "vrrp.52".into()),
            Trace::Table("ip".into(), "keepalived".into()),
            Trace::Setting(Change { scope: Scope::All, key: "rp_filter".into(), before: 2, value: 0 }),
            Trace::Setting(Change {
                scope: Scope::Interface(IfIndex(7)),
                key: "arp_ignore".into(),
                before: 0,
                value: 1,
            }),
        ];
        for trace in traces {
            assert_eq!(Trace::parse(&trace.to_string()), Some(trace));
        }
        assert_eq!(["address 7 192.0.2.1", "path 0", "path xy"].map(Trace::parse), [None, None, None]);
    }
}
