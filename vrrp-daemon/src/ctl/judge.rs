//! `vrrpctl judge`: a capture and a configuration in, a verdict on each frame out.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use vrrp_common::IfIndex;
use vrrp_common::abi::{DEVICE_PASS_UNKNOWN, Device, RouterKey, RuleKey};
use vrrp_common::classify::Ingress;

use crate::config::setup::Setup;
use crate::engine::plan::{InstanceId, InstancePlan};
use crate::io::files::How;
use crate::io::filter::{self, RuleTable};
use crate::io::xdp::TEST_IFINDEX;
use crate::io::{files, judge};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// pcap or pcapng file
    #[arg(value_name = "CAPTURE")]
    capture: PathBuf,
    /// The configuration to judge by
    #[arg(short = 'f', long = "use-file", value_name = "CONFIG")]
    config: PathBuf,
    /// The interface the frames were captured on; needed when the configuration names several
    #[arg(long, value_name = "IF")]
    interface: Option<String>,
    /// Have the kernel's program judge, instead of this one; needs root
    #[arg(long)]
    kernel: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { capture, config, interface, kernel } = arguments;
    let checked = files::check(config, &How::default());
    if checked.has_errors() || !checked.is_readable() {
        eprint!("{}", checked.report());
    }
    if !checked.is_readable() {
        bail!("{} cannot be read", config.display());
    }
    let setup = &checked.setup;
    let name = choose(setup, interface.as_deref()).with_context(|| config.display().to_string())?;
    let mut flags = 0;
    if setup.daemon.xdp.pass_unknown {
        flags |= DEVICE_PASS_UNKNOWN;
    }
    let ingress = Ingress { ifindex: TEST_IFINDEX, device: Device { row: 0, flags } };
    let mut out = BufWriter::new(io::stdout().lock());
    judge::run(capture, &rules(setup, name), ingress, *kernel, &mut out)?;
    Ok(out.flush()?)
}

/// The interface that the capture is of.
fn choose<'a>(setup: &'a Setup, wanted: Option<&'a str>) -> anyhow::Result<&'a str> {
    let mut used: Vec<&str> = setup.plan.instances.iter().map(|plan| name(setup, plan)).collect();
    used.sort_unstable();
    used.dedup();
    match (wanted, used.as_slice()) {
        (_, []) => bail!("no vrrp_instance that could be judged by"),
        (None, [only]) => Ok(only),
        (None, several) => bail!("instances on {}; choose one with --interface", several.join(", ")),
        (Some(wanted), used) if used.iter().any(|name| vlan(name, wanted).is_some()) => Ok(wanted),
        (Some(wanted), used) => bail!("no vrrp_instance on {wanted}, only on {}", used.join(", ")),
    }
}

/// The rules of all instances that hear frames of an interface: its own, and those of its VLANs (`eth0.10` on `eth0`).
fn rules(setup: &Setup, interface: &str) -> RuleTable {
    let instances = (0..).map(InstanceId).zip(setup.plan.instances.iter());
    let mut rules = RuleTable::new(filter::peers(setup));
    rules.extend(instances.filter_map(|(id, plan)| {
        let vlan = vlan(name(setup, plan), interface)?;
        let source = setup.instances[id.index()].source;
        let key = filter::key(setup, id, source, IfIndex(TEST_IFINDEX))?;
        Some((RuleKey { router: RouterKey { vlan, ..key.router }, ..key }, filter::rule(setup, id, 0, source)))
    }));
    rules
}

fn name<'a>(setup: &'a Setup, plan: &InstancePlan) -> &'a str {
    &setup.interfaces[plan.interface.index()]
}

/// The VLAN id with which frames for `name` come by `interface`; 0 when they are the same.
fn vlan(name: &str, interface: &str) -> Option<u16> {
    if name == interface {
        return Some(0);
    }
    name.strip_prefix(interface)?.strip_prefix('.')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vlan_is_heard_on_its_parent() {
        assert_eq!(vlan("eth0", "eth0"), Some(0));
        assert_eq!(vlan("eth0.10", "eth0"), Some(10));
        assert_eq!(vlan("eth0", "eth0.10"), None);
        assert_eq!(vlan("eth01", "eth0"), None);
    }
}
