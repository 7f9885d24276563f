//! The program on real devices: the ends of a veth pair.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use nix::time::{ClockId, clock_gettime};
use vrrp_common::Address;
use vrrp_common::abi::{RouterKey, Rule, RuleKey};
use vrrp_daemon::io::xdp::{Attached, Mode, Sizes, Xdp};
use vrrp_tests::frames::{FrameSpec, V3_VRID};
use vrrp_tests::judges::{V3_ROW, device, loaded, rules};
use vrrp_tests::veth::{in_namespace, ip, send, shown, wait_free};

#[test]
fn a_veth_runs_it_natively_and_generically() {
    in_namespace(|| {
        let Some(mut xdp) = loaded(Sizes::default()) else { return };
        let one = if_nametoindex("one").unwrap();
        for (mode, attached, flag) in [
            (Mode::Auto, Attached::Native, " xdp "),
            (Mode::Native, Attached::Native, " xdp "),
            (Mode::Generic, Attached::Generic, " xdpgeneric "),
        ] {
            assert_eq!(xdp.attach(one, mode), Ok(attached));
            assert_eq!(xdp.attach(one, mode), Ok(attached), "once more changes nothing");
            assert!(shown("one").contains(flag), "{}", shown("one"));
            xdp.detach(one);
            wait_free("one");
        }
    });
}

#[test]
fn an_advert_on_the_wire_is_delivered() {
    in_namespace(|| {
        let Some(mut xdp) = loaded(Sizes::default()) else { return };
        let one = if_nametoindex("one").unwrap();
        let router = RouterKey { ifindex: one, vlan: 0, family: 4, vrid: V3_VRID };
        let key = RuleKey { router, destination: Address::NONE };
        let rule = rules().iter().map(|(_, rule)| *rule).find(|rule| rule.row == V3_ROW).unwrap();
        xdp.set_device(one, &device(0)).unwrap();
        xdp.set_rule(key, &Rule { row: 0, ..rule }).unwrap();
        let mut ring = xdp.take_ring().unwrap();
        for mode in [Mode::Native, Mode::Generic] {
            xdp.attach(one, mode).unwrap();
            let before = monotonic();
            let advert = FrameSpec::v3();
            send("two", &advert.build());
            let mut heard = None;
            while heard.is_none() {
                assert!(monotonic() - before < 5_000_000_000, "{mode:?}: nothing heard");
                thread::sleep(Duration::from_millis(1));
                ring.drain(1, |head, message| heard = Some((*head, message.to_vec())));
            }
            let (head, message) = heard.unwrap();
            assert!((before..monotonic()).contains(&head.arrival), "{mode:?}");
            assert_eq!((head.slot, message), (rule.slot, advert.message()), "{mode:?}");
            xdp.detach(one);
            wait_free("one");
        }
    });
}

fn monotonic() -> u64 {
    Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap()).as_nanos() as u64
}

#[test]
fn a_device_without_native_xdp_runs_it_generically() {
    in_namespace(|| {
        let Some(mut xdp) = loaded(Sizes::default()) else { return };
        ip("link add three type bridge");
        let three = if_nametoindex("three").unwrap();
        let refused = xdp.attach(three, Mode::Native).unwrap_err().to_string();
        assert_eq!(refused, "its driver has no native XDP; xdp_mode generic works with any");
        assert_eq!(xdp.attach(three, Mode::Auto), Ok(Attached::Generic));
    });
}

#[test]
fn a_taken_slot_names_its_holder() {
    in_namespace(|| {
        let Some(mut first) = loaded(Sizes::default()) else { return };
        let Some(mut second) = loaded(Sizes::default()) else { return };
        let one = if_nametoindex("one").unwrap();
        let id = first.info().unwrap().id();
        for (held, wanted) in [
            (Mode::Native, Mode::Auto),
            (Mode::Native, Mode::Generic),
            (Mode::Generic, Mode::Auto),
            (Mode::Generic, Mode::Generic),
        ] {
            first.attach(one, held).unwrap();
            let refused = second.attach(one, wanted).unwrap_err().to_string();
            assert_eq!(refused, format!("another XDP program is there: vrrp, id {id}"));
            first.detach(one);
            wait_free("one");
        }
        assert_eq!(second.attach(one, Mode::Auto), Ok(Attached::Native));
        assert!(second.attach(i32::MAX as u32, Mode::Auto).unwrap_err().to_string().contains("no such device"));
    });
}

#[test]
fn a_program_above_is_told() {
    in_namespace(|| {
        let Some(mut xdp) = loaded(Sizes::default()) else { return };
        ip("link add link one name above type macvlan");
        xdp.attach(if_nametoindex("above").unwrap(), Mode::Auto).unwrap();
        let refused = xdp.attach(if_nametoindex("one").unwrap(), Mode::Auto).unwrap_err().to_string();
        assert_eq!(refused, "a device on top of it (macvlan, bridge, bond) has an XDP program");
    });
}

/// Set for the process that [`a_killed_process_leaves_no_program`] starts of this same test, in its namespace, to kill it.
const TO_BE_KILLED: &str = "VRRP_TO_BE_KILLED";

#[test]
fn a_killed_process_leaves_no_program() {
    if env::var_os(TO_BE_KILLED).is_some() {
        let mut xdp = Xdp::load(Sizes::default()).unwrap();
        xdp.attach(if_nametoindex("one").unwrap(), Mode::Native).unwrap();
        println!("ATTACHED");
        thread::sleep(Duration::from_secs(30));
        panic!("nobody killed this process");
    }
    in_namespace(|| {
        if loaded(Sizes::default()).is_none() {
            return;
        }
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "attach::a_killed_process_leaves_no_program", "--nocapture"])
            .env(TO_BE_KILLED, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let attached = lines.any(|line| line.unwrap().ends_with("ATTACHED"));
        let before = shown("one");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(attached && before.contains("prog/xdp id"), "{before}");
        wait_free("one");
    });
}
