//! Settings of `global_defs` that a whole daemon shows and nothing smaller: names, places, times of scripts, who runs them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Daemon;
use vrrp_tests::daemon::Program::Vrrpd;
use vrrp_tests::frames::FrameSpec;
use vrrp_tests::lab::{A, Lab, with_lab};
use vrrp_tests::scenario::PATIENCE;
use vrrp_tests::stamp::Stamp;
use vrrp_tests::{forge, frr};

use crate::accept::tables;
use crate::forged::convincing;
use crate::scripts::{notify_script, told, wait_told};
use crate::service::until;

/// What the daemon writes when it gets this signal.
fn written(daemon: &Daemon, signal: &str, path: &Path) -> Result<String> {
    let status = Command::new("kill").args([format!("-{signal}"), daemon.pid().to_string()]).status()?;
    ensure!(status.success(), "kill -{signal}");
    until(&path.display().to_string(), || path.exists())?;
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// Everything in one daemon: none of it is in another's way.
#[test]
fn names_and_places() {
    with_lab(|lab| {
        let router = &lab.routers[A];
        router.ip("link add lan0 type veth peer name lan0-peer")?;
        router.ip("link set lan0-peer up")?;
        router.ip("link set lan0 up")?;
        router.ip("address add 10.8.0.2/24 dev lan0")?;
        let file = |name: &str| lab.directory.join(name).display().to_string();
        for (directory, name, text) in
            [("usr", "rt_tables", "302 near\n"), ("usr", "rt_protos", "77 mine\n"), ("etc", "rt_tables", "303 near\n")]
        {
            fs::create_dir_all(lab.directory.join(directory))?;
            fs::write(lab.directory.join(directory).join(name), text)?;
        }
        let globals = [
            "vrrp_version 3".to_owned(),
            "process_name vr-demo".to_owned(),
            "vrrp_no_swap".to_owned(),
            "default_interface lan0".to_owned(),
            "vmac_prefix own".to_owned(),
            "vmac_addr_prefix addr".to_owned(),
            "nftables ours".to_owned(),
            "nftables_priority -7".to_owned(),
            format!("iproute_usr_dir {}", file("usr")),
            format!("iproute_etc_dir {}", file("etc")),
            format!("state_dump_file {}", file("state")),
            format!("stats_dump_file {}", file("stats")),
            format!("json_dump_file {}", file("json")),
            "json_version 2".to_owned(),
        ];
        let text = format!(
            "global_defs {{\n    {}\n}}\nvrrp_instance VI_1 {{\n    virtual_router_id 51\n    priority 255\n    no_accept off\n    \
             virtual_ipaddress {{\n        10.8.0.100/24\n    }}\n    virtual_routes {{\n        10.9.0.0/24 dev lan0 table near\n        \
             10.9.1.0/24 dev lan0 protocol mine\n    }}\n}}\nvrrp_instance VI_2 {{\n    interface eth0\n    virtual_router_id 52\n    \
             priority 255\n    use_vmac\n    virtual_ipaddress {{\n        {VIP}/24\n    }}\n}}\nvrrp_instance VI_3 {{\n    \
             interface eth0\n    virtual_router_id 53\n    advert_int 0.2\n    no_accept\n    virtual_ipaddress {{\n        \
             192.168.1.103/24\n    }}\n    virtual_ipaddress_excluded {{\n        192.168.1.104/24 use_vmac\n    }}\n}}\n",
            globals.join("\n    ")
        );
        let mut daemon = lab.start(A, Vrrpd, &text)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        lab.watch.wait_holder(A, [192, 168, 1, 104], PATIENCE)?;

        ensure!(fs::read_to_string(format!("/proc/{}/comm", daemon.pid()))? == "vr-demo\n", "process_name");
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid()))?;
        let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap_or_default().trim();
        ensure!(locked != "0 kB" && !locked.is_empty(), "vrrp_no_swap: {locked:?} are locked");
        until("the address on default_interface", || {
            router.ip("-o address show dev lan0").is_ok_and(|shown| shown.contains("10.8.0.100/24"))
        })?;
        let on = |address: &str| router.ip(&format!("-o address show to {address}"));
        ensure!(on("192.168.1.100")?.contains("own.52"), "vmac_prefix: {}", on("192.168.1.100")?);
        ensure!(on("192.168.1.104")?.contains("addr.53"), "vmac_addr_prefix: {}", on("192.168.1.104")?);
        let routes = || router.ip("route show table all").unwrap_or_default();
        until("the names of iproute_etc_dir, and of iproute_usr_dir where that has none", || {
            routes().contains("10.9.0.0/24 dev lan0 table 303") && routes().contains("10.9.1.0/24 dev lan0 proto 77")
        })?;
        let tables = tables(lab)?;
        ensure!(tables.contains("table ip ours") && tables.contains("priority filter - 7"), "nftables: {tables}");

        let state = written(&daemon, "USR1", &lab.directory.join("state"))?;
        ensure!(state.contains(" VRRP Instance = VI_1"), "state_dump_file: {state}");
        let stats = written(&daemon, "USR2", &lab.directory.join("stats"))?;
        ensure!(stats.contains("VRRP Instance: VI_1"), "stats_dump_file: {stats}");
        let json: serde_json::Value = serde_json::from_str(&written(&daemon, "36", &lab.directory.join("json"))?)?;
        ensure!(json["vrrp"][0]["data"]["iname"] == "VI_1", "json_version 2: {json}");
        daemon.stop().map(drop)
    });
}

