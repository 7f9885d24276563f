//! A test that cannot run here says so, loudly; where everything must run, it fails.

use std::fs::OpenOptions;
use std::io::Write;

/// Reports that the calling test is skipped. Return right after it.
///
/// `VRRP_SKIPS` names a file that collects the skips; with `VRRP_REQUIRE=1` a skip is a failure.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("unnamed");
    eprintln!("SKIPPED {test}: {reason}");
    if let Ok(path) = std::env::var("VRRP_SKIPS") {
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let written = file.and_then(|mut file| writeln!(file, "{test}: {reason}"));
        assert!(written.is_ok(), "{path}: {written:?}");
    }
    assert!(std::env::var("VRRP_REQUIRE").as_deref() != Ok("1"), "{test} was skipped and may not be: {reason}");
}
