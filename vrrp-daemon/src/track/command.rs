//! A configured command line, and whether it could be run at all.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fmt, io};

/// A command line, and who runs it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Command {
    /// Program and arguments; the program as configured, looked up in PATH when it has no slash.
    pub argv: Vec<String>,
    pub run_as: RunAs,
    /// Supplementary groups, by number; none for most.
    pub groups: Vec<u32>,
}

/// User and group ids of a script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RunAs {
    pub uid: u32,
    pub gid: u32,
}

/// What a configuration makes of a command.
pub enum Standing {
    Usable(Command),
    /// Not there, not executable, or not safe; reported.
    Unusable,
    /// Nobody to run it; reported.
    Nobody,
}

/// Where a program without a slash is looked for when the environment has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a command could not be run if it were started now.
#[derive(Debug)]
pub enum Unusable {
    /// Its words are none.
    Empty,
    /// No directory of PATH has it.
    NotInPath {
        program: String,
    },
    /// There is nothing at its path, or nothing that can be looked at.
    Inaccessible {
        path: PathBuf,
        error: io::Error,
    },
    /// A directory, a device: nothing to run.
    NotAFile {
        path: PathBuf,
    },
    NotExecutable {
        path: PathBuf,
        run_as: RunAs,
    },
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "the command is empty - name a program"),
            Self::NotInPath { program } => write!(f, "{program} is not in PATH - give its full path"),
            Self::Inaccessible { path, error } => {
                write!(f, "{} cannot be accessed: {error} - install it or correct the path", path.display())
            }
            Self::NotAFile { path } => write!(f, "{} is not a file - name the program itself", path.display()),
            Self::NotExecutable { path, run_as: RunAs { uid, gid } } => {
                let path = path.display();
                write!(f, "{path} may not be executed by uid {uid} gid {gid} - chmod +x it, or set script_user")
            }
        }
    }
}

impl Command {
    /// Where the program is.
    pub fn program(&self) -> Result<PathBuf, Unusable> {
        let program = self.argv.first().filter(|program| !program.is_empty()).ok_or(Unusable::Empty)?;
        if program.contains('/') {
            return Ok(PathBuf::from(program));
        }
        let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
        look_up(program, &path).ok_or_else(|| Unusable::NotInPath { program: program.clone() })
    }

    /// Looks whether the command could be run, as keepalived does when it reads its configuration.
    ///
    /// The answer is about now and about this file alone: a directory above it that its user may not enter shows when it
    /// is run.
    pub fn inspect(&self) -> Result<(), Unusable> {
        let path = self.program()?;
        let found = match path.metadata() {
            Ok(found) => found,
            Err(error) => return Err(Unusable::Inaccessible { path, error }),
        };
        if !found.is_file() {
            return Err(Unusable::NotAFile { path });
        }
        let RunAs { uid, gid } = self.run_as;
        let allowed = match uid {
            0 => 0o111,
            uid if uid == found.uid() => 0o100,
            _ if gid == found.gid() || self.groups.contains(&found.gid()) => 0o010,
            _ => 0o001,
        };
        if found.mode() & allowed == 0 {
            return Err(Unusable::NotExecutable { path, run_as: self.run_as });
        }
        Ok(())
    }
}

fn look_up(program: &str, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path).map(|directory| directory.join(program)).find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspect(program: &str, uid: u32) -> String {
        let command =
            Command { argv: vec![program.into(), "-x".into()], run_as: RunAs { uid, gid: uid }, groups: vec![] };
        command.inspect().map_or_else(|unusable| unusable.to_string(), |()| "usable".into())
    }

    #[test]
    fn says_what_is_wrong_and_what_to_do() {
        assert_eq!(inspect("/bin/true", 65534), "usable");
        assert_eq!(inspect("true", 0), "usable");
        assert_eq!(inspect("", 0), "the command is empty - name a program");
        assert_eq!(inspect("no-such-program-at-all", 0), "no-such-program-at-all is not in PATH - give its full path");
        assert_eq!(
            inspect("/nonexistent/chk", 0),
            "/nonexistent/chk cannot be accessed: No such file or directory (os error 2) - install it or correct the path"
        );
        assert_eq!(inspect("/etc", 0), "/etc is not a file - name the program itself");
        assert_eq!(
            inspect("/etc/passwd", 0),
            "/etc/passwd may not be executed by uid 0 gid 0 - chmod +x it, or set script_user"
        );
    }
}
