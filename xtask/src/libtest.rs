//! Reading what `cargo test` prints: counts, the names of failed and ignored tests, and programs that ended without a
//! result.

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: usize,
    pub failed: Vec<String>,
    /// "name: reason"
    pub ignored: Vec<String>,
    /// The test program that is running, until its result is read.
    running: Option<String>,
    /// How many of `failed` are that program's.
    named: usize,
}

impl Tally {
    /// Takes one line, with or without colours.
    pub fn line(&mut self, line: &str) {
        let line = plain(line);
        let text = line.trim();
        if let Some(program) = program(text) {
            self.begin(program);
        } else if let Some(result) = text.strip_prefix("test result: ") {
            self.passed += count(result, "passed");
            let program = self.running.take().unwrap_or_default();
            for _ in self.named..count(result, "failed") {
                self.failed.push(format!("{program}: a test whose name was lost in its own output"));
            }
        } else if let Some(test) = text.strip_prefix("test ") {
            // A test's own output may stand between its name and its end; the counts do not depend on this line.
            if let Some(name) = test.strip_suffix(" ... FAILED") {
                let name = self.name(name);
                self.failed.push(name);
                self.named += 1;
            } else if let Some((name, reason)) = test.split_once(" ... ignored") {
                let reason = reason.trim_start_matches([',', ' ']);
                let reason = if reason.is_empty() { "ignored" } else { reason };
                let name = self.name(name);
                self.ignored.push(format!("{name}: {reason}"));
            }
        }
    }

    /// The lines that follow are this program's.
    pub fn begin(&mut self, program: String) {
        self.end();
        self.running = Some(program);
        self.named = 0;
    }

    /// Takes what another one has counted to its end.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.ignored.extend(other.ignored);
    }

    /// After the last line: a program that never gave its result has crashed or was killed.
    pub fn end(&mut self) {
        if let Some(program) = self.running.take() {
            self.failed.push(format!("{program} ended without a result"));
        }
    }

    fn name(&self, test: &str) -> String {
        let test = test.strip_suffix(" - should panic").unwrap_or(test);
        match &self.running {
            Some(program) => format!("{program} {test}"),
            None => test.to_owned(),
        }
    }
}

/// The test program that cargo announces: `Running tests/sim.rs (target/debug/deps/sim-0123)` or `Doc-tests vrrp_common`.
fn program(text: &str) -> Option<String> {
    if let Some(library) = text.strip_prefix("Doc-tests ") {
        return Some(format!("{library} (documentation)"));
    }
    let file = text.strip_prefix("Running ")?.strip_suffix(')')?.rsplit_once('(')?.1;
    let file = file.rsplit('/').next()?;
    Some(file.rsplit_once('-').map_or(file, |(name, _)| name).to_owned())
}

/// The number before `what` in "ok. 3 passed; 0 failed; ...".
fn count(result: &str, what: &str) -> usize {
    let words: Vec<_> = result.split([' ', ';']).collect();
    let at = words.iter().position(|word| *word == what);
    at.and_then(|at| words[at.checked_sub(1)?].parse().ok()).unwrap_or(0)
}

/// Without terminal colours: ESC [ ... letter.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(next) = rest.next() {
        if next != '\x1b' {
            text.push(next);
        } else if rest.next() == Some('[') {
            rest.by_ref().find(char::is_ascii_alphabetic);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(text: &str) -> Tally {
        let mut tally = Tally::default();
        text.lines().for_each(|line| tally.line(line));
        tally.end();
        tally
    }

    #[test]
    fn sums_programs() {
        let found = tally(
            "   Compiling vrrp-tests v0.1.0\n\
             \x1b[1m\x1b[92m     Running\x1b[0m unittests src/lib.rs (target/debug/deps/vrrp_common-8d1f)\n\n\
             running 3 tests\n\
             test wire::tests::short ... ok\n\
             test wire::tests::long ... \x1b[31mFAILED\x1b[0m\n\
             test wire::tests::slow ... ignored, takes an hour\n\n\
             failures:\n    wire::tests::long\n\n\
             test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
             error: test failed, to rerun pass `-p vrrp-common --lib`\n     \
             Running tests/sim.rs (target/debug/deps/sim-77aa)\n\
             test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.00s\n   \
             Doc-tests vrrp_common\n\
             test vrrp-common/src/lib.rs - (line 3) ... ignored\n\
             test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out",
        );
        assert_eq!(found.passed, 13);
        assert_eq!(found.failed, ["vrrp_common wire::tests::long"]);
        let ignored = [
            "vrrp_common wire::tests::slow: takes an hour",
            "vrrp_common (documentation) vrrp-common/src/lib.rs - (line 3): ignored",
        ];
        assert_eq!(found.ignored, ignored);
    }

    #[test]
    fn a_crash_is_a_failure() {
        let found = tally(
            "  Running tests/xdp.rs (target/debug/deps/xdp-1)\ntest loads ... \n  Running tests/e2e.rs (t/e2e-2)",
        );
        assert_eq!(found.failed, ["xdp ended without a result", "e2e ended without a result"]);
    }

    #[test]
    fn a_failure_is_counted_when_its_name_is_lost() {
        let found = tally(
            "Running tests/xdp.rs (t/xdp-1)\ntest a ... noise\nFAILED\ntest result: FAILED. 0 passed; 1 failed; 0 ignored",
        );
        assert_eq!(found.failed, ["xdp: a test whose name was lost in its own output"]);
    }

    #[test]
    fn a_build_that_fails_counts_nothing() {
        assert_eq!(
            tally("error[E0425]: cannot find value `x`\nerror: could not compile `vrrp-common`"),
            Tally::default()
        );
    }

    #[test]
    fn programs_may_have_dashes() {
        assert_eq!(program("Running tests/a.rs (target/debug/deps/kernel_host-0a1b)").as_deref(), Some("kernel_host"));
        assert_eq!(program("Running `target/debug/xtask`"), None);
    }
}
