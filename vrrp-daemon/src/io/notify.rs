//! Notify scripts: the one of the moment, then the generic one with keepalived's four arguments.
//!
//! Scripts are started in the order of the notices and not waited for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::warn;
use vrrp_common::Priority;

use crate::config::setup::{Command, Notify, Setup};
use crate::engine::plan::{GroupId, InstanceId};
use crate::engine::snapshot::StateName;
use crate::track::run::{Bond, Outcome};

/// Scripts that may run at once. Further ones wait for one to end, and their notices for them.
const RUNNING: usize = 256;

/// How long running scripts have when the daemon stops; keepalived's second.
pub const TIME_AT_STOP: Duration = Duration::from_secs(1);

/// What others than the log are told of; keepalived's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Master,
    Backup,
    Fault,
    Stop,
    Deleted,
    /// A master heard a weaker one.
    RxLower,
    /// Its effective priority changed.
    MasterPriority,
    BackupPriority,
}

impl Moment {
    pub const fn entering(state: StateName) -> Option<Self> {
        match state {
            StateName::Init => None,
            StateName::Master => Some(Self::Master),
            StateName::Backup => Some(Self::Backup),
            StateName::Fault => Some(Self::Fault),
            StateName::Stop => Some(Self::Stop),
        }
    }

    pub const fn label(self) -> &'static str {
        match self {
            Self::Master => "MASTER",
            Self::Backup => "BACKUP",
            Self::Fault => "FAULT",
            Self::Stop => "STOP",
            Self::Deleted => "DELETED",
            Self::RxLower => "MASTER_RX_LOWER_PRI",
            Self::MasterPriority => "MASTER_PRIORITY",
            Self::BackupPriority => "BACKUP_PRIORITY",
        }
    }
}

/// Something happened to an instance or a group.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The configuration that `who` is an index of; it may be another after a reload.
    pub setup: Arc<Setup>,
    pub who: Who,
    pub moment: Moment,
}

#[derive(Clone, Copy, Debug)]
pub enum Who {
    /// With the effective priority.
    Instance(InstanceId, Priority),
    Group(GroupId),
}

impl Notice {
    /// keepalived's first, second and fourth argument, and who wants to know.
    fn subject(&self) -> (&'static str, &str, u8, Option<&Notify>) {
        match self.who {
            Who::Instance(id, priority) => {
                let instance = &self.setup.instances[id.index()];
                ("INSTANCE", &instance.name, priority.get(), instance.notify.as_deref())
            }
            Who::Group(id) => {
                let group = &self.setup.groups[id.index()];
                ("GROUP", &group.name, 0, group.notify.as_deref())
            }
        }
    }

    /// The state that a virtual router has now; one that is not configured any more is at fault, as keepalived has it.
    pub fn state(&self) -> Option<(InstanceId, StateName)> {
        let Who::Instance(id, _) = self.who else { return None };
        let state = match self.moment {
            Moment::Master => StateName::Master,
            Moment::Backup => StateName::Backup,
            Moment::Fault | Moment::Deleted => StateName::Fault,
            Moment::Stop => StateName::Stop,
            Moment::RxLower | Moment::MasterPriority | Moment::BackupPriority => return None,
        };
        Some((id, state))
    }

    /// keepalived's line for FIFOs.
    pub fn line(&self) -> String {
        let (kind, name, priority, _) = self.subject();
        format!("{kind} \"{name}\" {} {priority}\n", self.moment.label())
    }

    /// Changes of priority only where they are asked for.
    pub fn is_for_fifos(&self) -> bool {
        let Self { setup, who, moment } = self;
        let asks = |notify: Option<&Notify>| notify.is_some_and(|notify| notify.priority_changes);
        match (moment, who) {
            (Moment::MasterPriority | Moment::BackupPriority, Who::Instance(id, _)) => {
                let group = setup.plan.instances.get(id.index()).and_then(|plan| plan.group);
                let group = group.and_then(|id| setup.groups[id.index()].notify.as_deref());
                asks(self.subject().3) || asks(group)
            }
            _ => true,
        }
    }

