//! Words of addresses, routes and rules mean what they mean to `ip`: A's daemon reads them, B is told the same by `ip`, and the
//! kernels of both show the same.

use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

use vrrp_tests::conf::Conf;
use vrrp_tests::daemon::Program::Vrrpd;
use vrrp_tests::lab::{A, B, Lab, with_lab};
use vrrp_tests::scenario::PATIENCE;

/// A line, and the same for `ip route add`, where that has other words: it finds tables and scopes itself, which keepalived
/// does not. What needs MPLS or ILA is not here: few kernels have
/// them, and the config case `virtual-routes-encap` shows what is made of it.
const ROUTES: &[(&str, &str)] = &[
    ("unreachable 10.6.0.0/24", ""),
    ("throw 10.6.1.0/24", ""),
    ("prohibit 10.6.2.0/24", ""),
    ("anycast 10.6.3.1/32 dev eth0", "anycast 10.6.3.1/32 dev eth0 table main"),
    ("multicast 239.1.0.0/24 dev eth0", "multicast 239.1.0.0/24 dev eth0 scope global"),
    ("local 10.6.4.0/24 dev eth0", "local 10.6.4.0/24 dev eth0 table main"),
    ("broadcast 10.6.5.255/32 dev eth0", "broadcast 10.6.5.255/32 dev eth0 table main"),
    ("unicast to inet 10.6.6.0/24 oif eth0 preference 7", "10.6.6.0/24 dev eth0 metric 7 scope global"),
    ("10.6.7.0/24 gw 192.168.1.10 dsfield 0x10", "10.6.7.0/24 via 192.168.1.10 tos 0x10"),
    ("10.6.8.0/24 dev eth0 realms 1/2 scope link protocol 77", "10.6.8.0/24 dev eth0 realm 1/2 scope link protocol 77"),
    ("10.6.9.0/24 via 192.168.1.10 mtu lock 1300 hoplimit 40 advmss lock 1000 reordering 5 window 100", ""),
    (
        "10.6.10.0/24 via 192.168.1.10 cwnd lock 9 ssthresh 10 initcwnd 11 initrwnd 12 quickack 1 fastopen_no_cookie 1",
        "",
    ),
    ("10.6.11.0/24 via 192.168.1.10 rtt 100ms rttvar 50ms rto_min 30ms features ecn congctl reno", ""),
    ("10.6.12.0/24 via 192.168.1.10 ttl-propagate enabled", ""),
    ("10.6.13.0/24 via 192.168.1.10 or 192.168.1.11", "10.6.13.0/24 nexthop via 192.168.1.10 nexthop via 192.168.1.11"),
    (
        "10.6.14.0/24 dev eth0 scope link encap ip id 5 src 192.168.1.8 dst 192.168.1.9 tc 4 hoplimit 9",
        "10.6.14.0/24 encap ip id 5 src 192.168.1.8 dst 192.168.1.9 tos 4 ttl 9 dev eth0 scope link",
    ),
    ("add 10.6.15.0/24 dev eth0 scope link metric 1", "10.6.15.0/24 dev eth0 metric 1"),
    ("prepend 10.6.15.0/24 dev lo scope link metric 1", ""),
    ("append 10.6.15.0/24 via 192.168.1.10 metric 1", ""),
    ("inet6 default dev eth0 table 70", "default dev eth0 table 70"),
    ("2001:db8:7::/64 dev eth0 expires 100", ""),
    ("2001:db8:8::/64 from 2001:db8:1::/64 dev eth0 pref low", ""),
    (
        "2001:db8:9::/64 dev eth0 encap ip6 id 5 dst 2001:db8:1::9 hoplimit 9 tc 4",
        "2001:db8:9::/64 encap ip6 id 5 dst 2001:db8:1::9 hoplimit 9 tc 4 dev eth0",
    ),
];

/// The same for `ip rule add`.
const RULES: &[(&str, &str)] = &[
    ("to 10.6.0.0/24 realms 1/2 table 9 preference 500", ""),
    ("inet oif eth0 table 9 preference 501 sup_group 3", "oif eth0 table 9 preference 501 suppress_ifgroup 3"),
    ("tunnel-id 7 lookup 9 order 502", "tun_id 7 table 9 preference 502"),
    ("uidrange 5-9 table 9 preference 503", ""),
    ("l3mdev preference 504", ""),
    ("ip-proto udp sport 5-9 dport 7 table 9 preference 505", "ipproto udp sport 5-9 dport 7 table 9 preference 505"),
    ("to 10.6.1.0/24 goto 600 preference 506", ""),
    ("iif eth0 dsfield 0x10 table 9 preference 507", "iif eth0 tos 0x10 table 9 preference 507"),
    ("dev eth0 fwmark 0x4/0xc type unicast table 9 preference 508", "iif eth0 fwmark 0x4/0xc table 9 preference 508"),
    ("to 10.6.2.0/24 nop preference 600", ""),
    ("to 10.6.3.0/24 unreachable preference 601", ""),
    ("from 10.6.4.0/24 blackhole preference 602", ""),
    (
        "not from 10.6.4.0/24 type prohibit preference 603 protocol 77",
        "not from 10.6.4.0/24 prohibit preference 603 protocol 77",
    ),
    ("table 9 preference 604 sup_pl 0", "table 9 preference 604 suppress_prefixlength 0"),
    ("inet6 from all table 9 preference 605", "from all table 9 preference 605"),
];

