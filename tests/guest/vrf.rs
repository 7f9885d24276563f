//! Unicast routers without an interface, in a VRF: they are heard by its interfaces, and sent by its routes.

use vrrp_tests::lab::{A, B, with_lab};
use vrrp_tests::routed::{conf, route, routed_round};

#[test]
fn adverts_stay_in_their_vrf() {
    with_lab(|lab| {
        for host in &lab.routers {
            host.ip("link add red type vrf table 10")?;
            host.ip("link set red up")?;
            host.ip("link set eth0 master red")?;
        }
        route(lab, "red", "vrf red")?;
        // Emulated machines take seconds to load a program, and there is none for a VRF.
        let conf = |router, priority| conf(router, priority, &["vrf red"]).global("xdp_mode off");
        routed_round(lab, [&conf(A, 150), &conf(B, 100)], "")
    });
}
