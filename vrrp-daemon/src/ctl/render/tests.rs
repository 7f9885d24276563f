//! Golden texts.

use super::*;
use crate::engine::stats::Stats;
use crate::io::status::{Address, Daemon, Master};

fn instance(name: &str, state: StateName, why: Cause) -> Instance {
    Instance {
        name: name.into(),
        interface: "eth0".into(),
        vrid: 51,
        version: 3,
        both_versions: false,
        family: 4,
        state,
        base_priority: 100,
        effective_priority: 100,
        master: None,
        since: "2026-02-03T04:05:06.789Z".into(),
        seconds: 7380,
        why,
        addresses: vec![Address {
            address: "192.0.2.1/24".into(),
            interface: "eth0".into(),
            held: state == StateName::Master,
        }],
        paths: Vec::new(),
        checksum: Some(Checksum { ours: "rfc5798".into(), peer: None }),
        stats: Stats::default(),
        latest_us: 0,
        drops: Drops::new(),
    }
}

fn interface(name: &str) -> Interface {
    Interface {
        name: name.into(),
        ifindex: Some(2),
        up: true,
        xdp: XdpMode::Native,
        xdp_off_why: None,
        drops: Drops::new(),
    }
}

fn sample() -> Status {
    let daemon = Daemon {
        version: "0.1.0".into(),
        pid: 812,
        since: "2026-01-31T00:00:00.000Z".into(),
        seconds: 273_906,
        config: "/etc/keepalived/keepalived.conf".into(),
        router_id: Some("lvs-a".into()),
        reload_due: None,
        log_lines_lost: 0,
        events_lost: 0,
        notices_lost: 0,
        fifo_lines_lost: 0,
        letters_lost: 0,
        late: Late::default(),
    };
    let master = Instance { effective_priority: 150, ..instance("VI_1", StateName::Master, Cause::MasterTimeout) };
    let heard = Master { address: "192.0.2.2".parse().unwrap(), priority: 200, ourselves: false };
    let backup = Instance {
        master: Some(heard),
        seconds: 59,
        ..instance("VI_WEB", StateName::Backup, Cause::HigherPriorityBackup)
    };
    let fault = Instance { interface: "eth1".into(), ..instance("VI_3", StateName::Fault, Cause::InterfaceDown) };
    let down = Interface {
        up: false,
        xdp: XdpMode::Off,
        xdp_off_why: Some("its XDP slot is taken by program 7 (lb)".into()),
        ..interface("eth1")
    };
    Status {
        daemon,
        interfaces: vec![interface("eth0"), down],
        instances: vec![master, backup, fault],
        groups: Vec::new(),
        trackers: Vec::new(),
        conflicts: vec!["eth0 answers ARP for virtual addresses with its own MAC address (arp_ignore 0)".into()],
    }
}

#[test]
fn many_instances() {
    let mut sample = sample();
    let peer = Some("rfc9568".into());
    sample.instances[1].checksum = Some(Checksum { ours: "rfc5798".into(), peer });
    sample.daemon.reload_due = Some("2026-01-03T00:00:00.000Z".into());
    sample.instances[0].drops = [("ttl_not_255".into(), 12), ("ok_passed".into(), 7)].into();
    sample.interfaces[0].drops = [("vrid_unknown".into(), 3456)].into();
    sample.daemon.late.advert = Spread { count: 7380, p50_us: 64, p99_us: 128, max_us: 1499, buckets: Vec::new() };
    sample.daemon.late.wakeup = Spread { count: 9000, p50_us: 32, p99_us: 64, max_us: 64, buckets: Vec::new() };
    let expected = "\
vrrpd 0.1.0, pid 812, up 3 d 4 h, router lvs-a, /etc/keepalived/keepalived.conf
next reload 2026-01-03T00:00:00.000Z

INSTANCE  STATE   FOR        PRIORITY        MASTER                    WHERE         WHY
VI_1      MASTER  2 h 3 min  150 (base 100)  this router               eth0 vrid 51  no advert from a master for the whole down interval
VI_WEB    BACKUP  59 s       100             192.0.2.2 (priority 200)  eth0 vrid 51  yielded to a router of higher priority or address
VI_3      FAULT   2 h 3 min  100             unknown                   eth1 vrid 51  eth1 is down

Attention
  VI_WEB sums its adverts by rfc5798, its peer by rfc9568, which may not hear us: see v3_checksum_as_v2
  eth1 is down
  eth1 has no XDP program: its XDP slot is taken by program 7 (lb)
  eth0 answers ARP for virtual addresses with its own MAC address (arp_ignore 0)

FRAMES  COUNT  WERE     BECAUSE       WHICH MEANS
VI_1    12     refused  ttl_not_255   TTL or hop limit is not 255 (RFC 9568 section 5.1.1.3), or not what the unicast peer's must be: the sender is elsewhere.
eth0    3456   refused  vrid_unknown  No virtual router of this VRID is configured on this interface.

LATE      HALF WITHIN  99 % WITHIN  MOST    OF
adverts   64 µs        128 µs       1.5 ms  7380
wake-ups  32 µs        64 µs        64 µs   9000
";
    assert_eq!(status(&sample, false, Paint::when(false)), expected);
}

