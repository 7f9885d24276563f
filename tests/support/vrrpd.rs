//! Our own daemon and vrrpctl, as they were built beside the tests.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use vrrp_common::drop::Reason;

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
    let words = ["-n", "-l", "-G", "-f", &file("keepalived.conf"), "--run-dir", &file("run")];
    Ok([program].into_iter().chain(words.map(str::to_owned)).collect())
}

/// Refusals are counted, and logged as warnings; so is a check that fails.
pub fn is_complaint(line: &str) -> bool {
    (line.contains(" WARN ") || line.contains(" ERROR ")) && !line.contains("VRRP_Script(")
}

/// What `vrrpctl status --json` says of the daemon.
pub fn status(daemon: &Daemon) -> Result<Value> {
    serde_json::from_str(&vrrpctl(daemon, &["status", "--json"])?).context("vrrpctl status --json")
}

/// What vrrpctl prints of the daemon.
pub fn vrrpctl(daemon: &Daemon, arguments: &[&str]) -> Result<String> {
    let mut command = std::process::Command::new(built("vrrpctl")?);
    let output = command.arg("--run-dir").arg(daemon.directory.join("run")).args(arguments).output()?;
    if !output.status.success() {
        bail!("vrrpctl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Refused frames of this reason: of the only interface, and of the only instance on it.
pub fn drops(status: &Value, reason: Reason) -> u64 {
    let of = |table: &str| status[table][0]["drops"][reason.label()].as_u64().unwrap_or_default();
    of("interfaces") + of("instances")
}

/// A counter of the only instance.
pub fn counter(status: &Value, name: &str) -> Result<u64> {
    status["instances"][0]["stats"][name].as_u64().with_context(|| format!("status has no counter {name}"))
}

/// Why adverts are not judged by XDP on the only interface; `None` when they are.
pub fn why_without_xdp(status: &Value) -> Option<&str> {
    status["interfaces"][0]["xdp_off_why"].as_str()
}
