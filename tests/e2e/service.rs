//! The daemon as a service manager and a shell see it: readiness, background, pid files, exit codes, signals, names, and
//! several daemons on one host.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::{Daemon, Program::Vrrpd};
use vrrp_tests::lab::{A, B, Lab, with_lab};
use vrrp_tests::{sweep, vrrpd};

use vrrp_tests::scenario::PATIENCE;

/// Runs the daemon with files of its own below /run, after `prepare`; the configuration is /mnt/keepalived.conf there.
fn private(words: &[String], directory: &Path, prepare: &str, flags: &[&str]) -> Vec<String> {
    let script = format!(
        "mount -t tmpfs tmpfs /mnt && cp {}/keepalived.conf /mnt && {prepare} && exec \"$@\"",
        directory.display()
    );
    let start = ["unshare", "--mount", "sh", "-ec", &script, "sh"].map(str::to_owned);
    let more = flags.iter().map(|&flag| flag.to_owned());
    let own = [words[0].clone(), "-n".into(), "-f".into(), "/mnt/keepalived.conf".into()];
    start.into_iter().chain(own).chain(more).collect()
}

const OWN_RUN: &str = "mount -t tmpfs tmpfs /run";

fn start_private(lab: &Lab, router: usize, conf: &str, prepare: &str, flags: &[&str]) -> Result<Daemon> {
    lab.start_by(router, Vrrpd, conf, |words| {
        let conf = Path::new(&words[5]);
        private(&words, conf.parent().unwrap_or(conf), prepare, flags)
    })
}

/// Where a path of the daemon's is for us.
fn as_seen_by(daemon: &Daemon, path: &str) -> String {
    format!("/proc/{}/root{path}", daemon.pid())
}

/// A file as the daemon sees it.
fn seen_by(daemon: &Daemon, path: &str) -> Result<String> {
    std::fs::read_to_string(as_seen_by(daemon, path)).with_context(|| path.to_owned())
}

/// Waits until something is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) -> Result<()> {
    let start = Instant::now();
    while !so() {
        ensure!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

#[test]
fn a_service_manager_is_told_when_it_is_up_and_when_it_stops() {
    with_lab(|lab| {
        let path = lab.directory.join("notify");
        let socket = UnixDatagram::bind(&path)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut daemon = lab.start_by(A, Vrrpd, &Conf::v3(100).text(), |words| {
            ["env".to_owned(), format!("NOTIFY_SOCKET={}", path.display())].into_iter().chain(words).collect()
        })?;
        let told = || -> Result<String> {
            let mut octets = [0; 200];
            let length = socket.recv(&mut octets).context("the service manager was told nothing")?;
            Ok(String::from_utf8_lossy(&octets[..length]).trim().to_owned())
        };
        ensure!(told()? == "READY=1", "another word before");
        ensure!(vrrpd::status(&daemon)?["instances"][0]["state"].is_string(), "too early: {}", daemon.log());
        let pid = format!("{}\n", daemon.pid());
        for name in ["keepalived.pid", "vrrp.pid"] {
            ensure!(std::fs::read_to_string(daemon.directory.join("run").join(name))? == pid, "{name}");
        }
        daemon.stop()?;
        ensure!(told()? == "STOPPING=1", "it did not say that it stops");
        socket.set_nonblocking(true)?;
        ensure!(socket.recv(&mut [0; 9]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "more was told");
        Ok(())
    });
}

/// Runs vrrpd without -n until the process that was started ends. Paths are from the laboratory's directory, which the
/// daemon leaves.
fn in_background(lab: &Lab, conf: &str, more: &[&str]) -> Result<Output> {
    std::fs::write(lab.directory.join("background.conf"), conf)?;
    let mut command = lab.routers[A].command(vrrpd::built("vrrpd")?);
    command.current_dir(&lab.directory).args(["-f", "background.conf", "--run-dir", "run"]).args(more);
    // SAFETY: prctl(2) alone; the daemon is not to be killed with the process that leaves it in the background.
    unsafe { command.pre_exec(|| Ok(nix::sys::prctl::set_pdeathsig(None)?)) };
    command.output().context("vrrpd")
}

#[test]
fn in_the_background_its_starter_waits_until_it_is_up() {
    with_lab(|lab| {
        let log = lab.directory.join("own.log");
        let output = in_background(lab, &Conf::v3(100).text(), &["-G", "-g", "own.log"])?;
        let pid = std::fs::read_to_string(lab.directory.join("run/vrrp.pid"))?.trim().parse::<i32>()?;
        sweep::process_started(pid);
        ensure!(output.status.code() == Some(0) && output.stderr.is_empty(), "{output:?}");
        let mut status = Command::new(vrrpd::built("vrrpctl")?);
        let answer = status.arg("--run-dir").arg(lab.directory.join("run")).arg("status").output()?;
        ensure!(answer.status.success(), "it was not up yet: {answer:?}");
        until("its log", || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("Startup complete")))?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let session = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(3)).context("no session")?;
        ensure!(session == pid.to_string(), "it is in the session {session} of its starter");
        ensure!(std::fs::read_link(format!("/proc/{pid}/fd/2"))? == Path::new("/dev/null"), "it keeps the terminal");
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        kill(Pid::from_raw(pid), Signal::SIGTERM)?;
        until("its end", || !lab.directory.join("run/vrrp.pid").exists())?;
        until("its process", || !Path::new(&format!("/proc/{pid}/exe")).exists())?;
        sweep::process_ended(pid);
        Ok(())
    });
}

