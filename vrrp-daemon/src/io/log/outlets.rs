//! Where log lines go: the console, a file, the system's log. All of it is the log thread's.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Stderr, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, ensure};

use super::line::{Line, Part};

/// Where the system's log listens.
const SYSTEM_LOG: &str = "/dev/log";

/// Where lines are to go.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// stderr.
    pub console: bool,
    /// The system's log; syslog(3)'s number of the facility.
    pub facility: Option<u8>,
    pub file: Option<PathBuf>,
}

/// A writer of lines in the form of [`Line`], each handed over by one call.
pub struct Outlets {
    console: Option<Console>,
    file: Option<BufWriter<File>>,
    system: Option<SystemLog>,
}

struct Console {
    stderr: BufWriter<Stderr>,
    /// systemd reads it.
    is_journal: bool,
}

impl Outlets {
    /// Where there is no system's log, lines for it go to the console. `suffix` follows the names in the system's log, once
    /// it is known.
    pub fn open(wanted: &Wanted, suffix: Arc<OnceLock<String>>) -> anyhow::Result<Self> {
        let system = wanted.facility.map(|facility| SystemLog { facility, suffix, socket: connect().ok() });
        let is_deaf = system.as_ref().is_some_and(|system| system.socket.is_none());
        let console = wanted.console || is_deaf && wanted.file.is_none();
        let stderr = || BufWriter::new(io::stderr());
        Ok(Self {
            console: console.then(|| Console { stderr: stderr(), is_journal: stderr_is_journal() }),
            file: wanted.file.as_deref().map(open).transpose()?.map(BufWriter::new),
            system,
        })
    }

    pub fn has_console(&self) -> bool {
        self.console.is_some()
    }
}

impl Write for Outlets {
    /// What one of them does not take is lost there, and not held back from the others.
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let Some(line) = Line::parse(text) else { return Ok(text.len()) };
        if let Some(Console { stderr, is_journal }) = &mut self.console {
            let _ = if *is_journal { line.for_journal(stderr) } else { line.for_people(stderr) };
        }
        if let Some(file) = &mut self.file {
            let _ = line.for_people(file);
        }
        if let Some(system) = &mut self.system {
            system.send(&line);
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.console.as_mut().map(|console| console.stderr.flush());
        let _ = self.file.as_mut().map(Write::flush);
        Ok(())
    }
}

/// The system's log, connected anew when it was.
struct SystemLog {
    facility: u8,
    suffix: Arc<OnceLock<String>>,
    socket: Option<UnixDatagram>,
}

impl SystemLog {
    /// Without a time: the receiver knows it, and the zone that it writes times in.
    fn send(&mut self, line: &Line) {
        let priority = self.facility * 8 + line.severity;
        let suffix = self.suffix.get().map_or("", String::as_str);
        let name = match line.part {
            Part::Daemon => "Keepalived",
            Part::Vrrp => "Keepalived_vrrp",
            Part::Bfd => "Keepalived_bfd",
        };
        let datagram = format!("<{priority}>{name}{suffix}[{}]: {}", std::process::id(), line.message);
        for _ in 0..2 {
            let sent = self.socket.as_ref().map(|socket| socket.send(datagram.as_bytes()));
            match sent {
                Some(Ok(_)) => return,
                // It started anew, or was never there; once a line is often enough to look.
                _ => self.socket = connect().ok(),
            }
        }
    }
}

fn connect() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(SYSTEM_LOG)?;
    Ok(socket)
}

/// A log file, appended to: never through a link, never one that others could have prepared to be read.
fn open(path: &Path) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.append(true).create(true).mode(0o640).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(path).with_context(|| format!("log file {}", path.display()))?;
    let found = file.metadata()?;
    let is_ours = found.is_file() && found.uid() == nix::unistd::geteuid().as_raw() && found.nlink() == 1;
    ensure!(is_ours, "log file {} is somebody else's - remove it, or choose another with -g", path.display());
    Ok(file)
}

/// Whether systemd reads our stderr, which then needs no time of ours. JOURNAL_STREAM alone does not tell: it is inherited
/// by whoever redirects us.
fn stderr_is_journal() -> bool {
    let stream = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    std::fs::metadata("/proc/self/fd/2").is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Dir;

    #[test]
    fn a_log_file_is_appended_to_and_never_a_link() {
        let dir = Dir::new();
        let path = dir.join("keepalived.log");
        for _ in 0..2 {
            let wanted = Wanted { file: Some(path.clone()), ..Wanted::default() };
            let mut outlets = Outlets::open(&wanted, Arc::default()).unwrap();
            outlets.write_all(b"4v2026-02-03T04:05:06.789Z something\n").unwrap();
            outlets.flush().unwrap();
        }
        assert_eq!(dir.read("keepalived.log"), "2026-02-03T04:05:06.789Z WARN  something\n".repeat(2));
        std::os::unix::fs::symlink(&path, dir.join("link")).unwrap();
        assert!(open(&dir.join("link")).is_err());
        std::fs::hard_link(&path, dir.join("other")).unwrap();
        assert!(open(&dir.join("other")).unwrap_err().to_string().contains("somebody else's"));
    }

    #[test]
    fn the_system_s_log_gets_keepalived_s_names() {
        let (socket, log) = UnixDatagram::pair().unwrap();
        let suffix = Arc::new(OnceLock::from("_blue".to_owned()));
        let mut system = SystemLog { facility: 16, suffix, socket: Some(socket) };
        for text in ["6k- Stopped", "4v- (VI_1) something", "6b- up\n"] {
            system.send(&Line::parse(text.as_bytes()).unwrap());
        }
        let pid = std::process::id();
        for want in [
            format!("<134>Keepalived_blue[{pid}]: Stopped"),
            format!("<132>Keepalived_vrrp_blue[{pid}]: (VI_1) something"),
            format!("<134>Keepalived_bfd_blue[{pid}]: up"),
        ] {
            let mut octets = [0; 100];
            let length = log.recv(&mut octets).unwrap();
            assert_eq!(String::from_utf8_lossy(&octets[..length]), want);
        }
    }
}
