//! In which form v3 adverts over IPv4 are summed: what was heard of the peers, and what is sent.

use vrrp_common::wire::advert::Header;
use vrrp_common::wire::checksum::ChecksumForm;
use vrrp_common::{Family, Version};

use crate::config::setup::Instance;
use crate::engine::matching::Moves;
use crate::engine::plan::InstanceId;

/// By instance: the form of the last advert that was heard, of those that have two.
#[derive(Clone, Debug)]
pub struct Forms(Vec<Option<ChecksumForm>>);

impl Forms {
    pub fn new(instances: usize) -> Self {
        Self(vec![None; instances])
    }

    /// Takes note of an advert that was heard; whether that is news.
    pub fn hear(&mut self, id: InstanceId, family: Family, header: Header, form: ChecksumForm) -> bool {
        let has_two = family == Family::V4 && Version::new(header.version_nibble()) == Some(Version::V3);
        has_two && self.0[id.index()].replace(form) != Some(form)
    }

    /// Instances move.
    pub fn carry(&mut self, moves: &Moves<InstanceId>) {
        self.0 = moves.carry(std::mem::take(&mut self.0), |_| None);
    }

    /// The peers'.
    pub fn peer(&self, id: InstanceId) -> Option<ChecksumForm> {
        self.0[id.index()]
    }

    /// Our own: as configured, else as the peers', else as keepalived's.
    pub fn ours(&self, id: InstanceId, instance: &Instance) -> ChecksumForm {
        instance.checksum_form.or(self.peer(id)).unwrap_or(ChecksumForm::PseudoHeader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_counts_unless_configured() {
        let mut forms = Forms::new(2);
        let (id, other) = (InstanceId(0), InstanceId(1));
        let (message, pseudo) = (ChecksumForm::Message, ChecksumForm::PseudoHeader);
        let [v2, v3] = [0x21, 0x31].map(|first| Header([first, 51, 100, 1, 0, 100, 0, 0]));
        let unsaid = Instance::default();
        assert_eq!((forms.peer(id), forms.ours(id, &unsaid)), (None, pseudo));
        assert!(forms.hear(id, Family::V4, v3, message) && !forms.hear(id, Family::V4, v3, message));
        assert_eq!((forms.peer(id), forms.ours(id, &unsaid)), (Some(message), message));
        let said = Instance { checksum_form: Some(pseudo), ..Instance::default() };
        assert_eq!(forms.ours(id, &said), pseudo);
        // These have one form only.
        assert!(!forms.hear(other, Family::V4, v2, message) && !forms.hear(other, Family::V6, v3, pseudo));
        assert_eq!(forms.peer(other), None);
    }
}
