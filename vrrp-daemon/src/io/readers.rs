//! The scripts that read the FIFOs: each runs as long as a configuration has it.

use std::collections::BTreeMap;

use tokio::sync::watch::{self, Receiver, Sender};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{info, warn};

use super::notify::TIME_AT_STOP;
use crate::config::setup::{Command, Fifo};
use crate::track::run::{Bond, GRACE};

/// All of them. Dropped, they end.
#[derive(Default)]
pub struct Readers {
    /// By the FIFO's path: what should read it.
    wanted: BTreeMap<String, Sender<Option<Command>>>,
    tasks: JoinSet<()>,
}

impl Readers {
    /// Those of a configuration, whose FIFOs are there. One that was there before reads on. On a `LocalSet`.
    pub fn set(&mut self, fifos: &[Fifo]) {
        while self.tasks.try_join_next().is_some() {}
        self.wanted.retain(|path, _| fifos.iter().any(|fifo| fifo.path == *path));
        for Fifo { of_vrrp: _, path, owner: _, script } in fifos {
            match self.wanted.get(path) {
                Some(wanted) => drop(wanted.send_if_modified(|now| {
                    let is_other = now != script;
                    now.clone_from(script);
                    is_other
                })),
                None => {
                    let (want, wanted) = watch::channel(script.clone());
                    self.tasks.spawn_local(keep_read(path.clone(), wanted));
                    self.wanted.insert(path.clone(), want);
                }
            }
        }
    }

    /// Lets them read what is left, for a second, and ends them.
    pub async fn end(self) {
        let Self { wanted, tasks } = self;
        drop(wanted);
        tasks.join_all().await;
    }
}

/// Has a FIFO read by whoever is wanted, one after the other, until nobody is left who could want it.
async fn keep_read(path: String, mut wanted: Receiver<Option<Command>>) {
    loop {
        let script = wanted.borrow_and_update().clone();
        if let Some(script) = script {
            read(&script, &path, &mut wanted).await;
        }
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

/// Runs a script, the path appended, until another is wanted, or the FIFO's end, which it then sees, is a second ago. One
/// that ends before is not started again, as with keepalived.
async fn read(script: &Command, path: &str, wanted: &mut Receiver<Option<Command>>) {
    let name = script.argv.first().cloned().unwrap_or_default();
    let mut run = match script.start(&[path], Bond::EndsWithUs) {
        Ok(run) => run,
        Err(error) => return warn!(script = name, %error, "the script that reads {path} could not be started"),
    };
    let another = tokio::select! {
        outcome = run.finish() => return info!(script = name, ?outcome, "the script that reads {path} has ended"),
        changed = wanted.changed() => changed.is_ok(),
    };
    if another {
        wanted.mark_changed();
    }
    if another || timeout(TIME_AT_STOP, run.finish()).await.is_err() {
        run.end(GRACE).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;
    use crate::testing::{Dir, lives, ourselves, shell, wait_until_gone};

    fn fifo(dir: &Dir, script: Option<&str>) -> Fifo {
        let path = dir.join("fifo").display().to_string();
        Fifo { of_vrrp: false, path, owner: ourselves(), script: script.map(|text| shell(dir, text)) }
    }

    const STUBBORN: &str = "echo $$ > $0/pid.new; mv $0/pid.new $0/pid; exec sleep 100";
    const OTHER: &str = "echo $$ > $0/other.new; mv $0/other.new $0/other; exec sleep 100";

    async fn started(dir: &Dir, name: &str) -> String {
        dir.wait_for(name, |text| !text.is_empty()).await
    }

    async fn on_local_set(story: impl Future<Output = ()>) {
        LocalSet::new().run_until(story).await;
    }

    #[tokio::test]
    async fn a_reader_is_given_the_path_and_ends_by_itself_or_is_ended() {
        let dir = Dir::new();
        on_local_set(async {
            let mut readers = Readers::default();
            readers.set(&[fifo(&dir, Some(r#"echo "$@" > $0/told"#))]);
            assert_eq!(started(&dir, "told").await, format!("{}\n", dir.join("fifo").display()));
            readers.end().await;
            let mut readers = Readers::default();
            readers.set(&[fifo(&dir, Some(STUBBORN))]);
            let pid = started(&dir, "pid").await;
            readers.end().await;
            wait_until_gone(&pid).await;
        })
        .await;
    }

    #[tokio::test]
    async fn an_equal_one_reads_on_and_another_takes_its_place() {
        let dir = Dir::new();
        on_local_set(async {
            let mut readers = Readers::default();
            readers.set(&[fifo(&dir, None)]);
            readers.set(&[fifo(&dir, Some(STUBBORN))]);
            let pid = started(&dir, "pid").await;
            readers.set(&[fifo(&dir, Some(STUBBORN))]);
            tokio::task::yield_now().await;
            assert!(lives(&pid), "it was ended, and nothing else is wanted");
            readers.set(&[fifo(&dir, Some(OTHER))]);
            let other = started(&dir, "other").await;
            assert!(!lives(&pid), "two read at once");
            readers.set(&[]);
            wait_until_gone(&other).await;
            readers.end().await;
        })
        .await;
    }
}
