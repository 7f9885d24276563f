//! Which virtual routers a row is about, and the configurations that say so in keepalived's and FRR's language.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use vrrp_common::{Centis, Family, Priority, Version, time};
use vrrp_tests::frr;

/// The priority of router A, which is master while it lives, and of B.
pub const PRIORITY: [u8; 2] = [200, 100];
/// Most addresses in one advert.
const ADVERTISED_MAX: usize = 255;

/// Virtual routers on a rig, spread evenly over its interfaces.
#[derive(Clone, Debug)]
pub struct Roster {
    pub count: usize,
    pub interfaces: usize,
    pub interval: Centis,
    /// Of each virtual router.
    pub addresses: usize,
    /// v2 with this password, else v3.
    pub password: Option<&'static str>,
    /// Lines of `global_defs` of both daemons, and of ours alone.
    pub shared: Vec<String>,
    pub globals: Vec<String>,
}

impl Roster {
    pub fn new(count: usize, interfaces: usize, centiseconds: u16) -> Self {
        let interval = Centis::new(centiseconds).expect("an interval is not 0");
        Self { count, interfaces, interval, addresses: 1, password: None, shared: Vec::new(), globals: Vec::new() }
    }

    pub fn version(&self) -> Version {
        if self.password.is_some() { Version::V2 } else { Version::V3 }
    }

    /// How long a router waits before it takes over.
    pub fn down(&self, router: usize) -> Duration {
        let priority = Priority::new(PRIORITY[router]).expect("a priority is not 0");
        time::down(self.version(), priority, self.interval, 3)
    }

    /// Interface and VRID of each.
    pub fn routers(&self) -> impl Iterator<Item = (usize, u8)> {
        let each = self.count.div_ceil(self.interfaces);
        (0..self.count).map(move |number| (number / each, (number % each) as u8 + 1))
    }

    /// Adverts that are due in a second.
    pub fn rate(&self) -> f64 {
        self.count as f64 / self.interval.duration().as_secs_f64()
    }

    pub fn addresses_of(&self, interface: usize, vrid: u8) -> impl Iterator<Item = Ipv4Addr> {
        let address = move |number: usize| {
            Ipv4Addr::new(10, interface as u8, vrid + (number / 250) as u8, (number % 250) as u8 + 1)
        };
        (0..self.addresses).map(address)
    }

    /// As keepalived reads it, and we.
    pub fn keepalived(&self, router: usize, ours: bool) -> String {
        let mut text = format!("global_defs {{\n    vrrp_version {}\n", self.version() as u8);
        for line in self.shared.iter().chain(self.globals.iter().filter(|_| ours)) {
            let _ = writeln!(text, "    {line}");
        }
        text.push_str("}\n");
        for (interface, vrid) in self.routers() {
            let _ = write!(
                text,
                "vrrp_instance V{interface}_{vrid} {{\n    state BACKUP\n    interface eth{interface}\n    \
                 virtual_router_id {vrid}\n    priority {}\n    advert_int {}\n",
                PRIORITY[router], self.interval
            );
            if let Some(password) = self.password {
                let _ = writeln!(
                    text,
                    "    authentication {{\n        auth_type PASS\n        auth_pass {password}\n    }}"
                );
            }
            let addresses: Vec<_> = self.addresses_of(interface, vrid).collect();
            let (advertised, rest) = addresses.split_at(addresses.len().min(ADVERTISED_MAX));
            for (block, addresses) in [("virtual_ipaddress", advertised), ("virtual_ipaddress_excluded", rest)] {
                if !addresses.is_empty() {
                    let _ = writeln!(text, "    {block} {{");
                    for address in addresses {
                        let _ = writeln!(text, "        {address}/32");
                    }
                    text.push_str("    }\n");
                }
            }
            text.push_str("}\n");
        }
        text
    }

    /// As FRR's vrrpd reads it.
    pub fn frr(&self, router: usize) -> String {
        let mut text = String::from("frr defaults traditional\nlog stdout informational\n");
        for (interface, vrid) in self.routers() {
            let addresses = self.addresses_of(interface, vrid).map(IpAddr::V4);
            let lines = frr::router(vrid, self.version(), PRIORITY[router], self.interval.duration(), addresses);
            let _ = writeln!(text, "interface eth{interface}\n{lines}exit");
        }
        text
    }

    /// The macvlan interfaces with the addresses that FRR wants to find: it sets none itself.
    pub fn macvlans(&self) -> String {
        let mut lines = String::new();
        for (interface, vrid) in self.routers() {
            let name = format!("vr{interface}-{vrid}");
            let _ = writeln!(lines, "{}", frr::macvlan(&name, &format!("eth{interface}"), Family::V4, vrid));
            for address in self.addresses_of(interface, vrid) {
                let _ = writeln!(lines, "addr add {address}/32 dev {name}");
            }
            let _ = writeln!(lines, "link set {name} up");
        }
        lines
    }
}
