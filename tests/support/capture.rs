//! Frames as the switch sees them: each router's adverts, ARP and neighbour advertisements, with the kernel's time of arrival.
//!
//! The routers' own captures would not do: an XDP program takes adverts away before any capture there.

use std::io::IoSliceMut;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeValLike;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, TsResolution};
use vrrp_common::wire::advert::{AUTH_DATA, HEADER, Header};
use vrrp_common::wire::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Link};
use vrrp_common::wire::{ip4, ip6};
use vrrp_common::{Family, Priority, Version};

use crate::stamp::Stamp;

/// A frame that a router sent.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Stamp,
    /// Which router: its place in the laboratory.
    pub router: usize,
    pub octets: Vec<u8>,
}

/// What an advert says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenAdvert {
    pub at: Stamp,
    pub router: usize,
    /// The Ethernet source.
    pub mac: [u8; 6],
    pub source: IpAddr,
    pub destination: IpAddr,
    /// Or hop limit.
    pub ttl: u8,
    pub version: Version,
    pub vrid: u8,
    /// 0 when the master leaves.
    pub priority: u8,
    /// Centiseconds.
    pub interval: u16,
    pub addresses: Vec<IpAddr>,
    /// v2: type and data.
    pub authentication: Option<(u8, [u8; AUTH_DATA])>,
}

impl Seen {
    /// The advert in it.
    pub fn advert(&self) -> Option<SeenAdvert> {
        let frame = &self.octets[..];
        let link = Link::parse(frame)?;
        let ip = match link.ethertype {
            ETHERTYPE_IPV4 => ip4::parse(frame, link.payload)?,
            ETHERTYPE_IPV6 => ip6::parse(frame, link.payload)?,
            _ => return None,
        };
        let message = frame.get(ip.payload..ip.payload + ip.length)?;
        let header = Header(*message.first_chunk::<HEADER>()?);
        let version = Version::new(header.version_nibble())?;
        let each = ip.family.octets();
        let (addresses, trailer) = message[HEADER..].split_at_checked(each * header.address_count() as usize)?;
        Some(SeenAdvert {
            at: self.at,
            router: self.router,
            mac: *frame.get(6..)?.first_chunk()?,
            source: ip.source.ip(ip.family),
            destination: ip.destination.ip(ip.family),
            ttl: ip.ttl,
            version,
            vrid: header.vrid(),
            priority: header.claim().octet(),
            interval: header.interval(version),
            addresses: match ip.family {
                Family::V4 => addresses.as_chunks::<4>().0.iter().map(|octets| IpAddr::from(*octets)).collect(),
                Family::V6 => addresses.as_chunks::<16>().0.iter().map(|octets| IpAddr::from(*octets)).collect(),
            },
            authentication: match version {
                Version::V2 => Some((header.auth_type(), *trailer.first_chunk()?)),
                Version::V3 => None,
            },
        })
    }

    /// The frame's source.
    pub fn source_mac(&self) -> [u8; 6] {
        self.octets.get(6..).and_then(|octets| octets.first_chunk().copied()).unwrap_or_default()
    }

    /// The address that a gratuitous ARP, request or reply, or an unsolicited neighbour advertisement announces.
    pub fn announces(&self) -> Option<IpAddr> {
        match self.ethertype()? {
            ETHERTYPE_ARP => {
                let arp = self.octets.get(14..42)?;
                let (sender, target): ([u8; 4], [u8; 4]) = (*arp[14..].first_chunk()?, *arp[24..].first_chunk()?);
                (sender == target && sender != [0; 4]).then(|| sender.into())
            }
            ETHERTYPE_IPV6 if self.octets.get(20) == Some(&58) => {
                let message = self.octets.get(54..78)?;
                let unsolicited = message[0] == 136 && message[4] & 0x40 == 0;
                unsolicited.then_some((*message[8..].first_chunk::<16>()?).into())
            }
            _ => None,
        }
    }

    fn ethertype(&self) -> Option<u16> {
        Some(u16::from_be_bytes(*self.octets.get(12..)?.first_chunk()?))
    }

    fn is_of_interest(&self) -> bool {
        self.ethertype() == Some(ETHERTYPE_ARP) || self.announces().is_some() || self.is_vrrp()
    }

    /// VRRP, or an authentication header, which nothing else here has.
    fn is_vrrp(&self) -> bool {
        match self.ethertype() {
            Some(ETHERTYPE_IPV4) => matches!(self.octets.get(23), Some(112 | 51)),
            Some(ETHERTYPE_IPV6) => self.octets.get(20) == Some(&112),
            _ => false,
        }
    }
}

impl SeenAdvert {
    /// The priority it claims; `None` when the master leaves.
    pub fn claims(&self) -> Option<Priority> {
        Priority::new(self.priority)
    }
}

/// A packet socket on the switch's end of a router's cable.
pub struct Tap {
    pub socket: OwnedFd,
    pub router: usize,
}

impl Tap {
    /// In the current namespace: what comes in by `port`, and nothing that the switch sends there.
    pub fn open(port: &str, router: usize) -> Result<Self> {
        let socket = crate::forge::packet_socket(port, libc::ETH_P_ALL as u16)?;
        let on: libc::c_int = 1;
        // SAFETY: the option's value is an int of the length given.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_IGNORE_OUTGOING,
                (&raw const on).cast(),
                size_of_val(&on) as libc::socklen_t,
            )
        };
        nix::errno::Errno::result(result).context("PACKET_IGNORE_OUTGOING")?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        setsockopt(&socket, sockopt::RcvBufForce, &(8 << 20))?;
        Ok(Self { socket, router })
    }

    /// Everything that has arrived and is an advert, ARP or an unsolicited neighbour advertisement.
    pub fn drain(&self, into: &mut Vec<Seen>) {
        let mut buffer = [0; 2048];
        loop {
            let mut control = nix::cmsg_space!(libc::timespec);
            let mut slices = [IoSliceMut::new(&mut buffer)];
            let received = recvmsg::<SockaddrStorage>(
                self.socket.as_raw_fd(),
                &mut slices,
                Some(&mut control),
                MsgFlags::MSG_DONTWAIT,
            );
            let Ok(received) = received else { return };
            let at = received.cmsgs().into_iter().flatten().find_map(|message| match message {
                ControlMessageOwned::ScmTimestampns(at) => Some(Stamp(at.num_nanoseconds() as u64)),
                _ => None,
            });
            let (length, at) = (received.bytes, at.unwrap_or_else(Stamp::now));
            let seen = Seen { at, router: self.router, octets: buffer[..length].to_vec() };
            if seen.is_of_interest() {
                into.push(seen);
            }
        }
    }
}

/// Writes frames to a file that tshark and Wireshark read.
pub fn write_pcap(frames: &[Seen], path: &Path) -> Result<()> {
    let file = std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let header =
        PcapHeader { datalink: DataLink::ETHERNET, ts_resolution: TsResolution::NanoSecond, ..Default::default() };
    let mut writer = PcapWriter::with_header(file, header)?;
    for seen in frames {
        let since = std::time::Duration::from_nanos(seen.at.0);
        writer.write_packet(&PcapPacket::new(since, seen.octets.len() as u32, &seen.octets))?;
    }
    Ok(())
}
