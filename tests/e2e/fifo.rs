//! What is told of changes, byte by byte what keepalived tells of the same: FIFOs and their readers, in groups and alone.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use nix::sys::stat::Mode;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Program::{self, Keepalived, Vrrpd};
use vrrp_tests::forge;
use vrrp_tests::frames::FrameSpec;
use vrrp_tests::keepalived;
use vrrp_tests::lab::{A, B, Lab, with_lab};

use crate::forged::convincing;
use crate::scripts::notify_script;
use crate::service::until;
use vrrp_tests::scenario::PATIENCE;

/// A FIFO of the test's own, from which it reads while the daemon writes; as somebody's who makes it at boot.
struct Reader {
    fifo: File,
    text: String,
}

impl Reader {
    fn new(path: &Path) -> Result<Self> {
        nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        // For writing, too: it has no end while the daemon is not there.
        let fifo = OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
        Ok(Self { fifo, text: String::new() })
    }

    /// Waits until `line` was read that often.
    fn wait(&mut self, line: &str, times: usize) -> Result<()> {
        let start = Instant::now();
        loop {
            let mut octets = [0; 4096];
            while let Ok(count) = self.fifo.read(&mut octets) {
                self.text += &String::from_utf8_lossy(&octets[..count]);
            }
            if self.text.lines().filter(|told| *told == line).count() >= times {
                return Ok(());
            }
            ensure!(start.elapsed() < PATIENCE, "{line:?} was not written {times} times: {}", self.text);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

/// The lines of a story in their order, of which one router is told again and again: of a weaker master that is heard.
fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.dedup();
    lines
}

/// Start, takeover, weights, a better master that leaves, a weaker one that is heard, a lost link, a failed check, the stop.
fn story(lab: &Lab, program: Program) -> Result<Vec<String>> {
    let directory = lab.directory.join(format!("story-{program:?}"));
    fs::create_dir(&directory)?;
    let mut reader = Reader::new(&directory.join("fifo"))?;
    let (healthy, weighty) = (directory.join("healthy"), directory.join("weighty"));
    fs::write(&healthy, "")?;
    let mut conf = Conf::v3(120).check(&healthy, 0);
    conf.globals.push(format!("vrrp_notify_fifo {}", directory.join("fifo").display()));
    conf.globals.push("vrrp_notify_priority_changes".into());
    conf.before = format!(
        "vrrp_script weigh {{\n    script \"/usr/bin/test -e {}\"\n    interval 1\n    weight 20\n}}\n",
        weighty.display()
    );
    let text = conf.text().replace("        check\n", "        check\n        weigh\n");
    let mut daemon = lab.start(A, program, &text)?;
    reader.wait("INSTANCE \"VI_1\" MASTER 120", 1)?;
    fs::write(&weighty, "")?;
    reader.wait("INSTANCE \"VI_1\" MASTER_PRIORITY 140", 1)?;

    let mut better = lab.start_conf(B, Vrrpd, &Conf::v3(200))?;
    reader.wait("INSTANCE \"VI_1\" BACKUP 140", 1)?;
    fs::remove_file(&weighty)?;
    reader.wait("INSTANCE \"VI_1\" BACKUP_PRIORITY 120", 1)?;
    better.stop()?;
    reader.wait("INSTANCE \"VI_1\" MASTER 120", 2)?;

    let weaker = [FrameSpec { priority: 50, ..convincing(&conf) }.build()];
    forge::flood(&lab.attacker, &weaker, 3, 10)?;
    reader.wait("INSTANCE \"VI_1\" MASTER_RX_LOWER_PRI 120", 1)?;

    lab.plug(A, false)?;
    reader.wait("INSTANCE \"VI_1\" FAULT 120", 1)?;
    lab.plug(A, true)?;
    reader.wait("INSTANCE \"VI_1\" MASTER 120", 3)?;
    fs::remove_file(&healthy)?;
    reader.wait("INSTANCE \"VI_1\" FAULT 120", 2)?;
    daemon.stop()?;
    reader.wait("INSTANCE \"VI_1\" STOP 120", 1)?;
    ensure!(directory.join("fifo").exists(), "a FIFO that was there before is gone");
    Ok(lines(&reader.text))
}

#[test]
fn a_fifo_is_told_what_keepalived_tells() {
    with_lab(|lab| {
        let ours = story(lab, Vrrpd)?;
        let expected = [
            "BACKUP 120",
            "MASTER 120",
            "MASTER_PRIORITY 140",
            "BACKUP 140",
            "BACKUP_PRIORITY 120",
            "MASTER 120",
            "MASTER_RX_LOWER_PRI 120",
            "FAULT 120",
            "BACKUP 120",
            "MASTER 120",
            "FAULT 120",
            "STOP 120",
        ];
        ensure!(ours == expected.map(|rest| format!("INSTANCE \"VI_1\" {rest}")), "the FIFO was told {ours:#?}");
        if !keepalived::is_missing() {
            let theirs = story(lab, Keepalived)?;
            ensure!(ours == theirs, "ours was told {ours:#?}, keepalived's {theirs:#?}");
        }
        Ok(())
    });
}

/// Of a sync group: each state's lines, those of the members before that of the group.
fn group_story(lab: &Lab, program: Program) -> Result<Vec<String>> {
    let directory = lab.directory.join(format!("group-{program:?}"));
    fs::create_dir(&directory)?;
    let mut reader = Reader::new(&directory.join("fifo"))?;
    let mut conf = Conf { has_twin: true, ..Conf::v3(120) };
    conf.globals.push(format!("notify_fifo {}", directory.join("fifo").display()));
    let mut daemon = lab.start_conf(A, program, &conf)?;
    reader.wait("GROUP \"VG_1\" MASTER 0", 1)?;
    lab.plug(A, false)?;
    reader.wait("GROUP \"VG_1\" FAULT 0", 1)?;
    lab.plug(A, true)?;
    reader.wait("GROUP \"VG_1\" MASTER 0", 2)?;
    daemon.stop()?;
    for line in ["GROUP \"VG_1\" STOP 0", "INSTANCE \"VI_1\" STOP 120", "INSTANCE \"VI_2\" STOP 120"] {
        reader.wait(line, 1)?;
    }
    // Which member goes first is chance, so the members of each state are put into one order. What follows the last
    // GROUP is put behind it by nobody.
    let lines: Vec<String> = reader.text.lines().map(str::to_owned).collect();
    let mut states: Vec<Vec<String>> = lines.split_inclusive(|line| line.starts_with("GROUP")).map(Vec::from).collect();
    states.iter_mut().for_each(|state| {
        let members = state.iter().filter(|line| line.starts_with("INSTANCE")).count();
        state[..members].sort();
    });
    Ok(states.concat())
}

#[test]
fn a_fifo_hears_of_members_before_their_group_as_from_keepalived() {
    with_lab(|lab| {
        let ours = group_story(lab, Vrrpd)?;
        let state = |state: &str| {
            let member = |name| format!("INSTANCE \"{name}\" {state} 120");
            [member("VI_1"), member("VI_2"), format!("GROUP \"VG_1\" {state} 0")]
        };
        let expected = ["BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER", "STOP"].map(state).concat();
        ensure!(ours == expected, "the FIFO was told {ours:#?}");
        if !keepalived::is_missing() {
            // At the start 2.2.7 says the group's line first, and the members' when they are looked at.
            let theirs = group_story(lab, Keepalived)?;
            let after_start = |lines: &[String]| {
                let last = lines.iter().position(|line| line == "GROUP \"VG_1\" MASTER 0").unwrap_or_default();
                lines[last..].to_vec()
            };
            ensure!(after_start(&ours) == after_start(&theirs), "ours was told {ours:#?}, keepalived's {theirs:#?}");
        }
        Ok(())
    });
}

/// FIFO and reader as the configuration asks for them: how they are made, and that nothing is left.
fn reader_story(lab: &Lab, program: Program) -> Result<Vec<String>> {
    let directory = lab.directory.join(format!("reader-{program:?}"));
    fs::create_dir(&directory)?;
    let (fifo, told) = (directory.join("fifo"), directory.join("told"));
    let script = notify_script(&directory, "reader")?;
    // Its last argument is the FIFO.
    let text = format!(
        "#!/bin/sh\necho \"$1\" \"$(basename \"$2\")\" \"$(cut -d' ' -f5 /proc/$$/stat | grep -cx $$)\" >{0}\nexec cat \"$2\" >>{0}\n",
        told.display()
    );
    fs::write(&script, text)?;
    let mut conf = Conf::v3(120);
    conf.globals.push("script_user root".into());
    conf.globals.push("enable_script_security".into());
    conf.globals.push(format!("notify_fifo {} nobody", fifo.display()));
    conf.globals.push(format!("notify_fifo_script \"{} 'one word'\"", script.display()));
    let mut daemon = lab.start_conf(A, program, &conf)?;
    lab.watch.wait_holder(A, VIP, PATIENCE)?;
    let is_read = || fs::read_to_string(&told).is_ok_and(|text| text.contains(" MASTER "));
    until("the reader to read of the master", is_read)?;
    let there = fs::symlink_metadata(&fifo)?;
    let nobody = nix::unistd::User::from_name("nobody")?.map(|user| user.uid.as_raw());
    let mode = there.permissions().mode() & 0o7777;
    ensure!((mode, Some(there.uid())) == (0o600, nobody), "{program:?} made the FIFO {mode:o} of {}", there.uid());
    daemon.stop()?;
    ensure!(program == Keepalived || !fifo.exists(), "the FIFO is left");
    Ok(fs::read_to_string(&told)?.lines().map(str::to_owned).collect())
}

#[test]
fn a_reader_is_started_and_ended_as_keepalived_does() {
    with_lab(|lab| {
        let ours = reader_story(lab, Vrrpd)?;
        let states = ["BACKUP", "MASTER", "STOP"].map(|state| format!("INSTANCE \"VI_1\" {state} 120"));
        let expected = [&["one word fifo 1".to_owned()], &states[..]].concat();
        ensure!(ours == expected, "the reader read {ours:#?}");
        if !keepalived::is_missing() {
            // 2.2.7 ends its reader before that has read the last line, or after.
            let theirs = reader_story(lab, Keepalived)?;
            ensure!(theirs.len() >= 3 && ours.starts_with(&theirs), "ours read {ours:#?}, keepalived's {theirs:#?}");
        }
        Ok(())
    });
}

/// Something else in a FIFO's place is left alone, and the daemon serves without it.
#[test]
fn what_is_no_fifo_is_left_alone() {
    with_lab(|lab| {
        let (place, kept) = (lab.directory.join("fifo"), lab.directory.join("kept"));
        fs::write(&kept, "kept")?;
        std::os::unix::fs::symlink(&kept, &place)?;
        let mut conf = Conf::v3(120);
        conf.globals.push(format!("notify_fifo {}", place.display()));
        let mut daemon = lab.start_conf(A, Vrrpd, &conf)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        daemon.wait_log("nothing is written to the FIFO", PATIENCE)?;
        daemon.stop()?;
        ensure!(
            fs::read_to_string(&kept)? == "kept" && place.is_symlink(),
            "the link, or what it leads to, was touched"
        );
        Ok(())
    });
}
