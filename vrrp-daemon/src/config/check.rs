//! From a file's path to a [`Setup`], with all that was found on the way: the start of the daemon, a reload, and `-t`.

use super::host::Host;
use super::resolve;
use super::root::Config;
use super::setup::Setup;
use crate::syntax::diagnostic::{Class, Diagnostics, Severity};
use crate::syntax::expand::{self, Reading};
use crate::syntax::source::Files;

/// A configuration that was read.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What is left to do after everything that cannot be done was left out.
    pub setup: Setup,
    pub found: Diagnostics,
    /// What was read, for excerpts.
    pub files: Files,
}

impl Checked {
    /// What `vrrpd -t` exits with; 0 when nothing is wrong.
    pub fn exit_code(&self) -> u8 {
        self.found.exit_code()
    }

    /// Whether there was a configuration at all, with every file that it demands. Without one the daemon cannot start, and a
    /// reload keeps the old one.
    pub fn is_readable(&self) -> bool {
        [Class::File, Class::Include].iter().all(|&class| self.found.count_of(class, Severity::Error) == 0)
    }

    /// Whether something of it is not done. A reload may insist on none.
    pub fn has_errors(&self) -> bool {
        self.found.count(Severity::Error) > 0
    }

    /// The first thing that is not done, on one line.
    pub fn first_error(&self) -> Option<String> {
        self.lines().find(|(severity, _)| *severity == Severity::Error).map(|(_, line)| line)
    }

    /// For people: every finding with its line, and totals.
    pub fn report(&self) -> String {
        self.found.report(&self.files)
    }

    /// For logs: every finding on one line, with its severity.
    pub fn lines(&self) -> impl Iterator<Item = (Severity, String)> {
        self.found.iter().map(|diagnostic| (diagnostic.severity, diagnostic.line(&self.files)))
    }
}

/// Reads a configuration. It never fails: what is wrong is in the findings, what is right in the setup.
pub fn check(reading: &Reading, host: &dyn Host, path: &str) -> Checked {
    let mut found = Diagnostics::default();
    let expansion = expand::expand(reading, path, &mut found);
    let config = Config::from_lines(expansion.lines, &mut found);
    let setup = resolve::resolve(config, host, reading.source, &mut found);
    Checked { setup, found, files: expansion.files }
}