/// The same for `ip address add`.
const ADDRESSES: &[(&str, &str)] = &[
    ("239.0.0.7/32 autojoin scope link", "239.0.0.7/32 dev eth0 autojoin scope link"),
    ("10.7.0.1/24 broadcast 10.7.0.77 label eth0:7", "10.7.0.1/24 brd 10.7.0.77 label eth0:7 dev eth0"),
    ("2001:db8:1::77/64 home", "2001:db8:1::77/64 home nodad dev eth0"),
];

/// What a router shows of these, but for how old it is.
fn shown(lab: &Lab, router: usize) -> Result<Vec<String>> {
    let ip = |words| lab.routers[router].ip(words);
    let paths = ["-4 route show table all", "-6 route show table all", "-4 rule", "-6 rule"];
    let mut shown = Vec::new();
    for words in paths {
        // A nexthop of several is in a line of its own, behind a tab.
        let text = ip(words)?.replace("\n\t", " ");
        let ours = |line: &&str| line.contains("proto keepalived") || line.contains("proto 77");
        shown.extend(text.lines().filter(ours).map(|line| format!("{words}: {line}")));
    }
    let addresses = ip("-o address show dev eth0")?;
    let ours = |line: &&str| ["239.0.0.7", "10.7.0.1", "2001:db8:1::77"].iter().any(|address| line.contains(address));
    shown.extend(
        addresses.lines().filter(ours).map(|line| line.split_once("\\").map_or(line, |(line, _)| line).to_owned()),
    );
    Ok(shown.iter().map(|line| without_number(line, " expires ")).collect())
}

/// The line without the word that follows.
fn without_number(line: &str, before: &str) -> String {
    match line.split_once(before) {
        Some((start, rest)) => format!("{start}{}", rest.split_once(' ').map_or("", |(_, end)| end)),
        None => line.to_owned(),
    }
}

fn block(keyword: &str, lines: &[(&str, &str)]) -> String {
    let lines: Vec<_> = lines.iter().map(|(line, _)| *line).collect();
    format!("{keyword} {{\n        {}\n    }}", lines.join("\n        "))
}

#[test]
fn words_mean_what_they_mean_to_ip() {
    with_lab(|lab| {
        lab.speak_ipv6()?;
        let other = &lab.routers[B];
        for (line, words) in ROUTES {
            let words = if words.is_empty() { line } else { words };
            let (verb, words) = match words.split_once(' ') {
                Some((verb @ ("prepend" | "append"), words)) => (verb, words),
                _ => ("add", *words),
            };
            let by = if words.contains("protocol") { "" } else { " protocol keepalived" };
            let (whole, hops) = words.split_at(words.find(" nexthop").unwrap_or(words.len()));
            let family = if words.contains("2001:") || words.starts_with("default") { "-6" } else { "-4" };
            other.ip(&format!("{family} route {verb} {whole}{by}{hops}"))?;
        }
        for (line, words) in RULES {
            let (family, words) =
                (if line.starts_with("inet6") { "-6" } else { "-4" }, if words.is_empty() { line } else { words });
            let by = if words.contains("protocol") { "" } else { "protocol keepalived" };
            other.ip(&format!("{family} rule add {words} {by}"))?;
        }
        for (_, words) in ADDRESSES {
            other.ip(&format!("address add {words}"))?;
        }
        let conf = Conf::v3(150).line(block("virtual_ipaddress_excluded", ADDRESSES));
        let conf = conf.line(block("virtual_routes", ROUTES)).line(block("virtual_rules", RULES));
        let mut daemon = lab.start_conf(A, Vrrpd, &conf)?;
        let start = Instant::now();
        let wanted = shown(lab, B)?;
        ensure!(wanted.len() == ROUTES.len() + RULES.len() + ADDRESSES.len(), "ip shows {wanted:#?}");
        while shown(lab, A)? != wanted {
            ensure!(start.elapsed() < PATIENCE, "ip's are {wanted:#?}, ours {:#?}", shown(lab, A)?);
            std::thread::sleep(Duration::from_millis(50));
        }
        daemon.stop()?;
        ensure!(shown(lab, A)?.is_empty(), "left: {:#?}", shown(lab, A)?);
        Ok(())
    });
}