/// A script that does not end is ended when its time is over; the daemon starts after it, and goes after it.
#[test]
fn scripts_before_and_after_have_their_time() {
    with_lab(|lab| {
        let conf = Conf::v3(255)
            .global("startup_script \"/bin/sleep 60\"")
            .global("startup_script_timeout 1")
            .global("shutdown_script \"/bin/sleep 60\"")
            .global("shutdown_script_timeout 1");
        let start = Instant::now();
        let mut daemon = lab.start_conf(A, Vrrpd, &conf)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        ensure!(start.elapsed() >= Duration::from_secs(1), "it did not wait for its startup_script");
        daemon.wait_log("startup_script /bin/sleep 60 timed out after 1s", PATIENCE)?;
        let stop = Instant::now();
        daemon.stop()?;
        ensure!(stop.elapsed() >= Duration::from_secs(1), "it did not wait for its shutdown_script");
        daemon.wait_log("shutdown_script /bin/sleep 60 timed out after 1s", PATIENCE)
    });
}

/// FRR's user is in a group beside its own.
#[test]
fn scripts_get_the_other_groups_of_their_user() {
    if frr::is_missing() {
        return;
    }
    with_lab(|lab| {
        for (name, keyword) in [("own", ""), ("all", "set_supplementary_groups")] {
            let directory = lab.directory.join(name);
            fs::create_dir(&directory)?;
            fs::set_permissions(&directory, fs::Permissions::from_mode(0o777))?;
            let script = directory.join("groups");
            fs::write(&script, format!("#!/bin/sh\nid -Gn >{}/had\n", directory.display()))?;
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
            let conf = Conf::v3(255).global(keyword).line(format!("notify_master {} frr", script.display()));
            let mut daemon = lab.start_conf(A, Vrrpd, &conf)?;
            let had = || fs::read_to_string(directory.join("had")).unwrap_or_default();
            until("the script", || had().ends_with('\n'))?;
            let expected = if keyword.is_empty() { "frr" } else { "frr frrvty" };
            ensure!(had().trim() == expected, "{keyword}: {}", had());
            daemon.stop()?;
        }
        Ok(())
    });
}

