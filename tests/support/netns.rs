//! Network namespaces without names: they go with the process that holds them, however it ends.
//!
//! Nothing is left in /run/netns to clean up. To look inside while a test waits: `nsenter --net=/proc/PID/fd/N`.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns, unshare};

/// One network namespace, with `lo` up and IPv6 off.
pub struct Namespace {
    file: File,
}

impl Namespace {
    pub fn new() -> Result<Self> {
        // A thread may leave its process's namespace for a new one; this one ends at once and leaves the file behind.
        let file = std::thread::scope(|scope| {
            let made = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET)?;
                File::open("/proc/thread-self/ns/net")
            });
            made.join().expect("no panic in there")
        })
        .context("cannot make a network namespace")?;
        let namespace = Self { file };
        namespace.sysctl("net/ipv6/conf/all/disable_ipv6", "1")?;
        namespace.sysctl("net/ipv6/conf/default/disable_ipv6", "1")?;
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// The words that name this namespace to `ip link ... netns`.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// Runs `work` in the namespace, on a thread of its own. Sockets made there belong to it for ever.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let there = scope.spawn(|| {
                setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET).context("cannot enter a network namespace")?;
                work()
            });
            there.join().expect("no panic in there")
        })
    }

    /// Writes a key of /proc/sys, named with slashes.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        self.within(|| std::fs::write(format!("/proc/sys/{key}"), value).with_context(|| format!("sysctl {key}")))
    }

    /// A command that will run in the namespace, as a process group of its own (Ctrl-C is for the laboratory), and that
    /// the kernel kills when the thread that starts it dies.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let namespace = self.file.as_raw_fd();
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).process_group(0);
        // SAFETY: between fork and exec only system calls are made. The descriptor is open: the namespace is borrowed
        // by nobody else, and a command is run before its laboratory goes.
        unsafe {
            command.pre_exec(move || {
                if libc::setns(namespace, libc::CLONE_NEWNET) != 0
                    || libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0
                {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        command
    }

    /// Runs `ip` with these words, and returns what it printed.
    pub fn ip(&self, words: &str) -> Result<String> {
        let output = self.command("ip").args(words.split_whitespace()).output().context("cannot run ip")?;
        if !output.status.success() {
            bail!("ip {words}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
