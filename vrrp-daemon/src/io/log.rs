//! Logging that never waits: lines go to a thread that writes them through a bounded queue, and what does not fit is
//! counted.

mod line;
mod outlets;

use std::cell::Cell;
use std::io::Write;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use nix::sys::signal::{SigSet, SigmaskHow};
use tracing::{Level, debug, error, info, warn};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use vrrp_common::drop::Reason;
use vrrp_common::{Instant, Priority};

use super::clock;
use crate::config::Checked;
use crate::config::setup::{self, Setup};
use crate::engine::plan::InstanceId;
use crate::engine::{Announced, event};
use crate::syntax::diagnostic::Severity;
use line::Lines;
use outlets::Outlets;
pub use outlets::Wanted;

/// Lines that may wait for a slow console or file. At a hundred octets each this is under a megabyte.
const QUEUE: usize = 8192;

/// The environment variable with filter directives, such as `debug` or `vrrp_daemon::io=trace`; it overrides `-D`.
pub const LEVEL_VARIABLE: &str = "VRRPD_LOG";

/// Keeps the log flowing; dropped, the waiting lines are written.
#[must_use = "without it nothing is written"]
pub struct Log {
    _writer: WorkerGuard,
    loss: Loss,
    suffix: Arc<OnceLock<String>>,
    has_console: bool,
}

impl Log {
    pub fn loss(&self) -> Loss {
        self.loss.clone()
    }

    /// What follows keepalived's names in the system's log from now on.
    pub fn is_of(&self, suffix: String) {
        let _ = self.suffix.set(suffix);
    }

    /// Whether somebody at the console sees the lines.
    pub fn has_console(&self) -> bool {
        self.has_console
    }
}

/// What our own lines come from: the library and the program.
const OURS: [&str; 2] = ["vrrp_daemon", "vrrpd"];

/// Sets up logging for the process. `detail` counts `-D`: none tells INFO, one DEBUG, two TRACE. Once in a process.
pub fn start(detail: u8, wanted: &Wanted) -> anyhow::Result<Log> {
    let level = match detail {
        0 => Level::INFO,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    let (filter, complaint) = filter(level, std::env::var(LEVEL_VARIABLE).ok().as_deref());
    // The writer's thread takes no signals: one for the process would find it the only thread that does not wait for
    // them, and end the daemon in the middle of its stop.
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let suffix = Arc::default();
    let outlets = Outlets::open(wanted, Arc::clone(&suffix))?;
    let has_console = outlets.has_console();
    // Written when nothing more waits: of thousands of lines at once, many with one call.
    let (writer, log) = queue(outlets, QUEUE);
    before.thread_set_mask()?;
    let log = Log { suffix, has_console, ..log };
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).event_format(Lines).with_writer(writer);
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .map_err(|error| anyhow::anyhow!("logging cannot be set up: {error}"))?;
    if let Some(complaint) = complaint {
        warn!("{LEVEL_VARIABLE} is ignored: {complaint}");
    }
    if has_console && !wanted.console {
        info!("there is no system log; the log goes to stderr");
    }
    Ok(log)
}

/// The filter, and what is wrong with the one asked for.
fn filter(level: Level, wanted: Option<&str>) -> (Targets, Option<String>) {
    // Libraries tell their insides by the page (aya that of the kernel): who wants that names it.
    let by_level = Targets::new().with_default(Level::INFO).with_targets(OURS.map(|target| (target, level)));
    match wanted.filter(|wanted| !wanted.is_empty()).map(Targets::from_str) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (by_level, Some(error.to_string())),
        None => (by_level, None),
    }
}

/// Writing has a thread of its own, which must not take the signals that the main thread waits for: it is older than
/// their being blocked, and SIGTERM would end the process there.
fn queue(to: impl Write + Send + 'static, bound: usize) -> (NonBlocking, Log) {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let (writer, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(bound).thread_name("vrrpd-log").finish(to);
    let _ = before.and_then(|before| before.thread_set_mask());
    let loss = Loss { lost: writer.error_counter(), told: Default::default() };
    (writer, Log { _writer: guard, loss, suffix: Arc::default(), has_console: false })
}

