//! Processes that are counted: how they were found to be, for both forms.

use std::cmp::Ordering;

use crate::track::process::{ParamMatch, Pattern, Process};
use crate::track::report::{Finds, Tally};

pub struct Counted<'a> {
    pub program: &'a str,
    pub parameters: String,
    pub matching: Option<&'static str>,
    pub number: usize,
    pub is_quorum: bool,
    /// There are more, or fewer, and that does not count yet.
    pub rises: bool,
    pub falls: bool,
    /// They are known by their command lines.
    pub is_full: bool,
}

impl<'a> Counted<'a> {
    pub fn new(seen: &Finds, name: &str, watched: &'a Process) -> Self {
        let seen = seen.get(&("vrrp_track_process", name.to_owned()));
        let Tally { number, waits } = seen.map(|seen| seen.tally).unwrap_or_default();
        let (program, parameters, matching) = match &watched.pattern {
            Pattern::Name(program) => (program, String::new(), None),
            Pattern::Command { program, parameters, matching } => (program, parameters.join(" "), *matching),
        };
        let matching = matching.map(|matching| match matching {
            ParamMatch::Initial => "initial",
            ParamMatch::Partial => "partial",
        });
        Self {
            program,
            parameters,
            matching,
            number,
            is_quorum: watched.is_quorum(number),
            rises: waits == Some(Ordering::Greater),
            falls: waits == Some(Ordering::Less),
            is_full: matches!(watched.pattern, Pattern::Command { .. }),
        }
    }
}
