//! `vrrpctl judge` with and without `--kernel`: the same findings.

use std::env;
use std::fs;
use std::path::Path;
use std::process;
use std::time::Duration;

use pcap_file::DataLink;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use serde_json::Value;
use vrrp_common::classify::Ingress;
use vrrp_daemon::io::judge;
use vrrp_daemon::io::xdp::{Sizes, TEST_IFINDEX};
use vrrp_tests::frames::{FrameSpec, earned_by_frames, spoil};

use vrrp_tests::judges::{device, loaded, rules};

/// What is found of the frames of a capture.
fn judged(path: &Path, kernel: bool) -> Vec<Value> {
    let mut out = Vec::new();
    let ingress = Ingress { ifindex: TEST_IFINDEX, device: device(0) };
    judge::run(path, &rules(), ingress, kernel, &mut out).unwrap();
    out.split(|&octet| octet == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

fn capture(datalink: DataLink, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = PcapWriter::with_header(Vec::new(), PcapHeader { datalink, ..Default::default() }).unwrap();
    for frame in frames {
        writer.write_packet(&PcapPacket::new(Duration::ZERO, frame.len() as u32, frame)).unwrap();
    }
    writer.into_writer()
}

#[test]
fn a_capture_is_judged_alike_in_the_kernel() {
    if loaded(Sizes::default()).is_none() {
        return;
    }
    let mut frames = vec![vec![0; 5]];
    let mut reasons = vec!["not_vrrp"];
    for valid in [FrameSpec::v3(), FrameSpec::v6()] {
        for reason in earned_by_frames() {
            let mut frame = valid.clone();
            spoil(reason, &mut frame).unwrap();
            frames.push(frame.build());
            reasons.push(reason.label());
        }
    }
    // Without the link layer, as a raw capture has them; there is no MAC address to be wrong.
    let packets: Vec<_> = frames[1..].iter().map(|frame| frame[14..].to_vec()).collect();
    let path = env::temp_dir().join(format!("vrrp-judge-{}.pcap", process::id()));
    for (datalink, frames) in [(DataLink::ETHERNET, &frames), (DataLink::RAW, &packets)] {
        fs::write(&path, capture(datalink, frames)).unwrap();
        let (host, kernel) = (judged(&path, false), judged(&path, true));
        fs::remove_file(&path).unwrap();
        assert_eq!(host, kernel);
        assert_eq!(host.len(), frames.len());
        if datalink == DataLink::ETHERNET {
            assert_eq!(host.iter().map(|line| line["reason"].as_str().unwrap()).collect::<Vec<_>>(), reasons);
        }
    }
}
