//! BFD sessions with FRR, with keepalived and with ourselves: both sides see the same, and mastership follows.

use std::io::IoSliceMut;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Program::{self, Keepalived, Vrrpd};
use vrrp_tests::frr::{self, Bfdd};
use vrrp_tests::keepalived;
use vrrp_tests::lab::{A, B, Lab, own_address, own_global, with_lab, with_routers};

use vrrp_tests::scenario::PATIENCE;

/// The third router, which speaks BFD and no VRRP.
const C: usize = 2;

/// A session with `neighbor` that the virtual router tracks by `weight`; a tenth of a second between packets, three of
/// which may be missed.
pub fn tracking(conf: Conf, neighbor: impl std::fmt::Display, weight: i32) -> Conf {
    let mut conf = conf.line(format!("track_bfd {{\n        gateway weight {weight}\n    }}"));
    conf.before = format!(
        "bfd_instance gateway {{\n    neighbor_ip {neighbor}\n    min_rx 100\n    min_tx 100\n    multiplier 3\n}}\n"
    );
    conf
}

fn until(what: &str, mut so: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !so()? {
        ensure!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Lets nothing of `router`'s reach C, nor the other way: both links stay up, and everybody else is heard.
fn cut(lab: &Lab, router: usize, is_cut: bool) -> Result<()> {
    let address = own_address(router);
    let rules = if is_cut {
        format!(
            "table ip cut {{\n\
             chain in {{\ntype filter hook input priority 0\nip saddr {address} drop\n}}\n\
             chain out {{\ntype filter hook output priority 0\nip daddr {address} drop\n}}\n}}"
        )
    } else {
        "delete table ip cut".to_owned()
    };
    let status = lab.routers[C].command("nft").arg(rules).status()?;
    ensure!(status.success(), "nft");
    Ok(())
}

/// The master's way to a gateway is cut in silence: both ends notice, and the other router takes over.
#[test]
fn frr_sees_what_we_see_and_mastership_follows() {
    if frr::is_missing() {
        return;
    }
    with_routers(3, |lab| {
        let peer = |router: usize| {
            let address = own_address(router);
            format!(
                " peer {address}\n  detect-multiplier 3\n  receive-interval 100\n  transmit-interval 100\n  no shutdown\n"
            )
        };
        let text = format!("log stdout debugging\nbfd\n{}{}exit\n", peer(A), peer(B));
        let bfdd = Bfdd::start(&lab.routers[C], &lab.directory.join("bfdd"), &text)?;
        let mut a = lab.start(A, Vrrpd, &tracking(Conf::v3(150), own_address(C), -80).text())?;
        let mut b = lab.start(B, Vrrpd, &tracking(Conf::v3(100), own_address(C), -80).text())?;
        let is = |router: usize, status: &str| {
            until(&format!("{router} is {status}"), || Ok(bfdd.status(own_address(router).into())? == status))
        };
        for (router, daemon) in [(A, &mut a), (B, &mut b)] {
            daemon.wait_log("BFD_Instance(gateway) Entering Up state", PATIENCE)?;
            is(router, "up")?;
        }
        lab.watch.wait_holder(A, VIP, PATIENCE)?;

        cut(lab, A, true)?;
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        a.wait_log("Entering Down state, DetectionTimeExpired", PATIENCE)?;
        is(A, "down")?;
        is(B, "up")?;

        cut(lab, A, false)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        is(A, "up")?;

        // What FRR's operator takes down is down here at once, and comes back.
        let neighbor = format!("peer {}", own_address(A));
        bfdd.vtysh(&["configure terminal", "bfd", &neighbor, "shutdown"])?;
        a.wait_log("Entering Down state, NeighborSignaledDown", PATIENCE)?;
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        bfdd.vtysh(&["configure terminal", "bfd", &neighbor, "no shutdown"])?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;

        // Who stops says so.
        a.stop()?;
        is(A, "down")?;
        b.stop().map(drop)
    });
}

#[test]
fn keepalived_sees_what_we_see() {
    if keepalived::is_missing() {
        return;
    }
    with_lab(|lab| {
        let start = |router: usize, program: Program, priority: u8| {
            let conf = tracking(Conf::v3(priority), own_address(1 - router), 0).text();
            // For keepalived the block's own address is a must.
            let conf = conf.replace("    min_rx", &format!("    source_ip {}\n    min_rx", own_address(router)));
            lab.start_by(router, program, &conf, |words| {
                // All its processes but the checkers.
                let mut words: Vec<_> =
                    words.into_iter().map(|word| if word == "-P" { "--all".into() } else { word }).collect();
                if program == Keepalived {
                    for flag in ["-b", "-c"] {
                        words.push(flag.into());
                        words.push(lab.directory.join(format!("pid{flag}")).display().to_string());
                    }
                }
                words
            })
        };
        let mut theirs = start(B, Keepalived, 100)?;
        let mut ours = start(A, Vrrpd, 150)?;
        // Without the session neither may serve, and with it both could.
        ours.wait_log("BFD_Instance(gateway) Entering Up state", PATIENCE)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        theirs.wait_log("Entering BACKUP STATE", PATIENCE)?;
        theirs.stop()?;
        ours.wait_log("Entering Down state", PATIENCE)?;
        ours.wait_log("(VI_1) Entering FAULT STATE", PATIENCE)?;
        lab.watch.wait_nobody(VIP, PATIENCE)?;
        ours.stop().map(drop)
    });
}

/// As it is without a word of intervals: five packets, 10 ms apart. A neighbour that stops without a word is missed no
/// sooner than theory has it.
#[test]
fn a_neighbour_that_stands_still_is_missed() {
    with_lab(|lab| {
        let default = |router: usize| {
            let conf = tracking(Conf::v3(100 + 50 * (1 - router as u8)), own_address(1 - router), 0).text();
            conf.replace("    min_rx 100\n    min_tx 100\n    multiplier 3\n", "")
        };
        let mut a = lab.start(A, Vrrpd, &default(A))?;
        a.wait_log("Entering FAULT STATE", PATIENCE)?;
        let mut b = lab.start(B, Vrrpd, &default(B))?;
        a.wait_log("Entering Up state", PATIENCE)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        b.signal(Signal::SIGSTOP)?;
        let stopped_at = Instant::now();
        a.wait_log("Entering Down state, DetectionTimeExpired", PATIENCE)?;
        // Five times 10 ms after the last packet, which may have left 10 ms before.
        ensure!(stopped_at.elapsed() >= Duration::from_millis(40), "missed after {:?}", stopped_at.elapsed());
        lab.watch.wait_nobody(VIP, PATIENCE)?;
        b.signal(Signal::SIGCONT)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        a.stop()?;
        b.stop().map(drop)
    });
}

/// Over IPv6, and over several hops' port.
#[test]
fn multihop_over_ipv6() {
    with_lab(|lab| {
        lab.speak_ipv6()?;
        let conf = |router: usize| {
            let text = tracking(Conf::v3(150 - 50 * router as u8), own_global(1 - router), 0).text();
            text.replace(
                "    min_rx",
                &format!("    multihop\n    max_hops 3\n    source_ip {}\n    min_rx", own_global(router)),
            )
        };
        let mut a = lab.start(A, Vrrpd, &conf(A))?;
        let mut b = lab.start(B, Vrrpd, &conf(B))?;
        a.wait_log("Entering Up state", PATIENCE)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        b.stop()?;
        a.wait_log("Entering Down state, NeighborSignaledDown", PATIENCE)?;
        a.stop().map(drop)
    });
}

/// When the next packet comes to a socket of a neighbour that says nothing, and with what TTL or hop limit.
fn next_packet(socket: &UdpSocket) -> Result<(Instant, u8)> {
    let mut octets = [0; 100];
    let mut space = nix::cmsg_space!(nix::libc::c_int);
    let mut parts = [IoSliceMut::new(&mut octets)];
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())?;
    let ttl = message.cmsgs()?.find_map(|told| match told {
        ControlMessageOwned::Ipv4Ttl(ttl) | ControlMessageOwned::Ipv6HopLimit(ttl) => Some(ttl as u8),
        _ => None,
    });
    Ok((Instant::now(), ttl.context("no TTL")?))
}

/// `ttl`, `hoplimit` and `idle_tx` as a neighbour sees them that says nothing; and one that is `passive` says nothing to it.
#[test]
fn packets_are_as_configured() {
    with_lab(|lab| {
        lab.speak_ipv6()?;
        let neighbor = |address: IpAddr| -> Result<UdpSocket> {
            let socket = UdpSocket::bind((address, 3784))?;
            match address {
                IpAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?,
                IpAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?,
            }
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok(socket)
        };
        let (v4, v6) =
            lab.routers[B].within(|| Ok((neighbor(own_address(B).into())?, neighbor(own_global(B).into())?)))?;
        let silent = lab.client.within(|| neighbor([192, 168, 1, 10].into()))?;
        let mut conf = Conf::v3(255);
        for (name, address, lines) in [
            ("four", own_address(B).to_string(), "ttl 77\n    idle_tx 1500"),
            ("six", own_global(B).to_string(), "hoplimit 66"),
            ("silent", "192.168.1.10".to_owned(), "passive"),
        ] {
            conf.before += &format!("bfd_instance {name} {{\n    neighbor_ip {address}\n    {lines}\n}}\n");
        }
        let mut daemon = lab.start_conf(A, Vrrpd, &conf)?;
        let (first, ttl) = next_packet(&v4)?;
        // Up to a quarter less (RFC 5880 section 6.8.7); without a word it would be a second at most.
        let gap = next_packet(&v4)?.0 - first;
        ensure!((1100..2500).contains(&gap.as_millis()), "{gap:?} from packet to packet");
        let (_, hop_limit) = next_packet(&v6)?;
        ensure!((ttl, hop_limit) == (77, 66), "TTL {ttl}, hop limit {hop_limit}");
        silent.set_nonblocking(true)?;
        ensure!(silent.recv(&mut [0; 100]).is_err(), "a passive one spoke first");
        daemon.stop().map(drop)
    });
}

/// -B: no session, and nothing that waits for one. A port that is taken is named.
#[test]
fn without_bfd_and_without_its_port() {
    with_lab(|lab| {
        let conf = tracking(Conf::v3(100), own_address(B), 0).text();
        let mut daemon = lab.start_by(A, Vrrpd, &conf, |words| {
            let at = words.len() - 2;
            [&words[..at], &["-B".to_owned()], &words[at..]].concat()
        })?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        daemon.stop()?;
        let taken = lab.routers[A].within(|| Ok(std::net::UdpSocket::bind("0.0.0.0:3784")?))?;
        lab.announce_error("3784");
        let mut refused = lab.start(A, Vrrpd, &conf)?;
        ensure!(refused.wait_exit(PATIENCE)?.code() == Some(1), "{}", refused.log());
        ensure!(refused.log().contains("UDP port 3784"), "{}", refused.log());
        drop(taken);
        Ok(())
    });
}
