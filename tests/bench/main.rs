//! The project's benchmark: vrrpd, keepalived and FRR side by side, in network namespaces, in one run.
//!
//! `cargo xtask bench` builds and starts it. It prints a table; `--write` also makes of it docs/benchmarks.md and plots.

mod account;
mod board;
mod capture;
mod document;
mod flood;
mod floor;
mod mapped;
mod plot;
mod rig;
mod roster;
mod rows;
mod stall;
mod subject;
mod ways;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use board::Board;
use rows::{Bench, addresses, floods, pair, scale, sending, steady};
use stall::Stalls;

/// The rows, in the order of the table.
const ROWS: [&str; 9] = ["takeover", "cadence", "cpu", "mass", "rss", "sending", "addresses", "steadiness", "floods"];
const USAGE: &str = "bench [--quick] [--rows NAME,..] [--reps N] [--before VRRPD] [--write]";

/// Rows that are measured in the same worlds, and what does it.
type Group = (&'static [&'static str], fn(&mut Bench));

fn main() -> ExitCode {
    match perform() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line asks for.
struct Asked {
    quick: bool,
    rows: Vec<String>,
    reps: Option<usize>,
    /// Another build of vrrpd, measured in the peers' place.
    before: Option<PathBuf>,
    write: bool,
}

impl Asked {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut asked = Self { quick: false, rows: Vec::new(), reps: None, before: None, write: false };
        while let Some(word) = words.next() {
            let (name, mut value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word, None),
            };
            let mut value = || value.take().or_else(|| words.next()).with_context(|| format!("{name} wants a value"));
            match name.as_str() {
                "--quick" => asked.quick = true,
                "--write" => asked.write = true,
                "--reps" => asked.reps = Some(value()?.parse().context("--reps wants a number")?),
                "--before" => asked.before = Some(value()?.into()),
                "--rows" => asked.rows = value()?.split(',').map(str::to_owned).collect(),
                _ => bail!("{name}: unknown; {USAGE}"),
            }
        }
        if let Some(row) = asked.rows.iter().find(|row| !ROWS.contains(&row.as_str())) {
            bail!("{row}: no such row; there are {}", ROWS.join(", "));
        }
        if let Some(file) = asked.before.as_ref().filter(|file| !file.is_file()) {
            bail!("{}: no such program", file.display());
        }
        if asked.before.is_some() && asked.write {
            bail!("--write is of the comparison with keepalived, which --before leaves out");
        }
        Ok(asked)
    }
}

fn perform() -> Result<bool> {
    let asked = Asked::read(std::env::args().skip(1))?;
    if !nix::unistd::geteuid().is_root() {
        bail!("network namespaces need root; run: sudo env PATH=\"$PATH\" cargo xtask bench");
    }
    let compared = asked.before.map(|file| subject::BEFORE.get_or_init(|| file)).is_some();
    let start = Instant::now();
    let lines = [pair::lines(), scale::lines(), sending::lines(), addresses::lines(), steady::lines(), floods::lines()]
        .concat();
    let mut bench = Bench {
        quick: asked.quick,
        reps: asked.reps.unwrap_or(if asked.quick { 1 } else { 5 }).max(1),
        stalls: Stalls::watch(),
        board: Board::new(lines),
        rows: asked.rows.clone(),
    };
    let groups: [Group; 6] = [
        (&["takeover", "cadence"], pair::run),
        (&["cpu", "mass", "rss"], scale::run),
        (&["sending"], sending::run),
        (&["addresses"], addresses::run),
        (&["steadiness"], steady::run),
        (&["floods"], floods::run),
    ];
    for (rows, run) in groups {
        if rows.iter().any(|row| bench.wants(row)) {
            run(&mut bench);
        }
    }
    let context = document::Context::of(&bench, start.elapsed());
    println!("{}", board::table(&bench.board.cells(false)));
    println!("{}", context.text());
    // A page with some rows only would contradict itself.
    if asked.write || (!asked.quick && asked.rows.is_empty() && !compared) {
        document::write(&bench, &context)?;
    }
    let broken: Vec<_> = bench.board.broken().map(|line| format!("{}: {}", line.row, line.measure)).collect();
    for line in &broken {
        println!("does not hold: {line}");
    }
    Ok(broken.is_empty())
}
