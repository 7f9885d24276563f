//! Another configuration to go on by, as threads hand it to each other.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::sync::oneshot;

use super::privilege::Urgency;
use super::telling::Fifos;
use super::xdp::{Sizes, Xdp};
use crate::config::setup::Setup;
use crate::engine::matching::Matching;

/// Whoever wants a reload and is to hear what became of it; one for a signal hears nothing.
pub type Wanted = Option<oneshot::Sender<Result<(), String>>>;

/// Reloads that may wait. All that wait are served by one: it reads what is there after the last of them was asked for.
pub const WAITING: usize = 64;

/// A configuration to go on by.
#[derive(Debug)]
pub struct Move {
    pub setup: Arc<Setup>,
    /// With the one before it.
    pub matching: Matching,
    /// How the protocol's threads get their time, where that is not as before.
    pub urgency: Option<Urgency>,
}

/// A reload on its way to the protocol thread.
pub struct Next {
    pub to: Arc<Move>,
    /// A program with more room, where the tables of the present one are too small.
    pub program: Option<(Xdp, Sizes)>,
    pub fifos: Fifos,
    /// Hears for how long the protocol was held up; or why nothing came of it.
    pub done: SyncSender<Result<Duration, String>>,
}

impl std::fmt::Debug for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Next").finish_non_exhaustive()
    }
}

impl Next {
    pub fn refuse(self) {
        // The thread may have gone, too.
        let _ = self.done.send(Err("the daemon is stopping".into()));
    }
}