#[test]
fn its_starter_has_the_exit_code_of_one_that_never_comes_up() {
    with_lab(|lab| {
        let missing = Conf::v3(100).text().replace("interface eth0", "interface eth7");
        for (conf, code, word) in [(missing.as_str(), 2, "interface eth7"), ("", 2, "no virtual router")] {
            let output = in_background(lab, conf, &["-G"])?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.code() == Some(code) && said.lines().count() == 1, "{output:?}");
            ensure!(said.contains(word), "{word} is not named: {said}");
        }
        Ok(())
    });
}

#[test]
fn the_answers_of_the_command_line() {
    with_lab(|lab| {
        let findings = lab.directory.join("findings").display().to_string();
        let conf = lab.directory.join("k.conf").display().to_string();
        std::fs::write(&conf, Conf::v3(100).line("priorty 1").text())?;
        let log = format!("-t{findings}");
        for (words, code, printed) in [
            (vec!["--signum=JSON"], 0, "36\n"),
            (vec!["--signum=NONE"], 1, ""),
            (vec!["--frobnicate"], 1, ""),
            (vec!["-C"], 1, ""),
            (vec!["-T"], 1, ""),
            (vec!["-t", &conf], 5, ""),
            (vec!["-t", "-f", &conf], 5, ""),
            (vec!["-f", &conf, &log], 5, ""),
            (vec!["--config-test", "-f", "/nonexistent"], 4, ""),
        ] {
            let output = lab.routers[A].command(vrrpd::built("vrrpd")?).args(&words).output()?;
            ensure!(output.status.code() == Some(code), "{words:?}: {output:?}");
            ensure!(String::from_utf8_lossy(&output.stdout) == printed, "{words:?}: {output:?}");
        }
        ensure!(std::fs::read_to_string(&findings)?.contains("priorty"), "the findings are not in the file");
        Ok(())
    });
}

