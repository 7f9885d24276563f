//! keepalived.data line by line: of a configuration that has a bit of everything, keepalived's own is the judge of what there is.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Result, ensure};
use vrrp_tests::conf::VIP;
use vrrp_tests::daemon::Program::{self, Keepalived, Vrrpd};
use vrrp_tests::keepalived;
use vrrp_tests::lab::{A, Lab, with_lab};

use crate::dumps::{DATA, ask, start};

/// The interfaces of its routes are watched in any case; of ours that is said, too.
const CONF: &str = "\
global_defs {
    router_id judge
    script_user root
    enable_script_security
    notification_email {
        root@example.org
    }
    notification_email_from vrrp@example.org
    smtp_server 127.0.0.1 2525
    smtp_helo_name hello.example.org
    vrrp_process_name named
    vrrp_priority -5
    vrrp_rt_priority 10
    vrrp_rlimit_rttime 2000000
    vrrp_no_swap
    vrrp_cpu_affinity 0
    vrrp_startup_delay 0.5
    vrrp_garp_interval 0.001
    vrrp_notify_fifo DIRECTORY/fifo
    vrrp_notify_fifo_script \"/usr/bin/sleep 1000\"
    notify_fifo DIRECTORY/other
}
static_ipaddress {
    192.168.7.20/24 dev eth1
}
static_routes {
    10.7.0.0/16 via 192.168.7.9 dev eth1
}
static_rules {
    from 192.168.7.0/24 table 100 priority 1000
}
vrrp_script chk {
    script \"/usr/bin/true 'two words'\"
    interval 1
    timeout 3
    weight -5
    rise 2
    fall 3
}
track_file tf {
    file DIRECTORY/tracked
    weight 3
}
vrrp_track_process proc {
    process sleep 100
    param_match partial
    weight 4
    quorum 1
    quorum_max 3
    fork_delay 1
}
bfd_instance peer {
    neighbor_ip 192.168.1.200
    weight -7
}
vrrp_sync_group G1 {
    group {
        VI_1
        VI_2
    }
    notify_master \"/usr/bin/true m\"
    notify_fault \"/usr/bin/true f\"
}
vrrp_instance VI_1 {
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority 120
    advert_int 1
    preempt_delay 3
    authentication {
        auth_type PASS
        auth_pass secret12
    }
    virtual_ipaddress {
        192.168.1.100/24 brd 192.168.1.255 label eth0:1
        192.168.1.101/32 scope link
    }
    virtual_ipaddress_excluded {
        192.168.1.110/24
    }
    virtual_routes {
        10.1.0.0/16 via 192.168.1.9 dev eth0 metric 5
        10.2.0.0/16 dev eth1 src 192.168.7.5 table 100 scope link tos 0x10
        10.5.0.0/16 dev eth1 realms 3/4 mtu lock 1400 advmss 1000
        default via 192.168.1.9 dev eth0 table 200
        10.8.0.1 via 192.168.1.9 dev eth0
    }
    virtual_rules {
        from 10.1.0.0/16 table 100 priority 2000
        not from 10.9.0.0/16 to 10.0.0.1 tos 0x10 fwmark 3/5 suppress_prefixlength 3 iif eth0 oif eth1 priority 3 table 5
        from 10.2.0.0/16 blackhole priority 4
        from 10.2.0.0/16 goto 2000 priority 8
        uidrange 3-5 table 3 priority 12
        ipproto tcp sport 3-4 dport 5-6 table 3 priority 13
        fwmark 7 table 3 priority 16
    }
    track_interface {
        eth1
    }
    notify_stop \"/usr/bin/true x 'y z'\"
    notify_deleted \"/usr/bin/true d\"
    smtp_alert
}
vrrp_instance VI_2 {
    state BACKUP
    interface eth0
    virtual_router_id 52
    version 3
    priority 90
    advert_int 0.5
    nopreempt
    dont_track_primary
    unicast_src_ip 192.168.1.2
    unicast_peer {
        192.168.1.6 min_ttl 3 max_ttl 255
        192.168.1.7
    }
    check_unicast_src
    unicast_ttl 200
    virtual_ipaddress {
        192.168.1.104/24
    }
}
vrrp_instance VI_3 {
    interface eth1
    use_vmac vr3
    virtual_router_id 53
    version 3
    no_accept
    priority 80
    virtual_ipaddress {
        192.168.7.53/24
    }
    track_script {
        chk
    }
    track_interface {
        eth0 weight 10
    }
    track_file {
        tf weight 2
    }
    track_process {
        proc weight 7
    }
    track_bfd {
        peer weight 3 reverse
    }
}
";

