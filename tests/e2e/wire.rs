//! tshark calls every frame of ours well-formed.

use anyhow::{Context, Result, ensure};
use vrrp_tests::conf::Conf;
use vrrp_tests::daemon::Program::Vrrpd;
use vrrp_tests::lab::{Lab, with_lab};
use vrrp_tests::tshark;

use crate::scenario;

/// Everything that two routers send from election to stop.
fn well_formed(lab: &Lab, conf: fn(u8) -> Conf, adverts: &str) -> Result<()> {
    scenario::round(lab, [Vrrpd; 2], &conf(150), &conf(100))?;
    let frames = lab.watch.record().frames.clone();
    let file = lab.directory.join("sent.pcap");
    let faults = tshark::faults(&frames, &file, &format!("({adverts}) || arp"))?;
    ensure!(faults.is_empty(), "tshark finds fault with our frames:\n{}", faults.join("\n"));
    ensure!(frames.iter().any(|seen| seen.gratuitous_arp().is_some()), "no gratuitous ARP was seen");
    Ok(())
}

#[test]
fn tshark_is_content_with_v2() {
    with_lab(|lab| well_formed(lab, Conf::v2, "vrrp.version == 2 && vrrp.auth_type == 1"));
}

#[test]
fn tshark_is_content_with_v3() {
    with_lab(|lab| well_formed(lab, Conf::v3, "vrrp.version == 3"));
}

/// The judge can say no: one octet changed, and it does.
#[test]
fn tshark_sees_a_wrong_checksum() {
    with_lab(|lab| {
        let mut wrong = vrrp_tests::frames::FrameSpec::v3();
        wrong.checksum_error = 1;
        let octets = wrong.build();
        let seen = vrrp_tests::capture::Seen { at: Default::default(), router: 0, octets };
        let faults = tshark::faults(&[seen], &lab.directory.join("wrong.pcap"), "vrrp")?;
        faults.first().context("tshark did not see a wrong checksum").map(drop)
    });
}
