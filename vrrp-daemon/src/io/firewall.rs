//! `no_accept`: packets to and from virtual addresses that are only routed by are dropped, by a table of nftables.
//!
//! The table is there from the start of the daemon to its end: an address that is not held is nobody's local address, and its
//! rules match nothing. It is given to `nft` as text, in one transaction.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::config::setup::{Firewall, Setup};

/// Families of nftables that there are tables of.
const FAMILIES: [&str; 2] = ["ip", "ip6"];

/// Whether the table can be set up here; changes nothing.
pub fn check(setup: &Setup) -> anyhow::Result<()> {
    match Drops::of(setup).rules(&setup.daemon.firewall) {
        Some(rules) => nft(&["--check", "--file", "-"], &rules).context("no_accept needs nftables"),
        None => Ok(()),
    }
}

/// The families in which there will be a table.
pub fn families(setup: &Setup) -> Vec<&'static str> {
    Drops::of(setup).families()
}

/// Sets the table up, in place of one that a dead daemon left.
pub fn set_up(setup: &Setup) -> anyhow::Result<()> {
    Drops::of(setup).rules(&setup.daemon.firewall).map_or(Ok(()), |rules| nft(&["--file", "-"], &rules))
}

/// Whether both configurations need the same of it.
pub fn is_same(before: &Setup, now: &Setup) -> bool {
    let rules = |setup: &Setup| Drops::of(setup).rules(&setup.daemon.firewall);
    rules(before) == rules(now)
}

/// Sets the tables up for another configuration; one that is needed no longer is removed.
pub fn renew(before: &Setup, now: &Setup) -> anyhow::Result<()> {
    let needed = families(now);
    for family in families(before).into_iter().filter(|family| !needed.contains(family)) {
        remove(family, &before.daemon.firewall.table)?;
    }
    set_up(now)
}

/// Removes a table; one that is gone is fine.
pub fn remove(family: &str, table: &str) -> anyhow::Result<()> {
    nft(&["--file", "-"], &format!("table {family} {table}\ndelete table {family} {table}\n"))
}

/// Addresses that packets are dropped to and from.
#[derive(Debug, Default)]
struct Drops<'a> {
    v4: BTreeSet<IpAddr>,
    v6: BTreeSet<Ipv6Addr>,
    /// With the interface that they are on: others may have the same.
    link_local: BTreeSet<(&'a str, Ipv6Addr)>,
}

impl<'a> Drops<'a> {
    fn of(setup: &'a Setup) -> Self {
        let mut drops = Self::default();
        for address in setup.instances.iter().filter(|instance| instance.no_accept).flat_map(|i| &i.addresses) {
            match address.address {
                IpAddr::V6(v6) if v6.is_unicast_link_local() => {
                    drops.link_local.insert((&setup.interfaces[address.interface.index()], v6));
                }
                IpAddr::V6(v6) => drop(drops.v6.insert(v6)),
                v4 => drop(drops.v4.insert(v4)),
            }
        }
        drops
    }

    fn families(&self) -> Vec<&'static str> {
        let needed = [!self.v4.is_empty(), !self.v6.is_empty() || !self.link_local.is_empty()];
        FAMILIES.into_iter().zip(needed).filter(|(_, needed)| *needed).map(|(family, _)| family).collect()
    }

    /// The transaction that sets the table up; `None` when nothing is to be dropped.
    fn rules(&self, firewall: &Firewall) -> Option<String> {
        let Firewall { table, priority, counters } = firewall;
        let fate = if *counters { "counter drop" } else { "drop" };
        let tables = self.families().into_iter().map(|family| {
            let (sets, to, from) = match family {
                "ip" => self.rules4(fate),
                _ => self.rules6(fate),
            };
            format!(
                "table {family} {table}\ndelete table {family} {table}\ntable {family} {table} {{\n{sets}\
                 chain in {{ type filter hook input priority {priority}; policy accept; {to}; }}\n\
                 chain out {{ type filter hook output priority {priority}; policy accept; {from}; }}\n}}\n"
            )
        });
        Some(tables.collect::<String>()).filter(|rules| !rules.is_empty())
    }

    /// Sets, what is done with packets to us, and with packets from us.
    fn rules4(&self, fate: &str) -> (String, String, String) {
        let sets = set("vips", "ipv4_addr", self.v4.iter().map(IpAddr::to_string));
        (sets, format!("ip daddr @vips {fate}"), format!("ip saddr @vips {fate}"))
    }

    fn rules6(&self, fate: &str) -> (String, String, String) {
        let on_links = self.link_local.iter().map(|(name, address)| format!("\"{name}\" . {address}"));
        let sets = set("vips", "ipv6_addr", self.v6.iter().map(Ipv6Addr::to_string))
            + &set("vips_link_local", "ifname . ipv6_addr", on_links);
        // Neighbour discovery is never dropped (RFC 9568 section 6.4.3).
        let rules = |by: &str, end: &str| {
            format!(
                "icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept; ip6 {end} @vips {fate}; \
                 {by} . ip6 {end} @vips_link_local {fate}"
            )
        };
        (sets, rules("iifname", "daddr"), rules("oifname", "saddr"))
    }
}

fn set(name: &str, kind: &str, elements: impl Iterator<Item = String>) -> String {
    let elements: Vec<_> = elements.collect();
    let elements =
        if elements.is_empty() { String::new() } else { format!("elements = {{ {} }}; ", elements.join(", ")) };
    format!("set {name} {{ type {kind}; {elements}}}\n")
}

fn nft(arguments: &[&str], input: &str) -> anyhow::Result<()> {
    let mut command = Command::new("nft");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!("there is no program `nft`; install nftables"),
        other => other.context("cannot run nft")?,
    };
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(input.as_bytes()).context("cannot write to nft")?;
    }
    let output = child.wait_with_output().context("cannot wait for nft")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("nft: {}", said.lines().next().unwrap_or("it says nothing"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_for_each_family() {
        let firewall = Firewall { table: "mine".into(), priority: -1, counters: true };
        let mut drops = Drops::default();
        assert_eq!((drops.families(), drops.rules(&firewall)), (vec![], None));
        drops.v4.insert("192.0.2.2".parse().unwrap());
        drops.v4.insert("192.0.2.3".parse().unwrap());
        assert_eq!(drops.families(), ["ip"]);
        drops.link_local.insert(("eth0", "fe80::1".parse().unwrap()));
        assert_eq!(drops.families(), ["ip", "ip6"]);
        let rules = drops.rules(&firewall).unwrap();
        for part in [
            "table ip mine {\nset vips { type ipv4_addr; elements = { 192.0.2.2, 192.0.2.3 }; }",
            "elements = { \"eth0\" . fe80::1 }",
            "hook input priority -1; policy accept; ip daddr @vips counter drop; }",
        ] {
            assert!(rules.contains(part), "{rules}");
        }
    }
}
