//! Configurations of one virtual router, in keepalived's language, which our daemon reads, too; `frr.rs` writes them in
//! FRR's.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use vrrp_common::wire::ip::vrrp_group;
use vrrp_common::{Centis, Family, Priority, Version, time};

/// The virtual address of every configuration here.
pub const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 100);
/// And those of configurations for IPv6, of which the first must be link-local.
pub const VIP6_FIRST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100);
pub const VIP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x100);
/// The address of the second virtual router of a sync group.
pub const TWIN_VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 101);

/// The README's pair of web servers: the configuration of the first, as it stands there.
pub const PAIR: &str = include_str!("pair.conf");
/// Its check and its notify script, for variants.
pub const PAIR_CHECK: &str = "killall -0 nginx";
pub const PAIR_SCRIPT: &str = "/usr/local/bin/ha_log.py";

/// When a router takes over from a weaker master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preempt {
    AtOnce,
    /// `preempt_delay`, in seconds.
    After(u8),
    /// `nopreempt`
    Never,
}

#[derive(Clone, Debug)]
pub struct Conf {
    /// Lines of `global_defs`.
    pub globals: Vec<String>,
    /// Blocks before the instance.
    pub before: String,
    pub version: Version,
    pub state: &'static str,
    pub vrid: u8,
    pub priority: u8,
    pub advert_int: Centis,
    pub preempt: Preempt,
    pub password: Option<&'static str>,
    /// What the password is for.
    pub auth_type: &'static str,
    /// Own address and peer's, of unicast.
    pub unicast: Option<(IpAddr, IpAddr)>,
    /// As they stand in `virtual_ipaddress`.
    pub addresses: Vec<String>,
    pub use_vmac: bool,
    /// A second virtual router, of the next VRID, that is in a sync group with this one.
    pub has_twin: bool,
    /// Script and weight that the instance, or its sync group, tracks.
    pub check: Option<(String, i32)>,
    /// Lines of the instance.
    pub lines: Vec<String>,
}

impl Conf {
    /// VRRPv3, an advert every 200 ms.
    pub fn v3(priority: u8) -> Self {
        Self {
            globals: vec!["script_user root".into()],
            before: String::new(),
            version: Version::V3,
            state: "BACKUP",
            vrid: 51,
            priority,
            advert_int: centis(20),
            preempt: Preempt::AtOnce,
            password: None,
            auth_type: "PASS",
            unicast: None,
            addresses: vec![format!("{VIP}/24")],
            use_vmac: false,
            has_twin: false,
            check: None,
            lines: Vec::new(),
        }
    }

    /// VRRPv2 with a password, an advert each second, the least it has.
    pub fn v2(priority: u8) -> Self {
        Self { version: Version::V2, advert_int: Centis::SECOND, password: Some("secret12"), ..Self::v3(priority) }
    }

    /// VRRPv2 with an Authentication Header.
    pub fn v2_ah(priority: u8) -> Self {
        Self { auth_type: "AH", ..Self::v2(priority) }
    }

    /// VRRPv3 with keepalived's HMAC trailer, by this key.
    pub fn v3_hmac(priority: u8, key: &str, mode: &str) -> Self {
        let block = format!("auth_hmac {{\n        key 1 {key}\n        active_key 1\n        mode {mode}\n    }}");
        Self::v3(priority).line(block)
    }

    /// VRRPv3 over IPv6.
    pub fn v6(priority: u8) -> Self {
        Self { addresses: vec![format!("{VIP6_FIRST}/64"), format!("{VIP6}/64")], ..Self::v3(priority) }
    }

    /// To the other one of two routers instead of the group.
    pub fn unicast(self, own: impl Into<IpAddr>, peer: impl Into<IpAddr>) -> Self {
        Self { unicast: Some((own.into(), peer.into())), ..self }
    }

    /// v2: the authentication that its adverts show, type and data.
    pub fn shown_authentication(&self) -> (u8, [u8; 8]) {
        let mut password = [0; 8];
        match (self.password, self.auth_type) {
            (None, _) => (0, password),
            (Some(_), "AH") => (2, password),
            (Some(given), _) => {
                given.bytes().zip(&mut password).for_each(|(from, to)| *to = from);
                (1, password)
            }
        }
    }

    pub fn every(self, centiseconds: u16) -> Self {
        Self { advert_int: centis(centiseconds), ..self }
    }

    pub fn state(self, state: &'static str) -> Self {
        Self { state, ..self }
    }

