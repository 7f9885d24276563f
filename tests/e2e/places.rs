//! Unicast routers without an interface: adverts are routed, and come in by whichever interface has the route.

use vrrp_tests::conf::VIP;
use vrrp_tests::daemon::Program::Vrrpd;
use vrrp_tests::lab::{A, B, with_lab};
use vrrp_tests::routed::{conf, loopback, route, routed_round, text};
use vrrp_tests::scenario::PATIENCE;

/// Beside a virtual router of the interface itself, whose program sees all adverts first.
#[test]
fn adverts_come_in_by_any_interface() {
    with_lab(|lab| {
        route(lab, "lo", "")?;
        let beside = "vrrp_instance VI_2 {\n    interface eth0\n    virtual_router_id 77\n    priority 10\n    \
                      virtual_ipaddress {\n        192.168.1.77\n    }\n}\n";
        routed_round(lab, [&conf(A, 150, &[]), &conf(B, 100, &[])], beside)
    });
}

/// The source address may be on any interface, and is missed on all of them.
#[test]
fn a_tracked_source_address_may_be_anywhere() {
    with_lab(|lab| {
        let conf = conf(A, 150, &["track_src_ip"]);
        let mut daemon = lab.start(A, Vrrpd, &text(&conf))?;
        daemon.wait_log("Entering FAULT STATE", PATIENCE)?;
        for device in ["lo", "eth0"] {
            let own = std::net::Ipv4Addr::from(loopback(A));
            lab.routers[A].ip(&format!("address add {own}/32 dev {device}"))?;
            lab.watch.wait_holder(A, VIP, PATIENCE)?;
            lab.routers[A].ip(&format!("address del {own}/32 dev {device}"))?;
            lab.watch.wait_nobody(VIP, PATIENCE)?;
        }
        daemon.stop().map(drop)
    });
}
