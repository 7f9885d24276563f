//! keepalived.stats.

use std::fmt::Write;

use super::Zero;
use super::counts;
use crate::io::status::Observed;

pub fn text(observed: &Observed, zero: &Zero) -> String {
    let mut text = String::new();
    for (name, counts) in counts::all(observed) {
        let counts = counts.since(zero.get(&name).copied().unwrap_or_default());
        let sections: [(&str, &[(&str, u64)]); 5] = [
            ("Advertisements", &[("Received", counts.advert_rcvd), ("Sent", counts.advert_sent)]),
            (
                "Packet Errors",
                &[
                    ("Length", counts.packet_len_err),
                    ("TTL", counts.ip_ttl_err),
                    ("Invalid Type", counts.invalid_type_rcvd),
                    ("Advertisement Interval", counts.advert_interval_err),
                    ("Address List", counts.addr_list_err),
                ],
            ),
            (
                "Authentication Errors",
                &[
                    ("Invalid Type", counts.invalid_authtype),
                    ("Type Mismatch", counts.authtype_mismatch),
                    ("Failure", counts.auth_failure),
                ],
            ),
            (
                "Authentication Extension Errors",
                &[
                    ("Missing", counts.auth_ext_missing),
                    ("Malformed", counts.auth_ext_malformed),
                    ("Unknown Key", counts.auth_ext_unknown_key),
                    ("Invalid HMAC", counts.auth_ext_invalid_hmac),
                    ("Stale", counts.auth_ext_stale),
                    ("Replay", counts.auth_ext_replay),
                ],
            ),
            ("Priority Zero", &[("Received", counts.pri_zero_rcvd), ("Sent", counts.pri_zero_sent)]),
        ];
        let _ = writeln!(text, "VRRP Instance: {name}");
        for (number, (section, lines)) in sections.into_iter().enumerate() {
            let _ = writeln!(text, "  {section}:");
            for (label, count) in lines {
                let _ = writeln!(text, "    {label}: {count}");
            }
            if number == 0 {
                let _ = writeln!(text, "  Became master: {}", counts.become_master);
                let _ = writeln!(text, "  Released master: {}", counts.release_master);
            }
        }
    }
    text
}
