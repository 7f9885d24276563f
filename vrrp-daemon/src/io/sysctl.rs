//! Settings of IP below /proc/sys/net, of the daemon's own network namespace: what virtual MAC addresses need, as
//! keepalived sets it, and how it was before.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;

use nix::net::if_::{if_indextoname, if_nametoindex};
use vrrp_common::IfIndex;

use crate::config::setup::{Setup, Upper, UpperKind};
use crate::engine::plan::InterfaceId;

/// Of an interface that was made: its addresses answer ARP there and nowhere else, though the route to whoever asks may be
/// by the interface below.
const VMAC: &[(&str, &str, &str)] = &[
    ("ipv4", "arp_ignore", "1"),
    ("ipv4", "arp_announce", "2"),
    ("ipv4", "accept_local", "1"),
    ("ipv4", "rp_filter", "0"),
    ("ipv4", "promote_secondaries", "1"),
    // Two routers must not make the same link-local address of the same MAC address.
    ("ipv6", "addr_gen_mode", "1"),
];

/// Of the interface below: it answers for its own addresses alone. `arp_announce` is not keepalived's: without it the host
/// asks there for its clients in the name of the virtual address, and they take the interface's MAC address for its.
const PARENT: &[(&str, u8)] = &[("arp_ignore", 1), ("arp_filter", 1), ("arp_announce", 2)];

const PROMOTING: &[(&str, u8)] = &[("promote_secondaries", 1)];

/// Whose setting it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    All,
    Default,
    Interface(IfIndex),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Default => f.write_str("default"),
            Self::Interface(index) => index.0.fmt(f),
        }
    }
}

impl Scope {
    /// What [`Display`](fmt::Display) wrote.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "all" => Some(Self::All),
            "default" => Some(Self::Default),
            index => Some(Self::Interface(IfIndex(index.parse().ok()?))),
        }
    }

    /// Its directory; an interface may have changed its name.
    fn name(self) -> io::Result<String> {
        match self {
            Self::All | Self::Default => Ok(self.to_string()),
            Self::Interface(index) => Ok(if_indextoname(index.0)?.to_string_lossy().into_owned()),
        }
    }
}

/// A setting of IPv4 that is changed while the daemon runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    pub scope: Scope,
    pub key: String,
    pub before: u8,
    pub value: u8,
}

impl Change {
    /// What has to be done for a setting to be so; `None` when it is.
    fn to(scope: Scope, key: &str, value: u8) -> io::Result<Option<Self>> {
        let before = read(&scope.name()?, key)?;
        Ok((before != value).then(|| Self { scope, key: key.to_owned(), before, value }))
    }

    pub fn make(&self) -> io::Result<()> {
        write("ipv4", &self.scope.name()?, &self.key, &self.value.to_string())
    }

    /// Puts it back, unless somebody else changed it meanwhile. What is gone needs nothing.
    pub fn undo(&self) -> io::Result<()> {
        let Ok(name) = self.scope.name() else { return Ok(()) };
        match read(&name, &self.key) {
            Ok(now) if now == self.value => write("ipv4", &name, &self.key, &self.before.to_string()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scope, key, before, value } = self;
        let name = scope.name().unwrap_or_else(|_| scope.to_string());
        write!(f, "net.ipv4.conf.{name}.{key} from {before} to {value}")
    }
}

/// What the interfaces of a configuration need.
#[derive(Debug)]
pub struct Needs {
    parents: BTreeSet<InterfaceId>,
    /// Those of instances with `promote_secondaries`.
    promoting: BTreeSet<InterfaceId>,
}

impl Needs {
    pub fn new(setup: &Setup) -> Self {
        let instances = setup.instances.iter().zip(setup.plan.instances.iter());
        Self {
            parents: vmacs(setup).map(|vmac| vmac.parent).collect(),
            promoting: instances
                .filter(|(own, _)| own.promote_secondaries)
                .flat_map(|(own, plan)| match setup.routed.contains(&plan.interface) {
                    true => own.addresses.iter().map(|address| address.interface).collect(),
                    false => vec![plan.interface],
                })
                .collect(),
        }
    }

