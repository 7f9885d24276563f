//! A keyword is one entry of a [`block!`]: its names, what they mean, the field it fills, its type and its default.
//!
//! From the entries come the struct, the function that reads it, and the list of keywords for suggestions.

use super::diagnostic::{Class, Diagnostic, Diagnostics};
use super::source::Span;
use super::suggest;
use super::tree::Entry;
use super::value::Value;

/// A keyword of a block, for suggestions and documentation.
#[derive(Clone, Copy, Debug)]
pub struct Keyword {
    pub names: &'static [&'static str],
    pub help: &'static str,
}

/// A keyword that keepalived knows and we do not read.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    pub name: &'static str,
    pub outcome: Outcome,
    /// Ends the sentence "is known to keepalived; ...".
    pub why: &'static str,
}

/// What becomes of a [`Foreign`] keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Harmless without effect: reported and skipped, here.
    Skipped,
    /// Something else would be on the wire, or an address would be left without protection: an error, reported by who
    /// knows which virtual routers it concerns.
    Refused,
    /// Belongs to keepalived's load balancing; one notice for all of them, by who has seen the whole configuration.
    LoadBalancing,
}

/// A [`Foreign`] keyword that was found.
#[derive(Clone, Copy, Debug)]
pub struct Met {
    pub foreign: &'static Foreign,
    pub at: Span,
}

/// A block, as [`block!`] declares it.
pub trait Block: Default {
    const KEYWORDS: &'static [Keyword];
    const FOREIGN: &'static [Foreign];

    /// Takes an entry in; `false` when its keyword is not of this block.
    fn take(&mut self, entry: &Entry, found: &mut Diagnostics) -> bool;

    /// Remembers a keyword of keepalived's.
    fn met(&mut self, met: Met);

    /// Reads the entries of a block, over what was read before.
    fn read(&mut self, entries: &[Entry], found: &mut Diagnostics) {
        for entry in entries {
            if !self.take(entry, found) {
                self.other(entry, found);
            }
        }
    }

    /// A keyword that is not ours: keepalived's, or nobody's.
    fn other(&mut self, entry: &Entry, found: &mut Diagnostics) {
        let keyword = entry.keyword();
        if keyword.text.is_empty() {
            return;
        }
        let Some(foreign) = Self::FOREIGN.iter().find(|foreign| foreign.name == keyword.text) else {
            let names = Self::KEYWORDS.iter().flat_map(|keyword| keyword.names).copied();
            let known = names.chain(Self::FOREIGN.iter().map(|foreign| foreign.name));
            let done = if entry.block.is_some() { "it is skipped, with its block" } else { "the line is skipped" };
            let message = format!("unknown keyword `{}`", keyword.text);
            let is_full = found.is_full();
            let diagnostic = found.error(Class::UnknownKeyword, keyword.span, message).done(done);
            if is_full {
                return;
            }
            if let Some(near) = suggest::nearest(&keyword.text, known) {
                diagnostic.hint(format!("did you mean `{near}`?"));
            }
            return;
        };
        if foreign.outcome == Outcome::Skipped {
            let message = format!("`{}` is known to keepalived; {}", foreign.name, foreign.why);
            found.notice(Class::WithoutEffect, keyword.span, message).done("it has no effect here yet and is skipped");
        }
        self.met(Met { foreign, at: keyword.span });
    }
}

/// What an entry can be read as.
pub trait FromEntry: Sized {
    /// `None`, with a diagnostic, when it cannot.
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self>;
}

impl<V: Value> FromEntry for V {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.no_block(found);
        let word = entry.parameter(&V::expected(), found)?;
        entry.no_more_than(1, found);
        let value = V::parse(&word.text);
        if value.is_none() {
            let message = format!("`{}` is `{}`; expected {}", entry.keyword().text, word.text, V::expected());
            let diagnostic = found.error(Class::Value, word.span, message);
            diagnostic.done("the line is skipped, what held before it stands");
            suggest_word::<V>(&word.text, diagnostic);
        }
        value
    }
}

/// The word that was probably meant by one that the value does not have.
fn suggest_word<V: Value>(word: &str, diagnostic: &mut Diagnostic) {
    if let Some(near) = suggest::nearest(word, V::words().iter().copied()) {
        diagnostic.hint(format!("did you mean `{near}`?"));
    }
}

/// A value and where it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At<T> {
    pub value: T,
    pub at: Span,
}

impl<T: FromEntry> FromEntry for At<T> {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        Some(Self { value: T::from_entry(entry, found)?, at: entry.span() })
    }
}

/// A field of a block: what to do with one more entry for it.
pub trait Field {
    fn take(&mut self, entry: &Entry, found: &mut Diagnostics);
}

/// The last entry that could be read counts.
impl<T: FromEntry> Field for Option<T> {
    fn take(&mut self, entry: &Entry, found: &mut Diagnostics) {
        if let Some(value) = T::from_entry(entry, found) {
            *self = Some(value);
        }
    }
}

/// Every entry counts.
impl<T: FromEntry> Field for Vec<T> {
    fn take(&mut self, entry: &Entry, found: &mut Diagnostics) {
        self.extend(T::from_entry(entry, found));
    }
}

