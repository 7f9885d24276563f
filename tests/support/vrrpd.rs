//! Our own daemon and vrrpctl, as they were built beside the tests.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::daemon::Daemon;

/// A program of this workspace: in the directory of the profile that the running program was built with.
pub fn built(name: &str) -> Result<PathBuf> {
    let this = std::env::current_exe().context("where is this program?")?;
    // target/debug/deps/e2e-0123, or target/release/demo.
    let found = this.ancestors().skip(1).take(2).map(|directory| directory.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is not built; run `cargo build --package vrrp-daemon --bins`"))
}

pub fn words(directory: &Path) -> Result<Vec<String>> {
    let file = |name: &str| directory.join(name).display().to_string();
    let program = built("vrrpd")?.display().to_string();
    Ok(vec![program, "-n".into(), "-l".into(), "-f".into(), file("keepalived.conf"), "--run-dir".into(), file("run")])
}

/// Refusals are counted, and logged as warnings.
pub fn is_complaint(line: &str) -> bool {
    line.contains(" WARN ") || line.contains(" ERROR ")
}

/// What `vrrpctl status --json` says of the daemon.
pub fn status(daemon: &Daemon) -> Result<Value> {
    let output = std::process::Command::new(built("vrrpctl")?)
        .arg("--run-dir")
        .arg(daemon.directory.join("run"))
        .args(["status", "--json"])
        .output()?;
    if !output.status.success() {
        bail!("vrrpctl status: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("vrrpctl status --json")
}
