//! Configurations of one virtual router, in keepalived's language; both daemons read them.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use vrrp_common::{Centis, Priority, Version, time};

/// The virtual address of every configuration here.
pub const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 100);

/// The README's pair of web servers: the configuration of the first, as it stands there.
pub const PAIR: &str = include_str!("pair.conf");
/// Its check and its notify script, for variants.
pub const PAIR_CHECK: &str = "killall -0 nginx";
pub const PAIR_SCRIPT: &str = "/usr/local/bin/ha_log.py";

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
    pub password: Option<&'static str>,
    /// What the password is for.
    pub auth_type: &'static str,
    pub addresses: Vec<String>,
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
            password: None,
            auth_type: "PASS",
            addresses: vec![format!("{VIP}/24")],
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
        self.line("use_vmac")
    }

    /// The interface that the addresses are on.
    pub fn device(&self) -> String {
        let has_own = self.lines.iter().any(|line| line == "use_vmac");
        if has_own { format!("vrrp.{}", self.vrid) } else { "eth0".into() }
    }

    /// A check that passes while `file` exists, each second; `weight` as in the configuration.
    pub fn check(mut self, file: &Path, weight: i32) -> Self {
        let script = format!("/usr/bin/test -e {}", file.display());
        let _ = write!(
            self.before,
            "vrrp_script check {{\n    script \"{script}\"\n    interval 1\n    weight {weight}\n    fall 1\n    rise 1\n}}\n"
        );
        self.line("track_script {\n        check\n    }")
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
        let _ = write!(
            text,
            "}}\n{}vrrp_instance VI_1 {{\n    state {}\n    interface eth0\n    virtual_router_id {}\n    priority {}\n    \
             advert_int {}\n",
            self.before, self.state, self.vrid, self.priority, self.advert_int
        );
        if let Some(password) = self.password {
            let _ = writeln!(
                text,
                "    authentication {{\n        auth_type {}\n        auth_pass {password}\n    }}",
                self.auth_type
            );
        }
        let _ = writeln!(text, "    virtual_ipaddress {{\n        {}\n    }}", self.addresses.join("\n        "));
        for line in &self.lines {
            let _ = writeln!(text, "    {line}");
        }
        text + "}\n"
    }
}

fn centis(centiseconds: u16) -> Centis {
    Centis::new(centiseconds).expect("an interval is not 0")
}

fn priority(octet: u8) -> Priority {
    Priority::new(octet).expect("a priority is not 0")
}