    /// What an interface still lacks.
    pub fn of(&self, id: InterfaceId, index: IfIndex) -> io::Result<Vec<Change>> {
        let parent = PARENT.iter().filter(|_| self.parents.contains(&id));
        let promoting = PROMOTING.iter().filter(|_| self.promoting.contains(&id));
        let changes = parent.chain(promoting).map(|&(key, value)| Change::to(Scope::Interface(index), key, value));
        Ok(changes.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// What the host lacks: the kernel takes the stricter one of `all` and the interface's own. Where `all` filters by the
    /// path back to the sender, a virtual MAC interface cannot be without; so each other interface gets what it had by
    /// `all`, and `all` nothing.
    pub fn of_all(&self) -> io::Result<Vec<Change>> {
        let mut changes = Vec::new();
        let all = if self.parents.is_empty() { 0 } else { read("all", "rp_filter")? };
        if all == 0 {
            return Ok(changes);
        }
        let mut scopes = vec![Scope::Default];
        for entry in fs::read_dir("/proc/sys/net/ipv4/conf")? {
            let index = if_nametoindex(entry?.file_name().as_os_str());
            scopes.extend(index.map(|index| Scope::Interface(IfIndex(index))));
        }
        for scope in scopes {
            let own = read(&scope.name()?, "rp_filter")?;
            changes.extend(Change::to(scope, "rp_filter", own.max(all))?);
        }
        changes.extend(Change::to(Scope::All, "rp_filter", 0)?);
        Ok(changes)
    }
}

/// Sets up an interface that was just made; all of it goes with the interface.
pub fn for_upper(name: &str, upper: &Upper) {
    let disabled = ("ipv6", "disable_ipv6", if upper.ipv6 { "0" } else { "1" });
    let vmac = VMAC.iter().filter(|_| is_vmac(upper));
    for &(family, key, value) in vmac.chain([&disabled]) {
        if let Err(error) = write(family, name, key, value) {
            tracing::error!("cannot set net.{family}.conf.{name}.{key} to {value}: {error}");
        }
    }
}

fn vmacs(setup: &Setup) -> impl Iterator<Item = &Upper> {
    setup.uppers.iter().filter(|upper| is_vmac(upper))
}

fn is_vmac(upper: &Upper) -> bool {
    matches!(upper.kind, UpperKind::Vmac(_))
}

/// What keeps virtual MAC addresses from being answered or heard as they should, in words.
pub fn conflicts(setup: &Setup) -> Vec<String> {
    let mut found = BTreeSet::new();
    for vmac in vmacs(setup) {
        let (own, below) = (&setup.interfaces[vmac.interface.index()], &setup.interfaces[vmac.parent.index()]);
        // The kernel takes the greater one of `all` and the interface's own.
        let setting = |name: &str, key: &str| Some(read(name, key).ok()?.max(read("all", key).ok()?));
        if setting(below, "arp_ignore") == Some(0) {
            found.insert(format!("{below} answers ARP for virtual addresses with its own MAC address (arp_ignore 0)"));
        }
        if setting(below, "arp_announce").is_some_and(|value| value < 2) {
            found.insert(format!(
                "{below} asks by ARP for virtual addresses with its own MAC address (arp_announce < 2)"
            ));
        }
        if setting(own, "arp_ignore") == Some(0) {
            found.insert(format!("{own} answers ARP for addresses of other interfaces (arp_ignore 0)"));
        }
        if let Some(value) = setting(own, "arp_ignore").filter(|value| *value > 1) {
            found.insert(format!("{own} does not answer ARP of everybody (arp_ignore {value})"));
        }
        if setting(own, "rp_filter") == Some(1) {
            found.insert(format!("{own} drops packets whose sender is reached by another interface (rp_filter 1)"));
        }
    }
    found.into_iter().collect()
}

fn read(interface: &str, key: &str) -> io::Result<u8> {
    fs::read_to_string(path("ipv4", interface, key))?.trim().parse().map_err(io::Error::other)
}

fn write(family: &str, interface: &str, key: &str, value: &str) -> io::Result<()> {
    match fs::write(path(family, interface, key), value) {
        // A kernel without IPv6 has none of its settings.
        Err(error) if error.kind() == io::ErrorKind::NotFound && family == "ipv6" => Ok(()),
        other => other,
    }
}

fn path(family: &str, interface: &str, key: &str) -> PathBuf {
    ["/proc/sys/net", family, "conf", interface, key].iter().collect()
}
