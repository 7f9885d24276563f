//! The files that keepalived's signals ask for: its state, its statistics, and both as JSON.
//!
//! They are made on the slow side from what the protocol thread was seen to know; it is asked once for each.

mod address;
mod counts;
mod data;
mod file;
mod json;
mod path;
mod process;
mod stats;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use super::clock;
use super::control::Request;
use super::status::Observed;
use crate::config::setup::{Dumps, Setup};
use crate::track::report::{Board, Finds};
use counts::Counts;

/// In place of a password.
const MASK: &str = "********";

/// What may be asked for at once; more of it is the same.
pub const QUEUE: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SIGUSR1: keepalived.data.
    Data,
    /// SIGUSR2: keepalived.stats.
    Stats,
    /// SIGRTMAX-1: the same, and counting begins anew.
    StatsClear,
    /// SIGRTMIN+2: keepalived.json.
    Json,
}

/// How it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Signal,
    Bus,
}

/// By name of a virtual router: what it had counted when counting was to begin anew. The counters themselves run on.
type Zero = BTreeMap<String, Counts>;

/// Writes what is asked for, until nobody can ask any more.
pub async fn serve(mut asked: mpsc::Receiver<(Kind, By)>, board: Board, requests: mpsc::Sender<impl From<Request>>) {
    let mut zero = Zero::new();
    while let Some((kind, by)) = asked.recv().await {
        let (reply, answer) = oneshot::channel();
        if requests.send(Request::Status { reply }.into()).await.is_err() {
            return;
        }
        let Ok(observed) = answer.await else { return };
        let before = std::mem::take(&mut zero);
        let seen = board.borrow().clone();
        // A disk may hang, and the checks beside this may not.
        let written = tokio::task::spawn_blocking(move || write(kind, by, &observed, &seen, before));
        zero = written.await.unwrap_or_default();
    }
}

/// Writes one file, and says where; what was counted until the next zero.
fn write(kind: Kind, by: By, observed: &Observed, seen: &Finds, zero: Zero) -> Zero {
    let setup = &observed.setup;
    let (what, path, text) = match kind {
        Kind::Data => {
            ("data", path(setup, "data", &setup.telling.dumps.data), data::text(observed, seen, wall(observed)))
        }
        Kind::Stats | Kind::StatsClear => {
            ("stats", path(setup, "stats", &setup.telling.dumps.stats), stats::text(observed, &zero))
        }
        Kind::Json => {
            let text = json::text(observed, seen, &zero, wall(observed), setup.telling.dumps.second_json);
            ("as json", path(setup, "json", &setup.telling.dumps.json), text)
        }
    };
    match file::replace(&path, text.as_bytes()) {
        // keepalived's words.
        Ok(()) => match (by, kind) {
            (By::Signal, _) => info!("Printing VRRP {what} for process({}) on signal", std::process::id()),
            (By::Bus, Kind::StatsClear) => info!("Printing and clearing VRRP {what} on DBus request"),
            (By::Bus, _) => info!("Printing VRRP {what} on DBus request"),
        },
        Err(error) => warn!("{} cannot be written: {error}", path.display()),
    }
    match kind {
        Kind::StatsClear => counts::all(observed).collect(),
        Kind::Data | Kind::Stats | Kind::Json => zero,
    }
}

fn wall(observed: &Observed) -> SystemTime {
    SystemTime::UNIX_EPOCH + clock::wall(observed.now)
}

/// The file that was named; otherwise keepalived's in $TMPDIR or /tmp.
fn path(setup: &Setup, ending: &str, named: &Option<String>) -> PathBuf {
    if let Some(named) = named {
        return PathBuf::from(named);
    }
    let Dumps { name_instance, .. } = setup.telling.dumps;
    let of =
        [&setup.service.net_namespace, &setup.service.instance].map(|name| name.as_ref().filter(|_| name_instance));
    let of: String = of.into_iter().flatten().map(|name| format!(".{name}")).collect();
    let directory = std::env::var_os("TMPDIR").filter(|directory| !directory.is_empty());
    directory.map_or_else(|| PathBuf::from("/tmp"), PathBuf::from).join(format!("keepalived{of}.{ending}"))
}

#[cfg(test)]
mod tests;
