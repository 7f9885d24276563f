//! `use_vmac`: the virtual MAC address on the wire and in the client's memory, and the interface that has it, which comes and
//! goes with mastership and is never left behind.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use vrrp_tests::capture::Seen;
use vrrp_tests::client::Client;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Daemon;
use vrrp_tests::daemon::Program::{self, Keepalived, Vrrpd};
use vrrp_tests::keepalived;
use vrrp_tests::lab::{A, B, Lab, own_address, with_lab};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::vrrpd;

use vrrp_tests::scenario::{self, PATIENCE, announced, elect};

/// Of VRID 51 over IPv4 (RFC 9568 section 7.3).
const MAC: [u8; 6] = [0, 0, 0x5e, 0, 1, 51];

fn conf(priority: u8) -> Conf {
    Conf::v3(priority).vmac()
}

/// How a router shows its interface for the virtual MAC address; empty when it has none.
fn shown(lab: &Lab, router: usize) -> Result<String> {
    lab.routers[router].ip("-d -o link show type macvlan")
}

fn wait_shown(lab: &Lab, router: usize, what: &str, is_so: impl Fn(&str) -> bool) -> Result<()> {
    let start = std::time::Instant::now();
    loop {
        let shown = shown(lab, router)?;
        if is_so(&shown) {
            return Ok(());
        }
        ensure!(start.elapsed() < PATIENCE, "waited in vain for {what}: {shown}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_up(shown: &str) -> bool {
    shown.contains("vrrp.51") && shown.contains(",UP")
}

/// What a router sent since then that is advert or gratuitous ARP for the virtual address.
fn sent(lab: &Lab, router: usize, since: Stamp) -> Vec<Seen> {
    let record = lab.watch.record();
    let all = record.frames.iter().filter(|seen| seen.router == router && seen.at > since);
    all.filter(|seen| seen.advert().is_some() || seen.announces() == Some(VIP.into())).cloned().collect()
}

/// The client learns the virtual MAC address from both routers, and each router's own for its own address (IP-05, GA-01,
/// DP-01); a backup has its interface down (DP-03).
#[test]
fn the_client_sees_the_virtual_mac() {
    with_lab(|lab| {
        let (a, b) = (conf(150), conf(100));
        let mut pair = elect(lab, [Vrrpd; 2], &a, &b)?;
        let client = Client::start(&lab.client, VIP)?;
        let learned = || lab.client.ip("neigh show");
        for (master, backup) in [(A, B), (B, A)] {
            client.wait_answer(Stamp::now(), PATIENCE)?;
            ensure!(learned()?.contains("192.168.1.100 dev eth0 lladdr 00:00:5e:00:01:33"), "{}", learned()?);
            wait_shown(lab, master, "the master's interface", is_up)?;
            wait_shown(lab, backup, "the backup's interface to be down", |shown| !is_up(shown))?;
            if master == A {
                pair.a.stop()?;
                lab.watch.wait_holder(B, VIP, PATIENCE)?;
            }
        }
        for router in [A, B] {
            let frames = sent(lab, router, Stamp::default());
            ensure!(frames.len() > 2 && frames.iter().all(|seen| seen.source_mac() == MAC), "{frames:?}");
        }
        // Asked for by a client that knows neither, own and virtual address each answer once, from their own interface.
        lab.client.ip("neigh flush all")?;
        let own = Client::start(&lab.client, own_address(B))?;
        own.wait_answer(Stamp::now(), PATIENCE)?;
        client.wait_answer(Stamp::now(), PATIENCE)?;
        let learned = learned()?;
        ensure!(learned.contains("192.168.1.3 dev eth0 lladdr 02:00:00:00:00:11"), "{learned}");
        ensure!(learned.contains("192.168.1.100 dev eth0 lladdr 00:00:5e:00:01:33"), "{learned}");
        pair.b.stop()?;
        ensure!(shown(lab, A)?.is_empty() && shown(lab, B)?.is_empty(), "an interface is left");
        Ok(())
    });
}

/// With `vmac_xmit_base` adverts have the interface's own MAC address, and announcements the virtual one.
#[test]
fn adverts_from_the_interface_below() {
    with_lab(|lab| {
        let conf = conf(150).line("vmac_xmit_base");
        let _daemon = lab.start(A, Vrrpd, &conf.text())?;
        announced(lab, A, &conf, Stamp::default())?;
        for seen in sent(lab, A, Stamp::default()) {
            let expected = if seen.advert().is_some() { [2, 0, 0, 0, 0, 0x10] } else { MAC };
            ensure!(seen.source_mac() == expected, "{seen:?}");
        }
        Ok(())
    });
}

/// `use_vmac_addr`: what is on another interface is there by a virtual MAC address of its own, and the rest as without.
#[test]
fn addresses_on_other_interfaces() {
    with_lab(|lab| {
        let router = &lab.routers[A];
        router.ip("link add eth1 type veth peer name far")?;
        router.ip("link set eth1 up")?;
        router.ip("link set far up")?;
        let conf = Conf::v3(150).line("use_vmac_addr").line("virtual_ipaddress_excluded {\n 10.9.0.1/24 dev eth1\n }");
        let mut daemon = lab.start(A, Vrrpd, &conf.text())?;
        announced(lab, A, &conf, Stamp::default())?;
        wait_shown(lab, A, "an interface on eth1", |shown| shown.contains("@eth1") && is_up(shown))?;
        let shown = router.ip("-o address show to 10.9.0.1")?;
        ensure!(shown.contains("vrrp.51") && shown.lines().count() == 1, "{shown}");
        ensure!(router.ip("-o link show dev vrrp.51")?.contains("00:00:5e:00:01:33"), "the interface has another MAC");
        ensure!(router.ip("-o address show dev eth0")?.contains("192.168.1.100"), "the address is not on eth0");
        daemon.stop()?;
        wait_shown(lab, A, "the interface to be gone", str::is_empty)
    });
}

fn round(programs: [Program; 2], change: impl Fn(Conf) -> Conf) {
    if programs.contains(&Keepalived) && keepalived::is_missing() {
        return;
    }
    with_lab(|lab| {
        scenario::round(lab, programs, &change(conf(150)), &change(conf(100)))?;
        wait_shown(lab, A, "the interface to be gone", str::is_empty)?;
        wait_shown(lab, B, "the interface to be gone", str::is_empty)
    });
}

#[test]
fn round_of_ours() {
    round([Vrrpd; 2], |conf| conf);
}

#[test]
fn round_without_xdp() {
    round([Vrrpd; 2], |conf| conf.global("xdp_mode off"));
}

#[test]
fn round_with_keepalived_as_backup() {
    round([Vrrpd, Keepalived], |conf| conf);
}

#[test]
fn round_with_keepalived_as_master() {
    round([Keepalived, Vrrpd], |conf| conf);
}

#[test]
fn round_with_keepalived_as_master_without_xdp() {
    round([Keepalived, Vrrpd], |conf| conf.line("vmac_xmit_base"));
}

/// The authentication header covers the packet alone, not the frame that we put around it.
#[test]
fn round_with_authentication_headers() {
    round([Vrrpd, Keepalived], |conf| Conf::v2_ah(conf.priority).vmac());
}

/// Two masters hear each other's adverts, though these come from the MAC address that both have (E3), by XDP and without.
fn one_master_after_a_partition(mode: &str) {
    with_lab(|lab| {
        let conf = |priority| conf(priority).global(mode);
        let _pair = elect(lab, [Vrrpd; 2], &conf(150), &conf(100))?;
        lab.part(true)?;
        lab.watch
            .wait("both to hold the address", PATIENCE, |record| (record.holders(VIP).len() == 2).then_some(()))?;
        wait_shown(lab, A, "A's interface", is_up)?;
        wait_shown(lab, B, "B's interface", is_up)?;
        lab.part(false)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        wait_shown(lab, B, "B's interface to be down", |shown| !is_up(shown))
    });
}

#[test]
fn one_master_after_a_partition_by_xdp() {
    one_master_after_a_partition("xdp_mode native");
}

#[test]
fn one_master_after_a_partition_by_raw_sockets() {
    one_master_after_a_partition("xdp_mode off");
}

/// What a daemon left that died together with its guard is taken over; what is somebody else's is not, in one line.
#[test]
fn leftovers_are_taken_over_and_strangers_are_not() {
    with_lab(|lab| {
        let conf = conf(150);
        let router = &lab.routers[A];
        router.ip("link add link eth0 name vrrp.51 address 00:00:5e:00:01:33 type macvlan mode private")?;
        router.ip("link set vrrp.51 up")?;
        router.ip(&format!("address add {VIP}/24 dev vrrp.51"))?;
        let mut daemon = lab.start(A, Vrrpd, &conf.text())?;
        announced(lab, A, &conf, Stamp::now())?;
        ensure!(daemon.log().contains("removed left-over address"), "{}", daemon.log());
        ensure!(
            shown(lab, A)?.contains("mode vepa") && shown(lab, A)?.contains("addrgenmode none"),
            "{}",
            shown(lab, A)?
        );
        daemon.stop()?;
        ensure!(shown(lab, A)?.is_empty(), "it is left: {}", shown(lab, A)?);

        router.ip("link add link eth0 name vrrp.51 type macvlan mode private")?;
        let mut daemon = lab.start(A, Vrrpd, &conf.text())?;
        lab.announce_error("interface vrrp.51 exists");
        let status = daemon.wait_exit(PATIENCE)?;
        ensure!(status.code() == Some(2), "it ended with {status}");
        ensure!(daemon.log().contains("interface vrrp.51 exists"), "{}", daemon.log());
        ensure!(shown(lab, A)?.contains("mode private"), "the stranger's interface is gone");
        Ok(())
    });
}

/// SIGKILL leaves no interface.
#[test]
fn a_crash_leaves_no_interface() {
    with_lab(|lab| {
        let mut daemon = lab.start(A, Vrrpd, &conf(150).text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        daemon.kill()?;
        wait_shown(lab, A, "the interface to be gone", str::is_empty)
    });
}

/// Taken down or deleted by somebody else, the interface of a master is there again, and the address announced.
#[test]
fn a_lost_interface_comes_back() {
    with_lab(|lab| {
        let conf = conf(150).line("garp_master_delay 60");
        let mut daemon = lab.start(A, Vrrpd, &conf.text())?;
        announced(lab, A, &conf, Stamp::default())?;
        for (command, word) in [("link set vrrp.51 down", "taken down"), ("link del vrrp.51", "deleted")] {
            // Past the last round of announcements.
            std::thread::sleep(Duration::from_millis(300));
            let since = Stamp::now();
            lab.routers[A].ip(command)?;
            daemon.wait_log(&format!("was {word} by somebody else"), PATIENCE)?;
            wait_shown(lab, A, "the interface", is_up)?;
            announced(lab, A, &conf, since)?;
        }
        Ok(())
    });
}

/// The interface below is deleted and made anew: so is the one on it.
#[test]
fn the_interface_below_is_made_anew() {
    with_lab(|lab| {
        let mut daemon = lab.start(A, Vrrpd, &conf(150).text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let router = &lab.routers[A];
        router.ip("link del eth0")?;
        daemon.wait_log("Entering FAULT STATE", PATIENCE)?;
        wait_shown(lab, A, "the interface to be gone", str::is_empty)?;
        router.ip("link add eth0 type veth peer name peer0")?;
        router.ip("link set peer0 up")?;
        router.ip("link set eth0 up")?;
        router.ip("address add 192.168.1.2/24 dev eth0")?;
        wait_shown(lab, A, "the interface", is_up)?;
        daemon.stop()?;
        ensure!(shown(lab, A)?.is_empty(), "it is left");
        Ok(())
    });
}

/// A fault by the link below: the address goes, the interface goes down; and all comes back.
#[test]
fn the_link_below_goes_down_and_up() {
    with_lab(|lab| {
        let (a, b) = (conf(150), conf(100));
        let _pair = elect(lab, [Vrrpd; 2], &a, &b)?;
        lab.plug(A, false)?;
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        wait_shown(lab, A, "the interface to be down", |shown| !is_up(shown))?;
        let since = lab.plug(A, true)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        announced(lab, A, &a, since)
    });
}

/// Every setting of IPv4 for interfaces that there are without the daemon's own.
fn settings(lab: &Lab) -> Result<String> {
    let words = ["arp_ignore", "arp_filter", "arp_announce", "rp_filter", "promote_secondaries", "accept_local"];
    let mut out = String::new();
    for interface in ["all", "default", "lo", "eth0"] {
        for word in words {
            let path = format!("/proc/sys/net/ipv4/conf/{interface}/{word}");
            let value = lab.routers[A].within(|| Ok(std::fs::read_to_string(&path)?))?;
            out += &format!("{interface}.{word} {value}");
        }
    }
    Ok(out)
}

/// What ARP and the filter of return paths need is set while the daemon runs, and is as it was afterwards, however it ended.
#[test]
fn settings_are_put_back() {
    with_lab(|lab| {
        lab.routers[A].sysctl("net/ipv4/conf/all/rp_filter", "2")?;
        lab.routers[A].sysctl("net/ipv4/conf/lo/rp_filter", "1")?;
        let before = settings(lab)?;
        for end in [Daemon::kill, Daemon::stop] {
            let mut daemon = lab.start(A, Vrrpd, &conf(150).line("promote_secondaries").text())?;
            lab.watch.wait_holder(A, VIP, PATIENCE)?;
            let during = settings(lab)?;
            let changed: Vec<_> = during.lines().zip(before.lines()).filter(|(now, was)| now != was).collect();
            let expected = [
                ("all.rp_filter 0", "all.rp_filter 2"),
                ("default.rp_filter 2", "default.rp_filter 0"),
                ("lo.rp_filter 2", "lo.rp_filter 1"),
                ("eth0.arp_ignore 1", "eth0.arp_ignore 0"),
                ("eth0.arp_filter 1", "eth0.arp_filter 0"),
                ("eth0.arp_announce 2", "eth0.arp_announce 0"),
                ("eth0.rp_filter 2", "eth0.rp_filter 0"),
                ("eth0.promote_secondaries 1", "eth0.promote_secondaries 0"),
            ];
            ensure!(changed == expected, "{changed:#?}");
            end(&mut daemon)?;
            let start = std::time::Instant::now();
            while settings(lab)? != before {
                ensure!(start.elapsed() < PATIENCE, "left: {}", settings(lab)?);
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    });
}

/// What somebody sets so that the virtual MAC address does not work is told in words.
#[test]
fn conflicts_are_told() {
    with_lab(|lab| {
        let daemon = lab.start(A, Vrrpd, &conf(150).text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let told = || Ok::<_, anyhow::Error>(vrrpd::status(&daemon)?["conflicts"].to_string());
        ensure!(told()? == "[]", "{}", told()?);
        lab.routers[A].sysctl("net/ipv4/conf/all/rp_filter", "1")?;
        ensure!(told()?.contains("vrrp.51 drops packets"), "{}", told()?);
        lab.routers[A].sysctl("net/ipv4/conf/eth0/arp_ignore", "0")?;
        ensure!(told()?.contains("eth0 answers ARP for virtual addresses"), "{}", told()?);
        Ok(())
    });
}

/// 250 virtual MAC interfaces on one parent: as many sockets, group memberships and programs as without any.
#[test]
fn two_hundred_and_fifty_cost_no_fan_out() {
    with_lab(|lab| {
        let text = |use_vmac: &str| {
            let instance = |n: u32| {
                format!(
                    "vrrp_instance VI_{n} {{\n    version 3\n    interface eth0\n    virtual_router_id {n}\n    priority 150\n    \
                     advert_int 1\n    {use_vmac}\n    virtual_ipaddress {{\n        192.168.1.{n}/32\n    }}\n}}\n"
                )
            };
            // The laboratory has the first ten addresses.
            (1..=250).filter(|n| *n > 3 && *n != 10).chain([251, 252, 253, 254]).map(instance).collect::<String>()
        };
        let mut costs = Vec::new();
        for use_vmac in ["", "use_vmac"] {
            let mut daemon = lab.start(A, Vrrpd, &text(use_vmac))?;
            daemon.wait_log("(VI_254) setting VIPs", PATIENCE)?;
            let all = lab.watch.wait("all addresses", PATIENCE, |record| {
                let held = (1..=254).filter(|n| record.holders([192, 168, 1, *n]).contains(&A)).count();
                // Its own is among them, by the record of the kernel's word since the laboratory began, or not.
                (held >= 250).then_some(held)
            })?;
            ensure!(all <= 251, "{all} addresses");
            costs.push(cost(lab, daemon.pid())?);
            let interfaces = shown(lab, A)?.lines().count();
            ensure!(interfaces == if use_vmac.is_empty() { 0 } else { 250 }, "{interfaces} interfaces");
            let since = std::time::Instant::now();
            daemon.stop()?;
            println!("stopped in {:?}", since.elapsed());
            ensure!(shown(lab, A)?.is_empty(), "interfaces are left");
        }
        ensure!(costs[0] == costs[1], "without: {}, with: {}", costs[0], costs[1]);
        Ok(())
    });
}

/// The daemon's sockets by kind, and who has joined VRRP's group.
fn cost(lab: &Lab, pid: u32) -> Result<String> {
    let sockets = std::fs::read_dir(format!("/proc/{pid}/fd"))?.flatten();
    let sockets = sockets.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let sockets = sockets.filter(|link| link.to_string_lossy().starts_with("socket:")).count();
    let groups = lab.routers[A].ip("-4 -o maddress show")?;
    let groups: Vec<_> = groups.lines().filter(|line| line.contains("224.0.0.18")).collect();
    Ok(format!("{sockets} sockets, groups {groups:?}"))
}

/// `garp_extra_if`: addresses on interfaces that no advert comes from are announced again and again; without `all` those on
/// virtual MAC interfaces alone.
fn other_interfaces_are_announced_again(program: Program) {
    with_lab(|lab| {
        let router = &lab.routers[A];
        // Its frames go by the first one's cable, too.
        router.ip("link add link eth0 name other type macvlan mode bridge")?;
        router.ip("link set other up")?;
        let (elsewhere, virtual_mac) = ([192, 168, 5, 120], [192, 168, 1, 130]);
        for (line, of_elsewhere) in [("garp_extra_if all 1", 3..=5), ("garp_extra_if 1", 1..=1)] {
            let mut conf = Conf::v3(150).line("garp_master_repeat 1").line("garp_master_delay 0").line(line);
            conf.addresses.push("192.168.5.120/24 dev other".to_owned());
            conf.addresses.push("192.168.1.130/24 dev eth0 use_vmac".to_owned());
            let since = Stamp::now();
            let mut daemon = lab.start(A, program, &conf.text())?;
            let mut counts = [0; 3];
            lab.watch.wait("a fourth announcement", PATIENCE, |record| {
                counts = [IpAddr::from(virtual_mac), elsewhere.into(), VIP.into()]
                    .map(|address| record.announcements(A, address, since).count());
                (counts[0] == 4).then_some(())
            })?;
            ensure!(of_elsewhere.contains(&counts[1]) && counts[2] == 1, "{program:?}, {line}: {counts:?}");
            daemon.stop()?;
        }
        Ok(())
    });
}

#[test]
fn other_interfaces_are_announced_again_by_ours() {
    other_interfaces_are_announced_again(Vrrpd);
}

#[test]
fn other_interfaces_are_announced_again_by_keepalived() {
    other_interfaces_are_announced_again(Keepalived);
}
