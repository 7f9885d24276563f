//! Where the program is attached, how, and in one line why not.

use std::error::Error;
use std::fmt;
use std::io;

use anyhow::{Result, anyhow};
use aya::programs::links::FdLink;
use aya::programs::xdp::XdpLink;
use aya::programs::{XdpMode, loaded_programs};
use rtnetlink::packet_core::{NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage, LinkXdp};
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::{Xdp, program};
use crate::io::capabilities::{self, Capability};

/// Where the program may run (`xdp_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Native, or generic where the driver has no native XDP.
    Auto,
    /// In the driver only.
    Native,
    /// Behind the driver, on any device.
    Generic,
}

/// Where the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    Native,
    Generic,
}

impl Attached {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

/// Why the program is not on a device, in words that follow the device's name. The raw socket hears the adverts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Refused {}

/// The program on one device; dropped, it leaves. The kernel does the same for a process that was killed.
pub(super) struct Attachment {
    attached: Attached,
    link: FdLink,
}

impl Xdp {
    /// Puts the program on a device of this network namespace; on one where it is already, nothing changes.
    pub fn attach(&mut self, ifindex: u32, mode: Mode) -> Result<Attached, Refused> {
        if let Some(attachment) = self.attached.get(&ifindex) {
            return Ok(attachment.attached);
        }
        let attempt = match mode {
            Mode::Native => self.attach_as(ifindex, Attached::Native),
            Mode::Generic => self.attach_as(ifindex, Attached::Generic),
            Mode::Auto => self.attach_as(ifindex, Attached::Native).or_else(|error| match errno(&*error) {
                // In these cases generic mode is refused just the same.
                Some(libc::EBUSY | libc::EEXIST | libc::EPERM | libc::ENODEV) => Err(error),
                _ => self.attach_as(ifindex, Attached::Generic),
            }),
        };
        attempt.map_err(|error| refused(ifindex, &*error))
    }

    /// Takes the place of another program wherever that is, without a moment in which none is there; returns the devices on
    /// which the kernel refused it, and there none is now.
    pub fn replace(&mut self, before: &mut Self) -> Vec<(u32, Refused)> {
        let mut failed = Vec::new();
        for (ifindex, Attachment { attached, link }) in std::mem::take(&mut before.attached) {
            match self.take_place(link) {
                Ok(link) => drop(self.attached.insert(ifindex, Attachment { attached, link })),
                Err(error) => failed.push((ifindex, refused(ifindex, &*error))),
            }
        }
        failed
    }

    fn take_place(&mut self, link: FdLink) -> Result<FdLink, Box<dyn Error + Send + Sync>> {
        let program = program(&mut self.ebpf)?;
        let id = program.attach_to_link(XdpLink::try_from(link)?)?;
        Ok(FdLink::try_from(program.take_link(id)?)?)
    }

    /// The number of the link that holds the program on a device.
    pub fn link(&self, ifindex: u32) -> Option<u32> {
        Some(self.attached.get(&ifindex)?.link.info().ok()?.id())
    }

    /// Whether the program is on a device, as far as the kernel says.
    pub fn is_in_place(&self, ifindex: u32) -> bool {
        match (Slot::of(ifindex), self.info()) {
            (Ok(slot), Ok(own)) => slot.program == Some(own.id()),
            // Nothing better is known.
            _ => true,
        }
    }

    /// Takes the program off a device. A child between fork and exec may keep it there for that instant.
    pub fn detach(&mut self, ifindex: u32) {
        self.attached.remove(&ifindex);
    }

    fn attach_as(&mut self, ifindex: u32, attached: Attached) -> Result<Attached, Box<dyn Error + Send + Sync>> {
        // A bond has its ports run the program, as theirs, and no rule of the bond is found there.
        if attached == Attached::Native && is_bond(ifindex) {
            return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP).into());
        }
        let program = program(&mut self.ebpf)?;
        let mode = match attached {
            Attached::Native => XdpMode::Driver,
            Attached::Generic => XdpMode::Skb,
        };
        let id = program.attach_to_if_index(ifindex, mode)?;
        // An attachment by netlink would outlive a killed process, so it is none.
        let link = FdLink::try_from(program.take_link(id)?)?;
        self.attached.insert(ifindex, Attachment { attached, link });
        Ok(attached)
    }
}