/// Lines, by section, that we do not write: what is not done here (LVS, checkers, SNMP), defaults that each virtual router shows of
/// itself, how keepalived is built inside, what is in the kernel, and what is not kept once a configuration was read.
const THEIRS: &[(&str, &[&str])] = &[
    (
        "Global definitions",
        &[
            "BFD process name",
            "BFD process priority",
            "BFD don't swap",
            "BFD realtime priority",
            "BFD realtime limit",
            "Checker don't swap",
            "Checker process priority",
            "Checker realtime limit",
            "Checker realtime priority",
            "Checkers log all failures",
            "DBus service name",
            "Default interface",
            "Default script uid",
            "Default smtp_alert",
            "Default smtp_alert_checker",
            "Default smtp_alert_vrrp",
            "Disable local IGMP",
            "Gratuitous ARP delay",
            "Gratuitous ARP for each secondary VMAC",
            "Gratuitous ARP interval",
            "Gratuitous ARP lower priority delay",
            "Gratuitous ARP lower priority repeat",
            "Gratuitous ARP refresh repeat",
            "Gratuitous ARP refresh timer",
            "Gratuitous ARP repeat",
            "Gratuitous NA interval",
            "LVS flush",
            "LVS flush on stop",
            "LVS process name",
            "Max auto priority",
            "Min auto priority delay",
            "Network namespace ipvs",
            "No test config before reload",
            "Num adverts before down",
            "SNMP RFCv",
            "SNMP checker disabled",
            "SNMP socket",
            "SNMP traps disabled",
            "SNMP vrrp disabled",
            "Script security enabled",
            "Send advert after receive higher priority advert",
            "Send advert after receive lower priority advert",
            "VRRP IPv",
            "VRRP check unicast_src",
            "VRRP default protocol version",
            "VRRP notify priority changes",
            "VRRP skip check advert addresses",
            "VRRP strict mode",
            "current realtime priority",
            "current realtime time limit",
            "libnftnl version",
            "lvs_netlink_cmd_rcv_bufs",
            "lvs_netlink_cmd_rcv_bufs_force",
            "lvs_netlink_monitor_rcv_bufs",
            "lvs_netlink_monitor_rcv_bufs_force",
            "nftables don't force use ifindex for link local IPv",
            "no_checker_emails",
            "process_monitor_rcv_bufs",
            "process_monitor_rcv_bufs_force",
            "rs_init_notifies",
            "rx_bufs_multiples",
            "vrrp_netlink_cmd_rcv_bufs",
            "vrrp_netlink_cmd_rcv_bufs_force",
            "vrrp_netlink_monitor_rcv_bufs",
            "vrrp_netlink_monitor_rcv_bufs_force",
        ],
    ),
    ("GARP delay group", &["GARP next time", "GNA next time"]),
    ("VRRP Topology", &["Read timeout", "Unicast checksum compatibility", "fd_in"]),
    (
        "VRRP Sockpool",
        &["fd_in", "Address", "Family", "Interface", "Protocol", "Rx buf size", "Type", "VRRP instances", ""],
    ),
    ("VRRP Scripts", &["Init state", "Insecure", "Result", "State", "VRRP instances"]),
    ("VRRP Track BFDs", &["Tracking VRRP instances"]),
    (
        "Interfaces",
        &[
            "Delayed state change running",
            "Gratuitous ARP interval",
            "Gratuitous NA interval",
            "HW Type",
            "MAC broadcast",
            "MTU",
            "NIC netlink status update",
            "NIC support ETHTOOL GLINK interface",
            "NIC support MII, but not ETHTOOL GLINK interface",
            "Not IPv",
            "Original arp_filter",
            "Original arp_ignore",
            "Original promote_secondaries",
            "Reset ARP config counter",
            "Reset promote_secondaries counter",
            "Seen up",
            "rp_filter",
        ],
    ),
];

