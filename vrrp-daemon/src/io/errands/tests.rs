//! The slow thread as a whole, from start to stop.

use std::sync::mpsc::channel;
use std::time::{Instant, SystemTime};

use vrrp_common::Priority;

use super::*;
use crate::config::setup::Instance;
use crate::engine::plan::{InstanceId, InstancePlan, InterfaceId, TrackerPlan, Watch, Weight};
use crate::io::notify::{Moment, Notice, Who};
use crate::io::onward::{self, Onward};
use crate::testing::{Dir, lives, shell};
use crate::track::report::Reading;
use crate::track::schedule::Schedule;
use crate::track::script::Script;

fn setup(script: Command, notify: Notify) -> Setup {
    let second = Duration::from_secs(1);
    let mut setup = Setup::default();
    setup.interfaces.push("lo".into());
    setup.plan.interfaces = 1;
    setup.plan.trackers.push(TrackerPlan { rise: 1, fall: 1, starts_failed: false });
    let script = Script { command: script, schedule: Schedule { interval: second, timeout: second } };
    setup.trackers.push(Tracker { name: "chk".into(), kind: TrackerKind::Script(script), weight: Weight::default() });
    Arc::make_mut(&mut setup.plan.instances).push(InstancePlan {
        watches: [Subject::Interface(InterfaceId(0)), Subject::Tracker(TrackerId(0))]
            .map(|subject| Watch { subject, weight: Weight::default() })
            .into(),
        ..InstancePlan::new(InterfaceId(0), vrrp_common::Vrid::new(51).unwrap(), vrrp_common::Version::V3)
    });
    setup.instances.push(Instance { name: "VI_1".into(), notify: Some(Box::new(notify)), ..Default::default() });
    setup
}

fn process() -> Process {
    Process {
        version: "0.0.0",
        started_at: SystemTime::now(),
        config: "/etc/keepalived/keepalived.conf".into(),
        log: None,
        losses: Losses::default(),
        reload_due: Default::default(),
    }
}

#[test]
fn checks_report_and_stop_ends_everything() {
    let dir = Dir::new();
    let check = shell(&dir, "test -e $0/once && { echo $$ > $0/pid; exec sleep 100; }; touch $0/once");
    let any = Some(shell(&dir, r#"echo "$@" > $0/told"#));
    let setup = Arc::new(setup(check, Notify { any, ..Notify::default() }));
    let socket = Socket::bind(&dir.join("run")).unwrap();
    let path = socket.path().to_owned();
    let (requests, _asked) = mpsc::channel::<Request>(control::REQUESTS);
    let (report, reported) = channel();
    let (Onward { scripts, .. }, arriving) = onward::queues();
    let start_setup = Arc::clone(&setup);
    let errands =
        start(start_setup, socket, process(), Arc::default(), arriving, requests, async move |(_, id, reading)| {
            let _ = report.send((id, reading));
        })
        .unwrap();
    assert_eq!(reported.recv_timeout(Duration::from_secs(10)), Ok((TrackerId(0), Reading::Passed)));
    assert!(path.exists());
    let start = Instant::now();
    while dir.read("pid").is_empty() {
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(5));
    }
    let who = Who::Instance(InstanceId(0), Priority::DEFAULT);
    scripts.try_send(Notice { setup, who, moment: Moment::Stop }).unwrap();
    let start = Instant::now();
    errands.stop();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(dir.read("told"), "INSTANCE VI_1 STOP 100\n", "what waited is run before the end");
    assert!(!lives(&dir.read("pid")));
    assert!(!path.exists());
}

#[test]
fn what_cannot_run_is_taken_out_and_its_instance_goes_on() {
    let dir = Dir::new();
    let mut missing = shell(&dir, "");
    missing.argv[0] = "/nonexistent/chk".into();
    let notify = Notify { master: Some(missing.clone()), any: Some(shell(&dir, "")), ..Notify::default() };
    let mut setup = setup(missing, notify);
    disable_unusable(&mut setup);
    let notify = setup.instances[0].notify.as_deref().unwrap();
    assert_eq!(notify.master, None);
    assert!(notify.any.is_some());
    let [Watch { subject: Subject::Interface(_), .. }] = setup.plan.instances[0].watches[..] else {
        panic!("{:?}", setup.plan.instances[0].watches)
    };
    assert!(in_use(&setup, 0).is_empty());
}
