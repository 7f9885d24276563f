//! What becomes of an event: which lines, which scripts, and what when nobody takes them.

use super::*;
use crate::config::setup::{self, Group, Instance, Mail, Notify};
use crate::engine::plan::{GroupPlan, InstancePlan, InterfaceId};
use crate::io::onward::{self, Arriving};
use crate::testing::{Dir, ourselves, shell};

const PRIORITY: Priority = Priority::DEFAULT;

fn setup(notify: Notify) -> Setup {
    let mut setup = Setup::default();
    Arc::make_mut(&mut setup.plan.instances).push(InstancePlan {
        group: Some(GroupId(0)),
        ..InstancePlan::new(InterfaceId(0), vrrp_common::Vrid::new(51).unwrap(), vrrp_common::Version::V3)
    });
    setup.plan.groups.push(GroupPlan { members: vec![InstanceId(0)] });
    setup.instances.push(Instance { name: "VI_1".into(), notify: notify.if_any(), ..Default::default() });
    setup.groups.push(Group { name: "G1".into(), ..Default::default() });
    setup
}

/// Tells all of it by a thread of its own, with a FIFO, and gives back what is in the FIFO and what goes to scripts.
fn tell(dir: &Dir, mut setup: Setup, told: &[Told]) -> (String, Vec<Moment>) {
    let fifo =
        setup::Fifo { of_vrrp: false, path: dir.join("fifo").display().to_string(), owner: ourselves(), script: None };
    let open = Fifo::open(&fifo).unwrap();
    let mut reader = std::fs::File::open(&fifo.path).unwrap();
    setup.telling.fifos.push(fifo);
    let (onward, Arriving { mut scripts, .. }) = onward::queues();
    let start = |setup, fifo| start(setup, [fifo].into(), onward, &Losses::default());
    let (telling, mut teller) = start(Arc::new(setup), Arc::new(open)).unwrap();
    told.iter().for_each(|told| teller.tell(told.clone()));
    drop(teller);
    telling.stop();
    let mut lines = String::new();
    std::io::Read::read_to_string(&mut reader, &mut lines).unwrap();
    assert!(!dir.join("fifo").exists());
    (lines, std::iter::from_fn(|| scripts.try_recv().ok()).map(|notice| notice.moment).collect())
}

fn instance(event: Event) -> Told {
    Told::Instance(InstanceId(0), event, PRIORITY)
}

fn changed() -> Told {
    instance(Event::PriorityChanged { from: PRIORITY, to: PRIORITY })
}

#[test]
fn lines_are_keepaliveds_in_the_order_of_the_events() {
    let lower = Event::MasterHeardLower { source: "192.0.2.1".parse().unwrap(), theirs: PRIORITY, ours: PRIORITY };
    let story = [
        instance(Event::Started),
        Told::Group(GroupId(0), GroupEvent::Entered(StateName::Backup)),
        changed(),
        instance(Event::MasterTimedOut),
        instance(Event::BecameMaster),
        Told::Group(GroupId(0), GroupEvent::Syncs(StateName::Master)),
        Told::Group(GroupId(0), GroupEvent::Entered(StateName::Master)),
        changed(),
        instance(lower),
        instance(Event::BecameFault),
        changed(),
        instance(Event::Stopped),
        instance(Event::Deleted),
    ];
    let dir = Dir::new();
    let notify = Notify { any: Some(shell(&dir, "")), priority_changes: true, ..Notify::default() };
    let (lines, scripts) = tell(&dir, setup(notify), &story);
    assert_eq!(
        lines,
        "INSTANCE \"VI_1\" BACKUP 100\nGROUP \"G1\" BACKUP 0\nINSTANCE \"VI_1\" BACKUP_PRIORITY 100\n\
         INSTANCE \"VI_1\" MASTER 100\nGROUP \"G1\" MASTER 0\nINSTANCE \"VI_1\" MASTER_PRIORITY 100\n\
         INSTANCE \"VI_1\" MASTER_RX_LOWER_PRI 100\nINSTANCE \"VI_1\" FAULT 100\nINSTANCE \"VI_1\" STOP 100\n\
         INSTANCE \"VI_1\" FAULT 100\n"
    );
    assert_eq!(scripts, [Moment::Backup, Moment::Master, Moment::Fault, Moment::Stop, Moment::Fault]);
}

