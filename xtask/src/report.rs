//! What the test command has done: a heading and a time for each step, and the table at the end.

use crate::libtest::Tally;
use anyhow::Result;
use std::time::{Duration, Instant};

#[derive(Default)]
pub struct Report {
    steps: Vec<Step>,
    /// Of all `cargo test` steps together.
    pub tests: Tally,
    /// "name: reason", from tests that returned early because they could not run here.
    pub skips: Vec<String>,
    /// What was found out besides.
    pub notes: Vec<String>,
    /// The table of interoperation, as the namespace tests wrote it; empty when they did not run.
    pub matrix: String,
}

struct Step {
    name: String,
    outcome: Outcome,
    time: Duration,
    /// Counted by its tests, not as one.
    runs_tests: bool,
}

#[derive(PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped(String),
}

#[derive(Debug, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Report {
    /// Runs a step. Its failure is reported and remembered; the steps after it still run.
    pub fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        self.run(name, false, |_| work());
    }

    /// Runs a step made of tests, which it adds to the tally; one that failed fails the step.
    pub fn tests(&mut self, name: &str, work: impl FnOnce(&mut Tally) -> Result<()>) {
        self.run(name, true, work);
    }

    pub fn skip(&mut self, name: &str, reason: &str) {
        self.push(name, Outcome::Skipped(reason.to_owned()), Duration::ZERO, false);
    }

    fn run(&mut self, name: &str, runs_tests: bool, work: impl FnOnce(&mut Tally) -> Result<()>) {
        println!("\n== {name}");
        let (start, failed) = (Instant::now(), self.tests.failed.len());
        let result = work(&mut self.tests);
        let time = start.elapsed();
        let outcome = match result {
            Ok(()) if self.tests.failed.len() == failed => Outcome::Passed,
            Ok(()) => Outcome::Failed,
            Err(error) => {
                eprintln!("error: {error:#}");
                Outcome::Failed
            }
        };
        let word = if outcome == Outcome::Passed { "passed" } else { "FAILED" };
        println!("== {name}: {word} in {:.1} s", time.as_secs_f64());
        self.push(name, outcome, time, runs_tests);
    }

    fn push(&mut self, name: &str, outcome: Outcome, time: Duration, runs_tests: bool) {
        self.steps.push(Step { name: name.to_owned(), outcome, time, runs_tests });
    }

    pub fn failed(&self) -> bool {
        self.counts().failed > 0
    }

    /// The tables of steps and of interoperation, then notes, and skipped and failed tests by name; the last line is the counts.
    pub fn print(&self) {
        println!();
        for step in &self.steps {
            let time = step.time.as_secs_f64();
            match &step.outcome {
                Outcome::Passed => println!("passed   {time:>7.1} s  {}", step.name),
                Outcome::Failed => println!("FAILED   {time:>7.1} s  {}", step.name),
                Outcome::Skipped(reason) => {
                    println!("skipped          -  {} ({reason})", step.name)
                }
            }
        }
        list("notes", self.notes.iter());
        if !self.matrix.is_empty() {
            print!("\ninteroperation, by who is master first:\n{}", self.matrix);
        }
        list("skipped tests", self.skips.iter().chain(&self.tests.ignored));
        list("failed tests", self.tests.failed.iter());
        let Counts { passed, failed, skipped } = self.counts();
        println!("\n{passed} passed, {failed} failed, {skipped} skipped");
    }

    /// Steps count one each; a step of tests counts its tests, or one when it failed with no test to blame.
    fn counts(&self) -> Counts {
        let of = |wanted: fn(&Outcome) -> bool| {
            self.steps.iter().filter(|step| !step.runs_tests && wanted(&step.outcome)).count()
        };
        // A test that skipped itself has returned, so libtest calls it passed.
        let tests_passed = self.tests.passed.saturating_sub(self.skips.len());
        let blameless = self.tests.failed.is_empty()
            && self.steps.iter().any(|step| step.runs_tests && step.outcome == Outcome::Failed);
        Counts {
            passed: of(|outcome| *outcome == Outcome::Passed) + tests_passed,
            failed: of(|outcome| *outcome == Outcome::Failed) + self.tests.failed.len() + usize::from(blameless),
            skipped: of(|outcome| matches!(outcome, Outcome::Skipped(_))) + self.skips.len() + self.tests.ignored.len(),
        }
    }
}

fn list<'a>(title: &str, lines: impl Iterator<Item = &'a String>) {
    let lines: Vec<_> = lines.collect();
    if !lines.is_empty() {
        println!("\n{title}:");
        lines.iter().for_each(|line| println!("  {line}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn counts_steps_and_tests() {
        let mut report = Report::default();
        report.step("fmt", || Ok(()));
        report.step("clippy", || bail!("warnings"));
        report.skip("rebuild", "quick");
        report.tests("cargo test", |tally| {
            tally.passed = 10;
            tally.failed.push("sim heals".into());
            bail!("cargo test failed")
        });
        report.skips.push("e2e failover: not root".into());
        assert_eq!(report.counts(), Counts { passed: 10, failed: 2, skipped: 2 });
        assert!(report.failed());
    }

    #[test]
    fn tests_that_do_not_compile_count_one_failure() {
        let mut report = Report::default();
        report.tests("cargo test", |_| bail!("could not compile"));
        assert_eq!(report.counts(), Counts { passed: 0, failed: 1, skipped: 0 });
    }
}
