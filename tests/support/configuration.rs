//! Configurations read where everything that they name is there.

use vrrp_daemon::config::host::{Host, KeyFile, Program};
use vrrp_daemon::config::setup::RunAs;
use vrrp_daemon::config::{check, risk};
use vrrp_daemon::syntax::expand::Reading;
use vrrp_daemon::syntax::source::Memory;

/// Reads any octets as a configuration, to their end, and shows what was found.
///
/// Panics when that is out of all proportion.
pub fn read_any(octets: &[u8]) {
    let source = Memory::of("k.conf", octets);
    let reading = Reading { source: &source, id: None, all_includes: false };
    let checked = check(&reading, &Anywhere, "k.conf");
    assert!(checked.found.iter().count() <= 500);
    assert!(checked.report().len() < 1 << 20);
    risk::of(&checked.setup);
    risk::between(&[("a", &checked.setup), ("b", &checked.setup)]);
}

/// A host on which everything that a configuration names is there, and root's.
pub struct Anywhere;

impl Host for Anywhere {
    fn user(&self, _name: &str) -> Option<RunAs> {
        Some(RunAs { uid: 0, gid: 0 })
    }

    fn group(&self, _name: &str) -> Option<u32> {
        Some(0)
    }

    fn supplementary_groups(&self, _user: &str, _run_as: RunAs) -> Vec<u32> {
        Vec::new()
    }

    fn full_name(&self) -> String {
        "host.example.org".to_owned()
    }

    fn has_namespace(&self, _name: &str) -> bool {
        true
    }

    fn has_interface(&self, _name: &str, _net_namespace: Option<&str>) -> bool {
        true
    }

    fn has_cpu(&self, _number: u16) -> bool {
        true
    }

    fn program(&self, _program: &str, _run_as: RunAs) -> Program {
        Program { runnable: true, writable: None }
    }

    fn key_file(&self, _path: &str) -> Result<KeyFile, String> {
        Ok(KeyFile { octets: vec![0; 32], exposed: false })
    }
}