/// What an include must find is not there: the daemon does not start; without the demand it does.
#[test]
fn an_include_must_find_what_is_demanded() {
    with_lab(|lab| {
        lab.announce_error("no-such-file");
        let missing = format!("include {}/no-such-file\n", lab.directory.display());
        let demand = "global_defs {\n    include_check match\n}\n";
        let mut daemon = lab.start(A, Vrrpd, &format!("{demand}{missing}{}", Conf::v3(255).text()))?;
        let status = daemon.wait_exit(PATIENCE)?;
        ensure!(status.code() == Some(6) && daemon.log().contains("no-such-file"), "{status}: {}", daemon.log());
        let mut daemon = lab.start(A, Vrrpd, &format!("{missing}{}", Conf::v3(255).text()))?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        daemon.stop().map(drop)
    });
}

/// In a namespace of time in which the host was started just now.
#[test]
fn after_boot_is_waited() {
    with_lab(|lab| {
        let uptime = fs::read_to_string("/proc/uptime")?;
        let uptime: f64 = uptime.split(' ').next().unwrap_or_default().parse()?;
        let conf = Conf::v3(255).global("vrrp_delay_after_boot 3").global("xdp_mode off");
        let young = format!("--monotonic=-{}", uptime as u64);
        let booted = Instant::now();
        let daemon = lab.start_by(A, Vrrpd, &conf.text(), |words| {
            ["unshare", "--time", &young].into_iter().map(str::to_owned).chain(words).collect()
        })?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        // Up to a second of its three had gone.
        ensure!(booted.elapsed() >= Duration::from_millis(1900), "it did not wait: {}", daemon.log());
        Ok(())
    });
}

/// Told of a weaker master by a script, and of priorities by the second FIFO's reader, each of those that ask for it.
#[test]
fn who_asks_is_told_of_weaker_masters_and_priorities() {
    with_lab(|lab| {
        let directory = &lab.directory;
        let healthy = directory.join("healthy");
        fs::write(&healthy, "")?;
        let reader = directory.join("reader");
        fs::write(&reader, format!("#!/bin/sh\nexec cat \"$1\" >>{}/told\n", directory.display()))?;
        fs::set_permissions(&reader, fs::Permissions::from_mode(0o755))?;
        let mut conf = Conf::v3(150).check(&healthy, -20);
        conf.globals.push(format!("vrrp_notify_fifo {}/fifo", directory.display()));
        conf.globals.push(format!("vrrp_notify_fifo_script {}", reader.display()));
        let script = notify_script(directory, "rx-lower")?;
        let conf =
            conf.line("notify_priority_changes").line(format!("notify_master_rx_lower_pri {}", script.display()));
        let quiet = conf.text().replace("    notify_priority_changes\n", "").replace("VI_1", "VI_Q");
        let quiet = &quiet[quiet.find("vrrp_instance").unwrap_or_default()..];
        let quiet = quiet.replace("virtual_router_id 51", "virtual_router_id 52").replace("1.100/24", "1.101/24");
        // A third whose group asks in its place.
        let member = quiet.replace("VI_Q", "VI_G").replace("virtual_router_id 52", "virtual_router_id 53");
        let member = member.replace("1.101/24", "1.102/24");
        let group = "vrrp_sync_group G {\n    group {\n        VI_G\n    }\n    sync_group_tracking_weight\n    notify_priority_changes\n}\n";
        let mut daemon = lab.start(A, Vrrpd, &format!("{}{quiet}{group}{member}", conf.text()))?;
        for last in [100, 101, 102] {
            lab.watch.wait_holder(A, [192, 168, 1, last], PATIENCE)?;
        }
        let weaker = FrameSpec { priority: 50, ..convincing(&conf) };
        forge::flood(&lab.attacker, &[weaker.build()], 3, 10)?;
        wait_told(directory, "rx-lower")?;
        fs::remove_file(&healthy)?;
        for line in ["INSTANCE \"VI_1\" MASTER_PRIORITY 130", "INSTANCE \"VI_G\" MASTER_PRIORITY 130"] {
            wait_told(directory, line)?;
        }
        daemon.wait_log("(VI_Q) Changing effective priority from 150 to 130", PATIENCE)?;
        daemon.stop()?;
        let told = told(directory);
        ensure!(told.iter().all(|line| !line.contains("\"VI_Q\" MASTER_PRIORITY")), "{told:#?}");
        ensure!(told.iter().any(|line| line == "INSTANCE \"VI_Q\" MASTER 150"), "{told:#?}");
        Ok(())
    });
}

