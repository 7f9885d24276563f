//! `notify_fifo`: a named pipe that each change is written to, a line each, as keepalived writes them.
//!
//! It is open for reading, too, as keepalived's is: who comes later finds the last 64 KiB, and nobody gets SIGPIPE.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::config::setup;

/// Readable and writable for its owner, which is 0644 less keepalived's umask of 0177.
const MODE: u32 = 0o600;

/// An open FIFO; dropped, it is removed if it was made here and is still the same.
#[derive(Debug)]
pub struct Fifo {
    file: File,
    path: PathBuf,
    /// It was not there before.
    made: bool,
}

impl Fifo {
    /// Makes it, or takes the one that is there. A link, or anything else in its place, is refused and left alone.
    pub fn open(setup: &setup::Fifo) -> io::Result<Self> {
        let path = PathBuf::from(&setup.path);
        let made = match mkfifo(&path, Mode::from_bits_truncate(MODE)) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            Err(error) => return Err(error.into()),
        };
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
        // Looked at first: to open a device may be a deed.
        let is_fifo = fs::symlink_metadata(&path)?.file_type().is_fifo();
        let file = is_fifo.then(|| OpenOptions::new().read(true).write(true).custom_flags(flags).open(&path));
        let file = file.transpose()?.filter(|file| file.metadata().is_ok_and(|there| there.file_type().is_fifo()));
        let Some(file) = file else { return Err(io::Error::other("there is something else in its place")) };
        let fifo = Self { file, path, made };
        fifo.file.set_permissions(Permissions::from_mode(MODE))?;
        fifo.give_to(setup)?;
        Ok(fifo)
    }

    /// Those of a configuration that can be had; those that were there `before` go on. Without one the daemon goes on, as
    /// keepalived does.
    pub fn open_all(fifos: &[setup::Fifo], before: &[Weak<Self>]) -> Arc<[Arc<Self>]> {
        let open = |wanted: &setup::Fifo| {
            let path = Path::new(&wanted.path);
            let known = before.iter().filter_map(Weak::upgrade).find(|fifo| fifo.path == path && fifo.is_same(path));
            let opened = match known {
                Some(fifo) => fifo.give_to(wanted).map(|()| fifo),
                None => Self::open(wanted).map(Arc::new),
            };
            let why = opened.as_ref().err().map(ToString::to_string);
            if let Some(why) = why {
                tracing::warn!(
                    "nothing is written to the FIFO {}: {why}; remove what is there, or name another",
                    wanted.path
                );
            }
            opened.ok()
        };
        fifos.iter().filter_map(open).collect()
    }

    fn give_to(&self, setup: &setup::Fifo) -> io::Result<()> {
        fchown(&self.file, Some(setup.owner.uid), Some(setup.owner.gid))
    }

    /// Writes a line, unless the pipe is full; whether it was written.
    pub fn write(&self, line: &str) -> bool {
        (&self.file).write_all(line.as_bytes()).is_ok()
    }

    fn is_same(&self, path: &Path) -> bool {
        let (there, ours) = (fs::symlink_metadata(path), self.file.metadata());
        there.is_ok_and(|there| ours.is_ok_and(|ours| (there.dev(), there.ino()) == (ours.dev(), ours.ino())))
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        if self.made && self.is_same(&self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::testing::{Dir, ourselves};

    fn setup(dir: &Dir) -> setup::Fifo {
        setup::Fifo { of_vrrp: true, path: dir.join("fifo").display().to_string(), owner: ourselves(), script: None }
    }

    #[test]
    fn is_made_for_its_owner_alone_and_removed() {
        let dir = Dir::new();
        let fifo = Fifo::open(&setup(&dir)).unwrap();
        let there = fs::symlink_metadata(dir.join("fifo")).unwrap();
        assert!(there.file_type().is_fifo() && there.mode() & 0o7777 == 0o600, "{:o}", there.mode());
        drop(fifo);
        assert!(!dir.join("fifo").exists());
    }

    #[test]
    fn one_that_was_there_stays() {
        let dir = Dir::new();
        mkfifo(&dir.join("fifo"), Mode::from_bits_truncate(0o666)).unwrap();
        drop(Fifo::open(&setup(&dir)).unwrap());
        assert_eq!(fs::symlink_metadata(dir.join("fifo")).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn one_that_stays_goes_on_and_one_that_is_gone_is_removed() {
        let dir = Dir::new();
        let (stays, goes) = (setup(&dir), setup::Fifo { path: dir.join("other").display().to_string(), ..setup(&dir) });
        let open = Fifo::open_all(&[stays.clone(), goes.clone()], &[]);
        let weak: Vec<_> = open.iter().map(Arc::downgrade).collect();
        assert!(open[0].write("kept\n") && dir.join("other").exists());
        let later = Fifo::open_all(std::slice::from_ref(&stays), &weak);
        drop(open);
        assert!(Arc::ptr_eq(&later[0], &weak[0].upgrade().unwrap()) && !dir.join("other").exists());
        let mut octets = [0; 5];
        File::open(dir.join("fifo")).unwrap().read_exact(&mut octets).unwrap();
        assert_eq!(&octets, b"kept\n");
        // Removed by somebody meanwhile: another one is made.
        fs::remove_file(dir.join("fifo")).unwrap();
        let weak: Vec<_> = later.iter().map(Arc::downgrade).collect();
        let anew = Fifo::open_all(&[stays], &weak);
        drop(later);
        assert!(dir.join("fifo").exists() && anew.len() == 1);
    }

    #[test]
    fn nothing_else_is_written_to_or_removed() {
        let dir = Dir::new();
        fs::write(dir.join("file"), "kept").unwrap();
        symlink(dir.join("file"), dir.join("fifo")).unwrap();
        assert!(Fifo::open(&setup(&dir)).is_err());
        fs::remove_file(dir.join("fifo")).unwrap();
        fs::write(dir.join("fifo"), "kept").unwrap();
        assert!(Fifo::open(&setup(&dir)).is_err());
        assert_eq!((dir.read("file"), dir.read("fifo")), ("kept".into(), "kept".into()));
    }

    #[test]
    fn a_full_one_refuses_and_waits_for_nobody() {
        let dir = Dir::new();
        let fifo = Fifo::open(&setup(&dir)).unwrap();
        let line = "x".repeat(99) + "\n";
        let written = (0..1000).filter(|_| fifo.write(&line)).count();
        assert!((600..=656).contains(&written), "a pipe holds 64 KiB: {written}");
        let mut reader = File::open(dir.join("fifo")).unwrap();
        let mut octets = [0; 4096];
        reader.read_exact(&mut octets).unwrap();
        reader.read_exact(&mut octets).unwrap();
        assert!(fifo.write(&line));
    }
}
