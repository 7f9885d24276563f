//! `vrrp_sync_group`: virtual routers that change state together, as it is written.

use super::unsupported;
use crate::syntax::command::CommandLine;
use crate::syntax::diagnostic::Diagnostics;
use crate::syntax::schema::{At, Field, Items, Mark, Switch, block};
use crate::syntax::source::Span;
use crate::syntax::tree::Entry;
use crate::track::{Use, Uses};

block! {
    /// Virtual routers that change state together.
    pub struct SyncGroup, others (unsupported::NONE) {
        /// The names of its virtual routers.
        "group" => group: Members;
        /// Trackers whose outcome counts for every member.
        "track_script" | "track_file" | "track_process" | "track_check" | "track_bfd" => tracks: Uses;
        /// Interfaces whose link state counts for every member.
        "track_interface" => track_interface: Items<Use>;
        /// Members may have weights on what they track.
        "sync_group_tracking_weight" => tracking_weight: Switch;
        /// The same, as it was once written.
        "global_tracking" => global_tracking: Mark;
        /// Run when the group becomes master.
        "notify_master" => notify_master: Option<CommandLine>;
        /// Run when the group becomes backup.
        "notify_backup" => notify_backup: Option<CommandLine>;
        /// Run when the group enters fault.
        "notify_fault" => notify_fault: Option<CommandLine>;
        /// Run when the daemon stops.
        "notify_stop" => notify_stop: Option<CommandLine>;
        /// Run on every change, with four words appended.
        "notify" => notify: Option<CommandLine>;
        /// Changes of effective priority of its virtual routers are written to the FIFOs, too.
        "notify_priority_changes" => notify_priority_changes: Switch;
        /// Changes of state are mailed.
        "smtp_alert" => smtp_alert: Switch;
    }
}

/// Names of virtual routers, one or more to a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    pub names: Vec<At<String>>,
    /// The keyword, once it was there.
    pub at: Option<Span>,
}

impl Field for Members {
    fn take(&mut self, entry: &Entry, found: &mut Diagnostics) {
        self.at = Some(entry.keyword().span);
        for line in entry.body(found) {
            line.no_block(found);
            let words = std::iter::once(line.keyword()).chain(line.parameters());
            self.names.extend(words.map(|word| At { value: word.text.clone(), at: word.span }));
        }
    }
}
