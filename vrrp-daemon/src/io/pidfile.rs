//! The pid file: made without following links, never taken from a daemon that lives, removed only when it is ours.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{fmt, process};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// A daemon whose pid file is honoured besides our own: two of us on one interface would elect two masters.
const RELATIVE: &str = "keepalived";

/// Why a pid file could not be made.
#[derive(Debug)]
pub enum PidFileError {
    /// A daemon that lives holds it; its pid as the file says, and what it is called.
    Busy {
        path: PathBuf,
        pid: String,
        name: String,
    },
    /// There is a link, a directory or a device in its place.
    NotAFile {
        path: PathBuf,
    },
    Io {
        path: PathBuf,
        error: io::Error,
    },
}

impl fmt::Display for PidFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { path, pid, name } => {
                write!(
                    f,
                    "already running: {name}, pid {pid}, holds {} - stop it, or choose another file with -p",
                    path.display()
                )
            }
            Self::NotAFile { path } => {
                write!(
                    f,
                    "{} is not a regular file and is left alone - remove it, or choose another with -p",
                    path.display()
                )
            }
            Self::Io { path, error } => write!(f, "pid file {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for PidFileError {}

/// Our pid file, locked as long as we live; dropped, it is removed.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    /// The lock says that we live even where the number in the file says nothing: after a reboot, in another namespace.
    file: Flock<File>,
}

impl PidFile {
    /// Writes our pid. After the last fork, since both lock and number are the process's.
    pub fn create(path: &Path) -> Result<Self, PidFileError> {
        let failed = |error| PidFileError::Io { path: path.into(), error };
        if let Some(pid) = holder(path)? {
            let name = name(&pid).unwrap_or_else(|| "one that is not seen from here".into());
            return Err(PidFileError::Busy { path: path.into(), pid, name });
        }
        // A new file in the place of the old one: whoever has the old one open, or linked, is not written to.
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let new = path.with_file_name(format!(".{name}.{}", process::id()));
        let _ = fs::remove_file(&new);
        let file = write(&new).and_then(|file| fs::rename(&new, path).map(|()| file)).map_err(|error| {
            let _ = fs::remove_file(&new);
            failed(error)
        })?;
        Ok(Self { path: path.into(), file })
    }

    fn is_ours(&self) -> bool {
        let there = fs::symlink_metadata(&self.path);
        let ours = self.file.metadata();
        there.is_ok_and(|there| ours.is_ok_and(|ours| (there.dev(), there.ino()) == (ours.dev(), ours.ino())))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if self.is_ours() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn write(path: &Path) -> io::Result<Flock<File>> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o644).custom_flags(libc::O_NOFOLLOW).open(path)?;
    // Whatever the umask is: others read it, nobody else writes it (CVE-2011-1784).
    file.set_permissions(fs::Permissions::from_mode(0o644))?;
    let mut file = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| error)?;
    writeln!(file, "{}", process::id())?;
    Ok(file)
}

/// The pid in the file, if the daemon it belongs to lives.
fn holder(path: &Path) -> Result<Option<String>, PidFileError> {
    let failed = |error| PidFileError::Io { path: path.into(), error };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
        Ok(there) if !there.is_file() => return Err(PidFileError::NotAFile { path: path.into() }),
        Ok(_) => {}
    }
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let mut text = String::new();
    // Longer than any number; what is not text is not a pid.
    let _ = (&file).take(32).read_to_string(&mut text);
    let pid = text.trim().to_owned();
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Err((_, Errno::EWOULDBLOCK)) => Ok(Some(pid)),
        _ if is_daemon(&pid) => Ok(Some(pid)),
        _ => Ok(None),
    }
}

/// Whether the process is one of ours or a keepalived, which does not lock its file. Any other has got the number since.
fn is_daemon(pid: &str) -> bool {
    let own = process::id().to_string();
    pid != own && name(pid).is_some_and(|theirs| theirs == RELATIVE || Some(theirs) == name(&own))
}

/// What a process is called.
fn name(pid: &str) -> Option<String> {
    let pid = pid.parse::<u32>().ok()?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::testing::Dir;

    #[test]
    fn is_written_and_removed() {
        let dir = Dir::new();
        let path = dir.join("vrrpd.pid");
        let file = PidFile::create(&path).unwrap();
        assert_eq!(dir.read("vrrpd.pid"), format!("{}\n", process::id()));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o644);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_one_is_replaced_a_held_one_is_not() {
        let dir = Dir::new();
        let path = dir.join("vrrpd.pid");
        // Pid 1 lives, but is no daemon of this kind.
        for stale in ["999999999\n", "1\n", "nonsense", ""] {
            fs::write(&path, stale).unwrap();
            drop(PidFile::create(&path).unwrap());
        }
        let held = PidFile::create(&path).unwrap();
        let error = PidFile::create(&path).unwrap_err();
        assert!(matches!(error, PidFileError::Busy { .. }));
        assert_eq!(
            error.to_string(),
            format!(
                "already running: {}, pid {}, holds {} - stop it, or choose another file with -p",
                name(&process::id().to_string()).unwrap(),
                process::id(),
                path.display()
            )
        );
        drop(held);
    }

    #[test]
    fn one_that_became_anothers_is_left() {
        let dir = Dir::new();
        let path = dir.join("vrrpd.pid");
        let file = PidFile::create(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "4711\n").unwrap();
        drop(file);
        assert_eq!(dir.read("vrrpd.pid"), "4711\n");
    }

    #[test]
    fn links_are_refused_and_their_targets_untouched() {
        let dir = Dir::new();
        fs::write(dir.join("shadow"), "secret").unwrap();
        symlink(dir.join("shadow"), dir.join("vrrpd.pid")).unwrap();
        let error = PidFile::create(&dir.join("vrrpd.pid")).unwrap_err();
        assert!(matches!(error, PidFileError::NotAFile { .. }), "{error}");
        assert_eq!(dir.read("shadow"), "secret");

        symlink(dir.join("shadow"), dir.join(&format!(".other.pid.{}", process::id()))).unwrap();
        let _file = PidFile::create(&dir.join("other.pid")).unwrap();
        assert_eq!(dir.read("shadow"), "secret");
    }
}
