//! How a virtual router's adverts are authenticated, and where the keys come from.

use vrrp_common::{Centis, Version};

use super::{LEFT_OUT, Resolver};
use crate::auth::Authentication;
use crate::auth::key::{Key, KeyRing, Password};
use crate::auth::trailer::Policy;
use crate::config::auth::{self, AntiReplay, AuthHmac, AuthType, Mode};
use crate::engine::plan::Wanted;
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::At;
use crate::syntax::source::Span;

/// What a virtual router is that authenticates.
#[derive(Clone, Copy)]
pub struct Router<'a> {
    pub name: &'a str,
    pub version: Version,
    /// Where it is said that both are spoken.
    pub both_versions: Option<Span>,
    pub advert_int: Centis,
    pub strict: bool,
}

impl Resolver<'_> {
    /// `None` when the virtual router is left out, reported.
    pub(super) fn authentication(
        &mut self,
        block: auth::Authentication,
        hmac: Option<At<AuthHmac>>,
        router: Router,
    ) -> Option<Authentication> {
        let Some(hmac) = hmac else {
            let authentication = self.of_version_2(block, router);
            let is_header = matches!(authentication, Authentication::Ah(_));
            return (!is_header || !self.has_both(router, "auth_type AH")).then_some(authentication);
        };
        if self.has_both(router, "auth_hmac") {
            return None;
        }
        let auth::Authentication { auth_type, auth_pass, foreign: _ } = block;
        if let Some(at) = auth_type.map(|given| given.at).or(auth_pass.map(|given| given.at)) {
            let message = format!("({}) `authentication` and `auth_hmac` exclude each other", router.name);
            self.found.warning(Class::Conflict, at, message).done("the authentication block is ignored");
        }
        self.hmac(hmac, router).map(|policy| Authentication::Hmac(Box::new(policy)))
    }

    /// Reports what is not authenticated in both versions: a password is version 2's alone, and its adverts have it.
    fn has_both(&mut self, router: Router, keyword: &str) -> bool {
        if let Some(at) = router.both_versions {
            let message = format!("({}) `vrrpd_dual_version` and `{keyword}` exclude each other", router.name);
            self.found.error(Class::Conflict, at, message).done(LEFT_OUT);
        }
        router.both_versions.is_some()
    }

    /// Version 2's own.
    fn of_version_2(&mut self, block: auth::Authentication, router: Router) -> Authentication {
        let Router { name, version, both_versions, strict, .. } = router;
        let auth::Authentication { auth_type, auth_pass, foreign: _ } = block;
        let Some(at) = auth_type.map(|given| given.at).or(auth_pass.as_ref().map(|given| given.at)) else {
            return Authentication::None;
        };
        if version == Version::V3 && both_versions.is_none() {
            let message = format!("({name}) version 3 has no authentication");
            let diagnostic = self.found.warning(Class::Conflict, at, message);
            diagnostic.done("the authentication block is ignored").hint("`auth_hmac` authenticates either version");
            return Authentication::None;
        }
        if strict {
            self.not_strict(Some(at), "authentication", "the authentication block is ignored", name);
            return Authentication::None;
        }
        let Some(At { value: auth_type, .. }) = auth_type else {
            let message = format!("({name}) a password without `auth_type`");
            self.found.notice(Class::Incomplete, at, message).done("adverts are not authenticated");
            return Authentication::None;
        };
        let Some(password) = auth_pass.filter(|password| !password.value.0.is_empty()) else {
            let message = format!("({name}) authentication without a password");
            self.found.error(Class::Incomplete, at, message).done("adverts are not authenticated");
            return Authentication::None;
        };
        let octets = password.value.0.as_bytes();
        if octets.len() > 8 {
            let message = format!("({name}) a password of {} octets; VRRP carries eight", octets.len());
            self.found.warning(Class::Value, password.at, message).done("the first eight are used");
        }
        let mut padded = [0; 8];
        padded.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
        match auth_type {
            AuthType::Pass => Authentication::Password(Password(padded)),
            AuthType::Ah => Authentication::Ah(Password(padded)),
        }
    }

    /// Who starts with AH hears first where the others' sequence is, as with keepalived: its adverts would be replays.
    pub(super) fn waits_for_sequence(&mut self, wanted: Wanted, state: Option<Span>, name: &str) -> Wanted {
        if let Some(at) = state.filter(|_| wanted == Wanted::Master) {
            let message = format!("({name}) `state MASTER` and `auth_type AH` exclude each other");
            let diagnostic = self.found.warning(Class::Conflict, at, message);
            diagnostic.done("it starts as a backup, and hears the others' sequence number first");
        }
        Wanted::Backup
    }

    fn hmac(&mut self, At { value: block, at }: At<AuthHmac>, router: Router) -> Option<Policy> {
        let AuthHmac { keys: written, active_key, anti_replay, time_window, mode, foreign: _ } = block;
        let Router { name, advert_int, strict, .. } = router;
        let keys = self.key_ring(written, name);
        let signs = mode.is_none_or(|mode| mode.value != Mode::ReceiveOnly);
        let enforces = mode.is_none_or(|mode| mode.value == Mode::Enforce);
        if let Some(At { at, .. }) = mode.filter(|_| strict && !enforces) {
            let message = format!("({name}) strict mode asks for `mode enforce` of `auth_hmac`");
            self.found.error(Class::Conflict, at, message).done(LEFT_OUT);
            return None;
        }
        let active = active_key.map(|active| active.value.get() as u8);
        let sign_with = active.filter(|_| signs);
        if signs && !active.is_some_and(|active| keys.contains_key(&active)) {
            let (at, message) = match active_key {
                Some(At { at, .. }) => (at, format!("({name}) the `active_key` of `auth_hmac` is none of its keys")),
                None => (at, format!("({name}) `auth_hmac` without `active_key`")),
            };
            let diagnostic = self.found.error(Class::Incomplete, at, message).done(LEFT_OUT);
            diagnostic.hint("write the id of the key that adverts are signed with");
            return None;
        }
        if keys.is_empty() {
            let message = format!("({name}) `auth_hmac` without a key: nobody could be heard");
            self.found.error(Class::Incomplete, at, message).done(LEFT_OUT);
            return None;
        }
        let monotonic = anti_replay.is_some_and(|given| given.value == AntiReplay::Monotonic);
        if let Some(At { at, .. }) = time_window.filter(|_| monotonic) {
            let message = format!("({name}) `time_window` is of `anti_replay time` alone");
            self.found.warning(Class::Conflict, at, message).done("it is ignored");
        }
        let window =
            time_window.map_or(u64::from(3 * advert_int.get()).div_ceil(100).max(5), |given| given.value.get() as u64);
        Some(Policy { keys, sign_with, hears_unsigned: !enforces, window: (!monotonic).then_some(window) })
    }

    /// The keys that can be used; the others are reported.
    fn key_ring(&mut self, written: Vec<At<auth::Key>>, name: &str) -> KeyRing {
        let mut ring = KeyRing::new();
        for At { value: auth::Key { id, value }, at } in written {
            if ring.contains_key(&id) {
                let message = format!("({name}) key {id} is defined a second time");
                self.found.error(Class::Duplicate, at, message).done("the first one counts");
                continue;
            }
            let key = match value.0.strip_prefix("file:") {
                Some(path) => self.key_file(path, at, name),
                None => {
                    Key::parse(value.0.as_bytes()).map_err(|bad| format!("({name}) key {id} cannot be used: {bad}"))
                }
            };
            match key {
                Ok(key) => drop(ring.insert(id, key)),
                Err(message) => drop(self.found.error(Class::Key, at, message).done("the key is left out")),
            }
        }
        ring
    }

    /// The key in a file, or why there is none.
    fn key_file(&mut self, path: &str, at: Span, name: &str) -> Result<Key, String> {
        let file = self.host.key_file(path).map_err(|error| format!("({name}) key file {path}: {error}"))?;
        let key = Key::parse(file.octets.trim_ascii_end());
        let key = key.map_err(|bad| format!("({name}) the key in {path} cannot be used: {bad}"))?;
        if file.exposed {
            let message = format!("({name}) others than its owner can read the key in {path}");
            self.found.warning(Class::Key, at, message).done("it is used").hint(format!("chmod 0600 {path}"));
        }
        Ok(key)
    }
}
