//! The control socket: one JSON line asks, one JSON line answers. Whoever may open it (root) may ask everything.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr};
use nix::sys::stat::{Mode, fchmod};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::status::{Observed, Process, Status};
use crate::track::report::Board;

/// The socket's name in the run directory.
pub const NAME: &str = "control.sock";

/// Where it is unless told otherwise.
pub const RUN_DIR: &str = "/run/vrrpd";

/// Connections served at once; further ones wait in the kernel's queue.
const CONNECTIONS: usize = 8;

/// Time for each of: the request, the daemon's answer, and its delivery.
const TIME: Duration = Duration::from_secs(2);

/// Time for a reload: thousands of virtual routers may be read from a slow disk.
const RELOAD_TIME: Duration = Duration::from_secs(60);

/// Octets of a request line.
const REQUEST_LENGTH: u64 = 4096;

/// Requests that may wait for the protocol thread: no more can be open than there are connections.
pub const REQUESTS: usize = CONNECTIONS;

/// What is asked of the protocol thread. It answers when it comes to it and does not wait: a dropped receiver is nobody
/// listening any more.
#[derive(Debug)]
pub enum Request {
    Status {
        reply: oneshot::Sender<Observed>,
    },
    /// As SIGHUP; what is wrong when it could not be done.
    Reload {
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// As SIGTERM; answered before stopping.
    Stop {
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// The addresses of the virtual router of this name are announced, if it is master; not answered.
    Announce {
        name: String,
    },
}

/// A request as it is written: `{"do":"status"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub enum Ask {
    Status,
    Reload,
    Stop,
}

impl Ask {
    /// How long the daemon may take for it.
    pub const fn time(self) -> Duration {
        match self {
            Self::Status | Self::Stop => TIME,
            Self::Reload => RELOAD_TIME,
        }
    }
}

/// An answer as it is written: `{"status":{..}}`, `{"done":null}` or `{"error":".."}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    Status(Box<Status>),
    Done(()),
    /// One sentence.
    Error(String),
}

/// Why there is no control socket.
#[derive(Debug)]
pub enum ControlError {
    /// A daemon that lives answers there.
    Busy {
        path: PathBuf,
    },
    /// Something is in the way that could lead elsewhere, or belongs to somebody else.
    Unsafe {
        path: PathBuf,
        what: &'static str,
    },
    Io {
        path: PathBuf,
        error: io::Error,
    },
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { path } => {
                write!(f, "another vrrpd answers at {} - stop it, or give this one another --run-dir", path.display())
            }
            Self::Unsafe { path, what } => {
                write!(f, "{} {what} - remove it, or choose another --run-dir", path.display())
            }
            Self::Io { path, error } => write!(f, "control socket {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for ControlError {}

/// The socket in its place; dropped, it is removed if it is still ours.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of what was bound.
    node: (u64, u64),
}

impl Socket {
    /// Takes the socket of a run directory, which is made when it is missing.
    pub fn bind(run_dir: &Path) -> Result<Self, ControlError> {
        let path = run_dir.join(NAME);
        let failed = |error: io::Error| ControlError::Io { path: path.clone(), error };
        let directory = open_directory(run_dir)?;
        // Who else starts now waits here, and then finds us listening.
        let directory = Flock::lock(directory, FlockArg::LockExclusive).map_err(|(_, error)| failed(error.into()))?;
        // By descriptor: the directory that was looked at is the one that is used, and a long path still fits.
        let here = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", directory.as_raw_fd()));
        if let Some(there) = look(&here).map_err(failed)? {
            if !there.file_type().is_socket() {
                return Err(ControlError::Unsafe { path, what: "is not a socket and is left alone" });
            }
            match UnixStream::connect(&here) {
                Ok(_) => return Err(ControlError::Busy { path }),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(failed(error)),
            }
            fs::remove_file(&here).map_err(failed)?;
        }
        let listener = listen(&here).map_err(failed)?;
        let bound = fs::symlink_metadata(&here).map_err(failed)?;
        Ok(Self { listener, path, node: node(&bound) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|there| node(&there) == self.node) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens the run directory, made if missing, unless it is a link or others could put things into it.
fn open_directory(path: &Path) -> Result<File, ControlError> {
    let failed = |error| ControlError::Io { path: path.into(), error };
    make_directory(path).map_err(failed)?;
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let directory =
        OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOTDIR | libc::ELOOP) => ControlError::Unsafe { path: path.into(), what: "is not a directory" },
            _ => failed(error),
        })?;
    let there = directory.metadata().map_err(failed)?;
    let ourselves = nix::unistd::geteuid().as_raw();
    if there.mode() & 0o022 != 0 || ![0, ourselves].contains(&there.uid()) {
        return Err(ControlError::Unsafe { path: path.into(), what: "can be written by others" });
    }
    Ok(directory)
}

/// Makes a directory that others may look into, if it is missing, and those above it; whatever the umask is.
pub fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    path.parent().map_or(Ok(()), make_directory)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(0o755)),
    }
}

