//! The program on real devices: a veth pair in a network namespace of the test's own, gone with its thread.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, unshare};
use vrrp_daemon::io::xdp::{Attached, Mode, Xdp};
use vrrp_tests::skip;

use crate::world::loaded;

/// Runs a test in a new namespace with the devices `one` and `two`, the ends of a veth pair.
///
/// The namespace belongs to a thread: it ends with it, also when the test panics.
fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let name = thread::current().name().unwrap_or("?").to_owned();
    let body = move || {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            return skip(format!("no network namespace: {error}"));
        }
        ip("link add one type veth peer name two");
        ip("link set one up");
        ip("link set two up");
        test();
    };
    let thread = thread::Builder::new().name(name).spawn(body).unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

/// What `ip link` says of the program on a device.
fn shown(device: &str) -> String {
    let output = Command::new("ip").args(["link", "show", "dev", device]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_veth_runs_it_natively_and_generically() {
    in_namespace(|| {
        let Some(mut xdp) = loaded(1, 1) else { return };
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
            assert!(!shown("one").contains("xdp"), "{}", shown("one"));
        }
    });
}

#[test]
fn a_device_without_native_xdp_runs_it_generically() {
    in_namespace(|| {
        let Some(mut xdp) = loaded(1, 1) else { return };
        ip("link add three type bridge");
        let three = if_nametoindex("three").unwrap();
        let refused = xdp.attach(three, Mode::Native).unwrap_err().to_string();
        assert_eq!(refused, "three: XDP: Operation not supported (os error 95)");
        assert_eq!(xdp.attach(three, Mode::Auto), Ok(Attached::Generic));
    });
}

#[test]
fn a_taken_slot_names_its_holder() {
    in_namespace(|| {
        let Some(mut first) = loaded(1, 1) else { return };
        let Some(mut second) = loaded(1, 1) else { return };
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
            assert_eq!(refused, format!("one: another XDP program is there: vrrp, id {id}"));
            first.detach(one);
        }
        assert_eq!(second.attach(one, Mode::Auto), Ok(Attached::Native));
        assert!(second.attach(i32::MAX as u32, Mode::Auto).unwrap_err().to_string().contains("no such device"));
    });
}

#[test]
fn a_program_above_is_told() {
    in_namespace(|| {
        let Some(mut xdp) = loaded(1, 1) else { return };
        ip("link add link one name above type macvlan");
        xdp.attach(if_nametoindex("above").unwrap(), Mode::Auto).unwrap();
        let refused = xdp.attach(if_nametoindex("one").unwrap(), Mode::Auto).unwrap_err().to_string();
        assert_eq!(refused, "one: a device on top of it (macvlan, bridge, bond) has an XDP program");
    });
}

#[test]
fn a_killed_process_leaves_no_program() {
    in_namespace(|| {
        if loaded(1, 1).is_none() {
            return;
        }
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "attach::the_process_to_kill", "--ignored", "--nocapture"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let attached = lines.any(|line| line.unwrap().ends_with("ATTACHED"));
        let before = shown("one");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(attached && before.contains("prog/xdp id"), "{before}");
        let start = Instant::now();
        while shown("one").contains("xdp") {
            assert!(start.elapsed() < Duration::from_secs(5), "{}", shown("one"));
            thread::sleep(Duration::from_millis(10));
        }
    });
}

/// Not a test: what [`a_killed_process_leaves_no_program`] starts, in its namespace.
#[test]
#[ignore = "started by another test"]
fn the_process_to_kill() {
    let mut xdp = Xdp::load(1, 1, 1).unwrap();
    xdp.attach(if_nametoindex("one").unwrap(), Mode::Native).unwrap();
    println!("ATTACHED");
    thread::sleep(Duration::from_secs(30));
}
