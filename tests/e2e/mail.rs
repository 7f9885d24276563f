//! Mail on changes of state: keepalived's own, of the same story, is the judge; and mail servers that fail hold up nothing.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Program::{self, Keepalived, Vrrpd};
use vrrp_tests::keepalived;
use vrrp_tests::lab::{A, Lab, with_lab};
use vrrp_tests::mailbox::{Letter, Mailbox, Manner};
use vrrp_tests::scenario::PATIENCE;
use vrrp_tests::vrrpd;

/// Mail by the client's address.
fn mailed(conf: Conf, router_id: &str, port: u16, to: &[&str]) -> Conf {
    let to = to.join("\n        ");
    conf.global(&format!("router_id {router_id}"))
        .global(&format!("notification_email {{\n        {to}\n    }}"))
        .global("notification_email_from vrrp@example.org")
        .global(&format!("smtp_server 192.168.1.10 {port}"))
        .global("smtp_helo_name alpha.example.org")
        .global("smtp_connect_timeout 1")
        .global("smtp_alert")
}

/// Of a sync group: start, takeover, a failed check, its recovery, the stop. Each state of the three is a letter.
fn story(lab: &Lab, program: Program) -> Result<Vec<Letter>> {
    let mailbox = Mailbox::open(&lab.client, 25, Manner::Takes)?;
    let healthy = lab.directory.join(format!("healthy-{program:?}"));
    fs::write(&healthy, "")?;
    let conf = Conf { has_twin: true, ..Conf::v3(120) }.check(&healthy, 0);
    let conf = mailed(conf, "LVS_A", 25, &["a@example.org", "b@example.org"]);
    let mut daemon = lab.start_conf(A, program, &conf)?;
    mailbox.wait(6, PATIENCE)?;
    fs::remove_file(&healthy)?;
    mailbox.wait(9, PATIENCE)?;
    fs::write(&healthy, "")?;
    mailbox.wait(15, PATIENCE)?;
    daemon.wait_log("SMTP alert successfully sent.", PATIENCE)?;
    daemon.stop()?;
    Ok(mailbox.letters())
}

/// The states of each subject, in the order of its letters.
fn states(letters: &[Letter]) -> BTreeMap<String, Vec<String>> {
    let mut states: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for letter in letters {
        let (who, state) = letter.subject().split_once(" - Entering ").unwrap_or_default();
        states.entry(who.to_owned()).or_default().push(state.to_owned());
    }
    states
}

#[test]
fn letters_are_keepaliveds() {
    with_lab(|lab| {
        let ours = story(lab, Vrrpd)?;
        let expected = ["BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER"].map(|state| format!("{state} state"));
        let who = ["Group VG_1", "Instance VI_1", "Instance VI_2"].map(|who| format!("[LVS_A] VRRP {who}"));
        let expected: BTreeMap<_, _> = who.into_iter().map(|who| (who, expected.to_vec())).collect();
        ensure!(states(&ours) == expected, "{:#?}", states(&ours));
        if !keepalived::is_missing() {
            // It sends several at once: which is taken first is chance.
            let sorted = |mut letters: Vec<Letter>| {
                letters.sort();
                letters
            };
            let (ours, theirs) = (sorted(ours), sorted(story(lab, Keepalived)?));
            ensure!(ours == theirs, "ours wrote {ours:#?}, keepalived {theirs:#?}");
        }
        Ok(())
    });
}

/// The address is served in time, scripts run, the daemon stops; what was not sent is counted. By a reload another server is
/// written to.
#[test]
fn a_server_that_hangs_holds_up_nothing() {
    with_lab(|lab| {
        let _hangs = Mailbox::open(&lab.client, 25, Manner::Hangs)?;
        let healthy = lab.directory.join("healthy");
        fs::write(&healthy, "")?;
        let conf = Conf::v3(120).check(&healthy, 0);
        let mut daemon = lab.start_conf(A, Vrrpd, &mailed(conf.clone(), "before", 25, &["a@example.org"]))?;
        daemon.wait_log("mail by 192.168.1.10:25 was not sent: no answer for 1 s", PATIENCE)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let lost = || -> Result<u64> {
            let status: serde_json::Value = serde_json::from_str(&vrrpd::vrrpctl(&daemon, &["status", "--json"])?)?;
            Ok(status["daemon"]["letters_lost"].as_u64().unwrap_or_default())
        };
        let start = Instant::now();
        while lost()? < 2 {
            ensure!(start.elapsed() < PATIENCE, "two letters went nowhere, {} are counted", lost()?);
            std::thread::sleep(Duration::from_millis(20));
        }

        let mailbox = Mailbox::open(&lab.client, 2525, Manner::Takes)?;
        let after = mailed(conf, "after", 2525, &["z@example.org"]).global("no_email_faults");
        fs::write(daemon.directory.join("keepalived.conf"), after.text())?;
        vrrpd::vrrpctl(&daemon, &["reload"])?;
        fs::remove_file(&healthy)?;
        daemon.wait_log("(VI_1) Entering FAULT STATE", PATIENCE)?;
        fs::write(&healthy, "")?;
        let letters = mailbox.wait(2, PATIENCE)?;
        let subjects: Vec<_> = letters.iter().map(Letter::subject).collect();
        let expected = ["BACKUP", "MASTER"].map(|state| format!("[after] VRRP Instance VI_1 - Entering {state} state"));
        ensure!(subjects == expected && letters.iter().all(|letter| letter.to == ["<z@example.org>"]), "{letters:#?}");
        daemon.stop().map(drop)
    });
}

#[test]
fn a_server_that_refuses_and_one_that_is_not_there_are_named() {
    with_lab(|lab| {
        let mailbox = Mailbox::open(&lab.client, 25, Manner::Refuses)?;
        for (port, why) in [(25, "permanent error (550): not known here"), (26, "Connection refused")] {
            let mut daemon = lab.start_conf(A, Vrrpd, &mailed(Conf::v3(120), "LVS_A", port, &["a@example.org"]))?;
            lab.watch.wait_holder(A, VIP, PATIENCE)?;
            for state in ["BACKUP", "MASTER"] {
                daemon.wait_log(&format!("it was: VRRP Instance VI_1 - Entering {state} state"), PATIENCE)?;
            }
            ensure!(daemon.log().contains(why), "{}", daemon.log());
            daemon.stop()?;
        }
        ensure!(mailbox.letters().is_empty(), "{:#?}", mailbox.letters());
        Ok(())
    });
}
