//! Frames out of a capture file: pcap and pcapng, of any byte order and clock resolution.
//!
//! Timestamps are read by hand where the crate ignores the file's resolution, and lengths where it refuses a capture
//! that was cut to a snapshot length.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError, TsResolution};
use vrrp_common::wire::ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6};

/// One frame of a capture.
pub struct Captured<'a> {
    /// Since 1970; `None` where the file has none.
    pub time: Option<Duration>,
    pub link: LinkType,
    /// Octets on the wire; `data` holds fewer when the capture was cut.
    pub length: usize,
    pub data: &'a [u8],
}

/// What the frames of a capture begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    Ethernet,
    /// No link layer: an IP header.
    Raw,
    /// What `tcpdump -i any` writes: the older and the newer "cooked" header.
    Cooked,
    Cooked2,
}

impl LinkType {
    fn of(link: DataLink) -> Result<Self> {
        match u32::from(link) {
            1 => Ok(Self::Ethernet),
            12 | 14 | 101 | 228 => Ok(Self::Raw),
            113 => Ok(Self::Cooked),
            276 => Ok(Self::Cooked2),
            number => bail!("link type {number} cannot be judged; capture on one Ethernet interface"),
        }
    }

    /// Octets before the IP header, of a frame that carries one; `None` of any other.
    pub fn ip_at(self, frame: &[u8]) -> Option<usize> {
        let (length, protocol_at) = match self {
            Self::Ethernet => return None,
            Self::Raw => return Some(0),
            Self::Cooked => (16, 14),
            Self::Cooked2 => (20, 0),
        };
        let protocol = u16::from_be_bytes([*frame.get(protocol_at)?, *frame.get(protocol_at + 1)?]);
        [ETHERTYPE_IPV4, ETHERTYPE_IPV6].contains(&protocol).then_some(length)
    }
}

/// Calls `each` for every frame of a capture file.
pub fn read(path: &Path, mut each: impl FnMut(Captured) -> Result<()>) -> Result<()> {
    let name = path.display();
    let mut file = File::open(path).with_context(|| name.to_string())?;
    let mut magic = [0; 4];
    file.read_exact(&mut magic).map_err(|_| anyhow!("{name}: not a capture file: it is shorter than its header"))?;
    file.rewind().with_context(|| name.to_string())?;
    let file = BufReader::new(file);
    match magic {
        [0x0a, 0x0d, 0x0d, 0x0a] => read_pcapng(file, &mut each),
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xd4, 0xc3, 0xb2, 0xa1] | [0xa1, 0xb2, 0x3c, 0x4d] | [0x4d, 0x3c, 0xb2, 0xa1] => {
            read_pcap(file, &mut each)
        }
        _ => Err(anyhow!("not a capture file; tcpdump -w and wireshark write pcap and pcapng")),
    }
    .with_context(|| name.to_string())
}

fn read_pcap(file: impl Read, each: &mut impl FnMut(Captured) -> Result<()>) -> Result<()> {
    let mut reader = PcapReader::new(file).map_err(damaged)?;
    let header = reader.header();
    let link = LinkType::of(header.datalink)?;
    let unit = match header.ts_resolution {
        TsResolution::MicroSecond => 1000,
        TsResolution::NanoSecond => 1,
    };
    while let Some(packet) = reader.next_raw_packet() {
        let packet = packet.map_err(damaged)?;
        let nanos = u64::from(packet.ts_frac) * unit;
        let time = Duration::from_secs(packet.ts_sec.into()) + Duration::from_nanos(nanos);
        each(Captured { time: Some(time), link, length: packet.orig_len as usize, data: &packet.data })?;
    }
    Ok(())
}

fn read_pcapng(file: impl Read, each: &mut impl FnMut(Captured) -> Result<()>) -> Result<()> {
    let mut reader = PcapNgReader::new(file).map_err(damaged)?;
    // Of the section; a new one begins with none.
    let mut interfaces: Vec<(Result<LinkType, u32>, u8)> = Vec::new();
    while let Some(block) = reader.next_block() {
        let (interface, ticks, length, data) = match block.map_err(damaged)? {
            Block::SectionHeader(_) => {
                interfaces.clear();
                continue;
            }
            Block::InterfaceDescription(interface) => {
                let number = u32::from(interface.linktype);
                interfaces.push((LinkType::of(interface.linktype).map_err(|_| number), resolution(&interface)));
                continue;
            }
            // The crate takes the ticks for nanoseconds.
            Block::EnhancedPacket(packet) => {
                (packet.interface_id, Some(packet.timestamp.as_nanos()), packet.original_len, packet.data)
            }
            Block::SimplePacket(packet) => (0, None, packet.original_len, packet.data),
            _ => continue,
        };
        let (link, resolution) = *interfaces.get(interface as usize).context("a frame of an unknown interface")?;
        let link = link.or_else(|number| LinkType::of(DataLink::from(number)))?;
        // A simple packet's data is padded.
        let data = data.get(..length as usize).unwrap_or(&data);
        each(Captured { time: ticks.map(|ticks| time(ticks, resolution)), link, length: length as usize, data })?;
    }
    Ok(())
}

/// The `if_tsresol` of an interface: a negative power of ten, or of two with the top bit; microseconds if not said.
fn resolution(interface: &InterfaceDescriptionBlock) -> u8 {
    let said = interface.options.iter().find_map(|option| match option {
        InterfaceDescriptionOption::IfTsResol(resolution) => Some(*resolution),
        _ => None,
    });
    said.unwrap_or(6)
}

fn time(ticks: u128, resolution: u8) -> Duration {
    let exponent = u32::from(resolution & 0x7f);
    let base: u128 = if resolution & 0x80 == 0 { 10 } else { 2 };
    // A resolution finer than 128 bits is no clock's.
    let per_second = base.checked_pow(exponent).unwrap_or(u128::MAX);
    let nanos = (ticks % per_second).saturating_mul(1_000_000_000) / per_second;
    Duration::new((ticks / per_second) as u64, nanos as u32)
}

fn damaged(error: PcapError) -> anyhow::Error {
    let cut = match &error {
        PcapError::IncompleteBuffer => true,
        PcapError::IoError(error) => error.kind() == ErrorKind::UnexpectedEof,
        _ => false,
    };
    if cut {
        return anyhow!("the capture ends inside a frame; those before it were judged");
    }
    anyhow::Error::new(error).context("the capture is damaged here; the frames before were judged")
}
