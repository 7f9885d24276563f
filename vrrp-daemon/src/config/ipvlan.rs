//! `use_ipvlan` and its own words: `[[name] INTERFACE] [ADDRESS[/LENGTH]] [bridge|private|vepa] [group GROUP]`.

use super::setup::{Isolation, Prefix};
use super::vmac;
use super::words::{self, options};
use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::lexer::Word;
use crate::syntax::schema::{FromEntry, Keyword};
use crate::syntax::tree::Entry;
use crate::syntax::value::{InterfaceName, Value};

/// An ipvlan interface as it is written; nothing of it need be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UseIpvlan {
    pub name: Option<InterfaceName>,
    /// Its own, which adverts come from.
    pub address: Option<Prefix>,
    pub isolation: Option<Isolation>,
    /// Link group; otherwise that of the interface below.
    pub group: Option<u32>,
}

options! {
    /// What may follow `use_ipvlan`, for documentation.
    OPTIONS {
        "name" "The interface's name; it may stand without this word, too.";
        "bridge" | "private" | "vepa" "How ipvlans of one interface see each other; the kernel has one for all of them.";
        "group" "Link group; default that of the interface below.";
    }
}

impl FromEntry for UseIpvlan {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.no_block(found);
        let mut read = Self::default();
        let mut words = entry.parameters().iter();
        while let Some(word) = words.next() {
            match word.text.as_str() {
                "bridge" => once(&mut read.isolation, Some(Isolation::Bridge), word, found),
                "private" => once(&mut read.isolation, Some(Isolation::Private), word, found),
                "vepa" => once(&mut read.isolation, Some(Isolation::Vepa), word, found),
                "group" => read.group = vmac::group(words.next().unwrap_or(word), found),
                "name" => once(&mut read.name, name(words.next().unwrap_or(word), found), word, found),
                text if words::prefix(text).is_some() => once(&mut read.address, words::prefix(text), word, found),
                _ => once(&mut read.name, name(word, found), word, found),
            }
        }
        Some(read)
    }
}

/// The first one counts, as in keepalived.
fn once<T>(place: &mut Option<T>, value: Option<T>, word: &Word, found: &mut Diagnostics) {
    if place.is_none() {
        *place = value;
    } else if value.is_some() {
        let message = format!("`{}` of `use_ipvlan` is one too many", word.text);
        found.error(Class::Duplicate, word.span, message).done("the first one counts");
    }
}

fn name(word: &Word, found: &mut Diagnostics) -> Option<InterfaceName> {
    let name = InterfaceName::parse(&word.text);
    if name.is_none() {
        let message = format!("`{}` of `use_ipvlan` is no address, nor {}", word.text, InterfaceName::expected());
        found.error(Class::Value, word.span, message).done("the word is skipped");
    }
    name
}