/// The error number of a failed system call, wherever it is in the chain.
pub(super) fn errno(error: &(dyn Error + 'static)) -> Option<i32> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(number) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return Some(number);
        }
        cause = error.source();
    }
    None
}

fn refused(ifindex: u32, error: &(dyn Error + 'static)) -> Refused {
    Refused(match (errno(error), Slot::of(ifindex)) {
        (Some(libc::EPERM), _) => format!("XDP: {}", missing_capabilities()),
        (Some(libc::EOPNOTSUPP), _) => "its driver has no native XDP; xdp_mode generic works with any".into(),
        (Some(libc::ENODEV), _) => "no such device".into(),
        (Some(libc::EBUSY | libc::EEXIST), Ok(Slot { program: Some(id) })) => {
            format!("another XDP program is there: {}", program_name(id))
        }
        (Some(libc::EEXIST), _) => "a device on top of it (macvlan, bridge, bond) has an XDP program".into(),
        (Some(number), _) => format!("XDP: {}", io::Error::from_raw_os_error(number)),
        (None, _) => format!("XDP: {error}"),
    })
}

/// What the kernel says of a device's XDP slot.
struct Slot {
    /// Id of the program there.
    program: Option<u32>,
}

impl Slot {
    fn of(ifindex: u32) -> Result<Self> {
        let link = link(ifindex)?;
        let xdp = link.attributes.into_iter().find_map(|attribute| match attribute {
            LinkAttribute::Xdp(xdp) => Some(xdp),
            _ => None,
        });
        let program = xdp.unwrap_or_default().into_iter().find_map(|xdp| match xdp {
            LinkXdp::ProgId(id) | LinkXdp::DrvProgId(id) | LinkXdp::SkbProgId(id) => Some(id),
            _ => None,
        });
        Ok(Self { program })
    }
}

fn is_bond(ifindex: u32) -> bool {
    let is_bond = |info: &LinkInfo| *info == LinkInfo::Kind(InfoKind::Bond);
    let attributes = link(ifindex).map(|link| link.attributes).unwrap_or_default();
    attributes.iter().any(|found| matches!(found, LinkAttribute::LinkInfo(infos) if infos.iter().any(is_bond)))
}

/// Asks the kernel for one link.
fn link(ifindex: u32) -> Result<LinkMessage> {
    let mut request = LinkMessage::default();
    request.header.index = ifindex;
    let mut message = NetlinkMessage::from(RouteNetlinkMessage::GetLink(request));
    message.header.flags = NLM_F_REQUEST;
    message.finalize();
    let mut octets = vec![0; message.buffer_len()];
    message.serialize(&mut octets);
    let socket = Socket::new(NETLINK_ROUTE)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&octets, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    match NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)?.payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => Ok(link),
        NetlinkPayload::Error(error) => Err(error.to_io().into()),
        _ => Err(anyhow!("an unexpected answer to RTM_GETLINK")),
    }
}

/// Name and id of a loaded program; the name only for those who may ask (CAP_SYS_ADMIN).
fn program_name(id: u32) -> String {
    let found = loaded_programs().filter_map(Result::ok).find(|program| program.id() == id);
    match found.as_ref().and_then(|program| program.name_as_str()) {
        Some(name) if !name.is_empty() => format!("{name}, id {id}"),
        _ => format!("id {id}"),
    }
}

/// What attaching and loading need.
const NEEDED: [Capability; 3] = [capabilities::BPF, capabilities::NET_ADMIN, capabilities::PERFMON];

/// Which capability this process lacks for XDP.
pub(super) fn missing_capabilities() -> String {
    match capabilities::missing(&NEEDED) {
        Ok(missing) if missing.is_empty() => {
            "not permitted, though no capability is missing (lockdown, or a container's seccomp filter?)".into()
        }
        Ok(missing) => format!("not permitted: {} missing", missing.join(" and ")),
        Err(_) => "not permitted: CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are needed".into(),
    }
}

pub(super) fn lacks_capabilities() -> bool {
    capabilities::missing(&NEEDED).is_ok_and(|missing| !missing.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_has_no_slot() {
        assert!(Slot::of(i32::MAX as u32).is_err());
        assert_eq!(Slot::of(1).map(|slot| slot.program).ok(), Some(None), "lo");
    }
}
