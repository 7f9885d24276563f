//! `cargo xtask test`: the one test command. Installs what the tests run, then takes every step in order; a step that
//! fails does not stop the ones after it.

use crate::ebpf;
use crate::install;
use crate::kernels;
use crate::libtest::Tally;
use crate::package;
use crate::report::Report;
use crate::toolchain::Choice;
use crate::tree::{self, Tree};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::process::Command;

/// The test target that makes network namespaces and runs peers in them.
const NAMESPACES: &str = "e2e";
/// libtest's own word for how many tests run at a time.
const THREADS: &str = "RUST_TEST_THREADS";
/// Why a long step is skipped.
const FULL: &str = "runs with --full or CI=true";

#[derive(clap::Args)]
pub struct Args {
    /// No network namespaces and nothing installed: what a change to the rules needs
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Also rebuild the XDP object and compare, and boot other kernels; CI=true implies it
    #[arg(long)]
    full: bool,
    /// A test that cannot run here fails, and is not skipped; CI=true implies it
    #[arg(long)]
    require: bool,
    /// Run only tests whose names hold this; words after `--` go to the test programs as they are
    words: Vec<String>,
}

pub fn test(tree: &Tree, args: &Args) -> Result<()> {
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    let require = ci || args.require;
    let full = !args.quick && (args.full || ci);
    let mut report = Report::default();
    if !args.quick {
        packages(tree, &mut report, require);
    }
    if args.words.is_empty() {
        lint(tree, &mut report, full);
    }
    cargo(tree, &mut report, "build --package vrrp-daemon --bins");
    if args.words.is_empty() && !args.quick {
        package(tree, &mut report);
    }

    let (skips, matrix) = (tree.target.join("skips.txt"), tree.target.join("interoperation.txt"));
    for file in [&skips, &matrix] {
        if let Err(error) = std::fs::remove_file(file)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            bail!("cannot remove {}: {error}", file.display());
        }
    }
    let mut tests = tree.cargo(&["test", "--workspace", "--no-fail-fast"]);
    if args.quick {
        tests.args(quick_targets(tree)?);
    }
    if !args.words.is_empty() {
        tests.arg("--").args(&args.words);
    }
    tests.env("VRRP_SKIPS", &skips).env("VRRP_MATRIX", &matrix);
    if std::env::var_os(THREADS).is_none() {
        tests.env(THREADS, at_once().to_string());
    }
    if require {
        tests.env("VRRP_REQUIRE", "1");
    }
    report.tests(&tree::words(&tests), |tally| follow(&mut tests, &mut std::io::stdout(), tally));
    report.matrix = std::fs::read_to_string(&matrix).unwrap_or_default();
    if require && !args.quick && args.words.is_empty() {
        let is_whole = is_whole(&report.matrix);
        report.step("interoperation without a hole", || if is_whole { Ok(()) } else { bail!("see the table below") });
    }
    report.notes.extend(compatibility(&std::fs::read_to_string(tree.root.join("docs/compat.md")).unwrap_or_default()));
    report.skips = read_skips(&std::fs::read_to_string(&skips).unwrap_or_default());
    if args.words.is_empty() {
        other_kernels(tree, &mut report, full, require);
    }

    report.print();
    std::process::exit(i32::from(report.failed()))
}

/// The peers and tools that the namespace tests run. Without root their tests skip themselves.
fn packages(tree: &Tree, report: &mut Report, require: bool) {
    let packages = install::missing(install::TESTS);
    let step = "install what the tests run";
    if packages.is_empty() {
        return;
    }
    if tree::is_root() || require {
        report.step(step, || install::install(tree, &packages));
    } else {
        report.skip(step, &format!("not root; missing: {}", packages.join(" ")));
    }
}

/// Everything before the tests that looks at the source.
fn lint(tree: &Tree, report: &mut Report, rebuild: bool) {
    cargo(tree, report, "fmt --all --check");
    cargo(tree, report, "clippy --workspace --all-targets -- -D warnings");
    cargo(tree, report, "clippy --package vrrp-tests --test guest -- -D warnings");
    // The library without its `io` feature is the rules alone: nothing in them may reach for the host.
    cargo(tree, report, "check --package vrrp-daemon --lib --no-default-features");
    report.step("cargo xtask ebpf --stale-check", || ebpf::stale_check(tree));
    let check = "cargo xtask ebpf --check";
    if rebuild {
        report.step(check, || ebpf::check(tree, Choice::Auto));
    } else {
        report.skip(check, FULL);
    }
}

