//! What trackers weigh, advert by advert, with keepalived as the judge; and links that are tracked.

use std::fs;

use anyhow::{Result, ensure};
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Program::{self, Keepalived, Vrrpd};
use vrrp_tests::keepalived;
use vrrp_tests::lab::{A, B, Lab, with_lab};
use vrrp_tests::stamp::Stamp;

use vrrp_tests::scenario::PATIENCE;

/// Waits until the router's adverts have this priority.
fn wait_priority(lab: &Lab, priority: u8) -> Result<()> {
    let since = Stamp::now();
    let what = format!("an advert of priority {priority}");
    lab.watch.wait(what, PATIENCE, |record| record.adverts_of(A, since).find(|advert| advert.priority == priority))?;
    Ok(())
}

/// Each step, with the priority that it comes to, from 100: a weight counts while its check passes, a negative one while it
/// fails, and `reverse` turns what counts to its opposite.
fn weigh(lab: &Lab, program: Program) -> Result<()> {
    let directory = lab.directory.join(format!("weights-{program:?}"));
    fs::create_dir(&directory)?;
    let mut conf = Conf::v3(100);
    let mut tracked = String::new();
    for (name, weight) in
        [("plus", "20"), ("minus", "-30"), ("plus_reverse", "5 reverse"), ("minus_reverse", "-7 reverse")]
    {
        let file = directory.join(name);
        fs::write(&file, "")?;
        conf.before += &format!(
            "vrrp_script {name} {{\n    script \"/usr/bin/test -e {}\"\n    interval 1\n    rise 2\n    fall 2\n}}\n",
            file.display()
        );
        tracked += &format!("        {name} weight {weight}\n");
    }
    let number = directory.join("number");
    fs::write(&number, "0\n")?;
    conf.before += &format!("track_file number {{\n    file {}\n}}\n", number.display());
    let conf =
        conf.line(format!("track_script {{\n{tracked}    }}")).line("track_file {\n        number weight 3\n    }");
    let mut daemon = lab.start_conf(A, program, &conf)?;
    // 100 + 20 - 5: one success is enough at the start.
    wait_priority(lab, 115)?;
    for (name, priority) in [("plus", 95), ("minus", 65), ("plus_reverse", 70), ("minus_reverse", 77)] {
        fs::remove_file(directory.join(name))?;
        wait_priority(lab, priority)?;
    }
    for (text, priority) in [("-2", 71), ("10", 107), ("80", 254), ("-80", 1), ("0", 77)] {
        fs::write(&number, format!("{text}\n"))?;
        wait_priority(lab, priority)?;
    }
    fs::write(directory.join("plus"), "")?;
    wait_priority(lab, 97)?;
    daemon.stop().map(drop)
}

#[test]
fn they_count_as_keepalived_has_them() {
    with_lab(|lab| {
        if !keepalived::is_missing() {
            weigh(lab, Keepalived)?;
        }
        weigh(lab, Vrrpd)
    });
}

/// What a virtual router tracks, and the priority that it comes to, from 100; `None` is a fault. Script `good` passes and
/// `bad` fails, the files have the number of their name, interface `up0` is up and `down0` is not.
const REVERSED: &[(&str, &str, Option<u8>)] = &[
    ("track_script", "good weight 0 reverse", None),
    ("track_script", "bad weight 0 reverse", Some(100)),
    ("track_script", "good weight 10 reverse", Some(90)),
    ("track_script", "bad weight -10 reverse", Some(110)),
    // Defined with `weight 10 reverse`, which the virtual router's own weight goes on being.
    ("track_script", "reversed weight 5", Some(95)),
    ("track_script", "reversed weight 5 noreverse", Some(105)),
    ("track_script", "reversed weight 0", None),
    ("track_file", "zero weight 0 reverse", None),
    ("track_file", "five weight 0 reverse", Some(100)),
    ("track_file", "five weight 0", None),
    ("track_file", "five weight 2 reverse", Some(90)),
    ("track_file", "five weight -2 reverse", Some(110)),
    // Defined with `weight 2 reverse`.
    ("track_file", "reversed_five weight 1", Some(95)),
    ("track_interface", "up0 weight 0 reverse", None),
    ("track_interface", "down0 weight 0 reverse", Some(100)),
    ("track_interface", "up0 weight 10 reverse", Some(90)),
    ("track_interface", "down0 weight -10 reverse", Some(110)),
];

