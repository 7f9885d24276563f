//! A flood at the sender's full rate: one thread, `sendmmsg`, bounded in time and count.

use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::Result;
use vrrp_common::drop::Reason;
use vrrp_tests::forge::packet_socket;
use vrrp_tests::frames::FrameSpec;
use vrrp_tests::stamp::Stamp;

use crate::rig::Rig;
use crate::roster::Roster;

const BATCH: usize = 64;
/// However fast the sender and however long the row.
const COUNT_MAX: u64 = 20_000_000;
const TIME_MAX: Duration = Duration::from_secs(20);

/// What is wrong with the adverts of a flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Checksum,
    Ttl,
    UnknownVrid,
    LowerPriority,
    /// v2.
    Password,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Checksum, Self::Ttl, Self::UnknownVrid, Self::LowerPriority, Self::Password];

    pub fn name(self) -> &'static str {
        match self {
            Self::Checksum => "checksum",
            Self::Ttl => "TTL",
            Self::UnknownVrid => "unknown VRID",
            Self::LowerPriority => "lower priority",
            Self::Password => "password",
        }
    }

    /// The reasons under which such frames may be counted.
    pub fn reasons(self) -> &'static [Reason] {
        match self {
            Self::Checksum => &[Reason::Checksum],
            Self::Ttl => &[Reason::TtlNot255],
            Self::UnknownVrid => &[Reason::VridUnknown],
            // Up to the limit they are heard.
            Self::LowerPriority => {
                &[Reason::RateLimited, Reason::LowerPrioDiscarded, Reason::OkPassed, Reason::OkAbsorbed]
            }
            Self::Password => &[Reason::AuthFailure],
        }
    }

    pub fn roster(self) -> Roster {
        match self {
            Self::Password => Roster { password: Some("secret12"), ..Roster::new(1, 1, 100) },
            _ => Roster::new(1, 1, 1),
        }
    }

    fn frame(self) -> Vec<u8> {
        let roster = self.roster();
        let addresses = roster.addresses_of(0, 1).map(IpAddr::from).collect();
        let (source, source_mac) = (IpAddr::from([10, 0, 0, 99]), [2, 0, 0, 0, 0, 0x99]);
        let valid = FrameSpec { source, source_mac, vrid: 1, priority: 254, addresses, interval: 1, ..FrameSpec::v3() };
        match self {
            Self::Checksum => FrameSpec { checksum_error: 1, ..valid },
            Self::Ttl => FrameSpec { ttl: 254, ..valid },
            Self::UnknownVrid => FrameSpec { vrid: 99, ..valid },
            Self::LowerPriority => FrameSpec { priority: 50, ..valid },
            Self::Password => FrameSpec {
                vrid: 1,
                priority: 254,
                source,
                source_mac,
                addresses: valid.addresses,
                auth_data: Some(*b"Secret12"),
                ..FrameSpec::v2_password()
            },
        }
        .build()
    }
}

/// What a flood came to.
#[derive(Clone, Copy, Debug)]
pub struct Flooded {
    pub from: Stamp,
    pub until: Stamp,
    pub sent: u64,
}

impl Flooded {
    pub fn took(&self) -> Duration {
        self.until - self.from
    }
}

/// Sends from the attacker for a time, `per_second` or as fast as it can.
pub fn flood(rig: &Rig, kind: Kind, time: Duration, per_second: Option<u32>) -> Result<Flooded> {
    let frame = kind.frame();
    let time = time.min(TIME_MAX);
    let socket = rig.attacker.within(|| packet_socket("eth0", 0))?;
    let (from, start, mut sent) = (Stamp::now(), Instant::now(), 0u64);
    let batch = if per_second.is_some() { 1 } else { BATCH };
    let mut part = libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
    // SAFETY: all zeros is a valid mmsghdr.
    let mut messages: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
    for message in &mut messages {
        message.msg_hdr.msg_iov = &raw mut part;
        message.msg_hdr.msg_iovlen = 1;
    }
    while start.elapsed() < time && sent < COUNT_MAX {
        // SAFETY: every message points at the one part, which points at the frame; both outlive the call.
        let count = unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), batch as u32, 0) };
        // A full queue: the frames are gone, and were never sent.
        sent += u64::try_from(count).unwrap_or_default();
        if let Some(per_second) = per_second {
            let due = Duration::from_secs(1) * sent as u32 / per_second;
            std::thread::sleep(due.saturating_sub(start.elapsed()));
        }
    }
    Ok(Flooded { from, until: Stamp::now(), sent })
}

/// Frames of the attacker that never came to a router's judgement: the cable's queue was full.
pub fn lost_on_the_cable(rig: &Rig, router: usize) -> Result<u64> {
    let dropped = |text: String, side: &str| -> Result<u64> {
        let value: serde_json::Value = serde_json::from_str(&text)?;
        Ok(value[0]["stats64"][side]["dropped"].as_u64().unwrap_or_default())
    };
    let inside = dropped(rig.routers[router].ip("-j -s link show dev eth0")?, "rx")?;
    let outside = dropped(rig.switch.ip(&format!("-j -s link show dev {}0", ["a", "b"][router]))?, "tx")?;
    Ok(inside + outside)
}
