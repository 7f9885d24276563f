//! Debian packages: which are missing, and installing them without starting a service. Says what it does; silent when
//! nothing is missing.

use crate::tree::{self, Tree};
use anyhow::{Context, Result, bail};

/// A program and the package that brings it. A path is looked up as it is.
pub type Need = (&'static str, &'static str);

/// What the tests run besides our own programs.
pub const TESTS: &[Need] = &[
    ("capsh", "libcap2-bin"),
    ("dbus-daemon", "dbus-daemon"),
    ("dbus-monitor", "dbus-bin"),
    ("dbus-send", "dbus-bin"),
    ("ethtool", "ethtool"),
    ("ip", "iproute2"),
    ("keepalived", "keepalived"),
    ("killall", "psmisc"),
    ("nft", "nftables"),
    ("nsenter", "util-linux"),
    ("ping", "iputils-ping"),
    ("setcap", "libcap2-bin"),
    ("sysctl", "procps"),
    ("tcpdump", "tcpdump"),
    ("tshark", "tshark"),
    ("unshare", "util-linux"),
    ("/usr/lib/frr/vrrpd", "frr"),
];

/// What the demonstration runs.
pub const DEMO: &[Need] = &[("ip", "iproute2"), ("ping", "iputils-ping"), ("sysctl", "procps")];

/// What the benchmark runs.
pub const BENCH: &[Need] = &[("ip", "iproute2"), ("keepalived", "keepalived"), ("/usr/lib/frr/vrrpd", "frr")];

/// Packages may not start what they install: a keepalived or FRR of its own would disturb the tests and the host. The
/// shell owns the policy file, so that it goes even when this program is interrupted. `--no-remove`: a developer's
/// conflicting package is theirs to remove.
const SCRIPT: &str = r#"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" || exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt='apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0'
$apt update || echo 'apt-get update failed; trying with the lists at hand' >&2
$apt install -y --no-install-recommends --no-remove "$@" || exit 1
if [ -d /run/systemd/system ]; then
    for unit in keepalived frr; do
        case " $* " in *" $unit "*) systemctl disable --quiet "$unit";; esac
    done
fi
"#;

/// The packages of those needs that this host does not meet.
pub fn missing(needs: &[Need]) -> Vec<&'static str> {
    let mut packages: Vec<_> = needs.iter().filter(|need| !present(need.0)).map(|need| need.1).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Installs what is missing of `needs`.
pub fn ensure(tree: &Tree, needs: &[Need]) -> Result<()> {
    let packages = missing(needs);
    if packages.is_empty() { Ok(()) } else { install(tree, &packages) }
}

pub fn install(tree: &Tree, packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if tree::which("apt-get").is_none() {
        bail!("missing, and this host has no apt-get: install what your distribution calls {list}");
    }
    if !tree::is_root() {
        bail!("missing packages; as root: apt-get install --no-install-recommends {list}");
    }
    println!("installing {list}");
    tree::finish(tree.command("sh").args(["-c", SCRIPT, "install"]).args(packages))
        .ok()
        .with_context(|| format!("apt-get could not install {list}; its lines above say why"))
}

fn present(program: &str) -> bool {
    if program.starts_with('/') {
        return std::path::Path::new(program).exists();
    }
    tree::which(program).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_each_missing_package_once() {
        let needs = [("no-such-program", "b"), ("/no/such/path", "a"), ("no-such-other", "b"), ("sh", "dash")];
        assert_eq!(missing(&needs), ["a", "b"]);
    }
}