/// Of the programs that were just built, and stripped: the optimized ones take minutes.
fn package(tree: &Tree, report: &mut Report) {
    let step = "cargo xtask package --check";
    if tree::is_root() {
        report.step(step, || package::trial(tree));
    } else {
        report.skip(step, "needs root");
    }
}

/// After the tests here: what fails everywhere is shown by those first.
fn other_kernels(tree: &Tree, report: &mut Report, full: bool, require: bool) {
    if full {
        kernels::every(tree, report, require);
    } else {
        report.skip("cargo xtask kernels", FULL);
    }
}

fn cargo(tree: &Tree, report: &mut Report, words: &str) {
    let words_apart: Vec<_> = words.split(' ').collect();
    report.step(&format!("cargo {words}"), || tree::finish(&mut tree.cargo(&words_apart)));
}

/// Cargo's words for every target but the namespace tests. Naming targets leaves documentation tests out.
fn quick_targets(tree: &Tree) -> Result<Vec<String>> {
    let mut words = vec!["--lib".to_owned(), "--bins".into()];
    for target in tree.targets("vrrp-tests", "test")? {
        if target != NAMESPACES {
            words.extend(["--test".into(), target]);
        }
    }
    Ok(words)
}

/// Runs the tests, showing their lines as they come and adding them to the tally.
fn follow(tests: &mut Command, out: &mut impl Write, tally: &mut Tally) -> Result<()> {
    // One pipe for both, so that cargo's announcements and the results keep their order.
    let (reader, writer) = std::io::pipe().context("no pipe for cargo's output")?;
    tests.stdout(writer.try_clone()?).stderr(writer);
    let mut child = tests.spawn().context("cannot start cargo")?;
    // This side's ends of the pipe, or its end would never be read.
    tests.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        out.write_all(&line)?;
        out.flush()?;
        tally.line(&String::from_utf8_lossy(&line));
        line.clear();
    }
    tally.end();
    let status = child.wait()?;
    if !status.success() {
        bail!("cargo test failed ({status})");
    }
    Ok(())
}

/// Tests that run at a time. Those in namespaces take most of the time, and nearly all of theirs is waiting.
fn at_once() -> usize {
    3 * std::thread::available_parallelism().map_or(1, usize::from)
}

/// Every cell was held, or says why it cannot be.
fn is_whole(matrix: &str) -> bool {
    !matrix.is_empty() && !matrix.contains("HOLE")
}

/// How many of keepalived's keywords are supported, accepted and refused, as docs/compat.md has it; a test sees that it is not
/// stale.
fn compatibility(page: &str) -> Option<String> {
    let line = page.lines().find(|line| line.contains("keywords and flags of keepalived's: "))?;
    Some(line.trim_end_matches('.').to_owned())
}

/// One "test name: reason" for each test that could not run, however often it said so.
fn read_skips(text: &str) -> Vec<String> {
    let mut skips: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    skips.sort();
    skips.dedup();
    skips
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_both_outputs_to_their_end() {
        let mut tally = Tally::default();
        let mut shown = Vec::new();
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo 'Running tests/a.rs (t/a-1)' >&2; echo 'test result: ok. 2 passed; 0 failed'; exit 3"]);
        assert!(follow(&mut shell, &mut shown, &mut tally).is_err());
        assert_eq!(shown.split(|octet| *octet == b'\n').count(), 3);
        assert_eq!((tally.passed, tally.failed.len()), (2, 0));
    }

    #[test]
    fn a_hole_is_seen_and_so_is_a_matrix_that_was_not_run() {
        assert!(is_whole("v3  held  no unicast\n"));
        assert!(!is_whole("v3  held  HOLE\n"));
        assert!(!is_whole(""));
    }

    #[test]
    fn the_counts_of_the_page_are_printed() {
        let page = "# Title\n\n3 keywords and flags of keepalived's: 2 supported, 1 accepted, 0 refused.\n";
        let counts = "3 keywords and flags of keepalived's: 2 supported, 1 accepted, 0 refused";
        assert_eq!(compatibility(page).as_deref(), Some(counts));
        assert_eq!(compatibility("# Title\n"), None);
    }

    #[test]
    fn a_repeated_skip_is_one() {
        let text = "e2e vmac: no macvlan here\n\ne2e frr: not installed\ne2e vmac: no macvlan here\n";
        assert_eq!(read_skips(text), ["e2e frr: not installed", "e2e vmac: no macvlan here"]);
    }
}
