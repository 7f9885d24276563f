//! The demonstration: two routers, a client and an attacker in network namespaces, and what the client notices of it all.
//!
//! `cargo xtask run` builds and starts it. It ends with a table, and with status 0 only when every step held.

mod show;
mod steps;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use vrrp_tests::lab::Lab;

use show::Show;

fn main() -> ExitCode {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("demo: network namespaces need root; run: sudo env PATH=\"$PATH\" cargo xtask run");
        return ExitCode::FAILURE;
    }
    let start = Instant::now();
    let mut show = Show::new();
    let outcome = perform(&mut show);
    let held = show.table(start.elapsed());
    match outcome {
        Ok(()) if held => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(show: &mut Show) -> Result<()> {
    show.opening();
    let lab = Lab::new(2)?;
    steps::by_the_second(&lab, show)?;
    steps::by_the_centisecond(&lab, show)
}