/// What a line is about; nothing for one of a list.
fn name(line: &str) -> Option<String> {
    if line.starts_with("     ") {
        return None;
    }
    let end = line.find(|c: char| "=:,({".contains(c) || c.is_ascii_digit()).unwrap_or(line.len());
    Some(line[..end].trim().to_owned())
}

/// The sections with their lines.
fn sections(text: &str) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
    text.split("------< ").skip(1).filter_map(|section| {
        let (title, lines) = section.split_once(" >------\n")?;
        Some((title.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end(), lines.lines()))
    })
}

/// Every section and the names in it.
fn names(text: &str) -> BTreeSet<(String, String)> {
    let named = sections(text).flat_map(|(title, lines)| {
        lines.filter_map(name).chain([String::new()]).map(|name| (title.to_owned(), name)).collect::<Vec<_>>()
    });
    named.collect()
}

/// The lines of lists: addresses, routes, rules, members, what is tracked. keepalived says of routes where they were set.
fn items(text: &str) -> Vec<(&str, &str)> {
    let listed = sections(text).filter(|(title, _)| !["VRRP Sockpool", "Interfaces"].contains(title));
    let items = listed.flat_map(|(title, lines)| {
        let items = lines.filter(|line| line.starts_with("     "));
        items.map(move |line| (title, line.trim_end_matches(" [installed ifindex 0]").trim_end_matches(" set")))
    });
    items.collect()
}

fn data(lab: &Lab, program: Program) -> Result<String> {
    let conf = CONF.replace("DIRECTORY", &lab.directory.display().to_string());
    let (mut daemon, directory) = start(lab, program, &conf, &[VIP, [192, 168, 7, 53].into()])?;
    let is_whole = |text: &str| text.ends_with('\n') && text.contains("------< Interfaces >------");
    let text = ask(&daemon, DATA, &directory.join("keepalived.data"), is_whole)?;
    daemon.stop()?;
    Ok(text)
}

#[test]
fn data_has_the_lines_of_keepalived_s() {
    with_lab(|lab| {
        lab.routers[A].ip("link add eth1 type veth peer name end1")?;
        lab.routers[A].ip("link set end1 up")?;
        lab.routers[A].ip("link set eth1 up")?;
        lab.routers[A].ip("addr add 192.168.7.5/24 dev eth1")?;
        fs::write(lab.directory.join("tracked"), "5\n")?;
        let ours = data(lab, Vrrpd)?;
        if keepalived::is_missing() {
            return Ok(());
        }
        // Ours hear what comes from their own MAC address.
        let theirs = data(lab, Keepalived)?.replace("VMAC type private", "VMAC type vepa");
        let (our_names, mut expected) = (names(&ours), names(&theirs));
        for (title, names) in THEIRS {
            expected.retain(|(of, name)| of != title || !names.contains(&name.as_str()));
        }
        let ours_alone: Vec<_> = our_names.difference(&expected).collect();
        let missing: Vec<_> = expected.difference(&our_names).collect();
        ensure!(missing.is_empty() && ours_alone.is_empty(), "missing {missing:#?}, ours alone {ours_alone:#?}");
        ensure!(items(&ours) == items(&theirs), "ours {:#?}, keepalived's {:#?}", items(&ours), items(&theirs));
        Ok(())
    });
}