/// How many lines were lost because nobody took them in time.
#[derive(Clone)]
pub struct Loss {
    lost: ErrorCounter,
    told: Arc<AtomicUsize>,
}

impl Loss {
    pub fn lines(&self) -> u64 {
        self.lost.dropped_lines() as u64
    }

    /// Says in the log what was lost since the last time; to be called now and then. The line that says so may be lost as
    /// well, and is then counted and told with the rest.
    pub fn tell(&self) {
        let lost = self.lost.dropped_lines();
        let told = self.told.load(Ordering::Relaxed);
        if lost == told {
            return;
        }
        warn!("{} log lines were lost: they came faster than they could be written", lost - told);
        if self.lost.dropped_lines() == lost {
            self.told.store(lost, Ordering::Relaxed);
        }
    }
}

/// Logs what was found in a configuration, a line each.
pub fn findings(checked: &Checked) {
    for (severity, line) in checked.lines() {
        match severity {
            Severity::Error => error!("{line}"),
            Severity::Warning => warn!("{line}"),
            Severity::Notice => info!("{line}"),
        }
    }
}

thread_local! {
    /// When what is being logged happened, where that was not now.
    static HAPPENED: Cell<Option<SystemTime>> = const { Cell::new(None) };
}

/// Writes lines about something that happened at an instant of not long ago: they bear its time.
pub fn at(instant: Instant, write: impl FnOnce()) {
    HAPPENED.set(Some(SystemTime::UNIX_EPOCH + clock::wall(instant)));
    write();
    HAPPENED.set(None);
}

/// When what is being logged happened.
fn happened_at() -> SystemTime {
    HAPPENED.get().unwrap_or_else(SystemTime::now)
}

/// What happened to an instance, in keepalived's words: `(VI_1) Entering MASTER STATE`.
pub fn event(name: &str, event: &event::Event, effective: Priority) {
    let priority = effective.get();
    match event.level() {
        event::Level::Error => error!(priority, "({name}) {event}"),
        event::Level::Warn => warn!(priority, "({name}) {event}"),
        event::Level::Info => info!(priority, "({name}) {event}"),
    }
}

/// Adverts that are refused for who seems to send them, in keepalived's words.
pub fn refused(instance: &setup::Instance, reason: Reason, adverts: u64) {
    if let Some(words) = instance.authentication.refusal(reason) {
        warn!(adverts, "({}) {words}", instance.name);
    }
}

/// What happens to a sync group, in keepalived's words.
pub fn group(name: &str, event: &event::GroupEvent) {
    info!("VRRP_Group({name}) {event}");
}

/// What becomes of a link, in keepalived's words, and what must pass until that counts.
pub fn link(interface: &str, up: bool, delay: Option<Duration>) {
    let is = if up { "up" } else { "down" };
    match delay {
        None => info!("Netlink reports {interface} {is}"),
        Some(delay) => info!("Netlink reports {interface} {is}, which counts if it lasts {delay:?}"),
    }
}

