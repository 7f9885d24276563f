//! A file put in the place of another, whole or not at all: links are not followed (CVE-2018-19044), and it is for its owner
//! alone from the beginning (CVE-2018-19045, CVE-2018-19046).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a new file and renames it to `path`. What was there, a link too, is replaced and not written to.
pub fn replace(path: &Path, octets: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?.to_string_lossy();
    let new = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let mut file = match create(&new) {
        // Of a predecessor with our number, or somebody's who wants to be in our way.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&new)?;
            create(&new)?
        }
        other => other?,
    };
    let written = file.write_all(octets).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

/// Never one that is there already, or that a link leads to.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;
    use crate::testing::Dir;

    #[test]
    fn links_are_replaced_and_their_targets_untouched() {
        let dir = Dir::new();
        fs::write(dir.join("shadow"), "secret").unwrap();
        symlink(dir.join("shadow"), dir.join("keepalived.data")).unwrap();
        symlink(dir.join("shadow"), dir.join(&format!(".keepalived.data.{}", std::process::id()))).unwrap();
        replace(&dir.join("keepalived.data"), b"state").unwrap();
        assert_eq!((dir.read("shadow"), dir.read("keepalived.data")), ("secret".into(), "state".into()));
        let there = fs::symlink_metadata(dir.join("keepalived.data")).unwrap();
        assert!(there.is_file() && there.mode() & 0o7777 == 0o600, "{:o}", there.mode());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn what_cannot_be_replaced_stays_and_nothing_else_does() {
        let dir = Dir::new();
        fs::create_dir_all(dir.join("keepalived.data/full")).unwrap();
        assert!(replace(&dir.join("keepalived.data"), b"state").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
