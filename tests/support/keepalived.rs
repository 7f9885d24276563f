//! Debian's keepalived as a peer.

use std::path::Path;

use anyhow::{Result, bail};

use crate::skip::skip;

const PROGRAM: &str = "/usr/sbin/keepalived";

/// Whether it is installed; skips the test otherwise.
pub fn is_missing() -> bool {
    let missing = !Path::new(PROGRAM).exists();
    if missing {
        skip("keepalived is not installed");
    }
    missing
}

/// VRRP alone, in the foreground, logging to the file and not to syslog, with pid files of its own.
pub fn words(directory: &Path) -> Result<Vec<String>> {
    if !Path::new(PROGRAM).exists() {
        bail!("{PROGRAM} is not installed");
    }
    let file = |name: &str| directory.join(name).display().to_string();
    let words = [
        PROGRAM,
        "-n",
        "-l",
        "-D",
        "-G",
        "-P",
        "-f",
        &file("keepalived.conf"),
        "-p",
        &file("pid"),
        "-r",
        &file("vrrp.pid"),
    ];
    Ok(words.map(str::to_owned).into())
}

/// Words in keepalived's log that find fault with an advert.
const FAULTS: &[&str] = &[
    "bogus",
    "invalid",
    "mismatch",
    "incorrect",
    "not match",
    "doesn't match",
    "wrong",
    "checksum",
    "expected",
    "expect ",
    "discarding bad",
    "unknown",
    "received packet with",
];

pub fn is_complaint(line: &str) -> bool {
    let line = line.to_lowercase();
    FAULTS.iter().any(|fault| line.contains(fault)) && !line.contains("command line")
}
