//! A capture made here, through [`run`]: pcap and pcapng, every clock and link type, and what cannot be read.

use std::env;
use std::fs;
use std::path::PathBuf;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::{DataLink, Endianness, TsResolution};
use serde_json::{Value, json};
use vrrp_common::Address;
use vrrp_common::abi::{AUTH_NONE, Device, RouterKey};
use vrrp_common::wire::checksum::Sum;
use vrrp_common::wire::ethernet::VRRP_GROUP4_MAC;
use vrrp_common::wire::ip::{PROTOCOL_VRRP, VRRP_GROUP4};
use vrrp_common::wire::ip4::ipv4_header;

use super::*;

const INGRESS: Ingress = Ingress { ifindex: 7, device: Device { row: 0, flags: 0 } };
const TIME: std::time::Duration = std::time::Duration::new(1_700_000_000, 500_000_000);

fn rules() -> RuleTable {
    let rule = Rule {
        slot: 3,
        row: 9,
        source: Address::NONE,
        auth_pass: [0; 8],
        interval: 100,
        version: 3,
        auth_type: AUTH_NONE,
        flags: 0,
    };
    RuleTable::from_iter([(
        RuleKey { router: RouterKey { ifindex: 7, vlan: 0, family: 4, vrid: 51 }, destination: Address::NONE },
        rule,
    )])
}

fn packet(ttl: u8) -> Vec<u8> {
    let mut message = [0x31, 51, 100, 1, 0, 100, 0, 0, 10, 0, 0, 9];
    let checksum = Sum::default().octets(&message).checksum();
    message[6..8].copy_from_slice(&checksum);
    [&ipv4_header([10, 0, 0, 2], VRRP_GROUP4, ttl, PROTOCOL_VRRP, 12)[..], &message].concat()
}

fn frame(ttl: u8) -> Vec<u8> {
    [&VRRP_GROUP4_MAC[..], &[2; 6], &[8, 0], &packet(ttl)].concat()
}

/// A capture in a file that is gone with it.
struct File(PathBuf);

impl File {
    fn new(octets: &[u8]) -> Self {
        let name = std::thread::current().name().unwrap_or("?").replace(':', "_");
        let path = env::temp_dir().join(format!("vrrp-{}-{name}", std::process::id()));
        fs::write(&path, octets).unwrap();
        Self(path)
    }

    fn pcap(datalink: DataLink, ts_resolution: TsResolution, endianness: Endianness, frames: &[Vec<u8>]) -> Self {
        let header = PcapHeader { datalink, ts_resolution, endianness, ..Default::default() };
        let mut writer = PcapWriter::with_header(Vec::new(), header).unwrap();
        for frame in frames {
            writer.write_packet(&PcapPacket::new(TIME, frame.len() as u32, frame)).unwrap();
        }
        Self::new(&writer.into_writer())
    }

    fn judged(&self, kernel: bool) -> Result<Vec<Value>> {
        let mut out = Vec::new();
        run(&self.0, &rules(), INGRESS, kernel, &mut out)?;
        Ok(String::from_utf8(out)?.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn advert(number: u64, length: usize) -> Value {
    json!({"frame": number, "time": 1_700_000_000.5, "length": length, "verdict": "advert", "reason": "ok_passed",
        "help": "A valid advert, delivered to the daemon.", "source": "10.0.0.2", "vrid": 51})
}

#[test]
fn a_capture_is_judged_frame_by_frame() {
    for (resolution, endianness) in
        [(TsResolution::MicroSecond, Endianness::Little), (TsResolution::NanoSecond, Endianness::Big)]
    {
        let frames = [frame(255), frame(64), vec![0; 60], vec![0; 5]];
        let found = File::pcap(DataLink::ETHERNET, resolution, endianness, &frames).judged(false).unwrap();
        assert_eq!(found.len(), 4);
        assert_eq!(found[0], advert(1, 46));
        let verdicts: Vec<_> = found.iter().map(|line| (line["verdict"].as_str(), line["reason"].as_str())).collect();
        assert_eq!(
            verdicts[1..],
            [(Some("drop"), Some("ttl_not_255")), (Some("pass"), Some("not_vrrp")), (Some("pass"), Some("not_vrrp"))]
        );
    }
}

#[test]
fn pcapng_clocks_are_read_as_the_file_says() {
    for (resolution, per_second) in [(None, 1_000_000), (Some(9), 1_000_000_000), (Some(0x80 | 10), 1024)] {
        let mut writer = PcapNgWriter::new(Vec::new()).unwrap();
        let options = resolution.map(InterfaceDescriptionOption::IfTsResol).into_iter().collect();
        let interface = InterfaceDescriptionBlock { linktype: DataLink::ETHERNET, snaplen: 0, options };
        writer.write_pcapng_block(interface).unwrap();
        let data = frame(255);
        let packet = EnhancedPacketBlock {
            interface_id: 0,
            timestamp: std::time::Duration::from_nanos(1_700_000_000 * per_second + per_second / 2),
            original_len: data.len() as u32,
            data: data.into(),
            options: Vec::new(),
        };
        writer.write_pcapng_block(packet).unwrap();
        assert_eq!(File::new(&writer.into_inner()).judged(false).unwrap(), [advert(1, 46)], "{resolution:?}");
    }
}

#[test]
fn frames_without_ethernet_are_judged() {
    let cooked = [&[0; 14][..], &[8, 0], &packet(255)].concat();
    let cooked2 = [&[8, 0][..], &[0; 18], &packet(255)].concat();
    for (link, frame) in [(DataLink::RAW, packet(255)), (DataLink::LINUX_SLL, cooked), (DataLink::from(276), cooked2)] {
        let file = File::pcap(link, TsResolution::MicroSecond, Endianness::Little, std::slice::from_ref(&frame));
        assert_eq!(file.judged(false).unwrap(), [advert(1, frame.len())]);
    }
}

#[test]
fn what_cannot_be_judged_says_why() {
    let error = |file: &File| format!("{:#}", file.judged(false).unwrap_err());
    let text = File::new(b"virtual_router_id 51\n");
    assert!(error(&text).ends_with("not a capture file; tcpdump -w and wireshark write pcap and pcapng"));
    drop(text);
    let wireless = File::pcap(DataLink::IEEE802_11, TsResolution::MicroSecond, Endianness::Little, &[frame(255)]);
    assert!(error(&wireless).ends_with("link type 105 cannot be judged; capture on one Ethernet interface"));
    drop(wireless);
    let absent = run(&env::temp_dir().join("vrrp-no-such-file"), &rules(), INGRESS, false, &mut Vec::new());
    assert!(format!("{:#}", absent.unwrap_err()).contains("vrrp-no-such-file: No such file or directory"));

    // Cut to a snapshot length, then in the middle of a frame.
    let mut octets = {
        let whole = File::pcap(DataLink::ETHERNET, TsResolution::MicroSecond, Endianness::Little, &[frame(255)]);
        fs::read(&whole.0).unwrap()
    };
    octets[24 + 12] = 90;
    let found = File::new(&octets).judged(false).unwrap();
    assert_eq!(found[0]["error"], "only 46 of 90 octets were captured; capture with tcpdump -s 0");
    assert_eq!(found[0]["verdict"], Value::Null);
    octets.truncate(60);
    assert!(error(&File::new(&octets)).contains("the capture ends inside a frame"));
}
