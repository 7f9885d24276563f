//! Frames by their fields, right unless told otherwise, and for every reason the fault that earns it.

use vrrp_common::drop::Reason;
use vrrp_common::wire::checksum::{ChecksumForm, Sum};
use vrrp_common::wire::ethernet::{ETHERTYPE_IPV4, VRRP_GROUP4_MAC};
use vrrp_common::wire::ip::{PROTOCOL_VRRP, TOS_CS6, VRRP_GROUP4};

/// The virtual routers that the frames are for; the tests' rules must name them.
pub const V3_VRID: u8 = 51;
pub const V2_VRID: u8 = 52;
pub const V2_PASSWORD_VRID: u8 = 53;
/// One whose VLAN cannot be told.
pub const AMBIGUOUS_VRID: u8 = 54;
/// One that nobody has here.
pub const UNKNOWN_VRID: u8 = 99;
pub const PASSWORD: [u8; 8] = *b"secret\0\0";
/// The address that the tests' routers send from.
pub const OWN: [u8; 4] = [192, 0, 2, 1];
pub const PEER: [u8; 4] = [192, 0, 2, 2];

/// An advert in its frame. What is `None` is calculated.
#[derive(Clone, Debug)]
pub struct FrameSpec {
    pub destination_mac: [u8; 6],
    pub source_mac: [u8; 6],
    /// VLAN tags from the outside: TPID and TCI.
    pub tags: Vec<(u16, u16)>,
    pub ethertype: u16,

    pub ip_version: u8,
    /// IHL, in words of four octets.
    pub ip_header: Option<u8>,
    pub ip_options: Vec<u8>,
    pub total_length: Option<u16>,
    /// Flags and fragment offset.
    pub fragment: u16,
    pub ttl: u8,
    pub protocol: u8,
    pub source: [u8; 4],
    pub destination: [u8; 4],

    pub version: u8,
    pub kind: u8,
    pub vrid: u8,
    pub priority: u8,
    pub address_count: Option<u8>,
    /// v2.
    pub auth_type: u8,
    /// As the version writes it: seconds, or centiseconds and the four reserved bits.
    pub interval: u16,
    pub addresses: Vec<[u8; 4]>,
    /// v2's trailer.
    pub auth_data: Option<[u8; 8]>,
    /// Behind the message, and part of it.
    pub extra: Vec<u8>,
    /// Octets of the message that are left.
    pub cut: Option<usize>,
    pub checksum_form: ChecksumForm,
    /// What is added to the right checksum.
    pub checksum_error: u16,
    /// Shortest frame; Ethernet pads to 60 octets.
    pub pad_to: usize,
}

impl FrameSpec {
    /// A valid VRRPv3 advert of [`PEER`] for [`V3_VRID`].
    pub fn v3() -> Self {
        Self {
            destination_mac: VRRP_GROUP4_MAC,
            source_mac: [0, 0, 0x5e, 0, 1, V3_VRID],
            tags: Vec::new(),
            ethertype: ETHERTYPE_IPV4,
            ip_version: 4,
            ip_header: None,
            ip_options: Vec::new(),
            total_length: None,
            fragment: 0,
            ttl: 255,
            protocol: PROTOCOL_VRRP,
            source: PEER,
            destination: VRRP_GROUP4,
            version: 3,
            kind: 1,
            vrid: V3_VRID,
            priority: 150,
            address_count: None,
            auth_type: 0,
            interval: 100,
            addresses: vec![[192, 0, 2, 100], [192, 0, 2, 101]],
            auth_data: None,
            extra: Vec::new(),
            cut: None,
            checksum_form: ChecksumForm::PseudoHeader,
            checksum_error: 0,
            pad_to: 60,
        }
    }

    /// A valid VRRPv2 advert without a password, for [`V2_VRID`].
    pub fn v2() -> Self {
        Self {
            version: 2,
            vrid: V2_VRID,
            interval: 1,
            auth_data: Some([0; 8]),
            checksum_form: ChecksumForm::Message,
            ..Self::v3()
        }
    }

    /// A valid VRRPv2 advert with [`PASSWORD`], for [`V2_PASSWORD_VRID`].
    pub fn v2_password() -> Self {
        Self { vrid: V2_PASSWORD_VRID, auth_type: 1, auth_data: Some(PASSWORD), ..Self::v2() }
    }

    /// The VRRP message.
    pub fn message(&self) -> Vec<u8> {
        let count = self.address_count.unwrap_or(self.addresses.len() as u8);
        let [i0, i1] = match self.version {
            2 => [self.auth_type, self.interval as u8],
            _ => self.interval.to_be_bytes(),
        };
        let mut message = vec![self.version << 4 | self.kind, self.vrid, self.priority, count, i0, i1, 0, 0];
        message.extend(self.addresses.as_flattened());
        message.extend(self.auth_data.iter().flatten());
        message.extend(&self.extra);
        message.truncate(self.cut.unwrap_or(usize::MAX));
        let mut sum = Sum::default().octets(&message);
        if self.checksum_form == ChecksumForm::PseudoHeader {
            sum = sum.pseudo_header4(self.source, self.destination, message.len() as u16);
        }
        let checksum = u16::from_be_bytes(sum.checksum()).wrapping_add(self.checksum_error);
        if let Some(field) = message.get_mut(6..8) {
            field.copy_from_slice(&checksum.to_be_bytes());
        }
        message
    }

