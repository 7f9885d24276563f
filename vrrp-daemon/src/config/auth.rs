//! `authentication` and `auth_hmac`, as they are written.

use std::fmt;

use super::unsupported;
use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::schema::{At, Block, FromEntry, block};
use crate::syntax::tree::Entry;
use crate::syntax::value::{Value, Whole, choice};

block! {
    /// Version 2's authentication.
    pub struct Authentication, others (unsupported::NONE) {
        /// PASS for a password in clear text, AH for HMAC-MD5 by it.
        "auth_type" => auth_type: Option<At<AuthType>>;
        /// The password, eight octets at most.
        "auth_pass" => auth_pass: Option<At<Secret>>;
    }
}

block! {
    /// Authentication of either version, by HMAC-SHA256.
    pub struct AuthHmac, others (unsupported::NONE) {
        /// A key of 32 to 64 octets: its id, 1 to 255, then `hex:` and digits, `file:` and a path, or the octets.
        "key" => keys: Vec<At<Key>>;
        /// Id of the key that adverts are signed with.
        "active_key" => active_key: Option<At<Whole<1, 255>>>;
        /// What makes an advert new: its time, and then its order, or its order alone.
        "anti_replay" => anti_replay: Option<At<AntiReplay>>;
        /// Seconds that the clocks of routers may differ.
        "time_window" => time_window: Option<At<Whole<1, 300>>>;
        /// Who is heard: those that sign, or all; and in the last mode, adverts leave unsigned.
        "mode" => mode: Option<At<Mode>>;
    }
}

impl FromEntry for AuthHmac {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        let mut read = Self::default();
        read.read(entry.body(found), found);
        Some(read)
    }
}

choice! {
    pub enum AuthType {
        "PASS" => Pass,
        "AH" => Ah,
    }
}

choice! {
    pub enum AntiReplay {
        "time" => Time,
        "monotonic" => Monotonic,
    }
}

choice! {
    pub enum Mode {
        "enforce" => Enforce,
        "permissive" => Permissive,
        "receive-only" => ReceiveOnly,
    }
}

/// A word that no finding and no dump shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl FromEntry for Secret {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.no_block(found);
        let word = entry.parameter("a password", found)?;
        one_word(entry, 1, found);
        Some(Self(word.text.clone()))
    }
}

/// A key as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub id: u8,
    pub value: Secret,
}

impl FromEntry for Key {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        type Id = Whole<1, 255>;
        entry.no_block(found);
        let id = entry.parameters().first().and_then(|word| Id::parse(&word.text));
        let (Some(id), Some(value)) = (id, entry.parameters().get(1)) else {
            // Without its words: one of them may be the secret.
            let message = format!("`key` lacks its parameters: its id, {}, then the key", Id::expected());
            found.error(Class::Value, entry.keyword().span, message).done("the line is skipped");
            return None;
        };
        one_word(entry, 2, found);
        Some(Self { id: id.get() as u8, value: Secret(value.text.clone()) })
    }
}

/// Reports words behind a secret without saying them: they may be the rest of it.
fn one_word(entry: &Entry, count: usize, found: &mut Diagnostics) {
    if let Some(extra) = entry.parameters().get(count) {
        let message = format!("`{}` is one word; there are more", entry.keyword().text);
        let diagnostic = found.notice(Class::Value, extra.span, message).done("they are ignored");
        diagnostic.hint("a secret with blanks stands in double quotes");
    }
}
