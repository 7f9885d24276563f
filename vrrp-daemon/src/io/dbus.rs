//! keepalived's D-Bus interface (`enable_dbus`): the daemon can be asked and heard on the system's message bus.
//!
//! It lives on the slow thread, and is connected only where the configuration says so. Without a bus, or without its name on
//! the bus, the daemon serves as ever; that is said once, and the bus tried again now and then.

mod objects;
mod path;
mod tree;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};
use zbus::connection::Builder;
use zbus::fdo::RequestNameFlags;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, Error};

use super::control::Request;
use super::dump;
use super::notify::Notice;
use super::status::Observed;
use crate::config::setup::{Dbus, Setup};
use objects::{Instance, Vrrp};
use tree::Tree;

/// Until the bus is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Time for the bus to take what it is told.
const TIME: Duration = Duration::from_secs(5);

/// Until the protocol thread is asked again that had no room for a question.
const AGAIN: Duration = Duration::from_millis(10);

/// Where what is wished for on the bus goes; who is asked there does not wait for room.
#[derive(Clone)]
pub struct Wishes {
    request: Arc<dyn Fn(Request) -> Result<(), TrySendError<()>> + Send + Sync>,
    dumps: mpsc::Sender<(dump::Kind, dump::By)>,
}

impl Wishes {
    pub fn new<M: From<Request> + Send + 'static>(
        dumps: mpsc::Sender<(dump::Kind, dump::By)>,
        requests: mpsc::Sender<M>,
    ) -> Self {
        let request = move |request: Request| {
            requests.try_send(request.into()).map_err(|error| match error {
                TrySendError::Full(_) => TrySendError::Full(()),
                TrySendError::Closed(_) => TrySendError::Closed(()),
            })
        };
        Self { request: Arc::new(request), dumps }
    }

    /// What the protocol thread knows.
    async fn observe(&self) -> Result<Observed, Absence> {
        loop {
            let (reply, answer) = oneshot::channel();
            match (self.request)(Request::Status { reply }) {
                Ok(()) => return answer.await.map_err(|_| Absence::Stop),
                Err(TrySendError::Full(())) => sleep(AGAIN).await,
                Err(TrySendError::Closed(())) => return Err(Absence::Stop),
            }
        }
    }
}

/// Why the daemon is not on the bus, or no longer.
enum Absence {
    /// The daemon stops.
    Stop,
    /// The configuration has another name for it, or none.
    Reload,
    /// There is no bus, or it refuses.
    Failure(String),
}

impl From<Error> for Absence {
    fn from(error: Error) -> Self {
        Self::Failure(error.to_string())
    }
}

/// What comes from other threads.
struct News<S> {
    /// The configuration that holds.
    setups: watch::Receiver<Arc<Setup>>,
    notices: mpsc::Receiver<Notice>,
    /// How many of them were lost.
    lost: Arc<AtomicU64>,
    stop: Pin<Box<S>>,
}

/// Is on the bus while the configuration in `setups` says so, until `stop` completes and every change of state was told.
pub async fn run(
    setups: watch::Receiver<Arc<Setup>>,
    notices: mpsc::Receiver<Notice>,
    lost: Arc<AtomicU64>,
    wishes: Wishes,
    stop: impl Future<Output = ()>,
) {
    let mut news = News { setups, notices, lost, stop: Box::pin(stop) };
    // The name whose absence was told.
    let mut said = None;
    loop {
        let wanted = news.setups.borrow_and_update().telling.dbus.clone();
        let Some(Dbus { name, .. }) = wanted else {
            said = None;
            match news.pass(std::future::pending()).await {
                Absence::Stop => return,
                _ => continue,
            }
        };
        // Boxed: for those who have no bus this is small.
        match Box::pin(attend(&name, &mut news, &wishes, &mut said)).await {
            Absence::Stop => return,
            Absence::Reload => {}
            Absence::Failure(why) => {
                if said.as_ref() != Some(&name) {
                    warn!("not on D-Bus as {name}: {why}; it is tried again every {} s", RETRY.as_secs());
                    said = Some(name);
                }
                if let Absence::Stop = news.pass(sleep(RETRY)).await {
                    return;
                }
            }
        }
    }
}

/// Joins the bus by that name, and is there for as long as it goes well.
async fn attend<S: Future<Output = ()>>(
    name: &str,
    news: &mut News<S>,
    wishes: &Wishes,
    said: &mut Option<String>,
) -> Absence {
    let joined = tokio::select! {
        joined = timeout(TIME, Presence::join(name, wishes)) => joined,
        () = &mut news.stop => return Absence::Stop,
    };
    let mut presence = match joined {
        Ok(Ok(presence)) => presence,
        Ok(Err(absence)) => return absence,
        Err(_) => return Absence::Failure(format!("no answer within {} s", TIME.as_secs())),
    };
    *said = None;
    info!("Acquired DBus bus {name}");
    let Err(absence) = presence.stay(news).await;
    if let Absence::Failure(_) = absence {
        return absence;
    }
    if let Absence::Stop = absence {
        presence.tell_rest(news).await;
    }
    // Without a bus nobody would hear it.
    let _ = timeout(TIME, presence.leave()).await;
    info!("Released DBus");
    absence
}

