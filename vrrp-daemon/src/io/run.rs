//! The daemon's life: its threads start in the order in which they need each other, and end in the reverse.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::SystemTime;

use anyhow::Context;
use tokio::sync::mpsc;

use super::appointment::keep::Due;
use super::bfd;
use super::bracket;
use super::control::{self, Socket};
use super::driver::{self, Driver, Message};
use super::dump::Kind;
use super::errands::{self, Errands};
use super::exit::Exit;
use super::fifo::Fifo;
use super::firewall;
use super::guard::Guard;
use super::hands::Hands;
use super::identity::Places;
use super::needed;
use super::netlink::links::Link;
use super::netlink::{self, Command, Found, Netlink, uppers};
use super::next::{self, Wanted};
use super::onward;
use super::pidfile::PidFile;
use super::ports::{self, Ports};
use super::privilege::{self, Urgency};
use super::reload::Reloads;
use super::service::Starter;
use super::signals::{Asked, EndsDaemon, Signals};
use super::status::Process;
use super::telling::{self, Fifos, Losses, Teller, Telling, Told};
use super::xdp::{Sizes, Xdp};
use crate::config::setup::{Setup, UpperKind, XdpMode};
use crate::track::report::Report;

/// Why the daemon did not run, or no longer does.
#[derive(Debug)]
pub enum Failure {
    /// Something is broken.
    Fatal(anyhow::Error),
    /// The configuration does not fit this host.
    Configuration(String),
    /// A capability is missing.
    Permission(String),
}

impl Failure {
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Fatal(_) => Exit::Fatal,
            Self::Configuration(_) => Exit::Configuration,
            Self::Permission(_) => Exit::Permission,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fatal(error) => write!(f, "{error:#}"),
            Self::Configuration(text) | Self::Permission(text) => f.write_str(text),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Fatal(error.into())
    }
}

/// Runs until one of the signals says otherwise; says to the starter that it is up.
pub fn run(
    mut setup: Setup,
    mut guard: Guard,
    places: &Places,
    mut signals: Signals,
    starter: &mut Starter,
) -> Result<(), Failure> {
    if setup.instances.is_empty() {
        let text = "the configuration has no virtual router that could run; `vrrpd -t` says why";
        return Err(Failure::Configuration(text.into()));
    }
    privilege::check().map_err(Failure::Permission)?;
    // From here to the first command nothing on the host changes but the run directory: another daemon may be serving.
    let socket = Socket::bind(&places.run_dir)?;
    let _pid_files = pid_files(places)?;
    if let Some(bracket) = &setup.service.startup {
        bracket::run(bracket, "startup_script");
    }
    errands::disable_unusable(&mut setup);
    guard.outnumber(privilege::allow_files(setup.interfaces.len()));
    let shutdown = setup.service.shutdown.clone();
    let setup = Arc::new(setup);
    let (inbox, messages) = mpsc::channel(driver::INBOX);
    let reports = inbox.clone();
    let report = async move |report| drop(reports.send(Message::Network(report)).await);
    let mut urgency = Urgency::of(&setup);
    urgency.prepare();
    let (network, found) = netlink::start(Arc::clone(&setup), guard, urgency, report)?;
    needed::check(&setup, |id| found.links[id.index()].is_some()).map_err(Failure::Configuration)?;
    check_uppers(&setup, &found.links)?;
    firewall::check(&setup).map_err(|error| Failure::Configuration(format!("{error:#}")))?;

    network.commands.send(Command::Tidy)?;
    let fifos = Fifo::open_all(&setup.telling.fifos, &[]);
    let open = fifos.iter().map(Arc::downgrade).collect();
    let (telling, mut teller, errands) = start_slow(&setup, places, socket, fifos, &inbox)?;
    let sessions = bfd::start(if places.no_bfd { Vec::new() } else { bfd::peers(&setup) }, urgency)?;
    let tell = move |told| teller.tell(told);
    let (reloads, wanted) = std::sync::mpsc::sync_channel(next::WAITING);
    let mine = (messages, reloads.clone());
    let (protocol, room) = start_protocol(&setup, urgency, found, &network, mine, tell)?;
    let preparation = Reloads {
        current: setup,
        places: places.clone(),
        urgency,
        room,
        fifos: open,
        protocol: inbox.clone(),
        errands: errands.errands(),
        sessions: sessions.changes(),
    };
    // It waits for the others, and nobody for it: it ends with the process.
    std::thread::Builder::new().name("reload".into()).spawn(move || preparation.run(&wanted))?;
    tracing::info!("Startup complete");
    starter.is_up();
    wait_for_signals(&mut signals, &inbox, &errands, &reloads);
    Starter::is_stopping();
    let outcome = join(protocol);
    telling.stop();
    sessions.stop();
    errands.stop();
    let Netlink { commands, thread } = network;
    drop(commands);
    thread.join().map_err(|_| anyhow::anyhow!("the netlink thread died"))?;
    if let Some(bracket) = &shutdown {
        bracket::run(bracket, "shutdown_script");
    }
    tracing::info!("Stopped");
    Ok(outcome?)
}