/// Which addresses are announced, in keepalived's words, which has them, too, with `-D` alone.
pub fn announces(setup: &Setup, id: InstanceId, which: Announced) {
    let instance = &setup.instances[id.index()];
    let all = instance.addresses.iter().zip(0..);
    for (address, _) in all.filter(|(_, number)| which == Announced::All || which == Announced::One(*number)) {
        let interface = &setup.interfaces[address.interface.index()];
        let what = if address.address.is_ipv4() { "gratuitous ARPs" } else { "Unsolicited Neighbour Adverts" };
        debug!("({}) Sending/queueing {what} on {interface} for {}", instance.name, address.address);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines(journal: bool, write: impl FnOnce()) -> String {
        let page = Page::default();
        let copy = page.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .event_format(Lines)
            .with_writer(move || copy.clone())
            .with_max_level(Level::TRACE)
            .finish();
        tracing::subscriber::with_default(subscriber, write);
        let text = page.0.lock().unwrap().clone();
        let mut shown = Vec::new();
        for line in text.split_inclusive(|&octet| octet == b'\n') {
            let line = line::Line::parse(line).unwrap();
            if journal { line.for_journal(&mut shown) } else { line.for_people(&mut shown) }.unwrap();
        }
        String::from_utf8(shown).unwrap()
    }

    /// What operators of keepalived search their logs for, verbatim.
    #[test]
    fn lines_are_keepaliveds() {
        use crate::engine::event::Event::*;
        use crate::engine::event::GroupEvent::Syncs;
        use crate::engine::snapshot::StateName;
        let [theirs, ours] = [90, 110].map(|octet| Priority::new(octet).unwrap());
        let source = "10.0.0.2".parse().unwrap();
        for (event, line) in [
            (BecameMaster, "Entering MASTER STATE"),
            (Started, "Entering BACKUP STATE (init)"),
            (BecameBackup, "Entering BACKUP STATE"),
            (BecameFault, "Entering FAULT STATE"),
            (MasterTimedOut, "Receive advertisement timeout"),
            (InstallsAddresses, "setting VIPs."),
            (ReleasesAddresses, "removing VIPs."),
            (SentPriorityZero, "sent 0 priority"),
            (HeardPriorityZero, "Backup received priority 0 advertisement"),
            (
                MasterHeardLower { source, theirs, ours },
                "Received advert from 10.0.0.2 with lower priority 90, ours 110, forcing new election",
            ),
            (
                MasterHeardHigher { source, theirs: ours, ours: theirs },
                "Master received advert from 10.0.0.2 with higher priority 110, ours 90",
            ),
            (
                MasterHeardEqual { source, theirs },
                "Master received advert from 10.0.0.2 with same priority 90 but higher IP address than ours",
            ),
            (HeardLower { source, theirs }, "received lower priority (90) advert from 10.0.0.2 - discarding"),
            (PriorityChanged { from: theirs, to: ours }, "Changing effective priority from 90 to 110"),
            (HeardTwin, "WARNING - equal priority advert received from remote host with our IP address."),
        ] {
            let text = lines(true, || super::event("VI_1", &event, ours));
            assert_eq!(text.trim_start_matches(['<', '>', '4', '6']), format!("(VI_1) {line} priority=110\n"));
        }
        let text = lines(true, || {
            group("G1", &Syncs(StateName::Master));
            link("eth0", false, None);
            link("eth0", true, Some(Duration::from_millis(1500)));
        });
        let expected = "<6>VRRP_Group(G1) Syncing instances to MASTER state\n<6>Netlink reports eth0 down\n\
            <6>Netlink reports eth0 up, which counts if it lasts 1.5s\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn events_read_as_keepalived_words_them() {
        let text = lines(true, || {
            event("VI_1", &event::Event::BecameMaster, Priority::DEFAULT);
            event("VI_1", &event::Event::AddressFailed { address: 2 }, Priority::DEFAULT);
        });
        assert_eq!(
            text,
            "<6>(VI_1) Entering MASTER STATE priority=100\n\
             <3>(VI_1) virtual address number 2 could not be set priority=100\n"
        );
    }

    #[test]
    fn refusals_read_as_keepalived_words_them() {
        use crate::auth::Authentication::{self, Ah, None, Password};
        let password = crate::auth::key::Password(*b"secret12");
        let line = |authentication: Authentication, reason| {
            let instance = setup::Instance { name: "VI_1".into(), authentication, ..Default::default() };
            lines(true, || refused(&instance, reason, 3))
        };
        for (authentication, reason, text) in [
            (Password(password), Reason::AuthFailure, "received an invalid passwd!"),
            (Password(password), Reason::AuthType, "received another auth, expecting 1!"),
            (Ah(password), Reason::AuthType, "received another auth, expecting 2!"),
            (None, Reason::AuthType, "received another auth, expecting 0!"),
            (
                Ah(password),
                Reason::AuthFailure,
                "IPSEC-AH : invalid IPSEC HMAC-MD5 value. Due to fields mutation or bad password !",
            ),
        ] {
            assert_eq!(line(authentication, reason), format!("<4>(VI_1) {text} adverts=3\n"));
        }
        assert_eq!(line(None, Reason::Checksum), "");
    }

    #[test]
    fn elsewhere_lines_have_the_time() {
        let text = lines(false, || warn!(errno = 5, "something"));
        let (time, rest) = text.split_once(' ').unwrap();
        assert_eq!(rest, "WARN  something errno=5\n");
        assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    }

    #[test]
    fn lines_bear_the_time_of_what_they_tell() {
        let a_minute_ago = Instant::from_nanos(clock::now().as_nanos() - 60_000_000_000);
        let expected = crate::io::utc::rfc3339(SystemTime::UNIX_EPOCH + clock::wall(a_minute_ago));
        let text = lines(false, || {
            at(a_minute_ago, || warn!("then"));
            warn!("now");
        });
        let times: Vec<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(times[0][..20], expected[..20], "{text}");
        assert!(times[1] > times[0], "{text}");
    }

    #[test]
    fn detail_is_ours_alone() {
        let detailed = filter(Level::DEBUG, None).0;
        assert!(detailed.would_enable("vrrp_daemon::io::log", &Level::DEBUG));
        assert!(!detailed.would_enable("aya::bpf", &Level::DEBUG) && detailed.would_enable("aya::bpf", &Level::WARN));
    }

    #[test]
    fn an_unreadable_filter_is_said_and_ignored() {
        assert!(filter(Level::INFO, Some("debug")).1.is_none());
        assert!(filter(Level::INFO, Some("")).1.is_none());
        assert!(filter(Level::INFO, Some("vrrp=nonsense=1")).1.is_some());
    }

    /// Writes nothing until it is let go.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            Ok(text.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_writing_thread_takes_no_signals() {
        let (_writer, _log) = queue(std::io::sink(), 1);
        let start = std::time::Instant::now();
        loop {
            let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
            let read = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap_or_default();
            let mut writers = tasks.map(|task| task.path()).filter(|task| read(task.join("comm")) == "vrrpd-log\n");
            if let Some(writer) = writers.next() {
                let status = read(writer.join("status"));
                let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:\t")).unwrap();
                let term = 1 << (nix::sys::signal::Signal::SIGTERM as u32 - 1);
                assert_ne!(u64::from_str_radix(blocked, 16).unwrap() & term, 0, "{blocked}");
                return assert!(!SigSet::thread_get_mask().unwrap().contains(nix::sys::signal::Signal::SIGTERM));
            }
            assert!(start.elapsed() < Duration::from_secs(10), "there is no thread");
        }
    }

    #[test]
    fn lost_lines_are_counted_and_told_once() {
        let (release, held): (Sender<()>, _) = channel();
        let (mut writer, log) = queue(Stuck(held), 2);
        let start = std::time::Instant::now();
        for _ in 0..10 {
            writer.write_all(b"line\n").unwrap();
        }
        assert!(start.elapsed() < Duration::from_secs(1), "nobody waits");
        let loss = log.loss();
        // Two wait, and the writer may have taken one to hold.
        assert!((7..=8).contains(&loss.lines()), "{}", loss.lines());
        let count = loss.lines();
        let told = lines(true, || (0..2).for_each(|_| loss.tell()));
        assert_eq!(told, format!("<4>{count} log lines were lost: they came faster than they could be written\n"));
        drop(release);
    }
}
