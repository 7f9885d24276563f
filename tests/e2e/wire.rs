//! tshark calls every frame of ours well-formed.

use anyhow::{Result, ensure};
use vrrp_common::wire::checksum::ChecksumForm;
use vrrp_tests::capture::Seen;
use vrrp_tests::conf::Conf;
use vrrp_tests::daemon::Program::Vrrpd;
use vrrp_tests::frames::FrameSpec;
use vrrp_tests::lab::{Lab, with_lab};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::tshark;

use crate::scenario;

/// Everything that two routers send from election to stop.
fn well_formed(lab: &Lab, conf: fn(u8) -> Conf, adverts: &str) -> Result<()> {
    scenario::round(lab, [Vrrpd; 2], &conf(150), &conf(100))?;
    let frames = lab.watch.record().frames.clone();
    let file = lab.directory.join("sent.pcap");
    let faults = tshark::faults(&frames, &file, &format!("({adverts}) || arp"))?;
    ensure!(faults.is_empty(), "tshark finds fault with our frames:\n{}", faults.join("\n"));
    ensure!(frames.iter().any(|seen| seen.announces().is_some()), "no gratuitous ARP was seen");
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
        for right in [FrameSpec::v2_password(), FrameSpec::v3()] {
            let wrong = FrameSpec { checksum_error: 1, ..right.clone() };
            let message_only = FrameSpec { checksum_form: ChecksumForm::Message, ..right.clone() };
            let judge = |frame: &FrameSpec| {
                let seen = Seen { at: Stamp::now(), router: 0, octets: frame.build() };
                tshark::faults(&[seen], &lab.directory.join("judged.pcap"), "vrrp")
            };
            ensure!(judge(&right)?.is_empty(), "tshark finds fault with a right frame");
            ensure!(judge(&wrong)?.len() == 1, "tshark does not see a wrong checksum");
            let is_v3 = right.version == 3;
            ensure!(judge(&message_only)?.len() == usize::from(is_v3), "tshark judges the pseudo header's form of v3");
        }
        Ok(())
    });
}
