//! The words of one line, taken one by one, and what single words mean.

use std::str::FromStr;

use crate::case::{Fault, Nanos};

/// What is left of a line.
pub struct Words<'a> {
    pub line: usize,
    rest: &'a str,
}

impl<'a> Words<'a> {
    pub fn new(line: usize, text: &'a str) -> Self {
        Self { line, rest: text.trim() }
    }

    /// The next word, not taken.
    pub fn peek(&self) -> Option<&'a str> {
        self.rest.split_whitespace().next()
    }

    pub fn take(&mut self) -> Option<&'a str> {
        let word = self.peek()?;
        self.rest = self.rest[word.len()..].trim_start();
        Some(word)
    }

    /// The next word, which must be there; `what` names it.
    pub fn need(&mut self, what: &str) -> Result<&'a str, Fault> {
        self.take().ok_or_else(|| self.fault(format!("the line ends where {what} is expected")))
    }

    /// The next word as a value.
    pub fn value<T: FromStr>(&mut self, what: &str) -> Result<T, Fault> {
        let word = self.need(what)?;
        word.parse().map_err(|_| self.fault(format!("`{word}` is no {what}")))
    }

    pub fn time(&mut self) -> Result<Nanos, Fault> {
        let word = self.need("a time")?;
        time(word).ok_or_else(|| self.fault(format!("`{word}` is no time; write 3609375us, 10ms or 1s")))
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a str {
        std::mem::take(&mut self.rest)
    }

    pub fn end(&self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault(format!("`{}` is too much here", self.rest))),
        }
    }

    pub fn fault(&self, text: impl Into<String>) -> Fault {
        Fault::new(self.line, text)
    }
}

/// `3609375us`, `36093.75us`, `10ms`, `1.5s`: to the nanosecond, or none.
pub fn time(word: &str) -> Option<Nanos> {
    let units = [("us", 1_000_u64), ("ms", 1_000_000), ("s", 1_000_000_000)];
    let (number, unit) = units.iter().find_map(|&(name, unit)| Some((word.strip_suffix(name)?, unit)))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = u32::try_from(fraction.len()).ok()?;
    let scale = 10_u64.checked_pow(digits)?;
    let parts: u64 = whole.parse::<u64>().ok()?.checked_mul(scale)?.checked_add(fraction.parse().ok()?)?;
    let nanos = u128::from(parts) * u128::from(unit);
    let scale = u128::from(scale);
    (nanos % scale == 0).then(|| u64::try_from(nanos / scale).ok())?.map(Nanos)
}

/// A number, decimal or `0x`.
pub fn number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

/// Octets in hexadecimal digits; spaces, colons and full stops between them mean nothing.
pub fn octets(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|octet| !b" :.".contains(octet)).collect();
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    pairs.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// The same the other way, in groups of four octets.
pub fn hex(octets: &[u8]) -> String {
    let groups = octets.chunks(4).map(|group| group.iter().map(|octet| format!("{octet:02x}")).collect::<String>());
    groups.collect::<Vec<_>>().join(" ")
}
