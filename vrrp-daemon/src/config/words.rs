//! The words of one line: options, each with its parameter; and the tables of them.

use std::net::IpAddr;
use std::slice::Iter;
use std::str::FromStr;

use super::setup::Prefix;
use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::lexer::Word;
use crate::syntax::schema::Keyword;
use crate::syntax::suggest;
use crate::syntax::value::{InterfaceName, Value};

/// Declares a table of options: `"name" | "another name" "what it means";`.
macro_rules! options {
    ($($(#[$doc:meta])* $table:ident { $($($name:literal)|+ $help:literal;)* })+) => {$(
        $(#[$doc])*
        pub const $table: &[Keyword] = &[$(Keyword { names: &[$($name),+], help: $help }),*];
    )+};
}
pub(super) use options;

/// The names of a table's options.
pub fn names(options: &'static [Keyword]) -> impl Iterator<Item = &'static str> + Clone {
    options.iter().flat_map(|option| option.names).copied()
}

/// What is left of a line.
pub struct Words<'a> {
    /// What the line is: `route`, `rule`.
    what: &'static str,
    left: Iter<'a, Word>,
    /// Of the line; for findings that concern all of it.
    pub first: &'a Word,
}

impl<'a> Words<'a> {
    /// `words` has one at least.
    pub fn new(what: &'static str, words: &'a [Word]) -> Self {
        Self { what, left: words.iter(), first: &words[0] }
    }

    pub fn pull(&mut self) -> Option<&'a Word> {
        self.left.next()
    }

    /// The next word, if it is this one, taken.
    pub fn take(&mut self, text: &str) -> bool {
        let is_it = self.peek() == Some(text);
        if is_it {
            self.left.next();
        }
        is_it
    }

    pub fn peek(&self) -> Option<&'a str> {
        self.left.as_slice().first().map(|word| word.text.as_str())
    }

    /// The parameter of an option; its absence is reported.
    pub fn parameter(&mut self, option: &Word, found: &mut Diagnostics) -> Option<&'a Word> {
        let word = self.left.next();
        if word.is_none() {
            let message = format!("`{}` of a {} lacks its parameter", option.text, self.what);
            found.error(Class::MissingParameter, option.span, message).done(self.skipped());
        }
        word
    }

    /// The parameter of an option, as what it must be.
    pub fn value<V: Value>(&mut self, option: &Word, found: &mut Diagnostics) -> Option<V> {
        let word = self.parameter(option, found)?;
        self.read(option, word, V::parse(&word.text), &V::expected(), found)
    }

    /// A parameter that was read, or a report of what it should have been.
    pub fn read<T>(
        &self,
        option: &Word,
        word: &Word,
        value: Option<T>,
        expected: &str,
        found: &mut Diagnostics,
    ) -> Option<T> {
        if value.is_none() {
            let message = format!("`{}` of a {} is `{}`; expected {expected}", option.text, self.what, word.text);
            found.error(Class::Value, word.span, message).done(self.skipped());
        }
        value
    }

    /// `FROM-TO`, or one number alone.
    pub fn range<T: FromStr + PartialOrd>(&mut self, option: &Word, found: &mut Diagnostics) -> Option<(T, T)> {
        let word = self.parameter(option, found)?;
        let (from, to) = word.text.split_once('-').unwrap_or((&word.text, &word.text));
        let range = from.parse().ok().zip(to.parse().ok()).filter(|(from, to)| from <= to);
        self.read(option, word, range, "FROM-TO, from the lower to the higher", found)
    }

    /// The name of an interface.
    pub fn interface(&mut self, option: &Word, found: &mut Diagnostics) -> Option<Word> {
        let word = self.parameter(option, found)?;
        let name = InterfaceName::parse(&word.text);
        self.read(option, word, name, &InterfaceName::expected(), found)?;
        Some(word.clone())
    }

    /// Reports that the line cannot be used.
    pub fn wrong(&self, class: Class, at: &Word, message: String, found: &mut Diagnostics) {
        found.error(class, at.span, message).done(self.skipped());
    }

    /// Reports an option that nobody knows.
    pub fn unknown(&self, word: &Word, options: impl Iterator<Item = &'static str> + Clone, found: &mut Diagnostics) {
        let message = format!("unknown option `{}` of a {}", word.text, self.what);
        let diagnostic = found.error(Class::Value, word.span, message).done(self.skipped());
        if let Some(near) = suggest::nearest(&word.text, options) {
            diagnostic.hint(format!("did you mean `{near}`?"));
        }
    }

    fn skipped(&self) -> String {
        format!("the {} is skipped", self.what)
    }
}

/// A number as iproute2 reads it: decimal, or hexadecimal behind `0x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number<const MAX: u64>(pub u64);

impl<const MAX: u64> Value for Number<MAX> {
    fn expected() -> String {
        format!("a number from 0 to {MAX}")
    }

    fn parse(word: &str) -> Option<Self> {
        let number = match word.strip_prefix("0x") {
            Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16).ok()?,
            _ => word.parse().ok()?,
        };
        (number <= MAX).then_some(Self(number))
    }
}

/// A network, or a single address: `ADDRESS[/LENGTH]`.
pub fn prefix(word: &str) -> Option<Prefix> {
    let (address, length) = word.split_once('/').map_or((word, None), |(address, length)| (address, Some(length)));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = length.map_or(Some(most), |length| length.parse().ok().filter(|&length| length <= most))?;
    Some(Prefix { address, length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_prefixes() {
        type Mark = Number<0xff>;
        let marks =
            ["16", "0x10", "256", "0x100", "", "0x", "x", "-1", "0x+1"].map(|word| Mark::parse(word).map(|n| n.0));
        assert_eq!(marks, [Some(16), Some(16), None, None, None, None, None, None, None]);
        let shown = |word| prefix(word).map(|prefix| prefix.to_string());
        assert_eq!(shown("10.0.0.0/8").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(shown("2001:db8::1").as_deref(), Some("2001:db8::1/128"));
        assert_eq!(["10.0.0.0/33", "10.0.0./8", "10.0.0.0/", "x"].map(shown), [None, None, None, None]);
    }
}
