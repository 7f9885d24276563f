//! `cargo xtask`: builds the XDP object and the Debian package, runs the tests, here and on other kernels, and the benchmark,
//! and starts the daemon. Each command has a file of its own.

mod bench;
mod ebpf;
mod install;
mod kernels;
mod libtest;
mod object;
mod package;
mod record;
mod report;
mod run;
mod sources;
mod test;
mod toolchain;
mod tree;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the release daemon and run it in the foreground; with no words, run the demonstration
    Run(run::Args),
    /// Install what the tests need, then lint, build and test everything
    Test(test::Args),
    /// Measure vrrpd, keepalived and FRR side by side; in full, write docs/benchmarks.md
    Bench(bench::Args),
    /// Build a Debian package, or try one
    Package(package::Args),
    /// Boot Debian's kernels and run the tests of the XDP program there
    Kernels(kernels::Args),
    /// Build the XDP object, or check the committed one
    Ebpf(ebpf::Args),
}

fn main() -> ExitCode {
    match command(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        // One line, whatever RUST_BACKTRACE asks of the tests.
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command(command: Command) -> Result<()> {
    let tree = tree::Tree::find()?;
    match command {
        Command::Run(args) => run::run(&tree, &args),
        Command::Test(args) => test::test(&tree, &args),
        Command::Bench(args) => bench::bench(&tree, &args),
        Command::Package(args) => package::package(&tree, &args),
        Command::Kernels(args) => kernels::kernels(&tree, &args),
        Command::Ebpf(args) => ebpf::ebpf(&tree, &args),
    }
}
