//! Virtual routers of one VRID on an interface and its VLANs.

use anyhow::ensure;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Program::Vrrpd;
use vrrp_tests::forge::send_by;
use vrrp_tests::frames::FrameSpec;
use vrrp_tests::lab::{A, B, with_lab};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::vrrpd;

use vrrp_tests::scenario::{PATIENCE, elect};

/// The tag of what a VLAN of a veth sends stays beside the frame, so behind the parent's program its adverts look untagged.
/// A master there, and one that leaves, are nothing to the routers of the parent, who have no virtual router on the VLAN; and
/// what these say to each other is heard.
#[test]
fn a_master_of_another_vlan_is_nobody() {
    with_lab(|lab| {
        let (a, b) = (Conf::v3(150), Conf::v3(100));
        let mut pair = elect(lab, [Vrrpd; 2], &a, &b)?;
        for router in [&lab.routers[A], &lab.routers[B], &lab.attacker] {
            router.ip("link add link eth0 name eth0.10 type vlan id 10")?;
            router.ip("link set eth0.10 up")?;
        }
        for daemon in [&mut pair.a, &mut pair.b] {
            daemon.wait_log("VLANs stand on it", PATIENCE)?;
        }
        let since = Stamp::now();
        for priority in [254, 0, 150, 254, 0] {
            send_by(&lab.attacker, "eth0.10", &FrameSpec { priority, ..FrameSpec::v3() }.build())?;
        }
        lab.watch.wait("adverts of the master", PATIENCE, |record| record.adverts_of(A, since).nth(4))?;
        ensure!(lab.watch.record().adverts_of(B, Stamp::default()).next().is_none(), "the backup took over");
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        for daemon in [&pair.a, &pair.b] {
            let status = vrrpd::status(daemon)?;
            let drops = &status["instances"][0]["drops"];
            ensure!(drops["vlan_ambiguous"].as_u64() >= Some(5), "the program did not see them: {status:#}");
            ensure!(status["interfaces"][0]["xdp"] == "native", "{status:#}");
        }
        pair.a.kill()?;
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        Ok(())
    });
}
