//! Which of the kernel's privileges (capabilities(7)) this process has.

use std::fs;

use anyhow::{Context, Result};

/// A privilege, and the broader one that holds it.
#[derive(Clone, Copy, Debug)]
pub struct Capability {
    pub name: &'static str,
    bits: u64,
}

const SYS_ADMIN: u64 = 1 << 21;

/// Setting addresses, attaching programs.
pub const NET_ADMIN: Capability = Capability { name: "CAP_NET_ADMIN", bits: 1 << 12 };
/// Raw and packet sockets.
pub const NET_RAW: Capability = Capability { name: "CAP_NET_RAW", bits: 1 << 13 };
/// Real-time priority, negative nice values.
pub const SYS_NICE: Capability = Capability { name: "CAP_SYS_NICE", bits: 1 << 23 };
pub const PERFMON: Capability = Capability { name: "CAP_PERFMON", bits: 1 << 38 | SYS_ADMIN };
/// Loading programs and maps.
pub const BPF: Capability = Capability { name: "CAP_BPF", bits: 1 << 39 | SYS_ADMIN };

/// Those of `needed` that this process lacks.
pub fn missing(needed: &[Capability]) -> Result<Vec<&'static str>> {
    let status = fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("CapEff:")).context("no CapEff in /proc/self/status")?;
    Ok(lacking(u64::from_str_radix(line.trim(), 16)?, needed))
}

fn lacking(effective: u64, needed: &[Capability]) -> Vec<&'static str> {
    needed.iter().filter(|capability| effective & capability.bits == 0).map(|capability| capability.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broader_privilege_holds_the_narrower() {
        let needed = [BPF, NET_ADMIN, PERFMON];
        assert_eq!(lacking(0, &needed), ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"]);
        assert_eq!(lacking(SYS_ADMIN, &needed), ["CAP_NET_ADMIN"]);
        assert_eq!(lacking(1 << 39 | 1 << 38 | 1 << 12, &needed), [""; 0]);
    }
}
