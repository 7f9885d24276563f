//! A veth pair in a network namespace of the test's own, gone with its thread.

use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, sendto, socket};

use crate::skip;

/// Runs a test in a new namespace with the devices `one` and `two`, the ends of a veth pair.
///
/// The namespace belongs to a thread: it ends with it, also when the test panics.
pub fn in_namespace(test: impl FnOnce() + Send + 'static) {
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

pub fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

/// What `ip link` says of the program on a device.
pub fn shown(device: &str) -> String {
    let output = Command::new("ip").args(["link", "show", "dev", device]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until no program is on a device.
///
/// Other tests start processes meanwhile, and one between fork and exec keeps the descriptor of our link open.
pub fn wait_free(device: &str) {
    let start = Instant::now();
    while shown(device).contains("xdp") {
        assert!(start.elapsed() < Duration::from_secs(5), "{}", shown(device));
        thread::sleep(Duration::from_millis(10));
    }
}

/// Sends a frame as it is.
pub fn send(device: &str, frame: &[u8]) {
    let addresses = getifaddrs().unwrap().filter(|address| address.interface_name == device);
    let link = addresses.filter_map(|address| address.address).find_map(|address| address.as_link_addr().copied());
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), None).unwrap();
    sendto(socket.as_raw_fd(), frame, &link.unwrap(), MsgFlags::empty()).unwrap();
}
