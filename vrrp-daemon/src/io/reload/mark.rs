//! `reload_file`: an empty file that is there while a configuration is read, so that nobody need write to that meanwhile.
//!
//! Who made it beforehand sees it emptied when reading begins, and gone when it is over.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Reading begins. What is no regular file of one name is left alone: who can put it there could have us empty anything.
pub fn set(path: Option<&str>) {
    let Some(path) = path else { return };
    if let Err(error) = empty(Path::new(path)) {
        tracing::warn!("reload_file: {path} does not say that the configuration is being read: {error}");
    }
}

fn empty(path: &Path) -> io::Result<()> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(path)?;
    let there = file.metadata()?;
    if !there.is_file() || there.nlink() != 1 {
        return Err(io::Error::other("it is not a regular file of one name - remove it"));
    }
    file.set_len(0)
}

/// Reading is over.
pub fn remove(path: Option<&str>) {
    let Some(path) = path.filter(|path| fs::symlink_metadata(path).is_ok_and(|there| there.is_file())) else { return };
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!("reload_file: {path} cannot be removed: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Dir;

    #[test]
    fn is_there_and_empty_while_a_configuration_is_read() {
        let dir = Dir::new();
        let path = dir.join("mark").display().to_string();
        for before in [None, Some("full")] {
            before.into_iter().for_each(|text| fs::write(&path, text).unwrap());
            set(Some(&path));
            assert_eq!(fs::read(&path).unwrap(), b"");
            remove(Some(&path));
            assert!(!dir.join("mark").exists());
        }
        remove(Some(&path));
    }

    #[test]
    fn nothing_else_is_emptied_or_removed() {
        let dir = Dir::new();
        fs::write(dir.join("file"), "kept").unwrap();
        std::os::unix::fs::symlink(dir.join("file"), dir.join("link")).unwrap();
        fs::hard_link(dir.join("file"), dir.join("name")).unwrap();
        for name in ["link", "name"] {
            assert!(empty(&dir.join(name)).is_err(), "{name}");
        }
        remove(Some(&dir.join("link").display().to_string()));
        remove(Some(&dir.path().display().to_string()));
        assert_eq!((dir.read("file"), dir.join("link").is_symlink()), ("kept".into(), true));
    }
}
