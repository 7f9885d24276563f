//! The same cases given to `keepalived -t`: equal exit codes, or a difference that is listed with its reason.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::{cases, directory, host, read, source};

/// The release that the table was made with; others find other things.
const RELEASE: &str = "v2.2.7 ";

/// Cases whose exit code is ours and not keepalived's: the case, keepalived's code (`None`: it never ends, or dies by
/// a signal), and why.
const DIFFERENCES: &[(&str, Option<i32>, &str)] = &[
    ("addresses-too-many", Some(0), "it has no bound of its own"),
    ("addresses-twice", Some(0), "2.2.7 does not notice; later releases do"),
    ("auth-hmac", Some(5), "the keyword is newer than 2.2.7"),
    ("bfd", Some(5), "`multihop` is newer than 2.2.7"),
    ("check", Some(5), "our own keywords"),
    ("check-wrong", Some(5), "our own keywords"),
    ("checksum", Some(5), "the keyword is newer than 2.2.7"),
    ("dual-version", Some(5), "our own keyword"),
    ("definition-loop", None, "2.2.7 does not end"),
    ("extensions", Some(5), "our own keywords"),
    ("include-loop", Some(0), "2.2.7 includes until files run out, and leaves it at a message"),
    ("include-missing", Some(6), "2.2.7 takes it for the whole configuration; here the rest is read"),
    ("interface-default", Some(5), "2.2.7 has lost default_interface by then"),
    ("interface-none", Some(5), "2.2.7 does not find its own default"),
    ("load-balancing", Some(5), "it checks what we skip"),
    ("notify-fifo", None, "2.2.7 ends itself with SIGTERM when it checks a script of another user"),
    ("notify-fifo-wrong", Some(0), "2.2.7 makes a FIFO where it happens to be, and forgets a script without one"),
    ("owner-ignore-adverts", Some(5), "the keyword is newer than 2.2.7"),
    ("owner-ignore-adverts-own", Some(5), "the keyword is newer than 2.2.7"),
    ("startup-after-boot", Some(5), "the keyword is newer than 2.2.7"),
    ("quote-open", Some(5), "2.2.7 drops the command; here it is taken to end with the line, so scripts are run"),
    ("script-fraction", Some(5), "2.2.7 reads whole seconds; 2.3.2 and we read fractions"),
    ("service-namespace", Some(0), "2.2.7 does not look into the namespace before it starts"),
    ("track-file-wrong", None, "2.2.7 dies of a track_file that is defined twice"),
    ("typical", None, "2.2.7 ends itself with SIGTERM when it checks a script of another user"),
    (
        "virtual-routes-ends",
        Some(5),
        "it does not notice when a route without an interface is removed; here it is set again",
    ),
    ("virtual-routes-host-bits", Some(0), "it notices when the kernel refuses the route"),
    ("virtual-routes-inet6", Some(5), "2.2.7 knows the families before a gateway alone"),
    ("virtual-routes-names", Some(5), "the keywords are newer than 2.2.7"),
    ("virtual-routes-nat", Some(0), "no kernel that it runs on has such routes"),
    (
        "virtual-routes-nexthops",
        Some(5),
        "it does not notice when a route of several ways is removed; here it is set again",
    ),
    (
        "virtual-routes-protocol",
        Some(5),
        "it tells its routes and rules by the protocol; here they are told by all of them",
    ),
    ("vmac-names", Some(5), "2.2.7 does not know `name`, `group` and `netlink_notify_msg`"),
];

#[test]
fn keepalived_exits_with_the_same_code() {
    let version = Command::new("keepalived").arg("-v").output();
    match version.map(|output| String::from_utf8_lossy(&output.stderr).into_owned()) {
        Ok(version) if version.contains(RELEASE) => {}
        Ok(version) => return vrrp_tests::skip(format!("another keepalived: {:?}", version.lines().next())),
        Err(error) => return vrrp_tests::skip(format!("keepalived: {error}")),
    }
    let Some(theirs) = exit_codes() else { return };
    let source = source();
    let mut wrong = Vec::new();
    for case in cases() {
        let ours = i32::from(read(&source, &format!("{case}.conf")).exit_code());
        let theirs = theirs.get(&case).copied().flatten();
        let listed = DIFFERENCES.iter().find(|(name, ..)| *name == case).map(|(_, code, _)| *code);
        if theirs != listed.unwrap_or(Some(ours)) {
            wrong.push(format!("{case}: keepalived {theirs:?}, we {ours}, listed {listed:?}"));
        } else if listed == Some(Some(ours)) {
            wrong.push(format!("{case}: listed as a difference, and is none"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// keepalived's exit code for every case, in a network namespace with eth0 to eth3.
fn exit_codes() -> Option<BTreeMap<String, Option<i32>>> {
    fs::create_dir_all(host::OPEN).unwrap();
    fs::set_permissions(host::OPEN, Permissions::from_mode(0o777)).unwrap();
    let anyone = format!("{}/anyone", host::OPEN);
    fs::write(&anyone, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&anyone, Permissions::from_mode(0o755)).unwrap();
    // A command that the cases look up in PATH may not be installed.
    let path = format!("{}/bin", host::OPEN);
    fs::create_dir_all(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    fs::copy(&anyone, format!("{path}/killall")).unwrap();
    let script = r#"
        for pair in 0:1 2:3; do
            ip link add eth${pair%:*} type veth peer name eth${pair#*:} || exit 77
        done
        for i in 0 1 2 3; do ip link set eth$i up && ip address add 10.0.$i.1/24 dev eth$i || exit 77; done
        for file in *.conf; do
            timeout -s KILL 5 keepalived -t -i alpha -f "$PWD/$file" >/dev/null 2>&1
            echo "${file%.conf} $?"
        done
    "#;
    let path = format!("{}:{path}", std::env::var("PATH").unwrap_or_default());
    let mut unshare = Command::new("unshare");
    unshare.args(["--net", "sh", "-c", script]).current_dir(directory()).env("PATH", path);
    let output = match unshare.output() {
        Ok(output) if output.status.success() => output,
        other => {
            vrrp_tests::skip(format!("no network namespace: {other:?}"));
            return None;
        }
    };
    let code = |line: &str| {
        let (case, code) = line.split_once(' ')?;
        // A shell's 128 and more is a signal.
        Some((case.to_owned(), code.parse().ok().filter(|&code| code < 128)))
    };
    Some(String::from_utf8_lossy(&output.stdout).lines().filter_map(code).collect())
}
