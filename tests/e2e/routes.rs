//! Routes and rules come and go with mastership, and are put right when others remove them; statics stay.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Daemon;
use vrrp_tests::daemon::Program::Vrrpd;
use vrrp_tests::lab::{A, B, Lab, with_lab};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::vrrpd;

use vrrp_tests::scenario::{self, PATIENCE};

/// Each with how `ip` shows it.
const ROUTES: &[(&str, &str)] = &[
    (
        "10.5.0.0/24 via 192.168.1.10 dev eth0 src 192.168.1.100",
        "10.5.0.0/24 via 192.168.1.10 dev eth0 proto keepalived src 192.168.1.100",
    ),
    (
        "10.5.1.0/24 via 192.168.1.10 dev eth0 table 100 metric 7 mtu lock 1400",
        "10.5.1.0/24 via 192.168.1.10 dev eth0 table 100 proto keepalived metric 7 mtu lock 1400",
    ),
    (
        "10.5.2.0/24 via 192.168.1.10 dev eth0 table ours",
        "10.5.2.0/24 via 192.168.1.10 dev eth0 table 301 proto keepalived",
    ),
    ("blackhole 10.5.3.0/24 no_track", "blackhole 10.5.3.0/24 proto keepalived"),
    (
        "10.5.4.0/24 nexthop via 192.168.1.10 dev eth0 weight 2 nexthop via 192.168.1.11 dev eth0 onlink",
        "nexthop via 192.168.1.10 dev eth0 weight 2 \n\tnexthop via 192.168.1.11 dev eth0 weight 1 onlink",
    ),
    (
        "10.5.5.0/24 via 192.168.1.10 dev eth0 encap ip id 100 dst 192.168.1.12",
        "10.5.5.0/24  encap ip id 100 src 0.0.0.0 dst 192.168.1.12",
    ),
    ("10.5.6.0/24 dev eth0 table 70000", "10.5.6.0/24 dev eth0 table 70000 proto keepalived"),
    ("default via 2001:db8:1::10 dev eth0 table 100", "default via 2001:db8:1::10 dev eth0 table 100 proto keepalived"),
    (
        "2001:db8:5::/64 via 2001:db8:1::10 dev eth0 metric 9 pref high",
        "2001:db8:5::/64 via 2001:db8:1::10 dev eth0 proto keepalived metric 9 pref high",
    ),
    (
        "2001:db8:6::/64 nexthop via 2001:db8:1::10 dev eth0 nexthop via 2001:db8:1::11 dev eth0 weight 3",
        "nexthop via 2001:db8:1::10 dev eth0 weight 1 \n\tnexthop via 2001:db8:1::11 dev eth0 weight 3",
    ),
];

const RULES: &[(&str, &str)] = &[
    ("from 10.5.0.0/24 table 100 preference 500", "500:\tfrom 10.5.0.0/24 lookup 100 proto keepalived"),
    (
        "not to 10.5.0.0/24 fwmark 0x1/0xff ipproto tcp dport 80-90 table 100 preference 501",
        "501:\tnot from all to 10.5.0.0/24 fwmark 0x1/0xff ipproto tcp dport 80-90 lookup 100 proto keepalived",
    ),
    (
        "iif eth0 table main preference 502 suppress_prefixlength 0",
        "502:\tfrom all iif eth0 lookup main suppress_prefixlength 0 proto keepalived",
    ),
    ("to 10.5.9.0/24 preference 503 prohibit no_track", "503:\tfrom all to 10.5.9.0/24 prohibit proto keepalived"),
    ("from 2001:db8:5::/64 table 100 preference 504", "504:\tfrom 2001:db8:5::/64 lookup 100 proto keepalived"),
];

fn block(keyword: &str, lines: &[(&str, &str)]) -> String {
    let lines: Vec<_> = lines.iter().map(|(line, _)| *line).collect();
    format!("{keyword} {{\n        {}\n    }}", lines.join("\n        "))
}

