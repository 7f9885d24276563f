//! The disk and the host as the configuration sees them: [`Source`] and [`Host`] of this machine.

use std::ffi::CString;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use dns_lookup::{AddrInfoHints, getaddrinfo};
use nix::libc;
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use super::namespace;
use crate::config::host::{Host, KeyFile, Program};
use crate::config::setup::RunAs;
use crate::config::{self, Checked};
use crate::syntax::expand::Reading;
use crate::syntax::source::{Kind, Listed, Source};

/// keepalived's configuration, which is ours.
pub const CONFIG: &str = "/etc/keepalived/keepalived.conf";

/// Octets of one file; a configuration of thousands of virtual routers has one or two million.
const FILE_MAX: u64 = 16 << 20;

/// Where programs are when PATH is not set.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the command line says of reading a configuration.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// `--config-id`: what `@id` lines compare with, the host's name by default.
    pub id: Option<String>,
    /// `--all-config`: whatever is included must be there.
    pub all_includes: bool,
}

/// Reads the configuration at `path`.
///
/// It takes many times the memory of what comes of it. So a thread of its own reads, which the allocator gives a heap of
/// its own; who keeps what came of it for long copies it to theirs.
pub fn check(path: &Path, how: &How) -> Checked {
    let read = || {
        let reading = Reading { source: &Disk, id: how.id.as_deref(), all_includes: how.all_includes };
        config::check(&reading, &System, &path.to_string_lossy())
    };
    std::thread::scope(|scope| scope.spawn(read).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The files of this machine.
pub struct Disk;

impl Source for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        // Asked before opening: a FIFO would wait for a writer.
        let found = fs::metadata(path).map_err(|error| error.to_string())?;
        if !found.is_file() {
            return Err("not a regular file".to_owned());
        }
        let mut octets = Vec::new();
        let file = File::open(path).map_err(|error| error.to_string())?;
        file.take(FILE_MAX + 1).read_to_end(&mut octets).map_err(|error| error.to_string())?;
        if octets.len() as u64 > FILE_MAX {
            return Err(format!("larger than {} MiB", FILE_MAX >> 20));
        }
        Ok(octets)
    }

    fn list(&self, directory: &str) -> Vec<Listed> {
        let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
        let listed = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            let kind = match fs::metadata(entry.path()).ok()? {
                found if found.is_dir() => Kind::Directory,
                found if found.is_file() && found.permissions().mode() & 0o111 == 0 => Kind::Text,
                _ => Kind::Other,
            };
            Some(Listed { name, kind })
        };
        entries.flatten().filter_map(listed).collect()
    }

    fn hostname(&self) -> String {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        name.trim().split('.').next().unwrap_or_default().to_owned()
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// This machine's users, interfaces and programs.
pub struct System;

impl Host for System {
    fn full_name(&self) -> String {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        let hints = AddrInfoHints { flags: libc::AI_CANONNAME, ..AddrInfoHints::default() };
        let mut found = getaddrinfo(Some(&name), None, Some(hints)).ok();
        let full = found.as_mut().and_then(Iterator::next).and_then(|first| first.ok()?.canonname);
        full.filter(|full| !full.is_empty()).unwrap_or(name)
    }

    fn user(&self, name: &str) -> Option<RunAs> {
        let found = match name.parse::<u32>() {
            Ok(uid) => User::from_uid(Uid::from_raw(uid)),
            Err(_) => User::from_name(name),
        };
        let user = found.ok().flatten()?;
        Some(RunAs { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
    }

    fn group(&self, name: &str) -> Option<u32> {
        if let Ok(gid) = name.parse() {
            return Some(gid);
        }
        Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw())
    }

    fn supplementary_groups(&self, user: &str, run_as: RunAs) -> Vec<u32> {
        // By number there may be no name, and then no groups.
        let found = match user.parse::<u32>() {
            Ok(uid) => User::from_uid(Uid::from_raw(uid)),
            Err(_) => User::from_name(user),
        };
        let name = found.ok().flatten().and_then(|user| CString::new(user.name).ok());
        let groups = name.and_then(|name| getgrouplist(&name, Gid::from_raw(run_as.gid)).ok());
        groups.unwrap_or_default().into_iter().map(Gid::as_raw).collect()
    }

    fn has_namespace(&self, name: &str) -> bool {
        namespace::exists(name)
    }

    /// The calling thread stays in the namespace: it is there for this reading alone.
    fn has_interface(&self, name: &str, net_namespace: Option<&str>) -> bool {
        net_namespace.is_none_or(|there| namespace::visit(there).is_ok()) && nix::net::if_::if_nametoindex(name).is_ok()
    }

    fn has_cpu(&self, number: u16) -> bool {
        Path::new(&format!("/sys/devices/system/cpu/cpu{number}")).is_dir()
    }

    fn program(&self, program: &str, run_as: RunAs) -> Program {
        let Some((path, found)) = find(program, run_as) else { return Program::default() };
        debug_assert!(found.is_file());
        // A link is as safe as what it points to, and as the directories that it is in.
        let real = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        let parts = path.ancestors().chain(real.ancestors());
        let writable = parts.filter(|part| fs::metadata(part).is_ok_and(|found| others_may_write(&found)));
        // The widest first: it is the one to repair.
        let widest = writable.min_by_key(|part| part.as_os_str().len());
        Program { runnable: true, writable: widest.map(|part| part.display().to_string()) }
    }

    fn key_file(&self, path: &str) -> Result<KeyFile, String> {
        let octets = Disk.read(path)?;
        let exposed = fs::metadata(path).map_err(|error| error.to_string())?.mode() & 0o044 != 0;
        Ok(KeyFile { octets, exposed })
    }
}

/// The program's path and what is there, when the user may run it.
fn find(program: &str, run_as: RunAs) -> Option<(PathBuf, Metadata)> {
    let runnable = |path: PathBuf| {
        let found = fs::metadata(&path).ok()?;
        (found.is_file() && may_run(&found, run_as)).then_some((path, found))
    };
    if program.contains('/') {
        return runnable(PathBuf::from(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .find_map(|directory| runnable(directory.join(program)))
}

fn may_run(found: &Metadata, RunAs { uid, gid }: RunAs) -> bool {
    let bits = match uid {
        0 => 0o111,
        uid if uid == found.uid() => 0o100,
        _ if gid == found.gid() => 0o010,
        _ => 0o001,
    };
    found.mode() & bits != 0
}

/// Whether anybody but root can change what is there.
fn others_may_write(found: &Metadata) -> bool {
    let (mode, uid, gid) = (found.mode(), found.uid(), found.gid());
    uid != 0 || mode & 0o020 != 0 && gid != 0 || mode & 0o002 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: RunAs = RunAs { uid: 0, gid: 0 };

    /// A directory of this test's own.
    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("vrrpd-files-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn programs_are_found_and_judged() {
        assert_eq!(System.program("/nonexistent/x", ROOT), Program::default());
        assert_eq!(System.program("/etc/passwd", ROOT), Program::default());
        assert_eq!(System.program("/etc", ROOT), Program::default());
        assert!(System.program("sh", RunAs { uid: 65534, gid: 65534 }).runnable);
        let path = directory("program");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let program = path.join("x");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let judged = System.program(program.to_str().unwrap(), ROOT);
        assert!(judged.runnable && judged.writable.is_some(), "{judged:?}");
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn executable_files_are_not_included() {
        let path = directory("include");
        for (name, mode) in [("b.conf", 0o644), ("a.conf", 0o600), ("run.conf", 0o755)] {
            fs::write(path.join(name), "priority 7\n").unwrap();
            fs::set_permissions(path.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let mut listed = Disk.list(path.to_str().unwrap());
        listed.sort();
        let kinds: Vec<_> = listed.iter().map(|listed| (listed.name.as_str(), listed.kind)).collect();
        assert_eq!(kinds, [("a.conf", Kind::Text), ("b.conf", Kind::Text), ("run.conf", Kind::Other)]);
        assert!(Disk.read(path.to_str().unwrap()).is_err());
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn users_and_interfaces() {
        assert_eq!(System.user("root"), Some(ROOT));
        assert_eq!(System.user("0"), Some(ROOT));
        assert_eq!(System.user("no such user"), None);
        assert_eq!(System.group("root"), Some(0));
        assert!(System.has_interface("lo", None) && !System.has_interface("no such one", None));
        assert!(!Disk.hostname().contains('.'));
    }
}
