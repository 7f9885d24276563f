//! What the thread of the sessions says of each, for whoever tracks it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::select;
use tokio::sync::watch;
use tracing::{info, warn};

use super::Bfd;
use super::packet::{Diagnostic, State};
use crate::track::report::{Finding, Reading};
use crate::track::watch::{Job, Stop, Watch};

/// A session's state, and why it is not up.
pub type Word = (State, Diagnostic);

/// One channel for each session that somebody runs or tracks. Between threads that are not the protocol's.
static WORDS: Mutex<Option<HashMap<Bfd, watch::Sender<Word>>>> = Mutex::new(None);

/// Where word of a session goes and comes from; it is down until somebody says otherwise.
pub fn of(session: &Bfd) -> watch::Sender<Word> {
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    words.get_or_insert_default().entry(session.clone()).or_default().clone()
}

impl Watch for Bfd {
    const TOGETHER: bool = false;

    fn say(name: &str, Finding { reading, text }: &Finding) {
        match reading {
            Reading::Passed => info!("BFD_Instance({name}) {text}"),
            _ => warn!("BFD_Instance({name}) {text}"),
        }
    }

    async fn watch(jobs: Vec<Job<Self>>, stop: Stop) {
        // Each is watched by a task of its own.
        let Some(Job { watched, reporter, .. }) = jobs.into_iter().next() else { return };
        let mut word = of(&watched).subscribe();
        loop {
            let (state, why) = *word.borrow_and_update();
            let finding = match state {
                State::Up => Finding { reading: Reading::Passed, text: "Entering Up state".into() },
                _ if why == Diagnostic::None => Finding { reading: Reading::Failed, text: "is not up yet".into() },
                _ => Finding { reading: Reading::Failed, text: format!("Entering Down state, {why:?}") },
            };
            reporter.report(finding).await;
            select! {
                changed = word.changed() => if changed.is_err() { return },
                () = stop.asked() => return,
            }
        }
    }
}
