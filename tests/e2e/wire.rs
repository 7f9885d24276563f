//! tshark calls every frame of ours well-formed.

use anyhow::{Result, ensure};
use vrrp_common::Family;
use vrrp_common::classify::Packet;
use vrrp_common::wire::checksum::{ChecksumForm, Sum};
use vrrp_common::wire::ip::PROTOCOL_VRRP;
use vrrp_tests::capture::Seen;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Program::Vrrpd;
use vrrp_tests::forge;
use vrrp_tests::frames::FrameSpec;
use vrrp_tests::lab::{A, B, Lab, own_address, with_lab};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::tshark;
use vrrp_tests::vrrpd;

use vrrp_tests::scenario::{self, PATIENCE};

/// Everything that two routers send from election to stop.
fn well_formed(lab: &Lab, conf: fn(u8) -> Conf, adverts: &str) -> Result<()> {
    if conf(150).family() == Family::V6 {
        lab.speak_ipv6()?;
    }
    scenario::round(lab, [Vrrpd; 2], &conf(150), &conf(100))?;
    let frames = lab.watch.record().frames.clone();
    let file = lab.directory.join("sent.pcap");
    let faults = tshark::faults(&frames, &file, &format!("({adverts}) || arp || icmpv6.type == 136"))?;
    ensure!(faults.is_empty(), "tshark finds fault with our frames:\n{}", faults.join("\n"));
    ensure!(frames.iter().any(|seen| seen.announces().is_some()), "no announcement was seen");
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

#[test]
fn tshark_is_content_with_ipv6() {
    with_lab(|lab| well_formed(lab, Conf::v6, "vrrp.version == 3 && ipv6.hlim == 255"));
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

/// A weaker router that sums its adverts as RFC 9568 has it: what becomes of the master's own, and what it says of both.
fn mirrors(lab: &Lab, conf: &Conf, ours: ChecksumForm) -> Result<()> {
    let a = lab.start(A, Vrrpd, &conf.text())?;
    lab.watch.wait_holder(A, VIP, PATIENCE)?;
    let forms = |since| {
        let record = lab.watch.record();
        let frames = record.frames.iter().filter(|seen| seen.router == A && seen.at >= since);
        frames.filter_map(form_of).collect::<Vec<_>>()
    };
    ensure!(forms(Stamp(0)).iter().all(|&form| form == ChecksumForm::PseudoHeader), "keepalived's form comes first");
    let peer = FrameSpec {
        source: own_address(B).into(),
        priority: 50,
        interval: conf.advert_int.get(),
        addresses: vec![VIP.into()],
        checksum_form: ChecksumForm::Message,
        ..FrameSpec::v3()
    };
    forge::flood(&lab.attacker, &[peer.build()], 1, 1)?;
    // Those that were on their way.
    std::thread::sleep(conf.advert_int.duration());
    let since = Stamp::now();
    std::thread::sleep(3 * conf.advert_int.duration());
    let forms = forms(since);
    ensure!(!forms.is_empty() && forms.iter().all(|&form| form == ours), "{forms:?}");
    let status = vrrpd::status(&a)?;
    let said = &status["instances"][0]["checksum"];
    ensure!(said["ours"] == ours.label() && said["peer"] == "rfc9568", "{status:#}");
    Ok(())
}

/// Of an advert in a frame.
fn form_of(seen: &Seen) -> Option<ChecksumForm> {
    let ip = Packet::find(&seen.octets[..])?.ip;
    let sum = Sum::default().octets(seen.octets.get(ip.payload..ip.payload + ip.length)?);
    let is_message = sum.is_intact();
    let is_pseudo = sum.pseudo_header(ip.source, ip.destination, PROTOCOL_VRRP, ip.length as u16).is_intact();
    match (is_message, is_pseudo) {
        (true, false) => Some(ChecksumForm::Message),
        (false, true) => Some(ChecksumForm::PseudoHeader),
        _ => None,
    }
}

#[test]
fn the_peers_checksum_form_is_mirrored() {
    with_lab(|lab| mirrors(lab, &Conf::v3(100), ChecksumForm::Message));
    with_lab(|lab| mirrors(lab, &Conf::v3(100).global("xdp_mode off"), ChecksumForm::Message));
}

#[test]
fn a_configured_checksum_form_stays() {
    with_lab(|lab| mirrors(lab, &Conf::v3(100).line("v3_checksum_as_v2 off"), ChecksumForm::PseudoHeader));
}
