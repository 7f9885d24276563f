//! What trackers last found out, for the status.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::config::setup::Setup;
use crate::engine::tracking::Verdict;
use crate::io::utc::rfc3339;
use crate::track::report::Finds;

/// A tracker that virtual routers could depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracker {
    pub name: String,
    /// The keyword that defines it.
    pub kind: String,
    /// With rise and fall counted.
    pub verdict: Word,
    /// Of kinds that read a number.
    pub number: Option<i16>,
    /// What was last found out, and goes on after its name: `failed (exited with status 1)`. `null` before that.
    pub last: Option<String>,
    /// When: RFC 3339, UTC, milliseconds.
    pub at: Option<String>,
    /// The same, in seconds ago.
    pub seconds: Option<u64>,
}

/// How a tracker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    Unknown,
    Passed,
    Failed,
    Number,
}

impl Word {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Number => "number",
        }
    }
}

/// In configured order.
pub fn trackers(setup: &Setup, seen: &Finds, clock: SystemTime) -> Vec<Tracker> {
    let of = |(tracker, plan): (&crate::config::setup::Tracker, &crate::engine::plan::TrackerPlan)| {
        let (name, kind) = (tracker.name.clone(), tracker.kind.keyword());
        let seen = seen.get(&(kind, name.clone()));
        let (verdict, number) = match seen.map_or(Verdict::Unknown, |seen| seen.verdict) {
            Verdict::Unknown if plan.starts_failed => (Word::Failed, None),
            Verdict::Unknown => (Word::Unknown, None),
            Verdict::Passed => (Word::Passed, None),
            Verdict::Failed => (Word::Failed, None),
            Verdict::Reads(number) => (Word::Number, Some(number)),
        };
        Tracker {
            name,
            kind: kind.into(),
            verdict,
            number,
            last: seen.map(|seen| seen.text.clone()),
            at: seen.map(|seen| rfc3339(seen.at)),
            seconds: seen.map(|seen| clock.duration_since(seen.at).unwrap_or_default().as_secs()),
        }
    };
    setup.trackers.iter().zip(&setup.plan.trackers).map(of).collect()
}