fn conf(lab: &Lab, priority: u8) -> Result<Conf> {
    std::fs::write(lab.directory.join("rt_tables"), "301 ours\n")?;
    let conf = Conf::v3(priority).global(&format!("iproute_etc_dir {}", lab.directory.display()));
    Ok(conf.line(block("virtual_routes", ROUTES)).line(block("virtual_rules", RULES)))
}

fn with_ipv6_lab(test: impl FnOnce(&Lab) -> Result<()>) {
    with_lab(|lab| {
        lab.speak_ipv6()?;
        test(lab)
    });
}

/// What a router has of routes and rules; of tables the numbers.
fn paths(lab: &Lab, router: usize) -> Result<String> {
    let words = ["-4 route show table all", "-6 route show table all", "-4 rule", "-6 rule"];
    words.iter().map(|words| lab.routers[router].ip(words)).collect()
}

/// Waits until the routes and rules of a router are so.
fn wait(lab: &Lab, router: usize, what: &str, so: impl Fn(&str) -> bool) -> Result<()> {
    let start = Instant::now();
    loop {
        let paths = paths(lab, router)?;
        if so(&paths) {
            return Ok(());
        }
        ensure!(start.elapsed() < PATIENCE, "{what}: {paths}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn has_all(lab: &Lab, router: usize) -> Result<()> {
    for (_, shown) in ROUTES.iter().chain(RULES) {
        wait(lab, router, &format!("no {shown}"), |paths| paths.contains(shown))?;
    }
    Ok(())
}

fn has_none(lab: &Lab, router: usize) -> Result<()> {
    wait(lab, router, "something is left", |paths| !paths.contains("proto keepalived"))
}

/// By takeover, by preemption, by a graceful stop, and when a daemon is killed.
#[test]
fn they_come_and_go_with_mastership() {
    with_ipv6_lab(|lab| {
        let (a, b) = (conf(lab, 150)?, conf(lab, 100)?);
        let before = paths(lab, A)?;
        let mut pair = scenario::elect(lab, [Vrrpd; 2], &a, &b)?;
        has_all(lab, A)?;
        has_none(lab, B)?;
        scenario::crash(lab, &mut pair, &a, &b)?;
        has_all(lab, B)?;
        wait(lab, A, "the guard leaves something", |paths| paths == before)?;
        scenario::come_back(lab, &mut pair, &a)?;
        has_all(lab, A)?;
        has_none(lab, B)?;
        scenario::hand_over(lab, &mut pair, &b)?;
        has_all(lab, B)?;
        wait(lab, A, "a stop leaves something", |paths| paths == before)?;
        ensure!(pair.b.log().contains("(VI_1) setting Virtual Routes"), "{}", pair.b.log());
        Ok(())
    });
}

/// An operator removes them: each is back at once, unless it is not to be tracked, and nobody else becomes master.
#[test]
fn what_others_remove_comes_back() {
    with_ipv6_lab(|lab| {
        let mut daemon = lab.start_conf(A, Vrrpd, &conf(lab, 150)?)?;
        has_all(lab, A)?;
        let router = &lab.routers[A];
        for words in [
            "route del 10.5.0.0/24",
            "route del 10.5.4.0/24",
            "route del 10.5.6.0/24 table 70000",
            "-6 route del 2001:db8:5::/64",
            "-6 route del default table 100",
            "rule del preference 500",
            "-6 rule del preference 504",
        ] {
            router.ip(words)?;
        }
        has_all(lab, A)?;
        daemon
            .wait_log("(VI_1) route 10.5.0.0/24 via 192.168.1.10 was removed by somebody else; set again", PATIENCE)?;
        daemon.wait_log("(VI_1) rule 500 from 10.5.0.0/24 was removed by somebody else; set again", PATIENCE)?;
        router.ip("route del blackhole 10.5.3.0/24")?;
        router.ip("rule del preference 503")?;
        router.ip("rule del preference 501")?;
        wait(lab, A, "rule 501", |paths| paths.contains(RULES[1].1))?;
        let now = paths(lab, A)?;
        ensure!(!now.contains("10.5.3.0/24") && !now.contains("503:"), "no_track, and set again: {now}");
        ensure!(daemon.log().matches("MASTER STATE").count() == 1, "{}", daemon.log());
        daemon.stop()?;
        has_none(lab, A)
    });
}

/// `vrrpctl status` says which of them are there, and that one could not be set, until it can be; a backup has none, and a
/// reload forgets none.
#[test]
fn the_status_says_which_are_set() {
    with_lab(|lab| {
        let unreachable = ("10.7.0.0/24 via 172.16.0.9 dev eth0", "");
        let [a, b] = [150, 100].map(|priority| {
            let conf = Conf::v3(priority).line(block("virtual_routes", &[ROUTES[1], unreachable]));
            conf.line(block("virtual_rules", &RULES[..1]))
        });
        lab.announce_error("cannot set route 10.7.0.0/24 via 172.16.0.9");
        let pair = scenario::elect(lab, [Vrrpd; 2], &a, &b)?;
        let is_set = |daemon: &Daemon| -> Result<Vec<bool>> {
            let status = vrrpd::status(daemon)?;
            let paths = status["instances"][0]["paths"].as_array().context("no paths")?;
            ensure!(paths[1]["path"] == "route 10.7.0.0/24 via 172.16.0.9", "{status:#}");
            Ok(paths.iter().map(|path| path["held"] == true).collect())
        };
        let wait = |daemon: &Daemon, expected: [bool; 3]| {
            let start = Instant::now();
            while is_set(daemon)? != expected {
                ensure!(start.elapsed() < PATIENCE, "{:?}, and not {expected:?}", is_set(daemon)?);
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            Ok(())
        };
        wait(&pair.a, [true, false, true])?;
        wait(&pair.b, [false; 3])?;
        let shown = vrrpd::vrrpctl(&pair.a, &["status"])?;
        ensure!(shown.contains("VI_1 is master without 1 of its 3 routes and rules"), "{shown}");
        lab.routers[A].ip("address add 172.16.0.1/24 dev eth0")?;
        wait(&pair.a, [true; 3])?;
        vrrpd::vrrpctl(&pair.a, &["reload"])?;
        wait(&pair.a, [true; 3])
    });
}

/// The kernel drops a route with the address that it sends from, and with an interface that goes down, and tells nobody.
#[test]
fn what_the_kernel_drops_without_a_word_comes_back() {
    with_ipv6_lab(|lab| {
        let daemon = lab.start_conf(A, Vrrpd, &conf(lab, 150)?.line("dont_track_primary"))?;
        has_all(lab, A)?;
        let router = &lab.routers[A];
        router.ip(&format!("address del {VIP}/24 dev eth0"))?;
        has_all(lab, A)?;
        router.ip("link set eth0 down")?;
        wait(lab, A, "the kernel keeps its routes", |paths| !paths.contains(ROUTES[1].1))?;
        router.ip("link set eth0 up")?;
        for (_, shown) in ROUTES.iter().filter(|(line, _)| !line.contains("2001:") && !line.contains("no_track")) {
            wait(lab, A, &format!("no {shown}"), |paths| paths.contains(shown))?;
        }
        ensure!(daemon.log().matches("MASTER STATE").count() == 1, "{}", daemon.log());
        Ok(())
    });
}

/// The interface of a route is watched, and that of one with no_track is not.
#[test]
fn an_interface_that_fails() {
    with_lab(|lab| {
        let router = &lab.routers[A];
        for (name, number) in [("up0", 21), ("up1", 22)] {
            router.ip(&format!("link add {name} type veth peer name {name}p"))?;
            router.ip(&format!("link set {name}p up"))?;
            router.ip(&format!("link set {name} up"))?;
            router.ip(&format!("address add 10.{number}.0.1/24 dev {name}"))?;
        }
        let routes = [("10.6.0.0/24 via 10.21.0.9 dev up0", ""), ("10.6.1.0/24 via 10.22.0.9 dev up1 no_track", "")];
        // When it is master again, the other interface is still down.
        lab.announce_error("cannot set route 10.6.1.0/24");
        let mut daemon = lab.start_conf(A, Vrrpd, &Conf::v3(150).line(block("virtual_routes", &routes)))?;
        wait(lab, A, "no routes", |paths| paths.contains("10.6.0.0/24") && paths.contains("10.6.1.0/24"))?;
        router.ip("link set up1 down")?;
        wait(lab, A, "the kernel keeps its route", |paths| !paths.contains("10.6.1.0/24"))?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        ensure!(!daemon.log().contains("FAULT"), "{}", daemon.log());
        router.ip("link set up0 down")?;
        daemon.wait_log("Entering FAULT STATE", PATIENCE)?;
        lab.watch.wait_nobody(VIP, PATIENCE)?;
        router.ip("link set up0 up")?;
        wait(lab, A, "the route of a healed router", |paths| paths.contains("10.6.0.0/24"))?;
        // The other one could not be set when it became master; now it can.
        router.ip("link set up1 up")?;
        wait(lab, A, "the route over an interface that came back", |paths| paths.contains("10.6.1.0/24"))
    });
}

/// What a daemon left that died with its guard goes; a stranger's route to the same place stays, before and after.
#[test]
fn leftovers_go_at_start_and_strangers_stay() {
    with_lab(|lab| {
        let router = &lab.routers[A];
        for words in [
            "route add 10.5.0.0/24 via 192.168.1.10 dev eth0 proto keepalived metric 5",
            "route add 10.5.0.0/24 via 192.168.1.11 dev eth0 metric 6",
            "rule add from 10.5.0.0/24 table 100 preference 500 protocol 18",
            "rule add from 10.5.0.0/24 table 101 preference 500",
        ] {
            router.ip(words)?;
        }
        let strangers = ["via 192.168.1.11 dev eth0 metric 6", "from 10.5.0.0/24 lookup 101"];
        let stay = |paths: &str| strangers.iter().all(|shown| paths.contains(shown));
        let routes = [("10.5.0.0/24 via 192.168.1.10 dev eth0 metric 5", "")];
        let rules = [("from 10.5.0.0/24 table 100 preference 500", "")];
        let conf = Conf::v3(100).line(block("virtual_routes", &routes)).line(block("virtual_rules", &rules));
        let mut daemon = lab.start_conf(A, Vrrpd, &conf)?;
        daemon.wait_log("(VI_1) removed left-over route 10.5.0.0/24 via 192.168.1.10", PATIENCE)?;
        daemon.wait_log("(VI_1) removed left-over rule 500 from 10.5.0.0/24", PATIENCE)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let ours = |paths: &str| paths.matches("proto keepalived").count();
        wait(lab, A, "not all there", |paths| ours(paths) == 2 && stay(paths))?;
        daemon.stop()?;
        wait(lab, A, "not as before", |paths| ours(paths) == 0 && stay(paths))
    });
}

/// Statics are there for as long as the daemon is, whoever is master; a router that names them cannot serve without.
#[test]
fn statics() {
    with_lab(|lab| {
        let router = &lab.routers[A];
        router.ip("link add up0 type veth peer name up0p")?;
        router.ip("link set up0p up")?;
        router.ip("link set up0 up")?;
        let mut conf = Conf::v3(150);
        conf.before = "track_group G {\n    group {\n        VI_1\n    }\n}\n\
             static_ipaddress {\n    10.3.0.3/24 dev up0 track_group G\n    192.168.1.2/24 dev eth0\n}\n\
             static_routes {\n    10.4.0.0/24 via 10.3.0.9 dev up0\n    10.4.1.0/24 dev up0 no_track\n}\n\
             static_rules {\n    from 10.4.0.0/24 table 100 preference 600\n}\n"
            .into();
        let before = host(lab)?;
        let mut daemon = lab.start_conf(A, Vrrpd, &conf)?;
        let parts = ["10.3.0.3/24", "10.4.0.0/24 via 10.3.0.9", "600:\tfrom 10.4.0.0/24 lookup 100"];
        let there = |host: &str| parts.iter().all(|part| host.contains(part));
        wait_host(lab, "statics are missing", |host| there(host) && host.contains("10.4.1.0/24"))?;
        daemon.wait_log("static address 192.168.1.2/24 was there already, and stays there", PATIENCE)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        router.ip("rule del preference 600")?;
        router.ip("route del 10.4.1.0/24")?;
        router.ip("address del 10.3.0.3/24 dev up0")?;
        wait_host(lab, "statics do not come back", there)?;
        ensure!(!host(lab)?.contains("10.4.1.0/24"), "no_track, and set again");
        router.ip("link set up0 down")?;
        daemon.wait_log("Entering FAULT STATE", PATIENCE)?;
        router.ip("link set up0 up")?;
        wait_host(lab, "statics do not come back with their interface", there)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        daemon.stop()?;
        ensure!(host(lab)? == before, "a stop leaves {}", host(lab)?);
        let mut daemon = lab.start_conf(A, Vrrpd, &conf)?;
        wait_host(lab, "statics are missing", there)?;
        daemon.kill()?;
        wait_host(lab, "the guard leaves something", |host| host == before)
    });
}

/// What names an interface that comes later is set when it comes, and again when it comes again.
#[test]
fn an_interface_that_comes_later() {
    with_lab(|lab| {
        let router = &lab.routers[A];
        let mut conf = Conf::v3(150).global("dynamic_interfaces allow_if_changes");
        conf.before = "static_ipaddress {\n    10.3.0.3/24 dev up0\n}\n".into();
        let conf = conf.line(block("virtual_routes", &[("10.6.0.0/24 dev up0 table 100", "")]));
        let mut daemon = lab.start_conf(A, Vrrpd, &conf)?;
        daemon.wait_log("static address 10.3.0.3/24 waits for its interface", PATIENCE)?;
        for _ in 0..2 {
            router.ip("link add up0 type veth peer name up0p")?;
            router.ip("link set up0p up")?;
            router.ip("link set up0 up")?;
            wait_host(lab, "not set on what came", |host| {
                host.contains("10.3.0.3/24") && host.contains("10.6.0.0/24")
            })?;
            router.ip("link del up0")?;
            wait_host(lab, "still there", |host| !host.contains("10.3.0.3/24"))?;
        }
        daemon.stop().map(drop)
    });
}

fn host(lab: &Lab) -> Result<String> {
    Ok(lab.routers[A].ip("-4 address show")? + &paths(lab, A)?)
}

fn wait_host(lab: &Lab, what: &str, so: impl Fn(&str) -> bool) -> Result<()> {
    wait(lab, A, what, |_| host(lab).is_ok_and(|host| so(&host)))
}

/// A reload removes what is wanted no longer, sets what is new, and leaves the rest alone; mastership stays.
#[test]
fn a_reload() {
    with_lab(|lab| {
        let mut daemon = lab.start_conf(A, Vrrpd, &Conf::v3(150))?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let reload = |routes: &[(&str, &str)], rules: &[(&str, &str)], before: &str| {
            let conf = Conf { before: before.into(), ..Conf::v3(150) };
            let conf = conf.line(block("virtual_routes", routes)).line(block("virtual_rules", rules));
            std::fs::write(daemon.directory.join("keepalived.conf"), conf.text())?;
            vrrpd::vrrpctl(&daemon, &["reload"]).map(drop)
        };
        let one = ("10.5.0.0/24 via 192.168.1.10 dev eth0 table 100", "");
        let (two, rule) = (("10.5.1.0/24 dev eth0", ""), ("from 10.5.0.0/24 table 100 preference 500", ""));
        reload(&[one], &[rule], "static_routes {\n    10.4.0.0/24 dev eth0\n}\n")?;
        let ours =
            |paths: &str| ["10.5.0.0/24 via", "500:", "10.4.0.0/24", "10.5.1.0/24"].map(|part| paths.contains(part));
        wait(lab, A, "not what is new", |paths| ours(paths) == [true, true, true, false])?;
        // Of what came by a reload, too, others' removals are heard.
        lab.routers[A].ip("rule del preference 500")?;
        wait(lab, A, "not what others removed", |paths| ours(paths) == [true, true, true, false])?;
        let since = Stamp::now();
        reload(&[one, two], &[], "")?;
        wait(lab, A, "not as configured", |paths| ours(paths) == [true, false, false, true])?;
        reload(&[two, one], &[], "")?;
        wait(lab, A, "not as configured", |paths| ours(paths) == [true, false, false, true])?;
        lab.routers[A].ip("route del 10.5.0.0/24 table 100")?;
        wait(lab, A, "not what others removed", |paths| ours(paths) == [true, false, false, true])?;
        ensure!(lab.watch.record().changed(A, VIP, false, since).is_none(), "the address was taken away");
        ensure!(daemon.log().matches("MASTER STATE").count() == 1, "{}", daemon.log());
        daemon.stop()?;
        has_none(lab, A)
    });
}

/// Options of addresses as the kernel shows them.
#[test]
fn options_of_addresses() {
    with_ipv6_lab(|lab| {
        let mut conf = Conf::v3(150).line(
            "virtual_ipaddress_excluded {\n        192.168.1.101/24 brd + noprefixroute\n        192.168.1.102/24 brd -\n        \
             192.168.1.103 peer 192.168.1.104\n        192.168.1.105/24 no_track\n        2001:db8:1::101/64 home\n        \
             2001:db8:1::102/64 -nodad\n        2001:db8:1::103/64 mngtmpaddr\n        2001:db8:1::104/64 preferred_lft 1000\n        \
             2001:db8:1::105\n        2001:db8:1::106 preferred_lft forever\n    }",
        );
        conf.lines.push("garp_master_delay 60".into());
        let mut daemon = lab.start_conf(A, Vrrpd, &conf)?;
        lab.watch.wait_holder(A, std::net::Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x106), PATIENCE)?;
        let shown = lab.routers[A].ip("address show dev eth0")?;
        for part in [
            "192.168.1.101/24 brd 192.168.1.255 scope global secondary noprefixroute eth0",
            "192.168.1.102/24 brd 192.168.1.0 scope global secondary eth0",
            "192.168.1.103 peer 192.168.1.104/32 scope global eth0",
            "2001:db8:1::101/64 scope global nodad home",
            "2001:db8:1::103/64 scope global nodad mngtmpaddr",
            "2001:db8:1::105/128 scope global nodad deprecated",
            "2001:db8:1::106/128 scope global nodad \n",
        ] {
            ensure!(shown.contains(part), "no {part} in {shown}");
        }
        let line = |address: &str| shown.lines().find(|line| line.contains(address)).unwrap_or_default().to_owned();
        ensure!(!line("2001:db8:1::102/64").contains("nodad"), "{shown}");
        ensure!(shown.contains("preferred_lft 1000sec") || shown.contains("preferred_lft 99"), "{shown}");
        lab.routers[A].ip("address del 192.168.1.105/24 dev eth0")?;
        lab.routers[A].ip("address del 192.168.1.102/24 dev eth0")?;
        daemon.wait_log("192.168.1.102/24 was removed by somebody else", PATIENCE)?;
        ensure!(!lab.routers[A].ip("address show dev eth0")?.contains("192.168.1.105"), "no_track, and set again");
        daemon.stop()?;
        ensure!(!lab.routers[A].ip("address show dev eth0")?.contains(".10"), "something is left");
        Ok(())
    });
}
