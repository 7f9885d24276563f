//! `vrrp_track_process`: whether as many processes of a program run as should.

#[cfg(feature = "io")]
mod events;
#[cfg(feature = "io")]
mod proc;
#[cfg(feature = "io")]
mod watch;

use std::time::Duration;

use super::{Defined, Kind, Programs, Weight};
use crate::engine::plan::TrackerPlan;
use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::schema::{FromEntry, Mark, block};
use crate::syntax::source::Span;
use crate::syntax::tree::Entry;
use crate::syntax::value::{Seconds, Whole, choice};

/// Up to an hour.
pub type Delay = Seconds<0, 3_600_000_000>;
/// Numbers of processes.
pub type Count = Whole<0, 4_194_304>;

/// Octets of a process's name that the kernel keeps.
const NAME_LENGTH: usize = 15;

block! {
    /// A tracked process as it is written.
    pub struct Written, others (&[]) {
        /// The program's name, and perhaps parameters.
        "process" => process: Option<Words>;
        /// The parameters are the first of the process's (partial), or its command line begins so (initial).
        "param_match" => param_match: Option<ParamMatch>;
        /// What it does to the priority of virtual routers that do not say; 0 makes a failure a fault.
        "weight" => weight: Option<Weight<254>>;
        /// Processes that there must be, at least; default 1.
        "quorum" => quorum: Option<Count>;
        /// Processes that there may be, at most.
        "quorum_max" => quorum_max: Option<Count>;
        /// Both of the following.
        "delay" => delay: Option<Delay>;
        /// Seconds until processes that ended count.
        "terminate_delay" => terminate_delay: Option<Delay>;
        /// Seconds until processes that were started count.
        "fork_delay" => fork_delay: Option<Delay>;
        /// The name is that of the command line, not that of the kernel.
        "full_command" => full_command: Mark;
    }
}

choice! {
    #[derive(Hash)]
    pub enum ParamMatch {
        "initial" => Initial,
        "partial" => Partial,
    }
}

/// A program's name and its parameters; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(pub Vec<String>);

impl FromEntry for Words {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.no_block(found);
        entry.parameter("the name of a program", found)?;
        Some(Self(entry.parameters().iter().map(|word| word.text.clone()).collect()))
    }
}

/// Processes that are counted, and how many of them are right.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    pub pattern: Pattern,
    pub quorum: u32,
    pub quorum_max: Option<u32>,
    pub fork_delay: Duration,
    pub terminate_delay: Duration,
}

/// Which processes are meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// By the kernel's name.
    Name(String),
    /// By the command line: the program as it was called, and its parameters. None of them: any will do, but with
    /// `param_match`, which allows none then.
    Command { program: String, parameters: Vec<String>, matching: Option<ParamMatch> },
}

impl Pattern {
    /// Whether a process is meant, by its name and its command line.
    pub fn matches(&self, name: &[u8], command: &[Vec<u8>]) -> bool {
        let (program, parameters, matching) = match self {
            // The kernel keeps no more of a name.
            Self::Name(wanted) => return wanted.as_bytes().get(..NAME_LENGTH).unwrap_or(wanted.as_bytes()) == name,
            Self::Command { program, parameters, matching } => (program, parameters, *matching),
        };
        let Some((called, given)) = command.split_first() else { return false };
        if called != program.as_bytes() {
            return false;
        }
        let equal = |count: usize| {
            given.len() >= count && given.iter().zip(parameters).take(count).all(|(a, b)| a == b.as_bytes())
        };
        match (matching, parameters.split_last()) {
            (None, None) => true,
            (Some(_), None) => given.is_empty(),
            (None, Some(_)) => given.len() == parameters.len() && equal(parameters.len()),
            (Some(ParamMatch::Partial), Some(_)) => equal(parameters.len()),
            (Some(ParamMatch::Initial), Some((last, others))) => {
                equal(others.len()) && given.get(others.len()).is_some_and(|given| given.starts_with(last.as_bytes()))
            }
        }
    }
}

impl Process {
    /// Whether so many are right.
    pub fn is_quorum(&self, count: usize) -> bool {
        count >= self.quorum as usize && self.quorum_max.is_none_or(|most| count <= most as usize)
    }
}

impl Written {
    pub fn define(self, name: &str, at: Span, with: &mut dyn Programs) -> Option<Defined> {
        let Self {
            process,
            param_match,
            weight,
            quorum,
            quorum_max,
            delay,
            terminate_delay,
            fork_delay,
            full_command,
            foreign: _,
        } = self;
        let of = format!("vrrp_track_process {name}");
        let Some((program, parameters)) = process.as_ref().and_then(|Words(words)| words.split_first()) else {
            with.found().error(Class::Incomplete, at, format!("{of} has no `process`")).done("it is left out");
            return None;
        };
        let quorum_max = quorum_max.map(|most| most.get() as u32);
        // No process at all is right where none may be.
        let quorum = quorum.map_or(if quorum_max == Some(0) { 0 } else { 1 }, |quorum| quorum.get() as u32);
        if quorum_max.is_some_and(|most| most < quorum) {
            let message = format!("{of}: `quorum_max` is less than `quorum`, so no number is right");
            with.found().error(Class::Conflict, at, message).done("it is left out");
            return None;
        }
        let pattern = match parameters.is_empty() && param_match.is_none() && full_command.0.is_none() {
            true => Pattern::Name(program.clone()),
            false => {
                Pattern::Command { program: program.clone(), parameters: parameters.to_vec(), matching: param_match }
            }
        };
        let delay = |own: Option<Delay>| own.or(delay).map_or(Duration::ZERO, Delay::duration);
        let (fork_delay, terminate_delay) = (delay(fork_delay), delay(terminate_delay));
        Some(Defined::Tracker {
            weight: weight.unwrap_or_default().0,
            plan: TrackerPlan { rise: 1, fall: 1, starts_failed: false },
            kind: Kind::Process(Process { pattern, quorum, quorum_max, fork_delay, terminate_delay }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &Pattern, command: &str) -> bool {
        let words: Vec<_> = command.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        pattern.matches(b"sleep", &words)
    }

    #[test]
    fn parameters_are_matched_as_they_are_configured() {
        let pattern = |parameters: &str, matching| Pattern::Command {
            program: "/bin/sleep".into(),
            parameters: parameters.split_whitespace().map(String::from).collect(),
            matching,
        };
        let commands = ["/bin/sleep", "/bin/sleep 10", "/bin/sleep 10 20", "/bin/sleep 100", "/bin/slept 10"];
        let (initial, partial) = (Some(ParamMatch::Initial), Some(ParamMatch::Partial));
        for (parameters, matching, expected) in [
            ("", None, [true, true, true, true, false]),
            ("", partial, [true, false, false, false, false]),
            ("10", None, [false, true, false, false, false]),
            ("10", partial, [false, true, true, false, false]),
            ("10", initial, [false, true, true, true, false]),
            ("10 2", initial, [false, false, true, false, false]),
        ] {
            let pattern = pattern(parameters, matching);
            assert_eq!(commands.map(|command| matches(&pattern, command)), expected, "{parameters:?} {matching:?}");
        }
        assert!(!pattern("", None).matches(b"kthreadd", &[]));
    }

    #[test]
    fn a_name_is_the_kernel_s() {
        assert!(matches(&Pattern::Name("sleep".into()), "anything"));
        assert!(!matches(&Pattern::Name("slee".into()), "anything"));
        assert!(Pattern::Name("a-program-of-a-long-name".into()).matches(b"a-program-of-a-", &[]));
    }
}
