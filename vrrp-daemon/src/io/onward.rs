//! What a change of state has others do, on its way from the thread that tells to the one that does it.

use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::mail::Letter;
use super::notify::Notice;

/// Of each kind as many may wait, while no script can be started, no mail server answers: each of several thousand virtual
/// routers can change its state once, or twice.
const QUEUE: usize = 8192;

/// The ends of the thread that tells.
pub struct Onward {
    /// Whose scripts are to run.
    pub scripts: Sender<Notice>,
    /// To be mailed.
    pub letters: Sender<Letter>,
    /// For the message bus.
    pub signals: Sender<Notice>,
}

/// The ends of the thread that does it.
pub struct Arriving {
    pub scripts: Receiver<Notice>,
    pub letters: Receiver<Letter>,
    pub signals: Receiver<Notice>,
}

pub fn queues() -> (Onward, Arriving) {
    let (scripts, to_run) = channel(QUEUE);
    let (letters, to_mail) = channel(QUEUE);
    let (signals, to_signal) = channel(QUEUE);
    (Onward { scripts, letters, signals }, Arriving { scripts: to_run, letters: to_mail, signals: to_signal })
}
