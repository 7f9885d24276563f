//! Secrets: how long they are, how they are written, and that nobody sees them.

use std::collections::BTreeMap;
use std::fmt;

/// A key of `auth_hmac`: 32 to 64 octets.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Box<[u8]>);

impl Key {
    pub const SHORTEST: usize = 32;
    pub const LONGEST: usize = 64;

    /// Reads `hex:` and two digits an octet, or else takes the octets for the key.
    pub fn parse(written: &[u8]) -> Result<Self, BadKey> {
        let octets = match written.strip_prefix(b"hex:") {
            Some(digits) => octets(digits).ok_or(BadKey::Digits)?,
            None => written.to_vec(),
        };
        if !(Self::SHORTEST..=Self::LONGEST).contains(&octets.len()) {
            return Err(BadKey::Length(octets.len()));
        }
        Ok(Self(octets.into()))
    }

    /// Padded with zeros to a block of the hash, as HMAC does.
    pub(super) fn block(&self) -> [u8; Self::LONGEST] {
        padded(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} octets)", self.0.len())
    }
}

/// The octets, and zeros behind them.
fn padded(octets: &[u8]) -> [u8; Key::LONGEST] {
    let mut block = [0; Key::LONGEST];
    block.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
    block
}

/// The octets that hexadecimal digits stand for.
fn octets(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_chunks::<2>();
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let octet = |&[high, low]: &[u8; 2]| Some((digit(high)? << 4 | digit(low)?) as u8);
    rest.is_empty().then(|| pairs.iter().map(octet).collect())?
}

/// Why something written is no [`Key`]; it ends a sentence, and says nothing of the octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadKey {
    /// After `hex:` stands something else than pairs of hexadecimal digits.
    Digits,
    Length(usize),
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digits => f.write_str("what follows `hex:` is not pairs of hexadecimal digits"),
            Self::Length(length) => {
                write!(f, "its length is {length} and not {} to {} octets", Key::SHORTEST, Key::LONGEST)
            }
        }
    }
}

/// The keys that adverts are verified with, by the id that the advert names, 1 to 255.
pub type KeyRing = BTreeMap<u8, Key>;

/// v2 `auth_pass`: eight octets, padded with zeros.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password(pub [u8; 8]);

impl Password {
    /// As the key of an HMAC.
    pub(super) fn block(self) -> [u8; Key::LONGEST] {
        padded(&self.0)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_digits_or_octets_of_the_right_length() {
        let hex = |pairs: usize| Key::parse(format!("hex:{}", "aF".repeat(pairs)).as_bytes());
        assert_eq!(hex(32).unwrap().0[..], [0xaf; 32]);
        assert_eq!(hex(64).unwrap().block(), [0xaf; 64]);
        assert_eq!([hex(31), hex(65)], [Err(BadKey::Length(31)), Err(BadKey::Length(65))]);
        assert_eq!(Key::parse(b"hex:abc"), Err(BadKey::Digits));
        assert_eq!(Key::parse(b"hex:+f"), Err(BadKey::Digits));
        assert_eq!(Key::parse(b"hex:"), Err(BadKey::Length(0)));
        assert_eq!(Key::parse(&[b'x'; 32]).unwrap().0[..], [b'x'; 32]);
        assert_eq!(Key::parse(b"short"), Err(BadKey::Length(5)));
    }

    #[test]
    fn nobody_sees_a_secret() {
        let key = Key::parse(&[b'x'; 40]).unwrap();
        assert_eq!(format!("{key:?} {:?}", Password(*b"secret12")), "Key(40 octets) Password");
    }
}
