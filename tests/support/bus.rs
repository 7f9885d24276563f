//! A message bus of the laboratory's own, which asks and listens as a user would: by dbus-send and dbus-monitor.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::daemon;
use crate::netns::Namespace;
use crate::{skip, sweep};

/// What everybody may do on a system's bus: listen, and answer. The rest is in the policy of each service.
const RULES: &str = r#"
<type>system</type>
<policy context="default">
  <allow user="*"/>
  <deny own="*"/>
  <deny send_type="method_call"/>
  <allow send_type="signal"/>
  <allow send_requested_reply="true" send_type="method_return"/>
  <allow send_requested_reply="true" send_type="error"/>
  <allow receive_type="method_call"/>
  <allow receive_type="method_return"/>
  <allow receive_type="error"/>
  <allow receive_type="signal"/>
  <allow send_destination="org.freedesktop.DBus"/>
</policy>
"#;

/// The policy that is packaged.
const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/dbus/org.keepalived.Vrrp1.conf");

pub const NAME: &str = "org.keepalived.Vrrp1";

/// A user without rights.
const NOBODY: u32 = 65534;

const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(10);

/// Whether one cannot be had; skips the test then.
pub fn is_missing() -> bool {
    let missing = ["dbus-daemon", "dbus-send", "dbus-monitor"].into_iter().find(|program| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        !std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
    });
    if let Some(program) = missing {
        skip(format!("{program} is not installed"));
    }
    missing.is_some()
}

/// Where the bus of a directory is, or will be.
pub fn address(directory: &Path) -> String {
    format!("unix:path={}", directory.join("bus").display())
}

/// A signal: its path, its name, and the number that it carries.
pub type Signal = (String, String, Option<u32>);

pub struct Bus {
    directory: PathBuf,
    /// The bus, and who writes down its signals.
    processes: [Child; 2],
}

impl Bus {
    /// Starts one, with its files in a directory that exists.
    pub fn start(namespace: &Namespace, directory: &Path) -> Result<Self> {
        let (file, socket) = (directory.join("bus.conf"), directory.join("bus"));
        let address = address(directory);
        let text = format!("<busconfig><listen>{address}</listen>{RULES}<include>{POLICY}</include></busconfig>");
        std::fs::write(&file, text)?;
        let words = ["dbus-daemon".into(), format!("--config-file={}", file.display()), "--nofork".into()];
        let bus = daemon::spawn(namespace, &words, &directory.join("bus.log"))?;
        let start = Instant::now();
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            ensure!(start.elapsed() < PATIENCE, "no bus: {}", std::fs::read_to_string(directory.join("bus.log"))?);
            std::thread::sleep(LOOK);
        }
        let words = ["dbus-monitor".into(), "--address".into(), address, "type='signal'".into()];
        let monitor = daemon::spawn(namespace, &words, &directory.join("signals"))?;
        let bus = Self { directory: directory.to_owned(), processes: [bus, monitor] };
        bus.wait("what the bus tells first", |text, _| text.contains("NameAcquired").then_some(()))?;
        Ok(bus)
    }

    /// Calls a method of the daemon's; what is answered, as dbus-send prints it, without its first line.
    pub fn call(&self, path: &str, method: &str, arguments: &[&str]) -> Result<String> {
        self.call_as(0, path, method, arguments)
    }

    pub fn call_as_nobody(&self, path: &str, method: &str, arguments: &[&str]) -> Result<String> {
        self.call_as(NOBODY, path, method, arguments)
    }

    fn call_as(&self, user: u32, path: &str, method: &str, arguments: &[&str]) -> Result<String> {
        let mut send = std::process::Command::new("dbus-send");
        let address = address(&self.directory);
        send.args([&format!("--bus={address}"), "--print-reply", &format!("--dest={NAME}"), path, method]);
        let output = send.args(arguments).uid(user).output().context("cannot run dbus-send")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let text = String::from_utf8(output.stdout)?;
        Ok(text.split_once('\n').map_or("", |(_, answer)| answer).to_owned())
    }

    /// A property of a virtual router.
    pub fn property(&self, path: &str, name: &str) -> Result<String> {
        let arguments = [format!("string:{NAME}.Instance"), format!("string:{name}")];
        self.call(path, "org.freedesktop.DBus.Properties.Get", &[&arguments[0], &arguments[1]])
    }

    pub fn introspect(&self, path: &str) -> Result<String> {
        self.call(path, "org.freedesktop.DBus.Introspectable.Introspect", &[])
    }

    /// The signals of keepalived's interfaces so far.
    pub fn signals(&self) -> Vec<Signal> {
        signals(&self.text())
    }

    /// Waits until what came so far, as text and as signals, has something.
    pub fn wait<T>(&self, what: &str, mut look: impl FnMut(&str, &[Signal]) -> Option<T>) -> Result<T> {
        let start = Instant::now();
        loop {
            let text = self.text();
            if let Some(found) = look(&text, &signals(&text)) {
                return Ok(found);
            }
            ensure!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}: {:#?}", signals(&text));
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until the last signal of a path carries a number.
    pub fn wait_status(&self, path: &str, status: u32) -> Result<()> {
        self.wait(&format!("status {status} of {path}"), |_, signals| {
            let last = signals.iter().rev().find(|signal| signal.0 == path)?;
            (last.2 == Some(status)).then_some(())
        })
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.directory.join("signals")).unwrap_or_default()
    }
}

/// What dbus-monitor has written down.
fn signals(text: &str) -> Vec<Signal> {
    let mut signals: Vec<Signal> = Vec::new();
    let mut ours = false;
    for line in text.lines() {
        let field = |name: &str| line.split([' ', ';']).find_map(|word| word.strip_prefix(name)).map(str::to_owned);
        if line.starts_with("signal ") {
            ours = field("interface=").is_some_and(|interface| interface.starts_with(NAME));
            if ours && let (Some(path), Some(member)) = (field("path="), field("member=")) {
                signals.push((path, member, None));
            }
        } else if let Some(number) = line.trim().strip_prefix("uint32 ").filter(|_| ours)
            && let Some(signal) = signals.last_mut()
        {
            signal.2 = number.parse().ok();
        }
    }
    signals
}

impl Drop for Bus {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill().and_then(|()| process.wait());
            sweep::process_ended(process.id() as i32);
        }
    }
}
