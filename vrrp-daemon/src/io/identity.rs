//! Which of several daemons on a host this one is, and the places that follow from it.

use std::path::{Path, PathBuf};

use super::control;
use super::files::How;
use super::log::Loss;
use crate::config::setup::Service;

/// Where keepalived's pid files are.
const RUN: &str = "/run";
/// Where they are when several may be running: `use_pid_dir`, `instance`, `net_namespace`.
const PID_DIR: &str = "/run/keepalived";
/// keepalived's names of them: of its parent process, and of the one that speaks VRRP. Here both are one.
const PID_FILES: [&str; 2] = ["keepalived", "vrrp"];

/// Where the daemon keeps what others find it by.
#[derive(Clone)]
pub struct Places {
    pub run_dir: PathBuf,
    pub config: PathBuf,
    /// How it is read.
    pub how: How,
    pub pid_files: Vec<PathBuf>,
    /// `-B`
    pub no_bfd: bool,
    /// What the log lost, for the status.
    pub log: Option<Loss>,
}

/// What tells this daemon from the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `net_namespace`, or `-s` in place of it.
    pub net_namespace: Option<String>,
    /// `instance`.
    pub instance: Option<String>,
    /// `use_pid_dir`.
    pub has_pid_dir: bool,
}

impl Identity {
    /// Of a configuration; `net_namespace` in place of its own.
    pub fn new(service: &Service, net_namespace: Option<&str>) -> Self {
        Self {
            net_namespace: net_namespace.map(str::to_owned).or_else(|| service.net_namespace.clone()),
            instance: service.instance.clone(),
            has_pid_dir: service.use_pid_dir,
        }
    }

    /// What follows keepalived's names in the system's log: `_NETNS_INSTANCE`.
    pub fn suffix(&self) -> String {
        self.parts().map(|part| format!("_{part}")).collect()
    }

    /// The run directory, unless another was asked for.
    pub fn run_dir(&self) -> PathBuf {
        self.parts().fold(control::RUN_DIR.into(), |directory: PathBuf, part| directory.join(part))
    }

    /// The pid files of keepalived's parent process and VRRP process, unless others were asked for.
    pub fn pid_files(&self) -> [PathBuf; 2] {
        let directory = match &self.net_namespace {
            Some(name) => Path::new(PID_DIR).join(name),
            None if self.instance.is_some() || self.has_pid_dir => PID_DIR.into(),
            None => RUN.into(),
        };
        let suffix = self.instance.as_ref().map(|name| format!("_{name}")).unwrap_or_default();
        PID_FILES.map(|name| directory.join(format!("{name}{suffix}.pid")))
    }

    fn parts(&self) -> impl Iterator<Item = &String> {
        self.net_namespace.iter().chain(&self.instance)
    }
}

/// The same two in a run directory that was asked for.
pub fn pid_files_in(run_dir: &Path) -> [PathBuf; 2] {
    PID_FILES.map(|name| run_dir.join(format!("{name}.pid")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As 2.2.7 was seen to name them.
    #[test]
    fn places_are_keepalived_s() {
        let names = |net_namespace: Option<&str>, instance: Option<&str>, has_pid_dir| {
            let (net_namespace, instance) = (net_namespace.map(str::to_owned), instance.map(str::to_owned));
            let identity = Identity { net_namespace, instance, has_pid_dir };
            let [main, vrrp] = identity.pid_files().map(|path| path.display().to_string());
            [main, vrrp, identity.run_dir().display().to_string(), identity.suffix()]
        };
        assert_eq!(names(None, None, false), ["/run/keepalived.pid", "/run/vrrp.pid", "/run/vrrpd", ""]);
        assert_eq!(
            names(None, None, true),
            ["/run/keepalived/keepalived.pid", "/run/keepalived/vrrp.pid", "/run/vrrpd", ""]
        );
        assert_eq!(
            names(None, Some("blue"), false),
            ["/run/keepalived/keepalived_blue.pid", "/run/keepalived/vrrp_blue.pid", "/run/vrrpd/blue", "_blue"]
        );
        assert_eq!(
            names(Some("red"), None, false),
            ["/run/keepalived/red/keepalived.pid", "/run/keepalived/red/vrrp.pid", "/run/vrrpd/red", "_red"]
        );
        let [main, _, run_dir, suffix] = names(Some("red"), Some("blue"), false);
        assert_eq!(
            [&main, &run_dir, &suffix],
            ["/run/keepalived/red/keepalived_blue.pid", "/run/vrrpd/red/blue", "_red_blue"]
        );
    }
}
