//! A test that cannot run here says so loudly; in CI it fails.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::thread;

/// Records that the calling test did not run, and why; the caller returns then.
///
/// `VRRP_SKIPS=file` collects the lines of all test programs; `VRRP_REQUIRE=1` turns the skip into a failure.
pub fn skip(reason: impl std::fmt::Display) {
    let test = thread::current().name().unwrap_or("?").to_owned();
    // Past the test harness, which would keep the line of a passing test to itself.
    let _ = writeln!(io::stderr(), "SKIPPED {test}: {reason}");
    if let Some(path) = env::var_os("VRRP_SKIPS") {
        let line = format!("{test}: {reason}\n");
        let written = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        if let Err(error) = written {
            panic!("VRRP_SKIPS: {error}");
        }
    }
    if env::var("VRRP_REQUIRE").is_ok_and(|value| value == "1") {
        panic!("{test} may not be skipped here: {reason}");
    }
}
