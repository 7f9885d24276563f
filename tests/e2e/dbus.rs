//! keepalived's D-Bus interface, on a bus of the laboratory's own: the same story with keepalived is the judge of paths,
//! interfaces, signals and answers.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal::SIGHUP;
use vrrp_tests::bus::{self, Bus};
use vrrp_tests::conf::VIP;
use vrrp_tests::daemon::Daemon;
use vrrp_tests::daemon::Program::{self, Keepalived, Vrrpd};
use vrrp_tests::keepalived;
use vrrp_tests::lab::{A, B, Lab, with_lab};
use vrrp_tests::scenario::PATIENCE;
use vrrp_tests::stamp::Stamp;

/// A bus is tried again every 10 s.
const RETRIED: Duration = Duration::from_secs(30);

const DAEMON: &str = "/org/keepalived/Vrrp1/Vrrp";
const FIRST: &str = "/org/keepalived/Vrrp1/Instance/eth0/51/IPv4";
const SECOND: &str = "/org/keepalived/Vrrp1/Instance/eth0/52/IPv4";
const METHODS: &str = "org.keepalived.Vrrp1.Vrrp";

fn configuration(globals: &str, vrid: u8) -> String {
    format!(
        "global_defs {{\n{globals}\n}}\nvrrp_instance VI_{vrid} {{\n interface eth0\n virtual_router_id {vrid}\n advert_int 1\n \
         virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n"
    )
}

/// Starts a daemon that knows the laboratory's bus, and writes what it is asked for into the laboratory's directory.
fn start(lab: &Lab, router: usize, program: Program, globals: &str) -> Result<Daemon> {
    let bus = format!("DBUS_SYSTEM_BUS_ADDRESS={}", bus::address(&lab.directory));
    let files = format!("TMPDIR={}", lab.directory.display());
    lab.start_by(router, program, &configuration(globals, 51), |words| {
        [vec!["env".to_owned(), bus, files], words].concat()
    })
}

fn rewrite(daemon: &Daemon, text: &str) -> Result<()> {
    Ok(std::fs::write(daemon.directory.join("keepalived.conf"), text)?)
}

/// What a client sees of a daemon's life.
#[derive(Debug, PartialEq)]
struct Story {
    /// By path.
    signals: BTreeMap<String, Vec<(String, Option<u32>)>>,
    properties: [Vec<String>; 2],
    interfaces: [Vec<String>; 2],
    /// Below the interface, before and after another virtual router took the place of the first.
    nodes: [Vec<String>; 2],
    /// Gratuitous ARPs that were asked for.
    announced: usize,
    prints: bool,
}

/// The elements of keepalived's interfaces, without hints for caches.
fn elements(xml: &str) -> Vec<String> {
    let inside = xml.lines().skip_while(|line| !line.contains("<interface name=\"org.keepalived"));
    let lines = inside.take_while(|line| !line.contains("</interface>")).map(str::trim);
    let mut elements: Vec<_> = lines
        .filter(|line| line.starts_with('<') && !line.starts_with("</") && !line.starts_with("<annotation"))
        .map(|line| {
            let mut words: Vec<_> = line.trim_matches(['<', '>', '/']).split_whitespace().collect();
            words.sort_unstable();
            words.join(" ")
        })
        .collect();
    elements.sort_unstable();
    elements
}

/// What a dictionary has, in whatever order it was said.
fn entries(reply: &str) -> Vec<String> {
    let ends = |c: char| c.is_whitespace() || matches!(c, ')' | ']');
    let mut entries: Vec<_> = reply.split("dict entry(").map(|entry| entry.trim_end_matches(ends).to_owned()).collect();
    entries.sort_unstable();
    entries
}

/// The nodes right below.
fn nodes(xml: &str) -> Vec<String> {
    let mut depth = 0;
    let mut nodes = Vec::new();
    for line in xml.lines().map(str::trim) {
        if line.starts_with("<node") {
            if depth == 1 {
                nodes.extend(line.split('"').nth(1).map(str::to_owned));
            }
            depth += usize::from(!line.ends_with("/>"));
        } else if line == "</node>" {
            depth -= 1;
        }
    }
    nodes
}