fn look(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(there) => Ok(Some(there)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn node(there: &Metadata) -> (u64, u64) {
    (there.dev(), there.ino())
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd: OwnedFd = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    // Before bind(), which gives the file this mode: it is never more open than that, whatever the umask.
    fchmod(&fd, Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket::bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    socket::listen(&fd, Backlog::new(CONNECTIONS as i32)?)?;
    Ok(fd.into())
}

/// Serves the socket until dropped. On a `LocalSet`.
pub async fn serve(
    socket: &Socket,
    process: Rc<Process>,
    board: Board,
    requests: mpsc::Sender<impl From<Request> + 'static>,
) {
    let listener = match socket.listener.try_clone().and_then(tokio::net::UnixListener::from_std) {
        Ok(listener) => listener,
        Err(error) => return warn!(%error, "the control socket cannot be served"),
    };
    let places = std::sync::Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (process, board, requests) = (process.clone(), board.clone(), requests.clone());
                tokio::task::spawn_local(async move {
                    if let Err(error) = converse(stream, &process, &board, &requests).await {
                        debug!(%error, "a control connection failed");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "a control connection could not be accepted");
                tokio::time::sleep(TIME).await;
            }
        }
    }
}

/// One connection: a line in, a line out.
async fn converse(
    stream: tokio::net::UnixStream,
    process: &Process,
    board: &Board,
    requests: &mpsc::Sender<impl From<Request>>,
) -> io::Result<()> {
    let (from, mut to) = stream.into_split();
    let mut line = Vec::new();
    let mut from = BufReader::new(from.take(REQUEST_LENGTH));
    let answer = match timeout(TIME, from.read_until(b'\n', &mut line)).await {
        Err(_) => Answer::Error(format!("no request within {} s", TIME.as_secs())),
        Ok(Err(error)) => return Err(error),
        Ok(Ok(0)) => return Ok(()),
        Ok(Ok(_)) if line.last() != Some(&b'\n') && line.len() as u64 == REQUEST_LENGTH => {
            Answer::Error(format!("the request is longer than {REQUEST_LENGTH} octets"))
        }
        Ok(Ok(_)) => match serde_json::from_slice(&line) {
            Ok(ask) => match timeout(Ask::time(ask), answer(ask, process, board, requests)).await {
                Ok(answer) => answer,
                Err(_) => Answer::Error(format!("no answer within {} s", ask.time().as_secs())),
            },
            Err(error) => Answer::Error(format!("not a request: {error}")),
        },
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    timeout(TIME, async {
        to.write_all(&text).await?;
        to.shutdown().await
    })
    .await?
}

async fn answer(ask: Ask, process: &Process, board: &Board, requests: &mpsc::Sender<impl From<Request>>) -> Answer {
    match ask {
        Ask::Status => match put(requests, |reply| Request::Status { reply }).await {
            Some(observed) => {
                Answer::Status(Box::new(Status::new(process, &observed, &board.borrow(), SystemTime::now())))
            }
            None => leaving(),
        },
        Ask::Reload => put(requests, |reply| Request::Reload { reply }).await.map_or_else(leaving, done),
        Ask::Stop => put(requests, |reply| Request::Stop { reply }).await.map_or_else(leaving, done),
    }
}

/// Puts a request to the protocol thread; `None` when it answers no more.
async fn put<T>(
    requests: &mpsc::Sender<impl From<Request>>,
    with: impl FnOnce(oneshot::Sender<T>) -> Request,
) -> Option<T> {
    let (reply, replied) = oneshot::channel();
    requests.send(with(reply).into()).await.ok()?;
    replied.await.ok()
}

fn done(result: Result<(), String>) -> Answer {
    match result {
        Ok(()) => Answer::Done(()),
        Err(why) => Answer::Error(why),
    }
}

fn leaving() -> Answer {
    Answer::Error("the daemon is stopping".into())
}

#[cfg(test)]
mod tests;
