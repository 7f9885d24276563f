//! `cargo xtask bench`: builds the release daemon and the benchmark, installs the peers it lacks, and runs it.

use crate::install;
use crate::tree::{self, Tree};
use anyhow::{Context, Result, bail};
use std::os::unix::process::CommandExt;

#[derive(clap::Args)]
pub struct Args {
    /// Everything once and briefly, in under three minutes; writes nothing
    #[arg(long)]
    quick: bool,
    /// Only these rows: takeover, cadence, cpu, mass, rss, sending, addresses, steadiness, floods
    #[arg(long, value_name = "NAME,..")]
    rows: Option<String>,
    /// How often each row is measured
    #[arg(long, value_name = "N")]
    reps: Option<u32>,
    /// Compare with this vrrpd of another tree, and not with the peers: what a change did
    #[arg(long, value_name = "VRRPD", conflicts_with = "write")]
    before: Option<std::path::PathBuf>,
    /// Write docs/benchmarks.md and its plots, which a full run does anyway
    #[arg(long)]
    write: bool,
}

pub fn bench(tree: &Tree, args: &Args) -> Result<()> {
    if !tree::is_root() {
        bail!("the benchmark makes network namespaces; run: sudo env PATH=\"$PATH\" cargo xtask bench");
    }
    install::ensure(tree, install::BENCH)?;
    for package in ["vrrp-daemon", "vrrp-tests"] {
        tree::finish(&mut tree.cargo(&["build", "--release", "--package", package, "--bins"]))?;
    }
    // In place of this process: Ctrl-C and the exit status are the benchmark's own.
    let file = tree.target.join("release").join("bench");
    let mut command = std::process::Command::new(&file);
    command.env_remove("LD_LIBRARY_PATH").args(words(args));
    Err(command.exec()).with_context(|| format!("cannot start {}", file.display()))
}

/// The same words for the benchmark itself.
fn words(args: &Args) -> Vec<String> {
    let mut words = Vec::new();
    for (wanted, word) in [(args.quick, "--quick"), (args.write, "--write")] {
        if wanted {
            words.push(word.to_owned());
        }
    }
    words.extend(args.rows.iter().map(|rows| format!("--rows={rows}")));
    words.extend(args.before.iter().map(|file| format!("--before={}", file.display())));
    words.extend(args.reps.iter().map(|reps| format!("--reps={reps}")));
    words
}
