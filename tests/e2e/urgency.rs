//! The protocol's threads have the time that they ask for, and serve without it where the kernel refuses.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::{Daemon, Program::Vrrpd};
use vrrp_tests::lab::{A, with_lab};

use crate::reload::reload;
use crate::without_bpf::without;
use vrrp_tests::scenario::PATIENCE;

/// How the kernel schedules a thread, as /proc shows it.
#[derive(Debug, PartialEq, Eq)]
struct Scheduled {
    policy: i32,
    priority: u8,
    nice: i8,
    cpus: String,
}

/// By the threads' names.
fn threads(daemon: &Daemon) -> Result<BTreeMap<String, Scheduled>> {
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid()))?;
    tasks
        .map(|task| {
            let read =
                |name: &str| fs::read_to_string(task.as_ref().map(|task| task.path().join(name)).unwrap_or_default());
            let (stat, status) = (read("stat")?, read("status")?);
            // proc(5), from field 3 on: the name before it may hold blanks.
            let fields: Vec<_> = stat.rsplit_once(')').context("stat")?.1.split_whitespace().collect();
            let cpus = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:\t")).context("status")?;
            let scheduled = Scheduled {
                policy: fields[41 - 3].parse()?,
                priority: fields[40 - 3].parse()?,
                nice: fields[19 - 3].parse()?,
                cpus: cpus.to_owned(),
            };
            Ok((read("comm")?.trim().to_owned(), scheduled))
        })
        .collect()
}

fn served(conf: &Conf) -> Conf {
    conf.clone().global("vrrp_priority -7").global("vrrp_cpu_affinity 0").global("vrrp_rlimit_rttime 3000000")
}

#[test]
fn threads_are_scheduled_as_the_configuration_says() {
    with_lab(|lab| {
        let conf = served(&Conf::v3(150)).global("vrrp_rt_priority 33");
        let mut daemon = lab.start(A, Vrrpd, &conf.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        daemon.wait_log("thread protocol runs with real-time priority 33", PATIENCE)?;
        let threads = threads(&daemon)?;
        let of = |name: &str| threads.get(name).with_context(|| format!("no thread {name}: {threads:?}"));
        let fifo = |priority| Scheduled { policy: libc::SCHED_FIFO, priority, nice: -7, cpus: "0".into() };
        ensure!(*of("protocol")? == fifo(33) && *of("netlink")? == fifo(32), "{threads:?}");
        // What runs scripts must not run before the protocol.
        let errands = of("errands")?;
        ensure!(errands.policy == libc::SCHED_OTHER && errands.nice == 0, "{threads:?}");
        let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid()))?;
        let limit = limits.lines().find(|line| line.starts_with("Max realtime timeout")).unwrap_or_default();
        ensure!(limit.split_whitespace().rev().take(3).eq(["us", "3000000", "3000000"]), "{limit}");
        Ok(())
    });
}

/// Whether memory is locked, and for how long real-time work may go on.
fn process(daemon: &Daemon) -> Result<(bool, String)> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", daemon.pid()));
    let (status, limits) = (read("status")?, read("limits")?);
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).context("status")?;
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max realtime timeout")).context("limits")?;
    Ok((locked.trim() != "0 kB", limit.split_whitespace().next().unwrap_or_default().to_owned()))
}

/// As in keepalived 2.2.7, which was seen to follow all of it but an affinity that is taken back.
#[test]
fn a_reload_changes_how_threads_are_scheduled_and_takes_it_back() {
    with_lab(|lab| {
        let plain = Conf::v3(150);
        let mut daemon = lab.start(A, Vrrpd, &plain.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let (before, unlimited) = (threads(&daemon)?, process(&daemon)?);
        ensure!(before["protocol"].policy == libc::SCHED_OTHER && !unlimited.0, "{before:?} {unlimited:?}");
        let wanted = served(&plain).global("vrrp_rt_priority 33").global("vrrp_no_swap");
        let of = |threads: &BTreeMap<String, Scheduled>| {
            ["protocol", "netlink", "bfd"].map(|name| {
                let thread = threads.get(name).map(|thread| (thread.policy, thread.priority, thread.nice));
                (thread, threads.get(name).map(|thread| thread.cpus.clone()))
            })
        };
        let fifo = |priority| (Some((libc::SCHED_FIFO, priority, -7)), Some("0".to_owned()));
        let until = |expected: [_; 3]| {
            // The thread of BFD hears of it when the reload is complete.
            let start = Instant::now();
            while of(&threads(&daemon)?) != expected {
                ensure!(start.elapsed() < PATIENCE, "{:?}, not {expected:?}", of(&threads(&daemon)?));
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(())
        };
        reload(&daemon, &wanted.text())?;
        until([fifo(33), fifo(32), fifo(32)])?;
        ensure!(process(&daemon)? == (true, "3000000".to_owned()), "{:?}", process(&daemon)?);
        ensure!(threads(&daemon)?["errands"] == before["errands"], "{:?}", threads(&daemon)?);
        // Adverts this often have it without being asked.
        reload(&daemon, &plain.clone().every(10).text())?;
        until([50, 49, 49].map(|priority| {
            let (_, cpus) = of(&before)[0].clone();
            (Some((libc::SCHED_FIFO, priority, before["protocol"].nice)), cpus)
        }))?;
        reload(&daemon, &plain.text())?;
        until(of(&before))?;
        ensure!(!process(&daemon)?.0, "memory is locked still");
        daemon.wait_log("thread protocol runs without real-time priority", PATIENCE)
    });
}

#[test]
fn a_reload_that_cannot_change_the_program_s_mode_says_so() {
    with_lab(|lab| {
        let mut daemon = lab.start(A, Vrrpd, &Conf::v3(150).text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        reload(&daemon, &Conf::v3(150).global("xdp_mode off").text())?;
        daemon.wait_log("xdp_mode cannot be changed by a reload; the setting of before stays", PATIENCE)
    });
}

/// As in a container: without CAP_SYS_NICE.
#[test]
fn a_daemon_that_gets_no_priority_says_so_and_serves() {
    with_lab(|lab| {
        let conf = served(&Conf::v3(150).every(10));
        let mut daemon = lab.start_by(A, Vrrpd, &conf.text(), without("-sys_nice"))?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        daemon.wait_log("no real-time priority for thread protocol", PATIENCE)?;
        let log = daemon.log();
        ensure!(
            log.contains("(CAP_SYS_NICE)") && log.contains("vrrp_priority does not hold for thread protocol"),
            "{log}"
        );
        let threads = threads(&daemon)?;
        let expected = Scheduled { policy: libc::SCHED_OTHER, priority: 0, nice: 0, cpus: "0".into() };
        ensure!(threads.get("protocol") == Some(&expected), "{threads:?}");
        Ok(())
    });
}
