//! What trackers weigh, advert by advert, with keepalived as the judge; and links that are tracked.

use std::fs;

use anyhow::Result;
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
    // A `reverse` that is said where the check is defined stays, whatever other weight is said.
    for (name, defined, weight) in [
        ("plus", "1", "20"),
        ("minus", "1", "-30"),
        ("plus_reverse", "1", "5 reverse"),
        ("minus_reverse", "1 reverse", "-7"),
    ] {
        let file = directory.join(name);
        fs::write(&file, "")?;
        conf.before += &format!(
            "vrrp_script {name} {{\n    script \"/usr/bin/test -e {}\"\n    interval 1\n    rise 2\n    fall 2\n    weight {defined}\n}}\n",
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
