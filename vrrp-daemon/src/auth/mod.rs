//! Who an advert is from: signing what leaves, verifying what is heard. No clock, no sockets; the algorithms are RustCrypto's.

pub mod ah;
pub mod key;
mod replay;
pub mod trailer;

use std::time::Duration;

use vrrp_common::abi::{AUTH_HEADER, AUTH_NONE, AUTH_PASS};
use vrrp_common::drop::Reason;
use vrrp_common::wire::advert::AUTH_DATA;
use vrrp_common::wire::ip::{PROTOCOL_AH, PROTOCOL_VRRP};
use vrrp_common::wire::ip4;
use vrrp_common::{Address, Family};

use key::Password;
use trailer::{Policy, Sent};

/// How the adverts of a virtual router are authenticated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authentication {
    #[default]
    None,
    /// v2 `auth_type PASS`: in clear text.
    Password(Password),
    /// v2 `auth_type AH`.
    Ah(Password),
    /// `auth_hmac`.
    Hmac(Box<Policy>),
}

impl Authentication {
    /// v2's Auth Type and data in the message itself; `None` for type 0.
    pub const fn of_message(&self) -> Option<(u8, [u8; AUTH_DATA])> {
        match self {
            Self::Password(Password(octets)) => Some((AUTH_PASS, *octets)),
            Self::Ah(_) => Some((AUTH_HEADER, [0; AUTH_DATA])),
            Self::None | Self::Hmac(_) => None,
        }
    }

    pub const fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// What is told of adverts that are refused for this reason, worded as in keepalived where it has it; `None`: it is not
    /// for who they are from, or it happens without anybody's fault.
    pub fn refusal(&self, reason: Reason) -> Option<String> {
        let expected = self.of_message().map_or(AUTH_NONE, |(kind, _)| kind);
        Some(match (reason, self) {
            // The counters do not know which.
            (Reason::AuthType, _) => format!("received another auth, expecting {expected}!"),
            (Reason::AuthFailure, Self::Password(_)) => "received an invalid passwd!".into(),
            (Reason::AuthFailure, Self::Ah(_)) => {
                "IPSEC-AH : invalid IPSEC HMAC-MD5 value. Due to fields mutation or bad password !".into()
            }
            (Reason::AuthMissing, Self::Hmac(policy)) if policy.hears_unsigned => return None,
            (
                Reason::AuthMissing
                | Reason::AuthMalformed
                | Reason::AuthUnknownKey
                | Reason::AuthBadHmac
                | Reason::AuthStale,
                Self::Hmac(_),
            ) => format!("auth_hmac refuses an advert: {}", reason.help()),
            _ => return None,
        })
    }

    /// What stands around the message in its packet.
    pub const fn envelope(&self) -> Envelope {
        match self {
            Self::None | Self::Password(_) => Envelope { protocol: PROTOCOL_VRRP, before: 0, behind: 0 },
            Self::Ah(_) => Envelope { protocol: PROTOCOL_AH, before: ip4::AUTH_HEADER, behind: 0 },
            Self::Hmac(policy) => Envelope { protocol: PROTOCOL_VRRP, before: 0, behind: policy.room() },
        }
    }
}

/// The IP protocol of a packet, and the octets that its message needs before it and behind it to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    pub protocol: u8,
    pub before: usize,
    pub behind: usize,
}

/// What one virtual router signs and verifies with: its keys, and how far its sequences are.
#[derive(Clone, Debug)]
pub enum Association {
    Ah(ah::Association),
    Hmac(trailer::Association),
}

impl Association {
    /// `None` where nothing is signed.
    pub fn new(authentication: &Authentication, family: Family) -> Option<Self> {
        match authentication {
            Authentication::None | Authentication::Password(_) => None,
            Authentication::Ah(password) => Some(Self::Ah(ah::Association::new(*password))),
            Authentication::Hmac(policy) => Some(Self::Hmac(trailer::Association::new(policy, family))),
        }
    }

    /// Goes on above what another one has used and heard: by other keys, or another password.
    pub fn go_on_from(&mut self, before: &Self) {
        match (self, before) {
            (Self::Ah(own), Self::Ah(before)) => own.go_on_from(before),
            (Self::Hmac(own), Self::Hmac(before)) => own.go_on_from(before),
            _ => {}
        }
    }

    /// Signs an IP packet of ours, in which there is room. No two are signed alike. `now` is the time since 1970.
    pub fn sign(&mut self, packet: &mut [u8], now: Duration) {
        match self {
            Self::Ah(association) => association.sign(packet),
            Self::Hmac(association) => association.sign(packet, now),
        }
    }

    /// Whether what [`judge`](vrrp_common::classify::judge) delivers of an advert is to be heard. `now` is the time since 1970 at
    /// which it came.
    pub fn verify(&mut self, source: Address, delivered: &[u8], now: Duration) -> Result<Sent, Reason> {
        match self {
            Self::Ah(association) => association.verify(delivered).map(|()| Sent::Signed),
            Self::Hmac(association) => association.verify(source, delivered, now),
        }
    }
}
