//! What is in the files, from a setup by hand; e2e has keepalived's own beside them.

use std::sync::Arc;
use std::time::Duration;

use vrrp_common::drop::Reason;
use vrrp_common::wire::checksum::ChecksumForm;
use vrrp_common::{Centis, Instant, Priority, Version, Vrid};

use super::*;
use crate::auth::Authentication;
use crate::auth::key::Password;
use crate::config::setup::{Instance, Notify, VirtualAddress};
use crate::engine::plan::{InstancePlan, InterfaceId};
use crate::engine::snapshot::{Cause, Rival, Snapshot, StateName};
use crate::engine::stats::Stats;
use crate::io::lateness::Measured;
use crate::io::status::ObservedInstance;
use crate::testing::{Dir, shell};

const CLOCK: SystemTime = SystemTime::UNIX_EPOCH;

fn observed(dir: &Dir) -> Observed {
    let mut setup = Setup { interfaces: vec!["eth0".into()], ..Setup::default() };
    Arc::make_mut(&mut setup.plan.instances)
        .push(InstancePlan { addresses: 1, ..InstancePlan::new(InterfaceId(0), Vrid::new(51).unwrap(), Version::V2) });
    setup.instances.push(Instance {
        name: "VI_1".into(),
        authentication: Authentication::Password(Password(*b"secret12")),
        addresses: vec![VirtualAddress {
            label: Some("eth0:1".into()),
            ..VirtualAddress::new("192.0.2.9".parse().unwrap(), 24, InterfaceId(0))
        }],
        notify: Notify { master: Some(shell(dir, "exit")), ..Notify::default() }.if_any(),
        ..Default::default()
    });
    setup.telling.dumps.stats = Some(dir.join("stats").display().to_string());
    let snapshot = Snapshot {
        state: StateName::Backup,
        since: Instant::from_nanos(40_000_000_000),
        cause: Cause::Startup,
        base: Priority::DEFAULT,
        effective: Priority::DEFAULT,
        master: Some(Rival { address: "192.0.2.2".parse().unwrap(), priority: Priority::new(200).unwrap() }),
        interval: Centis::SECOND,
        stats: Stats { advert_rcvd: 7, ..Stats::default() },
    };
    Observed {
        setup: Arc::new(setup),
        now: Instant::from_nanos(100_000_000_000),
        lateness: Measured::default(),
        interfaces: Vec::new(),
        instances: vec![ObservedInstance {
            snapshot,
            held: vec![0],
            checksum: (ChecksumForm::Message, None),
            drops: vec![(Reason::TtlNot255, 3)],
            latest: Duration::ZERO,
        }],
        groups: Vec::new(),
    }
}

#[test]
fn passwords_are_in_none_of_them() {
    let dir = Dir::new();
    let observed = observed(&dir);
    let clock = CLOCK + Duration::from_secs(1_000_000);
    let texts = [data::text(&observed, clock), json::text(&observed, &Zero::new(), clock, false)];
    for text in texts {
        assert!(text.contains(json::MASK) && !text.contains("secret"), "{text}");
        assert!(text.contains("192.0.2.9/24 dev eth0 scope global label eth0:1 set"), "{text}");
    }
}

/// `data_use_instance`, as 2.2.7 was seen to name its file.
#[test]
fn names_say_whose_they_are_where_they_are_to() {
    let mut setup = Setup::default();
    setup.service.instance = Some("blue".into());
    let name = |setup: &Setup| path(setup, "data", &None).file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(name(&setup), "keepalived.data");
    setup.telling.dumps.name_instance = true;
    assert_eq!(name(&setup), "keepalived.blue.data");
    assert_eq!(path(&setup, "data", &Some("/run/state".into())), PathBuf::from("/run/state"));
}

#[test]
fn the_times_are_those_of_the_day() {
    let dir = Dir::new();
    let clock = CLOCK + Duration::from_secs(1_000_000);
    let text = data::text(&observed(&dir), clock);
    assert!(text.contains("Last transition = 999940.000000 (Mon Jan 12 13:45:40.000000 1970)"), "{text}");
    assert!(json::text(&observed(&dir), &Zero::new(), clock, false).contains("\"last_transition\":999940.0,"));
}

#[test]
fn the_second_form_is_an_object() {
    let dir = Dir::new();
    let [first, second] = [false, true].map(|second| json::text(&observed(&dir), &Zero::new(), CLOCK, second));
    assert_eq!(second, format!("{{\"vrrp\":{},\"track_process\":[]}}\n", first.trim_end()));
}

#[test]
fn counting_begins_anew_for_the_files_alone() {
    let dir = Dir::new();
    let observed = observed(&dir);
    let zero = write(Kind::StatsClear, By::Signal, &observed, Zero::new());
    assert!(dir.read("stats").contains("    Received: 7\n") && dir.read("stats").contains("    TTL: 3\n"));
    write(Kind::Stats, By::Bus, &observed, zero);
    assert!(!dir.read("stats").contains(": 7") && !dir.read("stats").contains(": 3"), "{}", dir.read("stats"));
}