fn reverse(lab: &Lab, program: Program) -> Result<()> {
    let mut text = "global_defs {\n    script_user root\n    vrrp_version 3\n}\n".to_owned();
    for (name, command, weight) in
        [("good", "true", ""), ("bad", "false", ""), ("reversed", "true", "weight 10 reverse")]
    {
        text += &format!("vrrp_script {name} {{\n    script /usr/bin/{command}\n    interval 1\n    {weight}\n}}\n");
    }
    for (name, number, weight) in [("zero", 0, ""), ("five", 5, ""), ("reversed_five", 5, "weight 2 reverse")] {
        let file = lab.directory.join(name);
        fs::write(&file, format!("{number}\n"))?;
        text += &format!("track_file {name} {{\n    file {}\n    {weight}\n}}\n", file.display());
    }
    for (vrid, (block, line, _)) in (1..).zip(REVERSED) {
        text += &format!(
            "vrrp_instance VI_{vrid} {{\n    interface eth0\n    virtual_router_id {vrid}\n    advert_int 0.2\n    \
             virtual_ipaddress {{\n        192.168.1.{}\n    }}\n    {block} {{\n        {line}\n    }}\n}}\n",
            100 + vrid
        );
    }
    let mut daemon = lab.start(A, program, &text)?;
    for (vrid, (_, line, priority)) in (1..).zip(REVERSED) {
        let Some(priority) = priority else { continue };
        let since = Stamp::now();
        lab.watch.wait(format!("an advert of priority {priority} by {line}"), PATIENCE, |record| {
            record.adverts_of(A, since).find(|advert| (advert.vrid, advert.priority) == (vrid, *priority))
        })?;
    }
    // Whoever is not at fault has been master for some intervals.
    let since = Stamp::now();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let record = lab.watch.record();
    for (vrid, (_, line, priority)) in (1..).zip(REVERSED) {
        let adverts = record.adverts_of(A, since).filter(|advert| advert.vrid == vrid);
        let priorities: Vec<_> = adverts.map(|advert| advert.priority).collect();
        let as_wanted = match priority {
            Some(priority) => !priorities.is_empty() && priorities.iter().all(|other| other == priority),
            None => priorities.is_empty(),
        };
        ensure!(as_wanted, "{program:?}: {line}: {priorities:?}");
    }
    drop(record);
    daemon.stop().map(drop)
}

/// `reverse` turns what counts to its opposite, a fault too; a definition's stays where a virtual router has a weight alone.
#[test]
fn reverse_is_keepalived_s() {
    with_lab(|lab| {
        let host = &lab.routers[A];
        for name in ["up0", "down0"] {
            host.ip(&format!("link add {name} type veth peer name {name}-peer"))?;
            host.ip(&format!("link set {name}-peer up"))?;
        }
        host.ip("link set up0 up")?;
        if !keepalived::is_missing() {
            reverse(lab, Keepalived)?;
        }
        reverse(lab, Vrrpd)
    });
}

/// One link that weighs, and one without which it cannot serve.
#[test]
fn an_interface_moves_mastership() {
    with_lab(|lab| {
        let host = &lab.routers[A];
        for name in ["uplink", "backbone"] {
            host.ip(&format!("link add {name} type veth peer name {name}-peer"))?;
            host.ip(&format!("link set {name} up"))?;
            host.ip(&format!("link set {name}-peer up"))?;
        }
        let a = Conf::v3(150).line("track_interface {\n        uplink weight -50\n        backbone\n    }");
        let mut a_runs = lab.start_conf(A, Vrrpd, &a)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let _b_runs = lab.start_conf(B, Vrrpd, &Conf::v3(120))?;
        host.ip("link set uplink-peer down")?;
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        a_runs.wait_log("Changing effective priority from 150 to 100", PATIENCE)?;
        host.ip("link set uplink-peer up")?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        host.ip("link set backbone down")?;
        a_runs.wait_log("Entering FAULT STATE", PATIENCE)?;
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        host.ip("link del backbone")?;
        host.ip("link add backbone type veth peer name backbone-peer")?;
        host.ip("link set backbone up")?;
        host.ip("link set backbone-peer up")?;
        lab.watch.wait_holder(A, VIP, PATIENCE)
    });
}