    /// The frame.
    pub fn build(&self) -> Vec<u8> {
        let message = self.message();
        let mut frame = [self.destination_mac, self.source_mac].concat();
        for (tpid, tci) in &self.tags {
            frame.extend(tpid.to_be_bytes());
            frame.extend(tci.to_be_bytes());
        }
        frame.extend(self.ethertype.to_be_bytes());
        let header = 20 + self.ip_options.len();
        let words = self.ip_header.unwrap_or((header / 4) as u8);
        let total = self.total_length.unwrap_or((header + message.len()) as u16).to_be_bytes();
        let fragment = self.fragment.to_be_bytes();
        let ip = [self.ip_version << 4 | words & 0x0f, TOS_CS6, total[0], total[1], 0, 0, fragment[0], fragment[1]];
        let mut ip = [&ip[..], &[self.ttl, self.protocol, 0, 0], &self.source, &self.destination].concat();
        ip.extend(&self.ip_options);
        let checksum = Sum::default().octets(&ip).checksum();
        ip[10..12].copy_from_slice(&checksum);
        frame.extend(ip);
        frame.extend(message);
        frame.resize(frame.len().max(self.pad_to), 0);
        frame
    }
}

/// Why no single frame earns a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotByClassify(pub &'static str);

/// Makes of a valid advert a frame that earns `reason`.
///
/// Exhaustive on purpose: a new reason does not compile without a frame that earns it, or a word on who finds it.
pub fn spoil(reason: Reason, frame: &mut FrameSpec) -> Result<(), NotByClassify> {
    match reason {
        Reason::OkPassed => {}
        Reason::NotVrrp => frame.protocol = 89,
        Reason::Truncated => frame.cut = Some(4),
        Reason::IpHeaderBad => frame.ip_header = Some(4),
        Reason::IpFragment => frame.fragment = 0x2000,
        Reason::TtlNot255 => frame.ttl = 254,
        Reason::DstNotVrrpGroup => frame.destination = OWN,
        Reason::DstMacMismatch => frame.destination_mac = [2, 0, 0, 0, 0, 1],
        Reason::SrcInvalid => frame.source = [127, 0, 0, 1],
        Reason::SrcIsSelf => frame.source = OWN,
        Reason::VersionUnsupported => frame.version = 4,
        Reason::VersionMismatch => frame.version = if frame.version == 2 { 3 } else { 2 },
        Reason::TypeUnknown => frame.kind = 2,
        Reason::CarpLookalike => {
            *frame = FrameSpec {
                address_count: Some(7),
                addresses: Vec::new(),
                extra: vec![0xca; 28],
                auth_data: None,
                ..FrameSpec { tags: frame.tags.clone(), ..FrameSpec::v2() }
            }
        }
        Reason::VridZero => frame.vrid = 0,
        Reason::VridUnknown => frame.vrid = UNKNOWN_VRID,
        Reason::VlanAmbiguous => *frame = FrameSpec { vrid: AMBIGUOUS_VRID, ..FrameSpec::v3() },
        Reason::AddrCountZero => frame.addresses.clear(),
        Reason::LengthShort => frame.address_count = Some(frame.addresses.len() as u8 + 1),
        Reason::LengthLong => frame.extra = vec![0; 4],
        Reason::AddrCountOverBudget => frame.addresses = (0..63).map(|n| [192, 0, 2, 100 + n]).collect(),
        Reason::Checksum => frame.checksum_error = 1,
        Reason::AuthType => *frame = FrameSpec { auth_type: 0, ..FrameSpec::v2_password() },
        Reason::AuthFailure => *frame = FrameSpec { auth_data: Some(*b"Secret\0\0"), ..FrameSpec::v2_password() },
        // The reserved bits are not part of it.
        Reason::IntervalZero => *frame = FrameSpec { interval: 0xf000, ..FrameSpec::v3() },
        Reason::IntervalMismatch => *frame = FrameSpec { interval: 2, ..FrameSpec::v2() },
        Reason::OkAbsorbed => return Err(NotByClassify("depends on the advert before it")),
        Reason::Ip6ExtHeader | Reason::V6FirstNotLinkLocal => return Err(NotByClassify("IPv6 is not judged yet")),
        Reason::SrcNotPeer => return Err(NotByClassify("unicast peers are not in the rule yet")),
        Reason::SrcMacUnexpected => return Err(NotByClassify("the MAC addresses seen before are not in the rule yet")),
        Reason::RateLimited => return Err(NotByClassify("depends on how many came before it")),
        Reason::RingFull => return Err(NotByClassify("the kernel's ring decides, behind classify")),
        Reason::Internal => return Err(NotByClassify("only a frame whose header is cut by the driver earns it")),
        Reason::IntervalJump
        | Reason::AddrListMismatch
        | Reason::OwnerConflict
        | Reason::Prio255FromNonOwner
        | Reason::LowerPrioDiscarded
        | Reason::StateInit
        | Reason::AuthMissing
        | Reason::AuthMalformed
        | Reason::AuthUnknownKey
        | Reason::AuthBadHmac
        | Reason::AuthStale
        | Reason::AuthReplay
        | Reason::IfaceMismatch => return Err(NotByClassify("the daemon decides")),
    }
    Ok(())
}

/// Reasons that a frame alone earns.
pub fn earned_by_frames() -> impl Iterator<Item = Reason> {
    Reason::ALL.iter().copied().filter(|&reason| spoil(reason, &mut FrameSpec::v3()).is_ok())
}
