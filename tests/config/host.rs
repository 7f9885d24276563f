//! A host that is the same on every machine.

use vrrp_daemon::config::host::{Host, KeyFile, Program};
use vrrp_daemon::config::setup::RunAs;

/// root and nobody, eth0 to eth3, two CPUs, and a few programs.
pub struct Fixed;

/// A directory that anybody can write to; the comparison with keepalived makes it.
pub const OPEN: &str = "/tmp/vrrpd-config-test";

impl Host for Fixed {
    fn user(&self, name: &str) -> Option<RunAs> {
        match name {
            "root" => Some(RunAs { uid: 0, gid: 0 }),
            "nobody" => Some(RunAs { uid: 65534, gid: 65534 }),
            _ => None,
        }
    }

    fn group(&self, name: &str) -> Option<u32> {
        match name {
            "root" => Some(0),
            "nogroup" => Some(65534),
            _ => None,
        }
    }

    fn supplementary_groups(&self, _user: &str, run_as: RunAs) -> Vec<u32> {
        vec![run_as.gid, 100]
    }

    fn full_name(&self) -> String {
        "alpha.example.org".to_owned()
    }

    fn has_namespace(&self, name: &str) -> bool {
        name == "blue"
    }

    fn has_interface(&self, name: &str, _net_namespace: Option<&str>) -> bool {
        matches!(name, "lo" | "eth0" | "eth1" | "eth2" | "eth3")
    }

    fn has_cpu(&self, number: u16) -> bool {
        number < 2
    }

    fn program(&self, program: &str, _run_as: RunAs) -> Program {
        let open = program.starts_with(OPEN);
        let runnable = open || matches!(program, "/bin/true" | "/bin/sh" | "true" | "killall");
        Program { runnable, writable: open.then(|| OPEN.to_owned()) }
    }

    fn key_file(&self, path: &str) -> Result<KeyFile, String> {
        let octets = match path {
            "/etc/keys/good" | "/etc/keys/exposed" => "hex:".to_owned() + &"0a".repeat(32) + "\n",
            "/etc/keys/short" => "hex:0a\n".to_owned(),
            _ => return Err("No such file or directory (os error 2)".to_owned()),
        };
        Ok(KeyFile { octets: octets.into_bytes(), exposed: path.ends_with("exposed") })
    }
}
