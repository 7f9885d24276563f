//! Who is told what: the scripts of a virtual router or a group, and the FIFOs.

use super::{Resolver, mail};
use crate::config::notify::{DeletedLine, FifoPath};
use crate::config::setup::{Dbus, Dumps, Fifo, Notify, RunAs, Telling};
use crate::syntax::command::CommandLine;
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::Switch;

/// What a virtual router or a group says of its scripts.
#[derive(Default)]
pub struct Written {
    pub master: Option<CommandLine>,
    pub backup: Option<CommandLine>,
    pub fault: Option<CommandLine>,
    pub stop: Option<CommandLine>,
    pub deleted: Option<DeletedLine>,
    pub rx_lower: Option<CommandLine>,
    pub any: Option<CommandLine>,
    pub priority_changes: Switch,
}

/// What `global_defs` says of the FIFOs.
pub struct Global {
    pub fifo: Option<FifoPath>,
    pub fifo_script: Option<CommandLine>,
    pub vrrp_fifo: Option<FifoPath>,
    pub vrrp_fifo_script: Option<CommandLine>,
    pub states_on_reload: Switch,
    pub mail: mail::Words,
    pub wants_snmp: bool,
    pub dumps: Dumps,
    pub dbus: Option<Dbus>,
}

impl Resolver<'_> {
    pub(super) fn notify(&mut self, written: Written, name: &str) -> Option<Box<Notify>> {
        let Written { master, backup, fault, stop, deleted, rx_lower, any, priority_changes } = written;
        let mut script = |line, keyword| self.notification(line, &format!("({name}) {keyword}"));
        let notify = Notify {
            master: script(master, "notify_master"),
            backup: script(backup, "notify_backup"),
            fault: script(fault, "notify_fault"),
            stop: script(stop, "notify_stop"),
            says_deleted: deleted.is_some(),
            deleted: script(deleted.and_then(|line| line.0), "notify_deleted"),
            rx_lower: script(rx_lower, "notify_master_rx_lower_pri"),
            any: script(any, "notify"),
            // Nobody but the FIFOs is told.
            priority_changes: priority_changes.0.map_or(self.defaults.priority_changes, |own| own.value)
                && !self.setup.telling.fifos.is_empty(),
        };
        notify.if_any()
    }

    pub(super) fn telling(&mut self, written: Global) -> Telling {
        let fifos = [
            self.fifo("notify_fifo", written.fifo, written.fifo_script),
            self.fifo("vrrp_notify_fifo", written.vrrp_fifo, written.vrrp_fifo_script),
        ];
        Telling {
            fifos: fifos.into_iter().flatten().collect(),
            states_on_reload: written.states_on_reload.is_on(),
            mail: self.mail(written.mail),
            wants_snmp: written.wants_snmp,
            dumps: written.dumps,
            dbus: written.dbus,
        }
    }

    fn fifo(&mut self, keyword: &str, fifo: Option<FifoPath>, script: Option<CommandLine>) -> Option<Fifo> {
        let Some(FifoPath { path, owner }) = fifo else {
            if let Some(script) = script {
                let message = format!("`{keyword}_script` has no `{keyword}` to read");
                self.found.error(Class::Incomplete, script.word.span, message).done("it is skipped");
            }
            return None;
        };
        let owner = match owner.or_else(|| self.defaults.script_user.clone()) {
            Some(user) => self.account(&user, keyword)?.0,
            None => RunAs::default(),
        };
        let script = self.notification(script, &format!("{keyword}_script"));
        Some(Fifo { of_vrrp: keyword == "vrrp_notify_fifo", path: path.text, owner, script })
    }
}
