//! How the daemon lives on its host: its network namespace, its names, what is run before and after it.

use std::time::Duration;

use super::Resolver;
use crate::config::host::Host;
use crate::config::notify::{FilePath, MarkPath, TimePath};
use crate::config::service::{BracketTime, Name, ProcessName, Umask};
use crate::config::setup::{Bracket, Reloading, Service, TimeFile};
use crate::syntax::command::CommandLine;
use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::schema::{At, Lenient, Mark};

/// What a process is called by `process_names`.
const PROCESS_NAME: &str = "keepalived_vrrp";
/// How long a script has that is run before or after.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What `global_defs` says of it.
pub struct Words {
    pub startup_script: Lenient<CommandLine>,
    pub startup_script_timeout: Option<BracketTime>,
    pub shutdown_script: Lenient<CommandLine>,
    pub shutdown_script_timeout: Option<BracketTime>,
    pub umask: Option<Umask>,
    pub process_names: Mark,
    pub process_name: Lenient<ProcessName>,
    pub vrrp_process_name: Lenient<ProcessName>,
}

impl Resolver<'_> {
    /// Beside what the root says, which is there already.
    pub(super) fn service(&mut self, words: Words) {
        let named = words.vrrp_process_name.0.or(words.process_name.0).map(|name| name.0);
        let startup = self.bracket(words.startup_script.0, words.startup_script_timeout, "startup_script");
        let shutdown = self.bracket(words.shutdown_script.0, words.shutdown_script_timeout, "shutdown_script");
        self.setup.service = Service {
            umask: words.umask.map(|mask| mask.0),
            process_name: named.or_else(|| words.process_names.0.map(|_| PROCESS_NAME.to_owned())),
            startup,
            shutdown,
            ..std::mem::take(&mut self.setup.service)
        };
    }

    fn bracket(&mut self, line: Option<CommandLine>, timeout: Option<BracketTime>, of: &str) -> Option<Bracket> {
        let command = self.notification(line, of)?;
        let timeout = timeout.map_or(TIMEOUT, |timeout| Duration::from_secs(timeout.get() as u64));
        Some(Bracket { command, timeout })
    }
}

/// The files that reloads have to do with. The default place is with keepalived's pid files, which are in a directory where
/// several daemons may be running.
pub fn reloading(time_file: Option<TimePath>, repeat: Mark, mark: Option<MarkPath>, service: &Service) -> Reloading {
    let Service { net_namespace, instance, use_pid_dir, .. } = service;
    let usual = match *use_pid_dir || instance.is_some() || net_namespace.is_some() {
        true => "/run/keepalived/keepalived.reload",
        false => "/run/keepalived.reload",
    };
    Reloading {
        time_file: time_file.map(|TimePath(FilePath(path))| TimeFile { path, repeats: repeat.0.is_some() }),
        mark: mark.map(|MarkPath(path)| path.map_or_else(|| usual.to_owned(), |path| path.0)),
    }
}

/// What the root says of it, and whether its network namespace exists; reported if not.
pub fn of_root(
    net_namespace: Option<At<String>>,
    instance: Option<Name>,
    use_pid_dir: Mark,
    host: &dyn Host,
    found: &mut Diagnostics,
) -> (Service, bool) {
    let missing = net_namespace.as_ref().filter(|name| !host.has_namespace(&name.value));
    if let Some(At { value, at }) = missing {
        let message = format!("there is no network namespace `{value}`");
        let diagnostic = found.warning(Class::Interface, *at, message).done("the daemon does not start without it");
        diagnostic.hint("`ip netns` lists those there are, `ip netns add` makes one");
    }
    let exists = missing.is_none();
    let service = Service {
        net_namespace: net_namespace.map(|name| name.value),
        instance: instance.map(|name| name.0),
        use_pid_dir: use_pid_dir.0.is_some(),
        ..Service::default()
    };
    (service, exists)
}
