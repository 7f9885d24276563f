//! Words of the root and of `global_defs` that say how the daemon lives on its host.

use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::schema::FromEntry;
use crate::syntax::tree::Entry;
use crate::syntax::value::{Value, Whole};

/// `startup_script_timeout`, in seconds.
pub type BracketTime = Whole<1, 1000>;

/// A name that becomes part of file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(pub String);

impl Value for Name {
    fn expected() -> String {
        "a name that can be part of a file's, without `/`".to_owned()
    }

    fn parse(word: &str) -> Option<Self> {
        let odd = |c: char| c == '/' || c.is_control();
        ((1..=64).contains(&word.len()) && !word.starts_with('.') && !word.contains(odd)).then(|| Self(word.to_owned()))
    }
}

/// What a process may be called: the kernel keeps 15 octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessName(pub String);

impl Value for ProcessName {
    fn expected() -> String {
        "a name of at most 15 characters".to_owned()
    }

    fn parse(word: &str) -> Option<Self> {
        ((1..=15).contains(&word.len()) && !word.contains('\0')).then(|| Self(word.to_owned()))
    }
}

/// Permissions that new files do not have: a number as in C, or names such as `IRWXG | IRWXO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Umask(pub u16);

impl Umask {
    /// Of a word or several.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let number = match text.strip_prefix("0x") {
            Some(digits) => u16::from_str_radix(digits, 16).ok(),
            None if text.starts_with('0') => u16::from_str_radix(text, 8).ok(),
            None => text.parse().ok(),
        };
        let names = || text.split('|').map(|name| bits(name.trim())).try_fold(0, |all, bits| Some(all | bits?));
        number.or_else(names).filter(|&mask| mask <= 0o777).map(Self)
    }
}

/// The names of sys/stat.h, without their `S_`.
fn bits(name: &str) -> Option<u16> {
    let (who, shift) = match name.as_bytes() {
        [b'I', kind @ .., b'U'] | [b'I', kind @ .., b'U', b'S', b'R'] => (kind, 6),
        [b'I', kind @ .., b'G'] | [b'I', kind @ .., b'G', b'R', b'P'] => (kind, 3),
        [b'I', kind @ .., b'O'] | [b'I', kind @ .., b'O', b'T', b'H'] => (kind, 0),
        _ => return None,
    };
    let bits = match who {
        b"RWX" => 7,
        b"R" => 4,
        b"W" => 2,
        b"X" => 1,
        _ => return None,
    };
    Some(bits << shift)
}

impl FromEntry for Umask {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.no_block(found);
        entry.parameter("permissions, such as 0177", found)?;
        let text: Vec<_> = entry.parameters().iter().map(|word| word.text.as_str()).collect();
        let mask = Self::parse(&text.join(" "));
        if mask.is_none() {
            let message =
                format!("`umask` is `{}`; expected 0 to 0777, or names such as IRWXG | IRWXO", text.join(" "));
            found.error(Class::Value, entry.span(), message).done("the line is skipped");
        }
        mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks() {
        let mask = |text| Umask::parse(text).map(|Umask(mask)| mask);
        assert_eq!(
            [mask("0177"), mask("0x7f"), mask("18"), mask("022")],
            [Some(0o177), Some(0o177), Some(18), Some(18)]
        );
        assert_eq!(mask("IXUSR | IRWXG|IRWXO"), Some(0o177));
        assert_eq!(mask("IRWXU | IWGRP | IROTH"), Some(0o724));
        assert_eq!([mask("01000"), mask("IR"), mask("089"), mask(""), mask("-1")], [None; 5]);
    }

    #[test]
    fn names_stay_in_their_directory() {
        assert_eq!(
            ["blue", "a b", "../x", ".", "", "a/b"].map(|name| Name::parse(name).is_some()),
            [true, true, false, false, false, false]
        );
    }
}
