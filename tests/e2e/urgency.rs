//! The protocol's threads have the time that they ask for, and serve without it where the kernel refuses.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::{Daemon, Program::Vrrpd};
use vrrp_tests::lab::{A, with_lab};

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