/// Two may be the same.
fn pid_files(places: &Places) -> anyhow::Result<Vec<PidFile>> {
    let paths: BTreeSet<_> = places.pid_files.iter().collect();
    let make = |path: &&PathBuf| -> anyhow::Result<PidFile> {
        if let Some(directory) = path.parent() {
            control::make_directory(directory).with_context(|| directory.display().to_string())?;
        }
        Ok(PidFile::create(path)?)
    };
    paths.iter().map(make).collect()
}

/// Starts the threads that tell of what happens and run what may take its time.
fn start_slow(
    setup: &Arc<Setup>,
    places: &Places,
    socket: Socket,
    fifos: Fifos,
    inbox: &mpsc::Sender<Message>,
) -> Result<(Telling, Teller, Errands), Failure> {
    let losses = Losses::default();
    let (onward, arriving) = onward::queues();
    let (telling, teller) = telling::start(Arc::clone(setup), fifos, onward, &losses)?;
    let process = Process {
        version: env!("CARGO_PKG_VERSION"),
        started_at: SystemTime::now(),
        config: places.config.clone(),
        log: places.log.clone(),
        losses,
        reload_due: Due::default(),
    };
    let reports = inbox.clone();
    let report = async move |(edition, id, reading): Report| {
        drop(reports.send(Message::Found { edition, id, reading }).await);
    };
    let withheld = teller.withheld();
    let errands = errands::start(Arc::clone(setup), socket, process, withheld, arriving, inbox.clone(), report)?;
    Ok((telling, teller, errands))
}

/// The names of the interfaces that will be made are free, or are those of ours that a dead daemon left.
fn check_uppers(setup: &Setup, links: &[Option<Link>]) -> Result<(), Failure> {
    for upper in &setup.uppers {
        let (name, parent) = (&setup.interfaces[upper.interface.index()], &setup.interfaces[upper.parent.index()]);
        if links[upper.interface.index()].is_none_or(|link| uppers::is_kin(upper, &link, links[upper.parent.index()])) {
            continue;
        }
        let (what, keyword) = match upper.kind {
            UpperKind::Vmac(mac) => {
                let mac = mac.map(|octet| format!("{octet:02x}")).join(":");
                (
                    format!(
                        "virtual MAC interface of this configuration (a macvlan on {parent} with the address {mac})"
                    ),
                    "use_vmac",
                )
            }
            UpperKind::Ipvlan(..) => (format!("ipvlan of mode L2 on {parent}"), "use_ipvlan"),
        };
        return Err(Failure::Configuration(format!(
            "interface {name} exists, and is no {what}; remove it (`ip link del {name}`) or choose another name \
             (`{keyword} NAME`)"
        )));
    }
    Ok(())
}

