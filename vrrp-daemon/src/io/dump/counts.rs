//! keepalived's statistics of a virtual router, in its order and by its names.

use serde::Serialize;
use vrrp_common::drop::Reason;

use crate::io::status::{Observed, ObservedInstance};

/// Declares [`Counts`]: its fields are keys of the JSON, in their order.
macro_rules! counts {
    ($($(#[$doc:meta])* $field:ident;)+) => {
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Counts {
            $($(#[$doc])* pub $field: u64,)+
        }

        impl Counts {
            /// What was counted since.
            pub fn since(self, before: Self) -> Self {
                Self { $($field: self.$field.saturating_sub(before.$field),)+ }
            }
        }
    };
}

counts! {
    advert_rcvd;
    advert_sent;
    become_master;
    release_master;
    packet_len_err;
    advert_interval_err;
    ip_ttl_err;
    invalid_type_rcvd;
    addr_list_err;
    /// Not told apart here from a type that is known and not configured.
    invalid_authtype;
    authtype_mismatch;
    auth_failure;
    auth_ext_missing;
    auth_ext_malformed;
    auth_ext_unknown_key;
    auth_ext_invalid_hmac;
    auth_ext_stale;
    auth_ext_replay;
    pri_zero_rcvd;
    pri_zero_sent;
}

impl Counts {
    pub fn of(seen: &ObservedInstance) -> Self {
        let stats = seen.snapshot.stats;
        let drops = |reasons: &[Reason]| {
            let ours = seen.drops.iter().filter(|(reason, _)| reasons.contains(reason));
            ours.map(|(_, count)| count).sum::<u64>()
        };
        Self {
            advert_rcvd: stats.advert_rcvd,
            advert_sent: stats.advert_sent,
            become_master: stats.become_master,
            release_master: stats.release_master,
            packet_len_err: drops(&[Reason::LengthShort, Reason::LengthLong, Reason::AddrCountZero]),
            advert_interval_err: stats.advert_interval_err + drops(&[Reason::IntervalMismatch, Reason::IntervalZero]),
            ip_ttl_err: drops(&[Reason::TtlNot255]),
            invalid_type_rcvd: drops(&[Reason::TypeUnknown]),
            addr_list_err: stats.addr_list_err,
            invalid_authtype: 0,
            authtype_mismatch: drops(&[Reason::AuthType]),
            auth_failure: drops(&[Reason::AuthFailure]),
            auth_ext_missing: drops(&[Reason::AuthMissing]),
            auth_ext_malformed: drops(&[Reason::AuthMalformed]),
            auth_ext_unknown_key: drops(&[Reason::AuthUnknownKey]),
            auth_ext_invalid_hmac: drops(&[Reason::AuthBadHmac]),
            auth_ext_stale: drops(&[Reason::AuthStale]),
            auth_ext_replay: drops(&[Reason::AuthReplay]),
            pri_zero_rcvd: stats.pri_zero_rcvd,
            pri_zero_sent: stats.pri_zero_sent,
        }
    }
}

/// Of all virtual routers, by name.
pub fn all(observed: &Observed) -> impl Iterator<Item = (String, Counts)> {
    let named = observed.setup.instances.iter().zip(&observed.instances);
    named.map(|(instance, seen)| (instance.name.clone(), Counts::of(seen)))
}