    /// What to run, in order; to the generic one four arguments are appended.
    pub fn scripts(&self) -> impl Iterator<Item = (&Command, Vec<String>)> {
        let (kind, name, priority, notify) = self.subject();
        let (specific, generic) = notify.map_or((None, None), |notify| {
            let Notify { master, backup, fault, stop, deleted, says_deleted: _, rx_lower, any, priority_changes: _ } =
                notify;
            match self.moment {
                Moment::Master => (master.as_ref(), any.as_ref()),
                Moment::Backup => (backup.as_ref(), any.as_ref()),
                Moment::Fault => (fault.as_ref(), any.as_ref()),
                Moment::Stop => (stop.as_ref(), any.as_ref()),
                Moment::Deleted => (deleted.as_ref(), any.as_ref()),
                Moment::RxLower => (rx_lower.as_ref(), None),
                Moment::MasterPriority | Moment::BackupPriority => (None, None),
            }
        });
        let told = move || [kind, name, self.moment.label(), &priority.to_string()].map(String::from).into();
        let specific = specific.map(|command| (command, Vec::new()));
        specific.into_iter().chain(generic.map(|command| (command, told())))
    }
}

/// Runs scripts until `stop` completes; then starts those that wait, gives all that run a second, and kills the rest.
pub async fn run(mut notices: Receiver<Notice>, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    let mut running = JoinSet::new();
    let mut stopping = false;
    loop {
        let notice = tokio::select! {
            biased;
            () = &mut stop, if !stopping => {
                stopping = true;
                // What waits is still given out; then comes the end.
                notices.close();
                continue;
            }
            notice = notices.recv() => notice,
        };
        let Some(notice) = notice else { break };
        for (command, more) in notice.scripts() {
            while running.len() >= RUNNING {
                running.join_next().await;
            }
            start(&mut running, command, &more, &notice);
        }
        while running.try_join_next().is_some() {}
    }
    let _ = timeout(TIME_AT_STOP, async { while running.join_next().await.is_some() {} }).await;
}