impl<S: Future<Output = ()>> News<S> {
    /// Lets time pass until another configuration holds, or the daemon stops, or `time` is over. What is told meanwhile nobody
    /// hears.
    async fn pass(&mut self, time: impl Future<Output = ()>) -> Absence {
        tokio::pin!(time);
        loop {
            tokio::select! {
                Some(_) = self.notices.recv() => {}
                Ok(()) = self.setups.changed() => return Absence::Reload,
                () = &mut time => return Absence::Reload,
                () = &mut self.stop => return Absence::Stop,
            }
        }
    }
}

/// The daemon on the bus.
struct Presence {
    connection: Connection,
    name: String,
    /// Of the configuration that it is there by.
    base: String,
    tree: Tree,
    wishes: Wishes,
    /// Changes of state lost when the states were last asked for.
    lost: u64,
}

impl Presence {
    /// The objects are there before the name is.
    async fn join(name: &str, wishes: &Wishes) -> Result<Self, Absence> {
        let observed = wishes.observe().await?;
        let base = path::base(&observed.setup);
        let connection = Builder::system()?.serve_at(path::daemon(&base), Vrrp::new(wishes.clone()))?.build().await?;
        let mut tree = Tree::default();
        tree.grow(&connection, &base, &observed, wishes).await?;
        let flags = RequestNameFlags::DoNotQueue.into();
        connection.request_name_with_flags(name, flags).await.map_err(|error| match error {
            Error::NameTaken => Absence::Failure("another program has that name".to_owned()),
            other => other.into(),
        })?;
        let presence = Self { connection, name: name.to_owned(), base, tree, wishes: wishes.clone(), lost: 0 };
        Vrrp::vrrp_started(&presence.daemon()?).await?;
        Ok(presence)
    }

    /// Tells what happens.
    async fn stay<S: Future<Output = ()>>(&mut self, news: &mut News<S>) -> Result<Infallible, Absence> {
        loop {
            tokio::select! {
                biased;
                () = self.connection.closed() => return Err(Absence::Failure("the bus is gone".to_owned())),
                Some(notice) = news.notices.recv() => self.tell(&notice).await?,
                Ok(()) = news.setups.changed() => {
                    let setup = Arc::clone(&news.setups.borrow_and_update());
                    if setup.telling.dbus.as_ref().is_none_or(|dbus| dbus.name != self.name) {
                        return Err(Absence::Reload);
                    }
                    self.follow().await?;
                    Vrrp::vrrp_reloaded(&self.daemon()?).await?;
                }
                () = &mut news.stop => return Err(Absence::Stop),
            }
            let lost = news.lost.load(Ordering::Relaxed);
            if lost != self.lost && news.notices.is_empty() {
                self.lost = lost;
                self.follow().await?;
            }
        }
    }

    /// Until the telling thread has ended.
    async fn tell_rest<S>(&mut self, news: &mut News<S>) {
        while let Some(notice) = news.notices.recv().await {
            if self.tell(&notice).await.is_err() {
                return;
            }
        }
    }

    /// Has the objects and their states as the protocol thread has them.
    async fn follow(&mut self) -> Result<(), Absence> {
        let observed = self.wishes.observe().await?;
        self.tree.grow(&self.connection, &self.base, &observed, &self.wishes).await?;
        Ok(())
    }

    async fn tell(&mut self, notice: &Notice) -> Result<(), Absence> {
        let Some((id, state)) = notice.state() else { return Ok(()) };
        let path = path::instance(&self.base, &notice.setup, id);
        self.tree.enters(&path, &notice.setup.instances[id.index()].name, state);
        let emitter = SignalEmitter::new(&self.connection, path)?;
        match timeout(TIME, Instance::vrrp_status_change(&emitter, objects::number(state))).await {
            Ok(told) => Ok(told?),
            Err(_) => Err(Absence::Failure(format!("the bus took nothing for {} s", TIME.as_secs()))),
        }
    }

    fn daemon(&self) -> Result<SignalEmitter<'static>, Error> {
        SignalEmitter::new(&self.connection, path::daemon(&self.base))
    }

    /// Whoever asked for the reload that ends this has his answer first.
    async fn leave(self) -> Result<(), Error> {
        Vrrp::vrrp_stopped(&self.daemon()?).await?;
        self.connection.release_name(self.name.as_str()).await?;
        self.connection.graceful_shutdown().await;
        Ok(())
    }
}
