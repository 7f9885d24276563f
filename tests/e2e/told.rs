//! What is told of a reload, and to whom: FIFOs and readers that come and go, virtual routers and groups that are deleted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use vrrp_tests::conf::{Conf, TWIN_VIP, VIP};
use vrrp_tests::daemon::{Daemon, Program, Program::Keepalived, Program::Vrrpd};
use vrrp_tests::keepalived;
use vrrp_tests::lab::{A, Lab, with_lab};

use crate::reload::write;
use crate::scripts::{notify_script, told, wait_told};
use vrrp_tests::scenario::PATIENCE;

/// Has either program reload this, and waits until it has.
fn reload(daemon: &mut Daemon, text: &str) -> Result<()> {
    let complete = |daemon: &Daemon| daemon.log().matches("Reload complete").count();
    let before = complete(daemon);
    write(daemon, text)?;
    daemon.signal(Signal::SIGHUP)?;
    let start = Instant::now();
    while complete(daemon) == before {
        ensure!(start.elapsed() < PATIENCE, "no reload: {}", daemon.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// The FIFOs of a directory, and by the FIFO who reads it: a process id.
fn fifos(directory: &Path) -> Result<(Vec<String>, BTreeMap<String, String>)> {
    let mut there = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().into_string().ok().context("a name")?;
        there.extend(Some(name).filter(|name| name.starts_with("fifo") && !name.ends_with("read")));
    }
    there.sort();
    let mut readers = BTreeMap::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let words = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        if let Some(("cat", path)) = words.trim_end_matches('\0').split_once('\0')
            && Path::new(path).parent() == Some(directory)
            && let Some(name) = Path::new(path).file_name()
        {
            readers.insert(name.to_string_lossy().into_owned(), entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok((there, readers))
}

fn fifo_story(lab: &Lab, program: Program) -> Result<()> {
    let directory = lab.directory.join(format!("told-{program:?}"));
    fs::create_dir(&directory)?;
    let script = notify_script(&directory, "reader")?;
    fs::write(&script, "#!/bin/sh\nexec cat \"$1\" >>\"$1.read\"\n")?;
    let place = |name: &str| directory.join(name).display().to_string();
    let named = |keyword: &str, name: &str| format!("{keyword} {}", place(name));
    let reader = |keyword: &str| format!("{keyword}_script {}", script.display());
    let conf = |globals: &[String]| {
        let mut conf = Conf::v3(120).global("fifo_write_vrrp_states_on_reload");
        conf.globals.extend_from_slice(globals);
        conf.text()
    };
    let own = |name| [named("vrrp_notify_fifo", name), reader("vrrp_notify_fifo")];
    let both = [own("fifo2"), [named("notify_fifo", "fifo3"), reader("notify_fifo")]].concat();
    let mut daemon = lab.start(A, program, &conf(&[]))?;
    lab.watch.wait_holder(A, VIP, PATIENCE)?;
    let steps: [(&[String], &[&str], &[&str]); 7] = [
        (&own("fifo1"), &["fifo1"], &["fifo1"]),
        (&own("fifo1"), &["fifo1"], &["fifo1"]),
        (&own("fifo2"), &["fifo2"], &["fifo2"]),
        (&own("fifo2")[..1], &["fifo2"], &[]),
        (&own("fifo2"), &["fifo2"], &["fifo2"]),
        (&both, &["fifo2", "fifo3"], &["fifo2", "fifo3"]),
        (&[], &[], &[]),
    ];
    let mut first = None;
    for (number, (globals, there, read)) in steps.into_iter().enumerate() {
        reload(&mut daemon, &conf(globals))?;
        let start = Instant::now();
        loop {
            let (names, readers) = fifos(&directory)?;
            if names == there && readers.keys().eq(read) {
                // keepalived ends it and starts another, whatever the reload.
                let same = *first.get_or_insert_with(|| readers.clone()) == readers;
                ensure!(number != 1 || program == Keepalived || same, "the reader was not let be");
                break;
            }
            ensure!(start.elapsed() < PATIENCE, "{program:?}, step {number}: {names:?} read by {readers:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    daemon.stop()?;
    if program == Vrrpd {
        for name in ["fifo1", "fifo2", "fifo3"] {
            let read = fs::read_to_string(place(&format!("{name}.read")))?;
            ensure!(read.contains("INSTANCE \"VI_1\" MASTER 120\n"), "{name} was told {read:?}");
        }
    }
    Ok(())
}

#[test]
fn fifos_and_their_readers_come_and_go_as_with_keepalived() {
    with_lab(|lab| {
        fifo_story(lab, Vrrpd)?;
        if !keepalived::is_missing() {
            fifo_story(lab, Keepalived)?;
        }
        Ok(())
    });
}

/// A group goes while its members stay, then one of those; what is told of it, from the group's end on.
fn deleted_story(lab: &Lab, program: Program, notify_deleted: Option<&str>) -> Result<Vec<String>> {
    let name = format!("deleted-{program:?}-{}", notify_deleted.map_or(0, str::len));
    let directory = lab.directory.join(name);
    fs::create_dir(&directory)?;
    let script = notify_script(&directory, "any")?.display().to_string();
    let gone = notify_script(&directory, "gone")?.display().to_string();
    let mut conf = Conf { has_twin: true, ..Conf::v3(120) }.line(format!("notify {script}"));
    conf.lines.extend(notify_deleted.map(|rest| rest.replace("GONE", &gone)));
    let (whole, grouped) = (conf.text(), format!("notify {script}\n    group {{"));
    let mut daemon = lab.start(A, program, &whole.replacen("    group {", &format!("    {grouped}"), 1))?;
    for who in ["INSTANCE VI_1", "INSTANCE VI_2", "GROUP VG_1"] {
        let priority = if who.starts_with('G') { 0 } else { 120 };
        wait_told(&directory, &format!("any {who} MASTER {priority}"))?;
    }
    let before = told(&directory).len();
    let (start, end) =
        (whole.find("vrrp_sync_group").context("a group")?, whole.find("vrrp_instance VI_2").context("VI_2")?);
    let apart = format!("{}{}", &whole[..start], &whole[end..]);
    reload(&mut daemon, &apart)?;
    std::thread::sleep(Duration::from_secs(1));
    ensure!(told(&directory).len() == before, "{program:?} told of the group's end: {:?}", told(&directory));
    ensure!([VIP, TWIN_VIP].iter().all(|&vip| lab.watch.record().holders(vip) == [A]), "the members went with it");
    reload(&mut daemon, &Conf { has_twin: false, ..conf }.text())?;
    lab.watch.wait_nobody(TWIN_VIP, PATIENCE)?;
    daemon.stop()?;
    wait_told(&directory, "any INSTANCE VI_1 STOP 120")?;
    // Scripts run side by side.
    let mut since = told(&directory)[before..].to_vec();
    since.sort();
    Ok(since)
}

#[test]
fn what_is_deleted_is_told_of_as_keepalived_does() {
    with_lab(|lab| {
        let script = "notify_deleted \"GONE for good\"";
        for (keyword, expected) in [
            (None, vec!["any INSTANCE VI_2 FAULT 120"]),
            (Some("notify_deleted"), vec!["any INSTANCE VI_2 DELETED 120"]),
            (Some(script), vec!["any INSTANCE VI_2 DELETED 120", "gone for good"]),
        ] {
            let mut expected = [vec!["any INSTANCE VI_1 STOP 120"], expected].concat();
            expected.sort_unstable();
            let ours = deleted_story(lab, Vrrpd, keyword)?;
            ensure!(ours == expected, "{keyword:?}: ours told {ours:#?}");
            if !keepalived::is_missing() {
                let theirs = deleted_story(lab, Keepalived, keyword)?;
                ensure!(ours == theirs, "{keyword:?}: ours told {ours:#?}, keepalived {theirs:#?}");
            }
        }
        Ok(())
    });
}
