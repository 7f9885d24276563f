//! The same cases given to keepalived: `keepalived -t` exits with the same code, and a started keepalived understood the
//! same; or the difference is listed in `differences.txt` with its reason. A listed difference that is none any more fails, too.

mod understood;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use super::{cases, directory, host, read, source};

/// The release that the table was made with; others find other things.
const RELEASE: &str = "v2.2.7 ";

/// Cases that are tried at a time. Most of the time is waiting for keepalived.
const AT_ONCE: usize = 6;

/// Seconds to wait for what a started keepalived tells. Of one that is listed as silent, so many that it had told.
const PATIENCE: u32 = 60;
const SILENCE: u32 = 5;

/// What keepalived made of a case.
struct Theirs {
    /// Of `-t`; `None` when it never ends, or dies by a signal.
    exit: Option<i32>,
    /// Nothing when it does not start; `None` when it neither ends nor tells what it knows.
    model: Option<BTreeSet<String>>,
}

/// A line of `differences.txt`: `CASE exit CODE|dies: REASON`, `CASE model: REASON` or `CASE silent: REASON`.
#[derive(Debug, PartialEq, Eq)]
enum Difference {
    Exit(Option<i32>),
    Model,
    /// It neither ends nor tells what it knows.
    Silent,
}

#[test]
fn keepalived_understands_the_same() {
    let version = Command::new("keepalived").arg("-v").output();
    match version.map(|output| String::from_utf8_lossy(&output.stderr).into_owned()) {
        Ok(version) if version.contains(RELEASE) => {}
        Ok(version) => return vrrp_tests::skip(format!("another keepalived: {:?}", version.lines().next())),
        Err(error) => return vrrp_tests::skip(format!("keepalived: {error}")),
    }
    if let Err(why) = run("true", &[], Path::new("/")) {
        return vrrp_tests::skip(format!("no network namespace: {why}"));
    }
    programs();
    let listed = differences();
    let source = source();
    let mut wrong = Vec::new();
    let silent = |case: &str| listed.iter().any(|(of, what)| of == case && *what == Difference::Silent);
    for (case, theirs) in ask(&cases(), &silent) {
        let ours = read(&source, &format!("{case}.conf"));
        let here: Vec<&Difference> = listed.iter().filter(|(of, _)| *of == case).map(|(_, what)| what).collect();
        let exit = i32::from(ours.exit_code());
        let expected = here.iter().find_map(|what| match what {
            Difference::Exit(code) => Some(*code),
            Difference::Model | Difference::Silent => None,
        });
        if theirs.exit != expected.unwrap_or(Some(exit)) {
            wrong
                .push(format!("{case}: keepalived exits with {:?}, we with {exit}, listed: {expected:?}", theirs.exit));
        } else if expected == Some(Some(exit)) {
            wrong.push(format!("{case}: its exit code is listed as a difference, and is none"));
        }
        let Some(its) = theirs.model else {
            if !silent(&case) {
                wrong.push(format!("{case}: keepalived neither ended nor told what it knows in {PATIENCE} s"));
            }
            continue;
        };
        if silent(&case) {
            wrong.push(format!("{case}: keepalived is listed as silent, and is not"));
        }
        let model = understood::by_us(&ours);
        match (model == its, here.contains(&&Difference::Model)) {
            (true, true) => wrong.push(format!("{case}: its model is listed as a difference, and is none")),
            (false, false) => {
                let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
                let (mine, its) = (only(&model, &its), only(&its, &model));
                wrong.push(format!("{case}: we alone {mine:#?}\n{case}: keepalived alone {its:#?}"));
            }
            _ => {}
        }
    }
    let cases = cases();
    let unknown = listed.iter().filter(|(case, _)| !cases.contains(case));
    wrong.extend(unknown.map(|(case, _)| format!("{case}: listed in differences.txt, and is no case")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn differences() -> Vec<(String, Difference)> {
    let text = fs::read_to_string(directory().join("differences.txt")).unwrap();
    let line = |line: &str| {
        let (what, reason) = line.split_once(": ").unwrap_or_else(|| panic!("differences.txt: no reason: {line}"));
        assert!(!reason.is_empty(), "differences.txt: {line}");
        let difference = match *what.split(' ').collect::<Vec<_>>().as_slice() {
            [case, "exit", "dies"] => (case, Difference::Exit(None)),
            [case, "exit", code] => (case, Difference::Exit(Some(code.parse().unwrap()))),
            [case, "model"] => (case, Difference::Model),
            [case, "silent"] => (case, Difference::Silent),
            _ => panic!("differences.txt: {line}"),
        };
        (difference.0.to_owned(), difference.1)
    };
    text.lines().filter(|line| !line.starts_with('#')).map(line).collect()
}

/// Programs that the cases name, in a directory that anybody can write to; one that they look up in PATH may not be installed.
fn programs() {
    let bin = format!("{}/bin", host::OPEN);
    fs::create_dir_all(&bin).unwrap();
    fs::set_permissions(host::OPEN, Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(&bin, Permissions::from_mode(0o755)).unwrap();
    for program in [format!("{}/anyone", host::OPEN), format!("{bin}/killall")] {
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    }
}

/// In a network namespace with eth0 to eth3: `-t`, and then the daemon until it has written what it knows. The namespace of
/// processes ends with the shell, and whatever keepalived started with it.
const SCRIPT: &str = r#"
for pair in 0:1 2:3; do
    ip link add eth${pair%:*} type veth peer name eth${pair#*:} || exit 77
done
for i in 0 1 2 3; do ip link set eth$i up && ip address add 10.0.$i.1/24 dev eth$i || exit 77; done
# What never ends there is busy, and is ended for that: a machine that stands still ends nobody.
(ulimit -t 5; keepalived -t -i alpha -f "$PWD/$1.conf")
echo $? >"$2/exit"
TMPDIR=$2 keepalived -n -l -P -i alpha -p "$2/pid" -r "$2/vrrp" -f "$PWD/$1.conf" >"$2/log" 2>&1 &
daemon=$!
for i in $(seq $(($3 * 20))); do
    sleep 0.05
    kill -0 $daemon || exit 0
    grep -qs 'Interfaces >' "$2/keepalived.data" && exit 0
    # Again every second: its child may not have listened yet.
    grep -q 'Startup complete' "$2/log" && [ $((i % 20)) = 0 ] && kill -USR1 $daemon
done
echo >"$2/silent"
"#;

fn run(script: &str, arguments: &[&str], directory: &Path) -> Result<(), String> {
    let path = format!("{}:{}/bin", std::env::var("PATH").unwrap_or_default(), host::OPEN);
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script, "sh"])
        .args(arguments);
    unshare.current_dir(directory).env("PATH", path).stdin(Stdio::null());
    match unshare.output() {
        Ok(output) if output.status.success() => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// What keepalived makes of each case.
fn ask(cases: &[String], silent: &(impl Fn(&str) -> bool + Sync)) -> BTreeMap<String, Theirs> {
    let (todo, done) = (Mutex::new(cases.iter()), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(case) = todo.lock().unwrap().next() else { return };
                    let theirs = ask_of(case, if silent(case) { SILENCE } else { PATIENCE });
                    done.lock().unwrap().insert(case.clone(), theirs);
                }
            });
        }
    });
    done.into_inner().unwrap()
}

fn ask_of(case: &str, patience: u32) -> Theirs {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("oracle-{}-{case}", std::process::id()));
    fs::create_dir_all(&place).unwrap();
    run(SCRIPT, &[case, place.to_str().unwrap(), &patience.to_string()], &directory()).unwrap();
    let exit = fs::read_to_string(place.join("exit")).unwrap_or_default();
    let data = fs::read(place.join("keepalived.data")).unwrap_or_default();
    let silent = place.join("silent").exists();
    fs::remove_dir_all(&place).unwrap();
    // 2.2.7 makes a FIFO of a relative name where it happens to be (notify-fifo-wrong).
    let _ = fs::remove_file(directory().join("notify.fifo"));
    Theirs {
        // A shell's 128 and more is a signal.
        exit: exit.trim().parse().ok().filter(|&code| code < 128),
        model: (!silent).then(|| understood::by_keepalived(&String::from_utf8_lossy(&data))),
    }
}