    pub fn global(mut self, line: &str) -> Self {
        self.globals.push(line.into());
        self
    }

    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// With the virtual MAC address, on an interface of its own.
    pub fn vmac(self) -> Self {
        Self { use_vmac: true, ..self }
    }

    /// A check that passes while `file` exists, each second; `weight` as in the configuration.
    pub fn check(self, file: &Path, weight: i32) -> Self {
        Self { check: Some((format!("/usr/bin/test -e {}", file.display()), weight)), ..self }
    }

    /// The addresses that its adverts name.
    pub fn advertised(&self) -> Vec<IpAddr> {
        let bare = |text: &String| text.split(['/', ' ']).next().and_then(|address| address.parse().ok());
        self.addresses.iter().filter_map(bare).collect()
    }

    /// All addresses that the master holds.
    pub fn held(&self) -> Vec<IpAddr> {
        self.advertised().into_iter().chain(self.has_twin.then_some(TWIN_VIP.into())).collect()
    }

    pub fn family(&self) -> Family {
        if self.advertised().first().is_some_and(IpAddr::is_ipv6) { Family::V6 } else { Family::V4 }
    }

    /// The group that its adverts go to.
    pub fn group(&self) -> IpAddr {
        let given = self.lines.iter().find_map(|line| line.strip_prefix("mcast_dst_ip ")?.parse().ok());
        given.unwrap_or(vrrp_group(self.family()).ip(self.family()))
    }

    /// How long this router waits for the next advert of a master that has the same interval.
    pub fn down_interval(&self) -> Duration {
        time::down(self.version, priority(self.priority), self.advert_int, 3)
    }

    /// How long it waits once the master has left.
    pub fn skew(&self) -> Duration {
        time::skew(self.version, priority(self.priority), self.advert_int)
    }

    pub fn text(&self) -> String {
        let mut text = format!("global_defs {{\n    vrrp_version {}\n", self.version as u8);
        for line in &self.globals {
            let _ = writeln!(text, "    {line}");
        }
        text += "}\n";
        if let Some((script, weight)) = &self.check {
            let _ = write!(
                text,
                "vrrp_script check {{\n    script \"{script}\"\n    interval 1\n    weight {weight}\n    fall 1\n    rise 1\n}}\n"
            );
        }
        text += &self.before;
        if self.has_twin {
            // On members weights would not count.
            let tracking = if self.check.is_some() { "    sync_group_tracking_weight\n" } else { "" };
            let _ = write!(
                text,
                "vrrp_sync_group VG_1 {{\n    group {{\n        VI_1\n        VI_2\n    }}\n{}{tracking}}}\n",
                self.track_script()
            );
            text += &self.instance("VI_2", self.vrid + 1, &[format!("{TWIN_VIP}/24")]);
        }
        text + &self.instance("VI_1", self.vrid, &self.addresses)
    }

    fn instance(&self, name: &str, vrid: u8, addresses: &[String]) -> String {
        let mut text = format!(
            "vrrp_instance {name} {{\n    state {}\n    interface eth0\n    virtual_router_id {vrid}\n    priority {}\n    \
             advert_int {}\n",
            self.state, self.priority, self.advert_int
        );
        if let Some(password) = self.password {
            let kind = self.auth_type;
            let _ =
                writeln!(text, "    authentication {{\n        auth_type {kind}\n        auth_pass {password}\n    }}");
        }
        let _ = writeln!(text, "    virtual_ipaddress {{\n        {}\n    }}", addresses.join("\n        "));
        match self.preempt {
            Preempt::AtOnce => {}
            Preempt::After(seconds) => text += &format!("    preempt_delay {seconds}\n"),
            Preempt::Never => text += "    nopreempt\n",
        }
        if let Some((own, peer)) = self.unicast {
            let _ = write!(text, "    unicast_src_ip {own}\n    unicast_peer {{\n        {peer}\n    }}\n");
        }
        if self.use_vmac {
            text += "    use_vmac\n";
        }
        if !self.has_twin {
            text += &self.track_script();
        }
        for line in &self.lines {
            let _ = writeln!(text, "    {line}");
        }
        text + "}\n"
    }

    fn track_script(&self) -> String {
        if self.check.is_some() { "    track_script {\n        check\n    }\n".into() } else { String::new() }
    }
}

fn centis(centiseconds: u16) -> Centis {
    Centis::new(centiseconds).expect("an interval is not 0")
}

fn priority(octet: u8) -> Priority {
    Priority::new(octet).expect("a priority is not 0")
}
