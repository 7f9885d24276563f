//! Notify scripts: the script of the new state, then the generic one with keepalived's four arguments.
//!
//! The protocol thread leaves a notice in a bounded queue; scripts are started in that order and not waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::warn;
use vrrp_common::Priority;

use super::sparing::{Sparing, Withheld};
use super::{clock, log};
use crate::config::setup::{Command, Notify, Setup};
use crate::engine::event::{Event, GroupEvent};
use crate::engine::plan::{GroupId, InstanceId};
use crate::engine::snapshot::StateName;
use crate::track::run::{Bond, Outcome};

/// Notices that may wait: each of several thousand instances can change its state once while no script can be started.
const QUEUE: usize = 8192;

/// Scripts that may run at once. Further ones wait for one to end, and their notices for them.
const RUNNING: usize = 256;

/// How long running scripts have when the daemon stops; keepalived's second.
const TIME_AT_STOP: Duration = Duration::from_secs(1);

/// Something to tell of.
#[derive(Clone, Debug)]
pub enum Told {
    /// With the effective priority.
    Instance(InstanceId, Event, Priority),
    Group(GroupId, GroupEvent),
    /// What is told from now on is by the ids of this configuration.
    Reloaded(Arc<Setup>),
}

/// An instance or a group changed its state.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The configuration that `who` is an index of; it may be another after a reload.
    pub setup: Arc<Setup>,
    pub who: Who,
    pub state: StateName,
}

#[derive(Clone, Copy, Debug)]
pub enum Who {
    /// With the effective priority.
    Instance(InstanceId, Priority),
    Group(GroupId),
}

impl Notice {
    /// keepalived's first, second and fourth argument, and the scripts.
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
}

/// The state that an event is the entry of, if scripts are to hear of it.
pub const fn entered(event: &Event) -> Option<StateName> {
    match event {
        Event::Started | Event::BecameBackup => Some(StateName::Backup),
        Event::BecameMaster => Some(StateName::Master),
        Event::BecameFault | Event::Deleted => Some(StateName::Fault),
        Event::Stopped => Some(StateName::Stop),
        _ => None,
    }
}

/// The protocol thread's end of the queue.
#[derive(Clone, Debug)]
pub struct Notifier {
    setup: Arc<Setup>,
    queue: Sender<Notice>,
    lost: Arc<AtomicU64>,
    sparing: Sparing,
}

/// The queue, and the end that [`run`] serves.
pub fn queue(setup: Arc<Setup>) -> (Notifier, Receiver<Notice>) {
    bounded(setup, QUEUE)
}

fn bounded(setup: Arc<Setup>, bound: usize) -> (Notifier, Receiver<Notice>) {
    let (queue, notices) = mpsc::channel(bound);
    let sparing = Sparing::new(setup.instances.len(), Arc::default());
    (Notifier { setup, queue, lost: Arc::default(), sparing }, notices)
}

impl Notifier {
    /// The same queue for another configuration, as after a reload: `instance` is from now on an index of that.
    pub fn with(&self, setup: Arc<Setup>) -> Self {
        let sparing = Sparing::new(setup.instances.len(), Arc::clone(self.withheld()));
        Self { setup, sparing, ..self.clone() }
    }

