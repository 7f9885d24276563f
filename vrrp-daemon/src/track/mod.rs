//! What virtual routers watch beside adverts. A kind of tracker is one file and one line of [`trackers!`].

pub mod bfd;
pub mod check;
pub mod command;
#[cfg(feature = "io")]
pub mod eye;
pub mod file;
pub mod process;
#[cfg(feature = "io")]
pub mod readable;
#[cfg(feature = "io")]
pub mod report;
#[cfg(feature = "io")]
pub mod run;
pub mod schedule;
pub mod script;
pub mod used;
#[cfg(feature = "io")]
pub mod watch;

use crate::engine::plan::{self, TrackerPlan};
use crate::syntax::command::{CommandLine, UserName};
use crate::syntax::diagnostic::Diagnostics;
use crate::syntax::schema::{Field, Named};
use crate::syntax::source::Span;
use crate::syntax::tree::Entry;
use command::Standing;
pub use used::{Use, Uses, Weight};

/// Declares the kinds of trackers: `Kind "keyword" used by "keyword" module, weight MOST;`. The module has the block
/// `Written` and what it comes to, named as the kind.
macro_rules! trackers {
    ($($(#[$doc:meta])* $kind:ident $keyword:literal $(| $synonym:literal)? used by $used_by:literal $module:ident, weight $most:literal;)+) => {
        /// A tracker as it is written.
        #[derive(Clone, Debug)]
        pub enum Written {
            $($(#[$doc])* $kind(Box<$module::Written>),)+
        }

        /// A tracker, resolved. Equal ones find out the same, so one of them is watched for all.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$doc])* $kind($module::$kind),)+
        }

        /// Keywords that define trackers.
        pub const KEYWORDS: &[&str] = &[$($keyword, $($synonym,)?)+];

        /// Keywords of virtual routers that use them, and the most that a weight may be.
        pub const USED_BY: &[(&str, i16)] = &[$(($used_by, $most),)+];

        impl Written {
            /// The keyword that defines it.
            pub const fn keyword(&self) -> &'static str {
                match self { $(Self::$kind(_) => $keyword,)+ }
            }

            /// The keyword of virtual routers that use it.
            pub const fn used_by(&self) -> &'static str {
                match self { $(Self::$kind(_) => $used_by,)+ }
            }

            /// What it comes to. `None`: as if it had not been defined, reported.
            pub fn define(self, name: &str, at: Span, with: &mut dyn Programs) -> Option<Defined> {
                match self { $(Self::$kind(block) => block.define(name, at, with),)+ }
            }
        }

        impl Kind {
            /// The keyword that defines it.
            pub const fn keyword(&self) -> &'static str {
                match self { $(Self::$kind(_) => $keyword,)+ }
            }
        }

        #[cfg(feature = "io")]
        impl Kind {
            /// Why it could never find anything out.
            pub fn unusable(&self) -> Option<String> {
                match self { $(Self::$kind(watched) => watch::Watch::unusable(watched),)+ }
            }

            /// Whether one task watches all of the kind.
            fn is_shared(&self) -> bool {
                match self { $(Self::$kind(_) => <$module::$kind as watch::Watch>::TOGETHER,)+ }
            }

            /// Logs what was found out.
            fn say(&self) -> fn(&str, &report::Finding) {
                match self { $(Self::$kind(_) => <$module::$kind as watch::Watch>::say,)+ }
            }

            /// Watches some of one kind until told to stop.
            async fn watch(group: Vec<watch::Job<Kind>>, stop: watch::Stop) {
                match group.first().map(|job| &job.watched) {
                    $(Some(Kind::$kind(_)) => {
                        let jobs = group.into_iter().filter_map(|job| match job.watched {
                            Kind::$kind(watched) => Some(watch::Job { watched, reporter: job.reporter, fresh: job.fresh }),
                            _ => None,
                        });
                        watch::Watch::watch(jobs.collect(), stop).await;
                    })+
                    None => {}
                }
            }
        }

        impl Field for Definitions {
            fn take(&mut self, entry: &Entry, found: &mut Diagnostics) {
                if entry.parameter("a name", found).is_none() {
                    return;
                }
                match entry.keyword().text.as_str() {
                    $($keyword $(| $synonym)? => {
                        let mut read: Vec<Named<$module::Written>> = Vec::new();
                        read.take(entry, found);
                        let define = |Named { name, at, block }| Definition { name, at, written: Written::$kind(Box::new(block)) };
                        self.0.extend(read.into_iter().map(define));
                    })+
                    _ => {}
                }
            }
        }
    };
}

trackers! {
    /// A command run again and again.
    Script "vrrp_script" used by "track_script" script, weight 253;
    /// A number in a file.
    File "track_file" | "vrrp_track_file" used by "track_file" file, weight 254;
    /// How many processes of a program there are.
    Process "vrrp_track_process" used by "track_process" process, weight 254;
    /// A question to a server, asked without starting a program; our own.
    Check "vrrpd_check" used by "track_check" check, weight 253;
    /// A session with a neighbour.
    Bfd "bfd_instance" used by "track_bfd" bfd, weight 253;
}

impl Kind {
    /// What one of them found out holds for the other, whenever and however long they are tried.
    pub fn does_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Script(a), Self::Script(b)) => a.command == b.command,
            (Self::Check(a), Self::Check(b)) => a.question == b.question,
            _ => self == other,
        }
    }
}

/// A tracker and its name.
#[derive(Clone, Debug)]
pub struct Definition {
    pub name: String,
    /// The name's place.
    pub at: Span,
    pub written: Written,
}

/// All trackers of a configuration, in order.
#[derive(Clone, Debug, Default)]
pub struct Definitions(pub Vec<Definition>);

/// What a definition comes to.
pub enum Defined {
    /// Reported; whoever uses it goes without.
    Disabled,
    Tracker {
        /// Of virtual routers that do not say.
        weight: plan::Weight,
        plan: TrackerPlan,
        kind: Kind,
    },
}

/// What a definition needs beside its block: somewhere to report, and whoever judges commands.
pub trait Programs {
    fn found(&mut self) -> &mut Diagnostics;

    /// `of` says what the command is for.
    fn command(&mut self, line: &CommandLine, user: Option<&UserName>, of: &str) -> Standing;
}