/// Two daemons on one host, by `instance` alone: places, names, and neither in the other's way.
#[test]
fn instances_have_places_of_their_own() {
    with_lab(|lab| {
        let conf = |name: &str, vrid| format!("instance {name}\n{}", Conf { vrid, ..Conf::v3(100) }.text());
        let mut blue = start_private(lab, A, &conf("blue", 51), OWN_RUN, &["-l", "-G"])?;
        blue.wait_log("Startup complete", PATIENCE)?;
        let pid = format!("{}\n", blue.pid());
        for path in ["/run/keepalived/keepalived_blue.pid", "/run/keepalived/vrrp_blue.pid"] {
            ensure!(seen_by(&blue, path)? == pid, "{path}");
        }
        // In the mounts of the first.
        let of = blue.pid().to_string();
        let start = |name: &str| -> Result<Daemon> {
            lab.start_by(A, Vrrpd, &conf(name, 52).replace(".100", ".110"), |words| {
                let at = words[5].clone();
                let script = format!("cp /proc/self/fd/0 /mnt/{name}.conf && exec \"$@\"");
                let enter = ["nsenter", "--mount", "--target", &of, "sh", "-ec", &script, "sh"].map(str::to_owned);
                let own = [&words[0], "-n", "-l", "-G", "-f", &format!("/mnt/{name}.conf")].map(str::to_owned);
                let shell = format!("exec \"$@\" <{at}");
                let feed = ["sh", "-ec", &shell, "sh"].map(str::to_owned);
                feed.into_iter().chain(enter).chain(own).collect()
            })
        };
        let mut red = start("red")?;
        red.wait_log("Startup complete", PATIENCE)?;
        lab.announce_error("already running");
        lab.announce_error("another vrrpd answers");
        let mut again = start("blue")?;
        ensure!(again.wait_exit(PATIENCE)?.code() == Some(1), "a second one of a name: {}", again.log());
        ensure!(again.log().contains("/run/vrrpd/blue"), "its place is not named: {}", again.log());
        red.stop()?;
        ensure!(seen_by(&blue, "/run/keepalived/vrrp_blue.pid")? == pid, "the other's pid file is gone");
        blue.stop().map(drop)
    });
}

/// `net_namespace`, and -s in place of it: the daemon is there with all that it does, and so is its guard.
#[test]
fn in_another_network_namespace() {
    let prepare = |name: &str| {
        format!(
            "{OWN_RUN} && ip netns add {name} && ip link set eth0 netns {name} && ip -n {name} link set lo up && \
             ip -n {name} link set eth0 up && ip -n {name} address add 192.168.1.2/24 dev eth0"
        )
    };
    with_lab(|lab| {
        for (router, keyword, flags) in [
            (A, "net_namespace red\n", &["-l", "-G"][..]),
            (B, "net_namespace no-such-one\n", &["-l", "-G", "-s", "red"]),
        ] {
            let conf = format!("{keyword}{}", Conf::v3(100).text());
            let mut daemon = start_private(lab, router, &conf, &prepare("red"), flags)?;
            daemon.wait_log("Entering MASTER STATE", PATIENCE)?;
            ensure!(seen_by(&daemon, "/run/keepalived/red/vrrp.pid")? == format!("{}\n", daemon.pid()), "pid file");
            let inside = File::open(as_seen_by(&daemon, "/run/netns/red"))?;
            let shows = || -> bool {
                let output = Command::new("nsenter")
                    .arg(format!("--net=/proc/{}/fd/{}", std::process::id(), inside.as_raw_fd()))
                    .args(["ip", "-o", "address", "show", "dev", "eth0"])
                    .output();
                output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(&format!(" {VIP}/")))
            };
            until("the address", &shows)?;
            daemon.kill()?;
            until("the guard", || !shows())?;
        }
        Ok(())
    });
}

#[test]
fn a_namespace_that_is_not_there_is_named() {
    with_lab(|lab| {
        lab.announce_error("no-such-one");
        let conf = format!("net_namespace no-such-one\n{}", Conf::v3(100).text());
        let mut daemon = lab.start(A, Vrrpd, &conf)?;
        ensure!(daemon.wait_exit(PATIENCE)?.code() == Some(1), "{}", daemon.log());
        ensure!(daemon.log().contains("/run/netns/no-such-one"), "{}", daemon.log());
        Ok(())
    });
}

/// keepalived's signals, none of which may end the daemon.
#[test]
fn signals_are_heard() {
    with_lab(|lab| {
        let mut daemon = lab.start_by(A, Vrrpd, &Conf::v3(100).text(), |words| {
            let at = words.len() - 2;
            [&words[..at], &["--ignore-sigint".to_owned()], &words[at..]].concat()
        })?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        for number in [2, 10, 12, 63, 36, 1] {
            let status = Command::new("kill").args([format!("-{number}"), daemon.pid().to_string()]).status()?;
            ensure!(status.success(), "kill -{number}");
            std::thread::sleep(Duration::from_millis(50));
        }
        ensure!(vrrpd::status(&daemon)?["instances"][0]["state"] == "MASTER", "{}", daemon.log());
        daemon.stop().map(drop)
    });
}