    /// Logs an event, and has the scripts run of the state that it is the entry of. Never waits: what does not fit into
    /// the queue is counted and gone, and so are lines that come too often.
    pub fn tell(&mut self, told: Told) {
        let (who, state) = match told {
            Told::Instance(id, event, _) if event.is_cheap() && !self.sparing.allows(id, clock::now()) => return,
            Told::Instance(id, event, effective) => {
                log::event(&self.setup.instances[id.index()].name, &event, effective);
                (Who::Instance(id, effective), entered(&event))
            }
            Told::Group(id, event @ GroupEvent::Syncs(_)) => {
                return log::group(&self.setup.groups[id.index()].name, &event);
            }
            Told::Group(id, GroupEvent::Entered(state)) => (Who::Group(id), Some(state)),
            Told::Reloaded(setup) => return *self = self.with(setup),
        };
        let Some(state) = state else { return };
        let notice = Notice { setup: self.setup.clone(), who, state };
        // Most have no script: nothing to queue.
        if notice.subject().3.is_none() {
            return;
        }
        if self.queue.try_send(notice).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines that came too often.
    pub const fn withheld(&self) -> &Arc<Withheld> {
        self.sparing.withheld()
    }

    /// The counter of notices that came to nothing.
    pub fn lost(&self) -> Arc<AtomicU64> {
        self.lost.clone()
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
        for (command, more) in scripts(&notice) {
            while running.len() >= RUNNING {
                running.join_next().await;
            }
            start(&mut running, command, &more, &notice);
        }
        while running.try_join_next().is_some() {}
    }
    let _ = timeout(TIME_AT_STOP, async { while running.join_next().await.is_some() {} }).await;
}

/// What to run, in order, and what to append.
fn scripts(notice: &Notice) -> Vec<(&Command, Vec<String>)> {
    let (kind, name, priority, notify) = notice.subject();
    let Some(Notify { master, backup, fault, stop, any }) = notify else { return Vec::new() };
    let specific = match notice.state {
        StateName::Master => master,
        StateName::Backup => backup,
        StateName::Fault => fault,
        StateName::Stop => stop,
        StateName::Init => &None,
    };
    let told = [kind, name, notice.state.label(), &priority.to_string()].map(String::from);
    let specific = specific.iter().map(|command| (command, Vec::new()));
    specific.chain(any.iter().map(|command| (command, told.to_vec()))).collect()
}

fn start(running: &mut JoinSet<()>, command: &Command, more: &[String], notice: &Notice) {
    let script = command.argv.first().cloned().unwrap_or_default();
    let (name, state) = (notice.subject().1.to_owned(), notice.state.label());
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

    use super::*;
    use crate::config::setup::{Group, Instance};
    use crate::testing::{Dir, shell, wait_until_gone};

    fn setup(notify: Notify) -> Arc<Setup> {
        let instance = Instance { name: "VI_1".into(), notify: Some(Box::new(notify.clone())), ..Default::default() };
        let group = Group { name: "G1".into(), notify: Some(Box::new(notify)) };
        Arc::new(Setup { instances: vec![instance], groups: vec![group], ..Setup::default() })
    }

    fn told(event: Event) -> Told {
        Told::Instance(InstanceId(0), event, Priority::new(110).unwrap())
    }

    /// Tells of one thing, and stops.
    async fn run_one(notify: Notify, told: Told) {
        let (mut notifier, notices) = queue(setup(notify));
        notifier.tell(told);
        run(notices, std::future::ready(())).await;
    }

    /// A script that writes its arguments, each with a NUL behind it.
    fn writer(dir: &Dir, name: &str) -> Command {
        let mut command = shell(dir, &format!(r#"printf '%s\0' "$@" > $0/{name}.new; mv $0/{name}.new $0/{name}"#));
        command.argv.push("configured argument".into());
        command
    }

    #[tokio::test]
    async fn arguments_are_keepaliveds_to_the_byte() {
        let dir = Dir::new();
        let [master, backup, fault, stop, any] =
            ["master", "backup", "fault", "stop", "any"].map(|name| Some(writer(&dir, name)));
        let notify = Notify { master, backup, fault, stop, any };
        for (event, label) in [
            (Event::BecameMaster, "MASTER"),
            (Event::Started, "BACKUP"),
            (Event::BecameFault, "FAULT"),
            (Event::Stopped, "STOP"),
        ] {
            run_one(notify.clone(), told(event)).await;
            assert_eq!(dir.read(&label.to_lowercase()), "configured argument\0");
            assert_eq!(dir.read("any"), format!("configured argument\0INSTANCE\0VI_1\0{label}\x00110\0"));
        }
        run_one(notify, Told::Group(GroupId(0), GroupEvent::Entered(StateName::Fault))).await;
        assert_eq!(dir.read("any"), "configured argument\0GROUP\0G1\0FAULT\x000\0");
    }

    #[test]
    fn the_specific_script_comes_first() {
        let dir = Dir::new();
        let notify = Notify { master: Some(shell(&dir, "1")), any: Some(shell(&dir, "2")), ..Notify::default() };
        let order = |state| {
            let who = Who::Instance(InstanceId(0), Priority::DEFAULT);
            let notice = Notice { setup: setup(notify.clone()), who, state };
            scripts(&notice).into_iter().map(|(c, more)| (c.argv[2].clone(), more.len())).collect()
        };
        let both: Vec<_> = order(StateName::Master);
        assert_eq!(both, [("1".into(), 0), ("2".into(), 4)]);
        let one: Vec<_> = order(StateName::Fault);
        assert_eq!(one, [("2".into(), 4)]);
    }

    #[test]
    fn overflow_is_counted_and_never_waited_for() {
        let dir = Dir::new();
        let notify = Notify { any: Some(shell(&dir, "")), ..Notify::default() };
        let (mut notifier, notices) = bounded(setup(notify), 2);
        for _ in 0..5 {
            notifier.tell(told(Event::BecameMaster));
            notifier.tell(told(Event::MasterTimedOut));
            notifier.tell(Told::Group(GroupId(0), GroupEvent::Syncs(StateName::Master)));
        }
        assert_eq!(notifier.lost().load(Ordering::Relaxed), 3);
        drop(notices);
    }

    #[tokio::test]
    async fn a_second_at_stop_and_no_more() {
        let dir = Dir::new();
        let text = "trap '' TERM; echo $$ > $0/pid.new; mv $0/pid.new $0/pid; while :; do sleep 1; done";
        let start = Instant::now();
        run_one(Notify { any: Some(shell(&dir, text)), ..Notify::default() }, told(Event::Stopped)).await;
        assert!((1000..3000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
        let pid = dir.read("pid");
        assert!(!pid.is_empty());
        wait_until_gone(&pid).await;
    }

    #[test]
    fn states_of_events() {
        assert_eq!(entered(&Event::Started), Some(StateName::Backup));
        assert_eq!(entered(&Event::BecameMaster), Some(StateName::Master));
        assert_eq!(entered(&Event::Stopped), Some(StateName::Stop));
        assert_eq!(entered(&Event::InterfaceDown), None);
    }
}
