//! Another network namespace than the one the daemon was started in: `net_namespace`, `-s`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, ensure};
use nix::sched::{CloneFlags, setns};

/// Where ip-netns(8) keeps the names.
const NAMES: &str = "/run/netns";

/// The namespace that this process is in by somebody's word.
static ENTERED: OnceLock<String> = OnceLock::new();

/// Takes the calling thread, and those it will start, there; for the process's main thread, before there are others.
pub fn enter(name: &str) -> anyhow::Result<()> {
    visit(name)?;
    let _ = ENTERED.set(name.to_owned());
    Ok(())
}

/// Takes the calling thread there, unless the process was told where to be: what the configuration says counts less.
pub fn visit(name: &str) -> anyhow::Result<()> {
    if ENTERED.get().is_some() {
        return Ok(());
    }
    let path = path(name)?;
    let hint = "`ip netns` lists those there are, `ip netns add` makes one";
    let there = File::open(&path).with_context(|| format!("network namespace {}: {hint}", path.display()))?;
    setns(there, CloneFlags::CLONE_NEWNET).with_context(|| format!("cannot enter network namespace {name}"))
}

/// Whether there is one of this name.
pub fn exists(name: &str) -> bool {
    path(name).is_ok_and(|path| path.exists())
}

fn path(name: &str) -> anyhow::Result<PathBuf> {
    ensure!(!name.is_empty() && !name.contains('/') && name != "." && name != "..", "`{name}` names no namespace");
    Ok(Path::new(NAMES).join(name))
}