#[test]
fn trackers() {
    let mut sample = sample();
    sample.conflicts.clear();
    sample.interfaces.truncate(1);
    sample.instances.truncate(2);
    let tracker = |name: &str, kind: &str, verdict, last: Option<&str>| Tracker {
        name: name.into(),
        kind: kind.into(),
        verdict,
        number: (verdict == Word::Number).then_some(-10),
        last: last.map(String::from),
        at: last.map(|_| "2026-01-02T03:04:05.678Z".into()),
        seconds: last.map(|_| 3),
    };
    sample.trackers = vec![
        tracker("chk", "vrrp_script", Word::Passed, Some("failed (exited with status 1)")),
        tracker("load", "track_file", Word::Number, Some("reads -10")),
        tracker("new", "vrrp_script", Word::Unknown, None),
    ];
    let text = status(&sample, false, Paint::when(false));
    let table = "
TRACKER  IS       AGO  LAST                           KIND
chk      passed   3 s  failed (exited with status 1)  vrrp_script
load     -10      3 s  reads -10                      track_file
new      unknown       nothing yet                    vrrp_script
";
    assert!(text.contains(table), "{text}");
}

#[test]
fn groups() {
    let mut sample = sample();
    sample.conflicts.clear();
    sample.interfaces.truncate(1);
    sample.instances = ["VI_1", "VI_2"].map(|name| instance(name, StateName::Fault, Cause::SyncGroup)).into();
    let members = ["VI_1", "VI_2"].map(String::from).into();
    sample.groups.push(Group { name: "inside-and-out".into(), state: StateName::Fault, members });
    let expected = "\
vrrpd 0.1.0, pid 812, up 3 d 4 h, router lvs-a, /etc/keepalived/keepalived.conf

INSTANCE  STATE  FOR        PRIORITY  MASTER   WHERE         WHY
VI_1      FAULT  2 h 3 min  100       unknown  eth0 vrid 51  follows another member of its sync group
VI_2      FAULT  2 h 3 min  100       unknown  eth0 vrid 51  follows another member of its sync group

SYNC GROUP      STATE  MEMBERS
inside-and-out  FAULT  VI_1 VI_2
";
    assert_eq!(status(&sample, false, Paint::when(false)), expected);
}

#[test]
fn one_instance_is_shown_in_detail() {
    let mut sample = sample();
    sample.instances.truncate(1);
    sample.interfaces.truncate(1);
    sample.conflicts.clear();
    let instance = &mut sample.instances[0];
    instance.checksum = Some(Checksum { ours: "rfc9568".into(), peer: Some("rfc9568".into()) });
    instance.addresses.push(Address { address: "192.0.2.9/24".into(), interface: "vrrp.51".into(), held: false });
    for (path, held) in [("route 10.0.0.0/8 via 192.0.2.1", true), ("rule 100 from 10.0.0.0/8", false)] {
        instance.paths.push(Path { path: path.into(), held });
    }
    instance.latest_us = 1499;
    instance.stats = Stats { advert_sent: 7380, become_master: 1, ..Stats::default() };
    sample.daemon.log_lines_lost = 4;
    let expected = "\
vrrpd 0.1.0, pid 812, up 3 d 4 h, router lvs-a, /etc/keepalived/keepalived.conf

INSTANCE  STATE   FOR        PRIORITY        MASTER       WHERE         WHY
VI_1      MASTER  2 h 3 min  150 (base 100)  this router  eth0 vrid 51  no advert from a master for the whole down interval

Attention
  VI_1 is master and holds 1 of 2 addresses
  4 log lines were lost

VI_1
  state      MASTER for 2 h 3 min, since 2026-02-03T04:05:06.789Z
  because    no advert from a master for the whole down interval
  master     this router
  priority   150 (base 100)
  protocol   VRRPv3 over IPv4, vrid 51
  checksum   by rfc9568, the peer's by rfc9568
  interface  eth0, index 2, up, XDP native
  addresses  192.0.2.1/24, held
             192.0.2.9/24 on vrrp.51, not held
  paths      route 10.0.0.0/8 via 192.0.2.1, set
             rule 100 from 10.0.0.0/8, not set
  lateness   1.5 ms for its latest advert
  counters   advert_sent 7380, become_master 1
";
    assert_eq!(status(&sample, false, Paint::when(false)), expected);
}

#[test]
fn colours_do_not_move_columns() {
    let bare = |text: &str| {
        let mut parts = text.split('\x1b');
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |text, part| text + part.split_once('m').unwrap().1)
    };
    let coloured = status(&sample(), true, Paint::when(true));
    assert!(coloured.contains("\x1b[1;32mMASTER\x1b[0m"));
    assert_eq!(bare(&coloured), status(&sample(), true, Paint::when(false)));
}

#[test]
fn json_survives_the_way() {
    let text = serde_json::to_string(&sample()).unwrap();
    assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), sample());
    assert!(text.contains(r#""state":"MASTER","base_priority":100,"effective_priority":150,"master":null"#), "{text}");
    assert!(text.contains(r#""why":"master-timeout""#) && text.contains(r#""xdp":"native""#), "{text}");
}