fn wait_for_file(path: &Path) -> bool {
    let start = std::time::Instant::now();
    while start.elapsed() < PATIENCE {
        if std::fs::metadata(path).is_ok_and(|file| file.len() > 0) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

fn story(lab: &Lab, bus: &Bus, program: Program) -> Result<Story> {
    let earlier = bus.signals().len();
    let mut daemon = start(lab, A, program, "enable_dbus")?;
    lab.watch.wait_holder(A, VIP, PATIENCE)?;
    bus.wait_status(FIRST, 2)?;
    let all = bus.call(FIRST, "org.freedesktop.DBus.Properties.GetAll", &["string:org.keepalived.Vrrp1.Instance"])?;
    let properties = [vec![bus.property(FIRST, "Name")?, bus.property(FIRST, "State")?], entries(&all)];
    let interfaces = [elements(&bus.introspect(DAEMON)?), elements(&bus.introspect(FIRST)?)];
    let above = "/org/keepalived/Vrrp1/Instance/eth0";
    let before = nodes(&bus.introspect(above)?);

    let file = lab.directory.join("keepalived.data");
    bus.call(DAEMON, &format!("{METHODS}.PrintData"), &[])?;
    let prints = wait_for_file(&file) && daemon.log().contains("Printing VRRP data on DBus request");
    std::fs::remove_file(&file)?;

    // Those of becoming master come in two rounds, five seconds apart.
    std::thread::sleep(Duration::from_secs(6));
    let at = Stamp::now();
    bus.call(FIRST, "org.keepalived.Vrrp1.Instance.SendGarp", &[])?;
    std::thread::sleep(Duration::from_secs(1));
    let announced = lab.watch.record().announcements(A, VIP, at).count();

    rewrite(&daemon, &configuration("enable_dbus", 52))?;
    bus.call(DAEMON, &format!("{METHODS}.ReloadConfig"), &[])?;
    bus.wait_status(SECOND, 2)?;
    let after = nodes(&bus.introspect(above)?);
    ensure!(bus.property(FIRST, "Name").is_err(), "the object of a virtual router that is gone answers");
    lab.plug(A, false)?;
    bus.wait_status(SECOND, 3)?;
    lab.plug(A, true)?;
    bus.wait_status(SECOND, 2)?;
    daemon.stop()?;
    let stopped = |signals: &[bus::Signal]| signals[earlier..].iter().any(|signal| signal.1 == "VrrpStopped");
    bus.wait("VrrpStopped", |_, signals| stopped(signals).then_some(()))?;
    let mut signals = BTreeMap::<_, Vec<_>>::new();
    for (path, member, number) in bus.signals().split_off(earlier) {
        signals.entry(path).or_default().push((member, number));
    }
    Ok(Story { signals, properties, interfaces, nodes: [before, after], announced, prints })
}

#[test]
fn a_client_sees_what_it_sees_of_keepalived() {
    if bus::is_missing() {
        return;
    }
    with_lab(|lab| {
        let bus = Bus::start(&lab.routers[A], &lab.directory)?;
        let ours = story(lab, &bus, Vrrpd)?;
        let told = |path| ours.signals.get(path).into_iter().flatten().filter_map(|signal| signal.1);
        ensure!(told(FIRST).eq([1, 2, 3]) && told(SECOND).eq([1, 2, 3, 1, 2, 98]), "{ours:#?}");
        ensure!(ours.announced == 1 && ours.prints, "{ours:#?}");
        if keepalived::is_missing() {
            return Ok(());
        }
        let mut theirs = story(lab, &bus, Keepalived)?;
        // It says that the name is a string, and sends a structure with one in it; ours says what it sends.
        for element in theirs.interfaces.iter_mut().flatten().filter(|element| element.contains("name=\"Name\"")) {
            *element = element.replace("type=\"s\"", "type=\"(s)\"");
        }
        ensure!(ours == theirs, "ours {ours:#?}, keepalived's {theirs:#?}");
        Ok(())
    });
}

#[test]
fn a_bus_that_is_not_there_or_refuses_harms_nobody() {
    if bus::is_missing() {
        return;
    }
    with_lab(|lab| {
        let mut daemon = start(lab, A, Vrrpd, "enable_dbus")?;
        daemon.wait_log("not on D-Bus as org.keepalived.Vrrp1: ", RETRIED)?;
        lab.watch.wait_holder(A, VIP, RETRIED)?;
        let bus = Bus::start(&lab.routers[A], &lab.directory)?;
        daemon.wait_log("Acquired DBus bus org.keepalived.Vrrp1", RETRIED)?;
        ensure!(bus.property(FIRST, "State")?.contains("\"Master\""), "it joined with the state of before");

        // By the packaged policy everybody may look, and nobody else may act.
        let arguments = ["string:org.keepalived.Vrrp1.Instance", "string:State"];
        let looked = bus.call_as_nobody(FIRST, "org.freedesktop.DBus.Properties.Get", &arguments)?;
        ensure!(looked.contains("\"Master\""), "{looked}");
        for (path, method) in [(DAEMON, "Vrrp.ReloadConfig"), (FIRST, "Instance.SendGarp")] {
            let acted = bus.call_as_nobody(path, &format!("org.keepalived.Vrrp1.{method}"), &[]);
            ensure!(acted.is_err_and(|error| error.to_string().contains("AccessDenied")), "nobody may {method}");
        }

        // A name that another has, and one that the policy does not allow.
        let mut second = start(lab, B, Vrrpd, "enable_dbus")?;
        second.wait_log("not on D-Bus as org.keepalived.Vrrp1: another program has that name", RETRIED)?;
        rewrite(&second, &configuration("enable_dbus\n dbus_service_name org.example.Router", 51))?;
        second.signal(SIGHUP)?;
        second.wait_log("not on D-Bus as org.example.Router: org.freedesktop.DBus.Error.AccessDenied", RETRIED)?;
        second.stop()?;

        rewrite(&daemon, &configuration("enable_dbus\n dbus_service_name vrrp", 51))?;
        lab.announce_error("`dbus_service_name` is `vrrp`");
        let refused = bus.call(DAEMON, &format!("{METHODS}.ReloadConfig"), &[]);
        ensure!(refused.is_err_and(|error| error.to_string().contains("dbus_service_name")), "the reason is answered");
        rewrite(&daemon, &configuration("", 51))?;
        bus.call(DAEMON, &format!("{METHODS}.ReloadConfig"), &[])?;
        daemon.wait_log("Released DBus", RETRIED)?;
        bus.wait("VrrpStopped", |_, signals| signals.iter().any(|signal| signal.1 == "VrrpStopped").then_some(()))?;
        rewrite(&daemon, &configuration("enable_dbus", 51))?;
        daemon.signal(SIGHUP)?;
        bus.wait("VrrpStarted again", |_, signals| {
            (signals.iter().filter(|signal| signal.1 == "VrrpStarted").count() == 2).then_some(())
        })?;
        drop(bus);
        daemon.wait_log("the bus is gone", RETRIED)?;
        ensure!(lab.ip_shows(A, VIP)?, "the address is where it was");
        daemon.stop()?;
        Ok(())
    });
}
