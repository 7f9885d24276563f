//! A virtual router of version 3 that hears version 2 as well, for an upgrade: RFC 9568 section 8.4.
//!
//! Its times are those of version 3, also of what version 2 says (IV-03). Who is preferred is decided by priority and
//! address alone, as ever.

use std::net::IpAddr;

use vrrp_common::time::down;
use vrrp_common::{Centis, Claim, Instant, Version};

use super::Instance;
use crate::engine::event::Event;
use crate::engine::{Heard, Out};

/// Of whom it is remembered that they speak version 3: one serves, and few others think that they should.
const SPEAKERS: usize = 4;

/// A router that speaks version 3.
#[derive(Clone, Copy, Debug)]
pub struct Speaker {
    address: IpAddr,
    heard_at: Instant,
    interval: Centis,
}

impl Instance {
    /// IV-04: whether an advert of version 2 only repeats what its sender says in version 3, and more exactly. That is so for
    /// as long as one would wait for it: a router that went back to version 2 is heard after that.
    pub(super) fn is_repetition(&mut self, now: Instant, heard: Heard, out: &mut Out) -> bool {
        if !self.plan.both_versions {
            return false;
        }
        let known = self.speakers.iter_mut().find(|speaker| speaker.address == heard.source);
        if heard.version == Version::V3 {
            let new = Speaker { address: heard.source, heard_at: now, interval: heard.interval };
            match known {
                Some(known) => *known = Speaker { heard_at: now.max(known.heard_at), ..new },
                None => self.remember(new),
            }
            return false;
        }
        let (effective, adverts) = (self.effective, self.plan.down_adverts);
        let is_repetition =
            known.is_some_and(|known| now < known.heard_at + down(Version::V3, effective, known.interval, adverts));
        match is_repetition {
            true => self.stats.version_2_ignored += 1,
            false => self.count_version_2(heard, out),
        }
        is_repetition
    }

    /// In the place of who was not heard for longest, where there is no other.
    fn remember(&mut self, new: Speaker) {
        if self.speakers.len() < SPEAKERS {
            self.speakers.push(new);
        } else if let Some(oldest) = self.speakers.iter_mut().min_by_key(|speaker| speaker.heard_at) {
            *oldest = new;
        }
    }

    /// IV-05: who knows seconds only should not be preferred where they are too long.
    fn count_version_2(&mut self, heard: Heard, out: &mut Out) {
        self.stats.version_2_rcvd += 1;
        if let Claim::Serving(theirs) = heard.claim
            && theirs > self.effective
            && self.plan.advert_int < Centis::SECOND
        {
            self.stats.version_2_preferred += 1;
            if self.stats.version_2_preferred == 1 {
                out.tell(Event::VersionTwoPreferred { source: heard.source, theirs }, self.effective);
            }
        }
    }

    /// Our interval, as adverts of a version say it.
    pub(super) fn interval_of(&self, version: Version) -> Centis {
        let own = self.plan.advert_int;
        match version {
            Version::V2 => Centis::new(u16::from(own.seconds()) * 100).unwrap_or(own),
            Version::V3 => own,
        }
    }
}

/// Who is known to speak version 3 was heard again.
pub fn speaks(speakers: &mut [Speaker], address: IpAddr, at: Instant) {
    if let Some(speaker) = speakers.iter_mut().find(|speaker| speaker.address == address) {
        speaker.heard_at = speaker.heard_at.max(at);
    }
}
