//! What unit tests share: directories of their own, scripts, and tests that are left out loudly.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use vrrp_common::IfIndex;

use crate::io::netlink::links::Link;
use crate::track::command::{Command, RunAs};

/// Says that a test did not run; with `VRRP_REQUIRE=1` that fails it.
pub fn skip(name: &str, reason: &str) {
    println!("SKIPPED {name}: {reason}");
    if let Some(path) = std::env::var_os("VRRP_SKIPS") {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "SKIPPED {name}: {reason}").unwrap();
    }
    assert!(std::env::var("VRRP_REQUIRE").as_deref() != Ok("1"), "{name} may not be skipped: {reason}");
}

/// A directory that anybody may enter, gone at the end of the test.
pub struct Dir(PathBuf);

impl Dir {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("vrrpd-test-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What a script wrote.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.join(name)).unwrap_or_default()
    }

    /// Waits until a file has what is expected, and says what it has when it does not come to it.
    pub async fn wait_for(&self, name: &str, expected: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let text = self.read(name);
            if expected(&text) {
                return text;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "{name} has only: {text:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Who runs the tests.
pub fn ourselves() -> RunAs {
    RunAs { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() }
}

/// A shell command, run as who runs the tests; `$0` is the directory, `"$@"` what is appended.
pub fn shell(directory: &Dir, text: &str) -> Command {
    let argv = ["/bin/sh", "-c", text, &directory.path().display().to_string()].map(String::from).into();
    Command { argv, run_as: ourselves(), groups: Vec::new() }
}

/// Whether a process is there and not a zombie.
pub fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// Waits until a process is gone.
pub async fn wait_until_gone(pid: &str) {
    let start = Instant::now();
    while lives(pid) {
        assert!(start.elapsed() < Duration::from_secs(10), "{pid} still lives");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An interface that is up, with an address of its own.
pub fn link(index: u32) -> Link {
    Link {
        index: IfIndex(index),
        mac: [2; 6],
        up: true,
        raised: true,
        kind: None,
        group: 0,
        carries_others: false,
        carries_vlans: false,
        lower: None,
        primary4: Some([192, 0, 2, index as u8].into()),
        link_local6: None,
    }
}