/// The time between two announcements of a router's address, and the next.
fn gaps(lab: &Lab, addresses: &[std::net::IpAddr], since: Stamp) -> Result<Vec<Duration>> {
    let mut times: Vec<Stamp> = Vec::new();
    let wanted = addresses.len() * 2;
    lab.watch.wait(format!("{wanted} announcements"), PATIENCE, |record| {
        times = addresses.iter().flat_map(|address| record.announcements(A, *address, since)).collect();
        (times.len() >= wanted).then_some(())
    })?;
    times.sort();
    Ok(times.windows(2).map(|pair| pair[1] - pair[0]).collect())
}

/// Announcements of an interface are apart as `vrrp_garp_interval` and `vrrp_gna_interval` say; of a `garp_group`, as that
/// says, its interfaces together.
#[test]
fn announcements_have_their_pace() {
    with_lab(|lab| {
        lab.speak_ipv6()?;
        let router = &lab.routers[A];
        // A second interface, whose frames go by the first one's cable, too.
        router.ip("link add link eth0 name mac0 type macvlan mode bridge")?;
        router.ip("link set mac0 up")?;
        router.ip("address add 192.168.1.22/24 dev mac0")?;
        let instance = |vrid: u8, interface: &str, addresses: &str| {
            format!(
                "vrrp_instance VI_{vrid} {{\n    interface {interface}\n    virtual_router_id {vrid}\n    priority 255\n    \
                 garp_master_repeat 2\n    garp_master_delay 0\n    virtual_ipaddress {{\n        {addresses}\n    }}\n}}\n"
            )
        };
        let globals = "global_defs {\n    vrrp_version 3\n    vrrp_garp_interval 0.1\n    vrrp_gna_interval 0.15\n}\n";
        let four: Vec<_> = (0..3).map(|number| [192, 168, 1, 110 + number].into()).collect();
        let other = vec![std::net::IpAddr::from([192, 168, 1, 120]), [192, 168, 1, 121].into()];
        let six: Vec<std::net::IpAddr> = vec!["fe80::110".parse()?, "2001:db8:1::110".parse()?];
        let lines = |addresses: &[std::net::IpAddr]| {
            let lines: Vec<_> = addresses
                .iter()
                .map(|address| format!("{address}/{}", if address.is_ipv4() { 24 } else { 64 }))
                .collect();
            lines.join("\n        ")
        };
        let instances = instance(51, "eth0", &lines(&four))
            + &instance(52, "mac0", &lines(&other))
            + &instance(53, "eth0", &lines(&six));
        let group = "garp_group {\n    garp_interval 0.2\n    gna_interval 0.05\n    interface eth0\n    interfaces {\n        mac0\n    }\n}\n";
        let close = Duration::from_millis(2);
        for (blocks, garp, gna) in [("", 100, 150), (group, 200, 50)] {
            let since = Stamp::now();
            let mut daemon = lab.start(A, Vrrpd, &format!("{globals}{blocks}{instances}"))?;
            let both: Vec<_> = four.iter().chain(&other).copied().collect();
            let is_apart =
                |gaps: Vec<Duration>, millis| gaps.iter().all(|gap| *gap + close >= Duration::from_millis(millis));
            let (of_four, of_six) = (gaps(lab, &four, since)?, gaps(lab, &six, since)?);
            ensure!(is_apart(of_four.clone(), garp), "gratuitous ARPs are {of_four:?} apart");
            ensure!(is_apart(of_six.clone(), gna), "neighbour advertisements are {of_six:?} apart");
            let of_both = gaps(lab, &both, since)?;
            ensure!(is_apart(of_both.clone(), garp) != blocks.is_empty(), "of two interfaces: {of_both:?}");
            daemon.stop()?;
        }
        Ok(())
    });
}
