//! Any octets as a configuration: they are read to their end, and every finding can be shown.
//!
//! The corpus is tests/config: `cargo +nightly fuzz run configuration fuzz/corpus/configuration tests/config`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vrrp_daemon::config::host::{Host, KeyFile, Program};
use vrrp_daemon::config::setup::RunAs;
use vrrp_daemon::config::{check, risk};
use vrrp_daemon::syntax::expand::Reading;
use vrrp_daemon::syntax::source::Memory;

/// Everything is there, and root's.
struct Anything;

impl Host for Anything {
    fn user(&self, _name: &str) -> Option<RunAs> {
        Some(RunAs { uid: 0, gid: 0 })
    }

    fn group(&self, _name: &str) -> Option<u32> {
        Some(0)
    }

    fn has_interface(&self, _name: &str) -> bool {
        true
    }

    fn has_cpu(&self, _number: u16) -> bool {
        true
    }

    fn program(&self, _program: &str, _run_as: RunAs) -> Program {
        Program { runnable: true, writable: None }
    }

    fn key_file(&self, _path: &str) -> Result<KeyFile, String> {
        Ok(KeyFile { octets: vec![b'k'; 32], exposed: false })
    }
}

fuzz_target!(|octets: &[u8]| {
    let source = Memory::of("k.conf", octets);
    let reading = Reading { source: &source, id: None, all_includes: false };
    let checked = check(&reading, &Anything, "k.conf");
    assert!(checked.report().len() < 1 << 20);
    risk::of(&checked.setup);
    risk::between(&[("a", &checked.setup), ("b", &checked.setup)]);
});
