//! keepalived's two interfaces on the bus, org.keepalived.Vrrp1.Vrrp and org.keepalived.Vrrp1.Instance.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::oneshot;
use tracing::info;
use zbus::fdo::Error;
use zbus::interface;
use zbus::object_server::SignalEmitter;

use super::Wishes;
use crate::engine::snapshot::StateName;
use crate::io::control::Request;
use crate::io::dump::{By, Kind};

/// keepalived's numbers of states.
pub const fn number(state: StateName) -> u32 {
    match state {
        StateName::Init => 0,
        StateName::Backup => 1,
        StateName::Master => 2,
        StateName::Fault => 3,
        StateName::Stop => 98,
    }
}

const fn name(number: u32) -> &'static str {
    match number {
        0 => "Init",
        1 => "Backup",
        2 => "Master",
        3 => "Fault",
        _ => "Stop",
    }
}

/// The daemon.
pub struct Vrrp {
    wishes: Wishes,
}

impl Vrrp {
    pub fn new(wishes: Wishes) -> Self {
        Self { wishes }
    }

    fn print(&self, kind: Kind) -> Result<(), Error> {
        self.wishes.dumps.try_send((kind, By::Bus)).map_err(|_| busy())
    }
}

fn busy() -> Error {
    Error::LimitsExceeded("too much was asked for before; ask again".to_owned())
}

#[interface(name = "org.keepalived.Vrrp1.Vrrp", introspection_docs = false)]
impl Vrrp {
    /// As SIGUSR1.
    fn print_data(&self) -> Result<(), Error> {
        self.print(Kind::Data)
    }

    /// As SIGUSR2.
    fn print_stats(&self) -> Result<(), Error> {
        self.print(Kind::Stats)
    }

    /// As SIGRTMAX-1.
    fn print_stats_clear(&self) -> Result<(), Error> {
        self.print(Kind::StatsClear)
    }

    /// As SIGHUP; unlike keepalived's it answers when the reload is done, and with what is wrong when there is something.
    async fn reload_config(&self) -> Result<(), Error> {
        info!("Reloading on DBus request");
        let (reply, answer) = oneshot::channel();
        (self.wishes.request)(Request::Reload { reply }).map_err(|_| busy())?;
        match answer.await {
            Ok(outcome) => outcome.map_err(Error::Failed),
            Err(_) => Err(Error::Failed("the daemon is stopping".to_owned())),
        }
    }

    #[zbus(signal)]
    pub async fn vrrp_started(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;

    #[zbus(signal)]
    pub async fn vrrp_reloaded(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;

    #[zbus(signal)]
    pub async fn vrrp_stopped(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;
}

/// What is known of a virtual router, shared by its object and who keeps it up to date.
pub struct Known {
    pub name: String,
    /// Its [`number`].
    pub state: AtomicU32,
}

/// A virtual router.
pub struct Instance {
    known: Arc<Known>,
    wishes: Wishes,
}

impl Instance {
    pub fn new(known: Arc<Known>, wishes: Wishes) -> Self {
        Self { known, wishes }
    }
}

#[interface(name = "org.keepalived.Vrrp1.Instance", introspection_docs = false)]
impl Instance {
    /// One round of announcements, of a master alone.
    fn send_garp(&self) -> Result<(), Error> {
        info!("Sending garps on {} on DBus request", self.known.name);
        (self.wishes.request)(Request::Announce { name: self.known.name.clone() }).map_err(|_| busy())
    }

    /// In a structure of its own, as keepalived has it, whatever it says of itself.
    #[zbus(property(emits_changed_signal = "false"))]
    fn name(&self) -> (String,) {
        (self.known.name.clone(),)
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn state(&self) -> (u32, String) {
        let number = self.known.state.load(Ordering::Relaxed);
        (number, name(number).to_owned())
    }

    #[zbus(signal)]
    pub async fn vrrp_status_change(emitter: &SignalEmitter<'_>, status: u32) -> zbus::Result<()>;
}
