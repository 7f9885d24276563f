//! Breaks the engine on purpose, one fault at a time, and records which tests notice.
//!
//! Slow, so not part of the gate: `cargo test -p vrrp-tests --test mutants -- --ignored --nocapture`. It works on a copy
//! under the target directory and prints the table of docs/TESTING.md. `VRRP_MUTANT=word` limits it to faults whose name
//! contains the word. That every fault still has its place in the source is checked by the gate.

mod list;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use list::{MUTANTS, Mutant};

/// What is asked about each fault, in order: its column, its package's flags, and which tests of it.
const JURIES: [(&str, &[&str], &str); 2] = [
    ("tables", &["-p", "vrrp-daemon", "--no-default-features", "--lib"], "engine::"),
    ("simulator", &["-p", "vrrp-tests", "--test", "sim"], ""),
];

/// A faulty engine may run for ever; a sound one is done in a fraction of this.
const PATIENCE: Duration = Duration::from_secs(120);

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_fault_has_its_place() {
    for Mutant { name, file, find, put } in MUTANTS {
        let source = fs::read_to_string(workspace().join(file)).expect("a source file");
        assert_eq!(
            source.matches(find).count(),
            1,
            "{name}: {find:?} is not once in {file}; say anew where the fault is"
        );
        assert_ne!(find, put, "{name}");
    }
}

#[test]
#[ignore = "slow: builds the engine anew for each of its faults"]
fn every_fault_is_noticed() {
    let copy = workspace().join("target/mutants/tree");
    if copy.exists() {
        fs::remove_dir_all(&copy).expect("the last copy goes");
    }
    copy_tree(&workspace(), &copy);
    let wanted = std::env::var("VRRP_MUTANT").unwrap_or_default();

    for (column, failed) in JURIES.iter().map(|jury| (jury.0, ask(&copy, jury))) {
        assert_eq!(failed.as_deref(), Ok(&[][..]), "the {column} fail without any fault");
    }
    println!("| fault | tables | simulator |\n|---|---|---|");
    let mut unnoticed = Vec::new();
    for mutant in MUTANTS.iter().filter(|mutant| mutant.name.contains(&wanted)) {
        let path = copy.join(mutant.file);
        let sound = fs::read_to_string(&path).expect("a source file");
        fs::write(&path, sound.replacen(mutant.find, mutant.put, 1)).expect("the fault is written");
        let failed = JURIES.each_ref().map(|jury| {
            ask(&copy, jury).unwrap_or_else(|log| panic!("{} is no fault but an error:\n{log}", mutant.name))
        });
        fs::write(&path, sound).expect("the fault is undone");
        println!("| {} | {} | {} |", mutant.name, summary(&failed[0]), summary(&failed[1]));
        if failed.iter().all(Vec::is_empty) {
            unnoticed.push(mutant.name);
        }
    }
    assert!(unnoticed.is_empty(), "nobody noticed: {unnoticed:?}");
}

/// Builds and runs one set of tests; the names of those that failed, or the compiler's complaint.
fn ask(tree: &Path, (_, package, filter): &(&str, &[&str], &str)) -> Result<Vec<String>, String> {
    let built = Command::new(env!("CARGO"))
        .args(["test", "--offline", "--no-run"])
        .args(*package)
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", tree.join("../target"))
        .env("RUSTFLAGS", "-Awarnings")
        // Nobody debugs them, and most of the time goes into linking.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .output()
        .expect("cargo runs");
    let log = String::from_utf8_lossy(&built.stderr).into_owned();
    if !built.status.success() {
        return Err(log);
    }
    let binary =
        log.lines().rev().find_map(|line| line.trim_end().strip_suffix(')')?.rsplit_once('(')).expect("a binary").1;
    let output = tree.join("../output");
    let mut tests = Command::new(tree.join(binary))
        .args(["--color", "never", filter])
        .current_dir(tree)
        .env("RUST_BACKTRACE", "0")
        .stdout(fs::File::create(&output).expect("a file for the output"))
        .stderr(Stdio::null())
        .spawn()
        .expect("the tests run");
    let begun = Instant::now();
    while tests.try_wait().expect("the tests are ours").is_none() {
        if begun.elapsed() > PATIENCE {
            tests.kill().expect("the tests are ours");
            tests.wait().expect("the tests end");
            return Ok(vec!["does not end".to_string()]);
        }
        sleep(Duration::from_millis(20));
    }
    let text = fs::read_to_string(&output).expect("the output");
    let failed = text.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    Ok(failed.map(|name| name.replace("engine::", "").replace("tests::", "")).collect())
}

/// The first test that noticed, and how many more.
fn summary(failed: &[String]) -> String {
    match failed {
        [] => "–".to_string(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

/// Copies what cargo needs: sources and manifests, not what was built of them.
fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory").map(|entry| entry.expect("an entry")) {
        let name = entry.file_name();
        if name == "target" || name == ".git" {
            continue;
        }
        let kind = entry.file_type().expect("a type");
        if kind.is_dir() {
            copy_tree(&entry.path(), &to.join(name));
        } else if kind.is_file() {
            fs::copy(entry.path(), to.join(name)).expect("a copy");
        }
    }
}
