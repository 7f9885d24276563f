//! Names of the message bus, as they stand in `global_defs`.

use crate::syntax::value::Value;

/// The longest name that a bus takes.
const LONGEST: usize = 255;

/// `dbus_service_name`: words of letters, digits, `_` and `-` that begin with no digit, two or more with dots between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusName(pub String);

impl Value for BusName {
    fn expected() -> String {
        "a name for the bus, such as org.keepalived.Vrrp1".to_owned()
    }

    fn parse(word: &str) -> Option<Self> {
        let is_word = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '-')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        };
        (word.len() <= LONGEST && word.contains('.') && word.split('.').all(is_word)).then(|| Self(word.to_owned()))
    }
}

/// `dbus_no_interface_name`: part of an object's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathWord(pub String);

impl Value for PathWord {
    fn expected() -> String {
        "a word of letters, digits and _".to_owned()
    }

    fn parse(word: &str) -> Option<Self> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        ((1..=LONGEST).contains(&word.len()) && word.chars().all(fits)).then(|| Self(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_bus() {
        for right in ["org.keepalived.Vrrp1", "a.b", "_a.-b9", &format!("a.{}", "b".repeat(253))] {
            assert_eq!(BusName::parse(right).map(|name| name.0).as_deref(), Some(right));
        }
        for wrong in ["", "vrrp", "a.", ".a", "a..b", "a.9b", ":1.5", "a.b/c", "a.ü", &format!("a.{}", "b".repeat(254))]
        {
            assert_eq!(BusName::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn words_of_a_path() {
        assert_eq!(
            ["none", "9_a", "a-b", "", "a/b"].map(|word| PathWord::parse(word).is_some()),
            [true, true, false, false, false]
        );
    }
}