/// Like `Option<T>`, for the few keywords whose missing parameter does not end keepalived's reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lenient<T>(pub Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: FromEntry> Field for Lenient<T> {
    fn take(&mut self, entry: &Entry, found: &mut Diagnostics) {
        if entry.parameters().is_empty() {
            let message = format!("`{}` lacks its parameter", entry.keyword().text);
            found.error(Class::Incomplete, entry.keyword().span, message).done("the line is skipped");
        } else {
            Field::take(&mut self.0, entry, found);
        }
    }
}

/// A keyword that says all by being there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(pub Option<Span>);

impl Field for Mark {
    fn take(&mut self, entry: &Entry, found: &mut Diagnostics) {
        entry.no_block(found);
        self.0 = Some(entry.span());
    }
}

/// A switch: on by the keyword alone or a BOOL after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switch(pub Option<At<bool>>);

impl Switch {
    pub fn is_on(self) -> bool {
        self.0.is_some_and(|switch| switch.value)
    }
}

impl Field for Switch {
    fn take(&mut self, entry: &Entry, found: &mut Diagnostics) {
        entry.no_block(found);
        entry.no_more_than(1, found);
        let value = match entry.parameters().first() {
            None => Some(true),
            Some(word) => {
                let value = bool::parse(&word.text);
                if value.is_none() {
                    let keyword = &entry.keyword().text;
                    let message = format!("`{keyword}` is `{}`; expected {}", word.text, bool::expected());
                    let diagnostic = found.error(Class::Value, word.span, message).done("the line is skipped");
                    suggest_word::<bool>(&word.text, diagnostic);
                }
                value
            }
        };
        if let Some(value) = value {
            self.0 = Some(At { value, at: entry.span() });
        }
    }
}

/// The lines of a block, one item each. Several blocks add up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items<T> {
    pub items: Vec<At<T>>,
    /// The keyword, once it was there.
    pub at: Option<Span>,
}

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self { items: Vec::new(), at: None }
    }
}

/// What a line of an [`Items`] block can be read as.
pub trait FromItem: Sized {
    fn from_item(entry: &Entry, found: &mut Diagnostics) -> Option<Self>;
}

impl<T: FromItem> Field for Items<T> {
    fn take(&mut self, entry: &Entry, found: &mut Diagnostics) {
        self.at = Some(entry.keyword().span);
        for item in entry.body(found) {
            item.no_block(found);
            if let Some(value) = T::from_item(item, found) {
                self.items.push(At { value, at: item.span() });
            }
        }
    }
}

/// A block with a name before it.
#[derive(Clone, Debug)]
pub struct Named<B> {
    pub name: String,
    /// The name's place.
    pub at: Span,
    pub block: B,
}

impl<B: Block> FromEntry for Named<B> {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        let Some(name) = entry.parameters().first() else {
            let message = format!("`{}` lacks a name", entry.keyword().text);
            found.error(Class::Incomplete, entry.span(), message).done("it is skipped, with its block");
            return None;
        };
        entry.no_more_than(1, found);
        let mut read = B::default();
        read.read(entry.body(found), found);
        Some(Self { name: name.text.clone(), at: name.span, block: read })
    }
}

/// Declares a block: see the module. `others` is the list of keepalived's keywords that are not read.
macro_rules! block {
    (
        $(#[$doc:meta])*
        pub struct $name:ident, others ($foreign:expr) {
            $($(#[doc = $help:literal])+ $($word:literal)|+ => $field:ident: $type:ty $(= $default:expr)?;)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $($(#[doc = $help])+ pub $field: $type,)+
            /// Keywords of keepalived's that are not read.
            pub foreign: Vec<$crate::syntax::schema::Met>,
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($field: $crate::syntax::schema::block!(@default $type $(= $default)?),)+
                    foreign: Vec::new(),
                }
            }
        }

        impl $crate::syntax::schema::Block for $name {
            const KEYWORDS: &'static [$crate::syntax::schema::Keyword] = &[
                $($crate::syntax::schema::Keyword { names: &[$($word),+], help: concat!($($help),+).trim_ascii() },)+
            ];
            const FOREIGN: &'static [$crate::syntax::schema::Foreign] = $foreign;

            fn take(
                &mut self,
                entry: &$crate::syntax::tree::Entry,
                found: &mut $crate::syntax::diagnostic::Diagnostics,
            ) -> bool {
                match entry.keyword().text.as_str() {
                    $($($word)|+ => $crate::syntax::schema::Field::take(&mut self.$field, entry, found),)+
                    _ => return false,
                }
                true
            }

            fn met(&mut self, met: $crate::syntax::schema::Met) {
                self.foreign.push(met);
            }
        }

        impl $crate::syntax::schema::Field for $name {
            fn take(&mut self, entry: &$crate::syntax::tree::Entry, found: &mut $crate::syntax::diagnostic::Diagnostics) {
                let entries = entry.body(found);
                $crate::syntax::schema::Block::read(self, entries, found);
            }
        }
    };
    (@default $type:ty = $default:expr) => { $default };
    (@default $type:ty) => { <$type>::default() };
}

pub(crate) use block;
