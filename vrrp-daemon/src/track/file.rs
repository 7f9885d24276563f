//! `track_file`: a number in a file, which bears on the priority times its weight.

#[cfg(feature = "io")]
mod watch;

use super::{Defined, Kind, Programs, Weight};
use crate::engine::plan::{self, TrackerPlan};
use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::schema::{At, FromEntry, block};
use crate::syntax::source::Span;
use crate::syntax::tree::Entry;
use crate::syntax::value::{Value, Whole};

/// The largest number that says more than a smaller one: it takes away all that a priority can be.
const VALUE_MAX: i16 = 254;

block! {
    /// A tracked file as it is written.
    pub struct Written, others (&[]) {
        /// The file's path.
        "file" => file: Option<At<String>>;
        /// What its number is multiplied by for virtual routers that do not say; 0 makes any but 0 a fault.
        "weight" => weight: Option<Weight<254>>;
        /// Written to the file at the start: a number, 0 if there is none, and `overwrite` if it may have one already.
        "init_file" => init_file: Option<InitFile>;
    }
}

/// A file with a number; one that is missing reads as 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct File {
    pub path: String,
    pub init: Option<InitFile>,
}

/// `init_file [VALUE] [overwrite]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct InitFile {
    pub value: i16,
    /// Also when the file is there.
    pub overwrite: bool,
}

impl FromEntry for InitFile {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.no_block(found);
        let mut read = Self::default();
        for word in entry.parameters() {
            type Number = Whole<{ -(VALUE_MAX as i64) }, { VALUE_MAX as i64 }>;
            match Number::parse(&word.text) {
                Some(value) => read.value = value.get() as i16,
                None if word.text == "overwrite" => read.overwrite = true,
                None => {
                    let message =
                        format!("`init_file` has `{}`; expected {} or overwrite", word.text, Number::expected());
                    found.error(Class::Value, word.span, message).done("the word is skipped");
                }
            }
        }
        Some(read)
    }
}

impl Written {
    pub fn define(self, name: &str, at: Span, with: &mut dyn Programs) -> Option<Defined> {
        let Self { file, weight, init_file, foreign: _ } = self;
        let Some(file) = file else {
            let message = format!("track_file {name} has no `file`");
            with.found().error(Class::Incomplete, at, message).done("it is left out");
            return None;
        };
        Some(Defined::Tracker {
            weight: weight.map_or(plan::Weight { value: 1, reverse: false }, |weight| weight.0),
            plan: TrackerPlan { rise: 1, fall: 1, starts_failed: false },
            kind: Kind::File(File { path: file.value, init: init_file }),
        })
    }
}
