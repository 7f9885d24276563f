//! The bench's topology: routers A and B on one to sixteen bridges, and, for floods, an attacker on the first.
//!
//! ```text
//!   A: eth<i> 10.<i>.0.1/16     B: eth<i> 10.<i>.0.2/16     attacker: eth0, no address
//!          |                           |                            |
//!   S: a<i> (index 1000+i) --- br<i> --- b<i> (index 2000+i)        x (index 4000) on br0
//! ```

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use vrrp_tests::netns::Namespace;
use vrrp_tests::sweep;

pub const A: usize = 0;
pub const B: usize = 1;
/// Interface indices of the switch's ports towards router 0 begin here, towards router 1 twice as high.
pub const PORTS: u32 = 1000;

pub struct Rig {
    pub directory: PathBuf,
    pub switch: Namespace,
    pub routers: [Namespace; 2],
    pub attacker: Namespace,
    pub interfaces: usize,
}

impl Rig {
    pub fn new(interfaces: usize) -> Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let directory = PathBuf::from(format!("/run/vrrp-bench-{}-{number}", std::process::id()));
        std::fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        sweep::directory_made(directory.clone());
        let (switch, attacker) = (Namespace::new()?, Namespace::new()?);
        let rig = Self { directory, switch, routers: [Namespace::new()?, Namespace::new()?], attacker, interfaces };
        rig.wire()?;
        // Where br_netfilter is loaded a bridge walks the firewall's hooks for each packet, at the sender's cost: no
        // switch does. The key is there with the first bridge, or not at all.
        let _ = rig.switch.sysctl("net/bridge/bridge-nf-call-iptables", "0");
        let _ = rig.switch.sysctl("net/bridge/bridge-nf-call-arptables", "0");
        Ok(rig)
    }

    fn wire(&self) -> Result<()> {
        let (mut switch, mut hosts) = (String::new(), [String::new(), String::new()]);
        for i in 0..self.interfaces {
            let _ = writeln!(switch, "link add br{i} type bridge stp_state 0 forward_delay 0 mcast_snooping 0");
            let _ = writeln!(switch, "link set br{i} up");
            for (router, host) in hosts.iter_mut().enumerate() {
                let (port, index) = (format!("{}{i}", ["a", "b"][router]), PORTS * (router as u32 + 1) + i as u32);
                self.cable(&mut switch, &port, index, &self.routers[router], i);
                let _ = writeln!(host, "link set eth{i} address 02:00:00:00:{router:02x}:{i:02x}");
                let _ = writeln!(host, "addr add {}/16 dev eth{i}", own_address(router, i));
                let _ = writeln!(host, "link set eth{i} up");
            }
        }
        self.batch(&self.switch, &switch)?;
        for (router, host) in hosts.iter().enumerate() {
            self.batch(&self.routers[router], host)?;
        }
        Ok(())
    }

    /// Plugs the attacker in. A port more makes every advert dearer, so it is not there otherwise.
    pub fn let_attacker_in(&self) -> Result<()> {
        let mut lines = String::new();
        self.cable(&mut lines, "x", 4 * PORTS, &self.attacker, 0);
        self.batch(&self.switch, &lines)?;
        self.attacker.ip("link set eth0 up")?;
        Ok(())
    }

    fn cable(&self, lines: &mut String, port: &str, index: u32, host: &Namespace, i: usize) {
        let path = host.path();
        let _ = writeln!(lines, "link add {port} index {index} type veth peer name eth{i} netns {path}");
        let _ = writeln!(lines, "link set {port} master br{i}");
        let _ = writeln!(lines, "link set {port} up");
    }

    /// Many `ip` commands at once.
    pub fn batch(&self, namespace: &Namespace, lines: &str) -> Result<()> {
        let file = self.directory.join("batch");
        std::fs::write(&file, lines)?;
        namespace.ip(&format!("-batch {}", file.display()))?;
        Ok(())
    }

    /// Takes everything off a router that its daemon left behind, as a reboot would.
    pub fn reboot(&self, router: usize) -> Result<()> {
        let mut lines = String::new();
        for i in 0..self.interfaces {
            let _ = writeln!(lines, "addr flush dev eth{i}");
            let _ = writeln!(lines, "addr add {}/16 dev eth{i}", own_address(router, i));
        }
        self.batch(&self.routers[router], &lines)
    }

    /// Packets that a router has sent by its interfaces, as its kernel counts them: what a capture would slow down.
    pub fn sent(&self, router: usize) -> Result<u64> {
        let text = self.routers[router].within(|| Ok(std::fs::read_to_string("/proc/thread-self/net/dev")?))?;
        let rows = text.lines().filter_map(|line| line.trim_start().strip_prefix("eth"));
        // Behind the name: eight counters of what was received, then octets and packets that were sent.
        rows.map(|row| row.split_whitespace().nth(10).context("a counter")?.parse::<u64>().context("a number")).sum()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::env::var_os("VRRP_KEEP").is_none() {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
        sweep::directory_removed(&self.directory);
    }
}

/// A router's own address on an interface.
pub fn own_address(router: usize, interface: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, interface as u8, 0, 1 + router as u8)
}