#[test]
fn deleted_is_a_fault_unless_it_is_asked_for() {
    let dir = Dir::new();
    let notify = Notify { says_deleted: true, any: Some(shell(&dir, "")), ..Notify::default() };
    let (lines, scripts) = tell(&dir, setup(notify), &[instance(Event::Deleted)]);
    assert_eq!((lines.as_str(), &scripts[..]), ("INSTANCE \"VI_1\" DELETED 100\n", &[Moment::Deleted][..]));
}

#[test]
fn a_group_asks_for_its_members_changes_of_priority() {
    let dir = Dir::new();
    let mut setup = setup(Notify::default());
    let story = [instance(Event::BecameMaster), changed()];
    assert_eq!(tell(&dir, setup.clone(), &story).0, "INSTANCE \"VI_1\" MASTER 100\n");
    setup.groups[0].notify = Notify { priority_changes: true, ..Notify::default() }.if_any();
    assert!(tell(&dir, setup, &story).0.ends_with("INSTANCE \"VI_1\" MASTER_PRIORITY 100\n"));
}

#[test]
fn after_a_reload_states_are_written_where_that_is_asked_for() {
    let dir = Dir::new();
    let mut setup = setup(Notify::default());
    let story = [Told::Is(InstanceId(0), StateName::Master, PRIORITY), Told::GroupIs(GroupId(0), StateName::Master)];
    assert_eq!(tell(&dir, setup.clone(), &story).0, "");
    setup.telling.states_on_reload = true;
    assert_eq!(tell(&dir, setup, &story).0, "INSTANCE \"VI_1\" MASTER 100\nGROUP \"G1\" MASTER 0\n");
}

#[test]
fn overflow_is_counted_and_never_waited_for() {
    let losses = Losses::default();
    let (mut teller, messages) = queue(Arc::new(setup(Notify::default())), [].into(), &losses, 1);
    (0..OF_EACH + 3).for_each(|_| teller.tell(instance(Event::BecameMaster)));
    assert_eq!(losses.events.load(Ordering::Relaxed), 3);
    drop(messages);
}

#[test]
fn letters_are_written_in_the_order_of_the_events_and_counted_when_nobody_takes_them() {
    let mut setup = setup(Notify::default());
    setup.telling.mail = Some(Box::new(Mail {
        server: "192.0.2.25".into(),
        port: 25,
        router: "R".into(),
        from: "root@alpha".into(),
        to: vec!["a@example.org".into()],
        hello: "alpha".into(),
        timeout: std::time::Duration::from_secs(30),
        faults: true,
    }));
    setup.instances[0].smtp_alert = true;
    let (letters, mut written) = mpsc::channel(2);
    let (scripts, _scripts) = mpsc::channel(1);
    let onward = Onward { scripts, letters, signals: mpsc::channel(1).0 };
    let losses = Losses::default();
    let (telling, mut teller) = start(Arc::new(setup), [].into(), onward, &losses).unwrap();
    for event in [Event::Started, Event::BecameMaster, Event::BecameFault, Event::Stopped] {
        teller.tell(instance(event));
    }
    drop(teller);
    telling.stop();
    let subjects: Vec<_> = std::iter::from_fn(|| written.try_recv().ok()).map(|letter| letter.subject).collect();
    let entering = |state| format!("VRRP Instance VI_1 - Entering {state} state");
    assert_eq!(subjects, [entering("BACKUP"), entering("MASTER")]);
    assert_eq!((losses.letters.load(Ordering::Relaxed), losses.notices.load(Ordering::Relaxed)), (1, 0));
}
