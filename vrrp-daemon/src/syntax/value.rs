//! Values: what a single word may say, with the bounds in the type.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// What a keyword's first parameter can be.
pub trait Value: Sized {
    /// Ends the sentence "expected ...".
    fn expected() -> String;

    fn parse(word: &str) -> Option<Self>;

    /// All that it may be, where those are words: for suggestions.
    fn words() -> &'static [&'static str] {
        &[]
    }
}

impl Value for String {
    fn expected() -> String {
        "a word".to_owned()
    }

    fn parse(word: &str) -> Option<Self> {
        Some(word.to_owned())
    }
}

/// A whole number in base 10, both bounds included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<const MIN: i64, const MAX: i64>(pub i64);

impl<const MIN: i64, const MAX: i64> Whole<MIN, MAX> {
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl<const MIN: i64, const MAX: i64> Value for Whole<MIN, MAX> {
    fn expected() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn parse(word: &str) -> Option<Self> {
        let number: i64 = word.parse().ok()?;
        (MIN..=MAX).contains(&number).then_some(Self(number))
    }
}

/// Seconds with a decimal fraction, to the microsecond; bounds in microseconds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds<const MIN: u64, const MAX: u64>(pub u64);

impl<const MIN: u64, const MAX: u64> Seconds<MIN, MAX> {
    pub const fn micros(self) -> u64 {
        self.0
    }

    pub const fn duration(self) -> Duration {
        Duration::from_micros(self.0)
    }
}

impl<const MIN: u64, const MAX: u64> Value for Seconds<MIN, MAX> {
    fn expected() -> String {
        format!("seconds from {} to {}", shown(MIN), shown(MAX))
    }

    fn parse(word: &str) -> Option<Self> {
        let micros = micros(word)?;
        (MIN..=MAX).contains(&micros).then_some(Self(micros))
    }
}

/// Microseconds as seconds with as many decimals as it takes.
pub fn shown(micros: u64) -> String {
    let decimals = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    decimals.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Microseconds of `12`, `0.5`, `.25` or `3.`; digits beyond the sixth decimal round.
pub fn micros(word: &str) -> Option<u64> {
    let (whole, decimals) = word.split_once('.').unwrap_or((word, ""));
    let digits = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() && decimals.is_empty() || !digits(whole) || !digits(decimals) {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut fraction: u64 = format!("{decimals:0<7}").get(..7)?.parse().ok()?;
    fraction = fraction.div_ceil(10).min((fraction + 5) / 10);
    whole.checked_mul(1_000_000)?.checked_add(fraction)
}

/// keepalived's BOOL: `on`, `true`, `yes`, or their opposites, in lower case.
impl Value for bool {
    fn expected() -> String {
        "on, true, yes, off, false or no".to_owned()
    }

    fn parse(word: &str) -> Option<Self> {
        match word {
            "on" | "true" | "yes" => Some(true),
            "off" | "false" | "no" => Some(false),
            _ => None,
        }
    }

    fn words() -> &'static [&'static str] {
        &["on", "true", "yes", "off", "false", "no"]
    }
}

impl Value for IpAddr {
    fn expected() -> String {
        "an IPv4 or IPv6 address".to_owned()
    }

    fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl Value for Ipv4Addr {
    fn expected() -> String {
        "an IPv4 address".to_owned()
    }

    fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl Value for Ipv6Addr {
    fn expected() -> String {
        "an IPv6 address".to_owned()
    }

    fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

/// The name of a network interface: at most 15 octets, no blank and no `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InterfaceName(pub String);

impl Value for InterfaceName {
    fn expected() -> String {
        "the name of an interface, at most 15 characters".to_owned()
    }

    fn parse(word: &str) -> Option<Self> {
        let right = (1..=15).contains(&word.len()) && word != "." && word != "..";
        let odd = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
        (right && !word.contains(odd)).then(|| Self(word.to_owned()))
    }
}

/// Declares an enum of words: `choice! { pub enum State { "MASTER" => Master, } }`.
macro_rules! choice {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$item:meta])* $word:literal => $variant:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$item])* $variant,)+
        }

        impl $crate::syntax::value::Value for $name {
            fn expected() -> String {
                format!("one of {}", [$($word),+].join(", "))
            }

            fn parse(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }

            fn words() -> &'static [&'static str] {
                &[$($word),+]
            }
        }
    };
}

pub(crate) use choice;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_to_microseconds() {
        for (word, want) in [
            ("1", Some(1_000_000)),
            ("0.01", Some(10_000)),
            (".5", Some(500_000)),
            ("2.", Some(2_000_000)),
            ("0.0000004", Some(0)),
            ("0.0000005", Some(1)),
            ("1.23456789", Some(1_234_568)),
            ("", None),
            (".", None),
            ("-1", None),
            ("1s", None),
            ("99999999999999999999", None),
            ("18446744073709551615", None),
        ] {
            assert_eq!(micros(word), want, "{word}");
        }
        assert_eq!(shown(40_950_000), "40.95");
    }

    #[test]
    fn bounds_are_included() {
        type Vrid = Whole<1, 255>;
        assert_eq!(
            ["0", "1", "255", "256", "1x", "+7"].map(|w| Vrid::parse(w).is_some()),
            [false, true, true, false, false, true]
        );
    }

    #[test]
    fn booleans_are_lower_case() {
        assert_eq!(["on", "no", "True", "1"].map(bool::parse), [Some(true), Some(false), None, None]);
    }
}
