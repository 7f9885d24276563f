//! `vrrpctl judge`: what becomes of every frame of a capture, by our own rules or by the kernel's program.

mod capture;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use vrrp_common::abi::{CounterRow, Device, MESSAGE_BUDGET, RouterKey, Rule, RuleKey};
use vrrp_common::classify::{Ingress, Judgement, Packet, judge};
use vrrp_common::drop::{Disposition, Reason};
use vrrp_common::wire::Frame;
use vrrp_common::wire::advert::{HEADER, Header};
use vrrp_common::wire::ethernet::Link;

use super::filter::RuleTable;
use super::xdp::{Sizes, TEST_IFINDEX, TEST_LENGTHS, Xdp};
use capture::{Captured, LinkType};

/// XDP_DROP.
const DROP: u32 = 1;

/// One line of output.
#[derive(Debug, Default, Serialize)]
struct Finding {
    /// From 1, as in wireshark.
    frame: u64,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<f64>,
    /// Octets on the wire.
    length: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vrid: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan: Option<u16>,
    /// Why this frame could not be judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Judges the frames of a capture file as if `ingress` had received them; one JSON object per frame to `out`.
pub fn run(path: &Path, rules: &RuleTable, ingress: Ingress, kernel: bool, out: &mut dyn Write) -> Result<()> {
    let mut kernel = if kernel { Some(Kernel::load(rules, ingress)?) } else { None };
    let mut number = 0;
    capture::read(path, |frame| {
        number += 1;
        let mut finding = Finding {
            frame: number,
            time: frame.time.map(|time| time.as_secs_f64()),
            length: frame.length,
            ..Default::default()
        };
        if let Err(error) = judge_frame(&frame, rules, ingress, kernel.as_mut(), &mut finding) {
            finding.error = Some(format!("{error:#}"));
        }
        serde_json::to_writer(&mut *out, &finding)?;
        writeln!(out).context("writing the findings")
    })
}

fn judge_frame(
    frame: &Captured,
    rules: &RuleTable,
    ingress: Ingress,
    kernel: Option<&mut Kernel>,
    finding: &mut Finding,
) -> Result<()> {
    let Captured { link, length, data, .. } = *frame;
    if data.len() < length {
        bail!("only {} of {length} octets were captured; capture with tcpdump -s 0", data.len());
    }
    let (packet, at) = match link {
        LinkType::Ethernet => (Packet::find(data), 0),
        _ => match link.ip_at(data) {
            Some(at) => (Packet::without_link(&data[at..]), at),
            None => (None, 0),
        },
    };
    let data = &data[at..];
    if let Some(packet) = packet {
        describe(packet, data, finding);
    }
    let (reason, dropped) = match kernel {
        Some(kernel) if link == LinkType::Ethernet => kernel.judge(data)?,
        Some(kernel) => kernel.judge(&with_ethernet(packet, data))?,
        None => match packet {
            Some(packet) => {
                let Judgement { reason, disposition, .. } =
                    judge(data, packet, ingress, rules, &mut [0; MESSAGE_BUDGET]);
                (reason, disposition == Disposition::Drop)
            }
            None => (Reason::NotVrrp, false),
        },
    };
    finding.verdict = Some(match reason.disposition() {
        Disposition::Deliver => "advert",
        _ if dropped => "drop",
        _ => "pass",
    });
    finding.reason = Some(reason.label());
    finding.help = Some(reason.help());
    Ok(())
}

/// What can be said of a VRRP packet whatever it is found to be.
fn describe(packet: Packet, frame: &[u8], finding: &mut Finding) {
    let Packet { link: Link { vlan, .. }, ip } = packet;
    finding.vlan = (vlan != 0).then_some(vlan);
    finding.source = Some(ip.source.ip(ip.family));
    if ip.fault.is_none() {
        finding.vrid = frame.octets::<HEADER>(ip.payload).map(|octets| Header(octets).vrid());
    }
}

/// The kernel judges Ethernet frames only: adds the header that a frame captured without one must have had.
fn with_ethernet(packet: Option<Packet>, data: &[u8]) -> Vec<u8> {
    let (mac, ethertype) = match packet {
        Some(Packet { link, ip }) => (ip.group_mac(), link.ethertype),
        None => ([0; 6], 0),
    };
    [&mac[..], &[0; 6], &ethertype.to_be_bytes(), data].concat()
}

/// The kernel's program with the same rules, all counting in one row.
struct Kernel {
    xdp: Xdp,
    counted: CounterRow,
}

impl Kernel {
    const ROW: u32 = 0;

    fn load(rules: &RuleTable, ingress: Ingress) -> Result<Self> {
        let sizes = Sizes { rules: rules.len() as u32, peers: rules.peers().count() as u32, ..Sizes::default() };
        let mut xdp = Xdp::load(sizes)?;
        xdp.set_device(TEST_IFINDEX, &Device { row: Self::ROW, ..ingress.device })?;
        for (key, rule) in rules.iter().filter(|(key, _)| key.router.ifindex == ingress.ifindex) {
            let key = RuleKey { router: RouterKey { ifindex: TEST_IFINDEX, ..key.router }, ..key };
            xdp.set_rule(key, &Rule { row: Self::ROW, ..*rule })?;
        }
        for (key, peer) in rules.peers() {
            xdp.set_peer(key, peer)?;
        }
        let counted = xdp.counters(Self::ROW)?;
        Ok(Self { xdp, counted })
    }

    /// What the program counts for this frame, and whether it drops it as refused.
    fn judge(&mut self, frame: &[u8]) -> Result<(Reason, bool)> {
        if frame.len() < *TEST_LENGTHS.start() {
            // Not even Ethernet; the kernel's test run takes no such frame.
            return Ok((Reason::NotVrrp, false));
        }
        let dropped = self.xdp.test_run(frame)? == DROP;
        // The ring is not read here: room for the next.
        self.xdp.drain_ring();
        let before = std::mem::replace(&mut self.counted, self.xdp.counters(Self::ROW)?);
        let counted = before.iter().zip(&self.counted).position(|(before, after)| before != after);
        let reason = counted.and_then(|number| Reason::from_number(number as u8)).unwrap_or(Reason::NotVrrp);
        Ok((reason, dropped))
    }
}