fn start(running: &mut JoinSet<()>, command: &Command, more: &[String], notice: &Notice) {
    let script = command.argv.first().cloned().unwrap_or_default();
    let (name, state) = (notice.subject().1.to_owned(), notice.moment.label());
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    match command.start(&more, Bond::OutlivesUs) {
        Ok(mut run) => drop(running.spawn(async move {
            match run.finish().await {
                Outcome::Exited(0) => {}
                outcome => warn!(script, state, ?outcome, "({name}) notify script failed"),
            }
        })),
        Err(error) => warn!(script, state, %error, "({name}) notify script could not be started"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::sync::mpsc;

    use super::*;
    use crate::config::setup::{Group, Instance};
    use crate::testing::{Dir, shell, wait_until_gone};

    fn setup(notify: Notify) -> Arc<Setup> {
        let instance = Instance { name: "VI_1".into(), notify: Some(Box::new(notify.clone())), ..Default::default() };
        let group = Group { name: "G1".into(), notify: Some(Box::new(notify)), ..Default::default() };
        Arc::new(Setup { instances: vec![instance], groups: vec![group], ..Setup::default() })
    }

    fn of_instance(notify: &Notify, moment: Moment) -> Notice {
        let who = Who::Instance(InstanceId(0), Priority::new(110).unwrap());
        Notice { setup: setup(notify.clone()), who, moment }
    }

    fn of_group(notify: &Notify, moment: Moment) -> Notice {
        Notice { setup: setup(notify.clone()), who: Who::Group(GroupId(0)), moment }
    }

    /// Tells of one thing, and stops.
    async fn run_one(notice: Notice) {
        let (queue, notices) = mpsc::channel(1);
        queue.try_send(notice).unwrap();
        run(notices, std::future::ready(())).await;
    }

    /// A script that writes its arguments, each with a NUL behind it.
    fn writer(dir: &Dir, name: &str) -> Option<Command> {
        let mut command = shell(dir, &format!(r#"printf '%s\0' "$@" > $0/{name}.new; mv $0/{name}.new $0/{name}"#));
        command.argv.push("configured argument".into());
        Some(command)
    }

    #[tokio::test]
    async fn arguments_are_keepaliveds_to_the_byte() {
        let dir = Dir::new();
        let notify = Notify {
            master: writer(&dir, "master"),
            backup: writer(&dir, "backup"),
            fault: writer(&dir, "fault"),
            stop: writer(&dir, "stop"),
            deleted: writer(&dir, "deleted"),
            says_deleted: true,
            rx_lower: writer(&dir, "master_rx_lower_pri"),
            any: writer(&dir, "any"),
            priority_changes: true,
        };
        for moment in [Moment::Master, Moment::Backup, Moment::Fault, Moment::Stop, Moment::Deleted] {
            run_one(of_instance(&notify, moment)).await;
            let label = moment.label();
            assert_eq!(dir.read(&label.to_lowercase()), "configured argument\0");
            assert_eq!(dir.read("any"), format!("configured argument\0INSTANCE\0VI_1\0{label}\x00110\0"));
        }
        run_one(of_group(&notify, Moment::Fault)).await;
        assert_eq!(dir.read("any"), "configured argument\0GROUP\0G1\0FAULT\x000\0");
        // The generic one is for changes of state alone.
        std::fs::remove_file(dir.join("any")).unwrap();
        for moment in [Moment::RxLower, Moment::MasterPriority, Moment::BackupPriority] {
            run_one(of_instance(&notify, moment)).await;
        }
        assert_eq!(dir.read("master_rx_lower_pri"), "configured argument\0");
        assert_eq!(dir.read("any"), "");
    }

    #[test]
    fn the_specific_script_comes_first() {
        let dir = Dir::new();
        let notify = Notify { master: Some(shell(&dir, "1")), any: Some(shell(&dir, "2")), ..Notify::default() };
        let order = |moment| {
            let notice = of_instance(&notify, moment);
            notice.scripts().map(|(c, more)| (c.argv[2].clone(), more.len())).collect()
        };
        let both: Vec<_> = order(Moment::Master);
        assert_eq!(both, [("1".into(), 0), ("2".into(), 4)]);
        let one: Vec<_> = order(Moment::Fault);
        assert_eq!(one, [("2".into(), 4)]);
    }

    #[test]
    fn lines_for_fifos() {
        let quiet = Notify::default();
        assert_eq!(of_instance(&quiet, Moment::RxLower).line(), "INSTANCE \"VI_1\" MASTER_RX_LOWER_PRI 110\n");
        assert_eq!(of_group(&quiet, Moment::Master).line(), "GROUP \"G1\" MASTER 0\n");
        let asks = Notify { priority_changes: true, ..Notify::default() };
        assert!(of_instance(&asks, Moment::BackupPriority).is_for_fifos());
        assert!(!of_instance(&quiet, Moment::MasterPriority).is_for_fifos());
        assert!(of_instance(&quiet, Moment::Backup).is_for_fifos());
    }

    #[tokio::test]
    async fn a_second_at_stop_and_no_more() {
        let dir = Dir::new();
        let text = "trap '' TERM; echo $$ > $0/pid.new; mv $0/pid.new $0/pid; while :; do sleep 1; done";
        let notify = Notify { any: Some(shell(&dir, text)), ..Notify::default() };
        let start = Instant::now();
        run_one(of_instance(&notify, Moment::Stop)).await;
        assert!((1000..3000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
        let pid = dir.read("pid");
        assert!(!pid.is_empty());
        wait_until_gone(&pid).await;
    }
}
