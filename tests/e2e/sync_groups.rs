//! Sync groups on the wire: two virtual routers move as one, whoever the peer is; and their scripts are told what
//! keepalived's are told.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use vrrp_tests::conf::VIP;
use vrrp_tests::daemon::Program::{self, Keepalived, Vrrpd};
use vrrp_tests::keepalived;
use vrrp_tests::lab::{A, B, Lab, with_lab};

use crate::scripts::{notify_script, told, wait_told};
use vrrp_tests::scenario::PATIENCE;

/// The second address of the group.
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 101);

/// Two virtual routers in a group, an advert every 200 ms. What the group and its members tell goes to `told`.
fn pair(priority: u8, group: &str, member: &str) -> String {
    let mut text = format!(
        "global_defs {{\n    script_user root\n    vrrp_version 3\n}}\nvrrp_sync_group G1 {{\n    group {{\n        VI_1\n        \
         VI_2\n    }}\n{group}}}\n"
    );
    for (number, address) in [(1, VIP), (2, OTHER)] {
        text += &format!(
            "vrrp_instance VI_{number} {{\n    interface eth0\n    virtual_router_id 5{number}\n    priority {priority}\n    \
             advert_int 0.2\n    virtual_ipaddress {{\n        {address}/24\n    }}\n{member}}}\n"
        );
    }
    text
}

fn both_at(lab: &Lab, router: usize) -> Result<()> {
    lab.watch.wait_holder(router, VIP, PATIENCE)?;
    lab.watch.wait_holder(router, OTHER, PATIENCE)
}

/// Election, crash, return and a graceful stop.
fn round(lab: &Lab, programs: [Program; 2]) -> Result<()> {
    let mut a = lab.start(A, programs[A], &pair(200, "", ""))?;
    both_at(lab, A)?;
    let mut b = lab.start(B, programs[B], &pair(100, "", ""))?;
    b.wait_log("(VI_2) Entering BACKUP STATE", PATIENCE)?;
    sleep(Duration::from_secs(1));
    both_at(lab, A)?;
    a.kill()?;
    b.wait_log("VRRP_Group(G1) Syncing instances to MASTER state", PATIENCE)?;
    lab.watch.wait("both addresses at B", PATIENCE, |record| {
        let holds = |address| record.holders(address).contains(&B).then_some(());
        holds(VIP).and_then(|()| holds(OTHER))
    })?;
    let mut a = lab.start(A, programs[A], &pair(200, "", ""))?;
    b.wait_log("VRRP_Group(G1) Syncing instances to BACKUP state", PATIENCE)?;
    both_at(lab, A)?;
    a.stop()?;
    both_at(lab, B)?;
    b.stop().map(drop)
}

#[test]
fn a_group_moves_as_one() {
    with_lab(|lab| round(lab, [Vrrpd; 2]));
}

#[test]
fn a_group_moves_as_one_before_keepalived() {
    if !keepalived::is_missing() {
        with_lab(|lab| round(lab, [Vrrpd, Keepalived]));
    }
}

#[test]
fn a_group_moves_as_one_behind_keepalived() {
    if !keepalived::is_missing() {
        with_lab(|lab| round(lab, [Keepalived, Vrrpd]));
    }
}

/// Scripts of a start, a takeover, a fault and the stop: those of the group, and those of its members.
fn story(lab: &Lab, program: Program) -> Result<Vec<String>> {
    let directory = lab.directory.join(format!("{program:?}"));
    fs::create_dir(&directory)?;
    let notify = |name: &str, directory: &Path| -> Result<String> {
        let mut lines = String::new();
        for state in ["master", "backup", "fault", "stop"] {
            let script = notify_script(directory, &format!("{name}-{state}"))?;
            lines += &format!("    notify_{state} {}\n", script.display());
        }
        Ok(lines + &format!("    notify {}\n", notify_script(directory, &format!("{name}-any"))?.display()))
    };
    let text = pair(120, &notify("group", &directory)?, &notify("member", &directory)?);
    let mut daemon = lab.start(A, program, &text)?;
    wait_told(&directory, "group-any GROUP G1 MASTER 0")?;
    lab.plug(A, false)?;
    wait_told(&directory, "group-any GROUP G1 FAULT 0")?;
    lab.plug(A, true)?;
    daemon.wait_log("VRRP_Group(G1) Syncing instances to MASTER state", PATIENCE)?;
    both_at(lab, A)?;
    daemon.stop()?;
    for line in ["group-any GROUP G1 STOP 0", "member-any INSTANCE VI_1 STOP 120", "member-any INSTANCE VI_2 STOP 120"]
    {
        wait_told(&directory, line)?;
    }
    let mut told = told(&directory);
    told.sort();
    told.dedup();
    Ok(told)
}

#[test]
fn scripts_of_a_group_are_told_what_keepalived_s_are() {
    with_lab(|lab| {
        let ours = story(lab, Vrrpd)?;
        let mut expected = Vec::new();
        for state in ["BACKUP", "FAULT", "MASTER", "STOP"] {
            let small = state.to_lowercase();
            expected.extend([format!("group-{small}"), format!("member-{small}")]);
            expected.push(format!("group-any GROUP G1 {state} 0"));
            expected.extend(["VI_1", "VI_2"].map(|name| format!("member-any INSTANCE {name} {state} 120")));
        }
        expected.sort();
        ensure!(ours == expected, "scripts were told {ours:#?}");
        if !keepalived::is_missing() {
            let theirs = story(lab, Keepalived)?;
            ensure!(ours == theirs, "ours were told {ours:#?}, keepalived's {theirs:#?}");
        }
        Ok(())
    });
}