/// Scripts before and after, the umask they have, the process's name, and what -a tells.
#[test]
fn names_masks_and_scripts_before_and_after() {
    with_lab(|lab| {
        let (script, out) = (lab.directory.join("script.sh"), lab.directory.join("out"));
        std::fs::write(&script, format!("#!/bin/sh\necho \"$1 $(umask)\" >>{}\n[ $1 != start ]\n", out.display()))?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&script, mode)?;
        let script = script.display();
        let mut conf = Conf::v3(100).line(format!("notify_master \"{script} master\""));
        conf.globals.extend([
            format!("startup_script \"{script} start\""),
            format!("shutdown_script \"{script} stop\""),
            "process_names".to_owned(),
            "umask 027".to_owned(),
        ]);
        let mut daemon = lab.start_by(A, Vrrpd, &conf.text(), |words| {
            let at = words.len() - 2;
            [&words[..at], &["-a".to_owned()], &words[at..]].concat()
        })?;
        let said = |what: &str| std::fs::read_to_string(&out).unwrap_or_default().contains(what);
        until("notify_master", || said("master"))?;
        ensure!(std::fs::read_to_string(format!("/proc/{}/comm", daemon.pid()))? == "keepalived_vrrp\n", "its name");
        daemon.wait_log(&format!("Netlink reports {VIP}/24 set on eth0"), PATIENCE)?;
        daemon.stop()?;
        let all = std::fs::read_to_string(&out)?;
        ensure!(all == "start 0027\nmaster 0027\nstop 0027\n", "{all}");
        let log = daemon.log();
        let failed = log.contains("startup_script") && log.contains("failed (exited with status 1)");
        ensure!(failed, "nothing is said of a script that failed: {log}");
        ensure!(log.find("shutdown_script") > log.find("sent 0 priority"), "{log}");
        Ok(())
    });
}

/// The system's log gets what keepalived's processes would say, under their names.
#[test]
fn the_system_s_log_is_the_default() {
    with_lab(|lab| {
        let path = lab.directory.join("system-log");
        let socket = UnixDatagram::bind(&path)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        // A /dev with nothing but what a daemon needs, and the socket.
        let prepare = format!(
            "mkdir /mnt/dev && for n in null zero urandom; do touch /mnt/dev/$n && mount --bind /dev/$n /mnt/dev/$n; done \
             && ln -s {} /mnt/dev/log && mount --rbind /mnt/dev /dev",
            path.display()
        );
        let run = lab.directory.join("run").display().to_string();
        let conf = Conf::v3(100).text();
        let mut daemon = start_private(lab, A, &conf, &prepare, &["--run-dir", &run, "-S", "local3"])?;
        let mut lines = Vec::new();
        while !lines.iter().any(|line: &String| line.contains("Entering MASTER STATE")) {
            let mut octets = [0; 1000];
            let length = socket.recv(&mut octets).with_context(|| format!("{lines:#?}"))?;
            lines.push(String::from_utf8_lossy(&octets[..length]).into_owned());
        }
        let pid = daemon.pid();
        for want in [
            format!("<158>Keepalived[{pid}]: Startup complete"),
            format!("<158>Keepalived_vrrp[{pid}]: (VI_1) Entering MASTER STATE"),
        ] {
            ensure!(lines.iter().any(|line| line.starts_with(&want)), "no {want}: {lines:#?}");
        }
        ensure!(daemon.log().is_empty(), "the console was not asked for: {}", daemon.log());
        daemon.stop().map(drop)
    });
}

/// By however many keywords and flags: one warning, which names what there is in its place.
#[test]
fn snmp_that_is_asked_for_is_warned_of_once() {
    with_lab(|lab| {
        let conf = Conf::v3(120).global("enable_snmp_vrrp").global("enable_traps");
        let mut daemon = lab.start_by(A, Vrrpd, &conf.text(), |mut words| {
            words.push("-x".into());
            words
        })?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let log = daemon.log();
        let warnings: Vec<_> = log.lines().filter(|line| line.contains("SNMP") && line.contains("WARN")).collect();
        ensure!(warnings.len() == 1 && warnings[0].contains("`vrrpctl status --json`"), "{log}");
        daemon.stop().map(drop)
    });
}