/// The program, or in one line why there is none.
fn load_xdp(setup: &Setup) -> Result<Xdp, String> {
    if setup.daemon.xdp.mode == XdpMode::Off {
        return Err("xdp_mode is off".into());
    }
    Xdp::load(ports::sizes(setup)).map_err(|error| format!("{error:#}"))
}

type Protocol = JoinHandle<anyhow::Result<()>>;

/// Starts the protocol thread with what is known of the interfaces. Beside it: the room in the program's tables, if there is
/// one.
fn start_protocol(
    setup: &Arc<Setup>,
    urgency: Urgency,
    found: Found,
    network: &Netlink,
    (messages, reloads): (mpsc::Receiver<Message>, SyncSender<Wanted>),
    tell: impl FnMut(Told) + Send + 'static,
) -> Result<(Protocol, Option<Sizes>), Failure> {
    let (shared, commands) = (Arc::clone(setup), network.commands.clone());
    let (load, loaded) = std::sync::mpsc::sync_channel(1);
    let (ready, started) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("protocol".into()).spawn(move || {
        let setup = shared;
        let result = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(Failure::from);
        let outcome = result.and_then(|runtime| {
            let _inside = runtime.enter();
            let hands = Hands::new(Arc::clone(&setup), commands, tell)?;
            let ports = Ports::new(Arc::clone(&setup))?;
            let mut driver = Driver::new(Arc::clone(&setup), ports, hands, messages, reloads)?;
            // The sockets hear, and backups wait, while the program is still being loaded.
            driver.begin(found);
            driver.load(loaded.recv().context("the main thread died")?)?;
            if let Some((interface, why)) = driver.without_xdp() {
                demand(&setup, &format!("{interface}: {why}"))?;
            }
            Ok((runtime, driver))
        });
        match outcome {
            Ok((runtime, driver)) => {
                let _ = ready.send(Ok(()));
                // After a reload nobody needs it.
                drop(setup);
                urgency.apply(0);
                let _ends = EndsDaemon;
                runtime.block_on(driver.run())
            }
            Err(failure) => {
                let _ = ready.send(Err(failure));
                Ok(())
            }
        }
    })?;
    let xdp = load_xdp(setup);
    if let Err(why) = &xdp {
        tracing::info!("no XDP program: {why}; adverts are judged on raw sockets");
        demand(setup, why)?;
    }
    urgency.shrink();
    let room = xdp.is_ok().then(|| ports::sizes(setup));
    // If nobody takes it, the thread has said why.
    let _ = load.send(xdp);
    started.recv().context("the protocol thread died")??;
    Ok((thread, room))
}

/// A mode that was asked for by name is had, or the daemon does not start.
fn demand(setup: &Setup, why: &str) -> Result<(), Failure> {
    match setup.daemon.xdp.mode {
        XdpMode::Auto | XdpMode::Off => Ok(()),
        XdpMode::Native | XdpMode::Generic => {
            Err(Failure::Fatal(anyhow::anyhow!("{why}; with `xdp_mode auto` the daemon runs without")))
        }
    }
}

fn wait_for_signals(
    signals: &mut Signals,
    inbox: &mpsc::Sender<Message>,
    errands: &Errands,
    reloads: &SyncSender<Wanted>,
) {
    loop {
        match signals.wait() {
            // Where so many wait, this one is served with them.
            Asked::Reload => drop(reloads.try_send(None)),
            Asked::Data => errands.dump(Kind::Data),
            Asked::Stats => errands.dump(Kind::Stats),
            Asked::StatsClear => errands.dump(Kind::StatsClear),
            Asked::Json => errands.dump(Kind::Json),
            Asked::Stop => {
                // Gone, if it is the protocol thread that ended.
                let _ = inbox.blocking_send(Message::Stop);
                return;
            }
        }
    }
}

fn join(protocol: Protocol) -> anyhow::Result<()> {
    protocol.join().map_err(|_| anyhow::anyhow!("the protocol thread died"))?
}
