//! The control packet of RFC 5880 section 4.1, without authentication.

use std::time::Duration;

/// Octets of a packet.
pub const LENGTH: usize = 24;

/// What a system says of its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    AdminDown,
    #[default]
    Down,
    Init,
    Up,
}

/// Why a session left the state Up: those of section 4.1 that we say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Diagnostic {
    #[default]
    None = 0,
    DetectionTimeExpired = 1,
    NeighborSignaledDown = 3,
    AdministrativelyDown = 7,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Its number; of others than our own only said in the log.
    pub diagnostic: u8,
    pub state: State,
    pub poll: bool,
    pub is_final: bool,
    pub demand: bool,
    /// Never 0.
    pub multiplier: u8,
    /// Of the sender's session; never 0.
    pub mine: u32,
    /// Of the receiver's, 0 while the sender does not know it.
    pub yours: u32,
    pub desired_min_tx: Duration,
    pub required_min_rx: Duration,
}

/// Why what arrived is discarded (section 6.8.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    Length,
    Version,
    Multiplier,
    Multipoint,
    Discriminator,
    /// It is authenticated, and nothing is agreed on.
    Authenticated,
    /// A session that is neither Down nor AdminDown knows whom it talks to.
    Nobody,
}

impl Packet {
    /// The payload of a datagram.
    pub fn parse(octets: &[u8]) -> Result<Self, Discard> {
        let Some(fixed) = octets.first_chunk::<LENGTH>() else { return Err(Discard::Length) };
        let word = |at: usize| u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
        let (flags, length) = (fixed[1], usize::from(fixed[3]));
        let is_set = |bit: u8| flags & 1 << bit != 0;
        if fixed[0] >> 5 != 1 {
            return Err(Discard::Version);
        }
        if length < LENGTH || length > octets.len() {
            return Err(Discard::Length);
        }
        if fixed[2] == 0 {
            return Err(Discard::Multiplier);
        }
        if is_set(0) {
            return Err(Discard::Multipoint);
        }
        if word(4) == 0 {
            return Err(Discard::Discriminator);
        }
        let state = match flags >> 6 {
            0 => State::AdminDown,
            1 => State::Down,
            2 => State::Init,
            _ => State::Up,
        };
        if word(8) == 0 && matches!(state, State::Init | State::Up) {
            return Err(Discard::Nobody);
        }
        if is_set(2) {
            return Err(Discard::Authenticated);
        }
        Ok(Self {
            diagnostic: fixed[0] & 0x1f,
            state,
            poll: is_set(5),
            is_final: is_set(4),
            demand: is_set(1),
            multiplier: fixed[2],
            mine: word(4),
            yours: word(8),
            desired_min_tx: Duration::from_micros(word(12).into()),
            required_min_rx: Duration::from_micros(word(16).into()),
        })
    }

    pub fn octets(&self) -> [u8; LENGTH] {
        let state = match self.state {
            State::AdminDown => 0,
            State::Down => 1,
            State::Init => 2,
            State::Up => 3,
        };
        let bit = |set: bool, at: u8| u8::from(set) << at;
        let mut octets = [0; LENGTH];
        octets[0] = 1 << 5 | self.diagnostic;
        octets[1] = state << 6 | bit(self.poll, 5) | bit(self.is_final, 4) | bit(self.demand, 1);
        octets[2] = self.multiplier;
        octets[3] = LENGTH as u8;
        let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        // The last word says that no echo packets are wanted.
        let words = [self.mine, self.yours, micros(self.desired_min_tx), micros(self.required_min_rx), 0];
        for (place, word) in octets[4..].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: Packet = Packet {
        diagnostic: 3,
        state: State::Up,
        poll: true,
        is_final: false,
        demand: false,
        multiplier: 5,
        mine: 0x0102_0304,
        yours: 0x0506_0708,
        desired_min_tx: Duration::from_micros(10_000),
        required_min_rx: Duration::from_micros(20_000),
    };

    #[test]
    fn as_in_section_4_1() {
        let octets = [0x23, 0xe0, 5, 24, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x27, 0x10, 0, 0, 0x4e, 0x20, 0, 0, 0, 0];
        assert_eq!(PACKET.octets(), octets);
        assert_eq!(Packet::parse(&octets), Ok(PACKET));
    }

    #[test]
    fn what_is_discarded() {
        let spoilt = |spoil: fn(&mut Vec<u8>)| {
            let mut octets = PACKET.octets().to_vec();
            spoil(&mut octets);
            Packet::parse(&octets).unwrap_err()
        };
        assert_eq!(spoilt(|octets| octets.truncate(23)), Discard::Length);
        assert_eq!(spoilt(|octets| octets[3] = 23), Discard::Length);
        assert_eq!(spoilt(|octets| octets[3] = 25), Discard::Length);
        assert_eq!(spoilt(|octets| octets[0] = 0x43), Discard::Version);
        assert_eq!(spoilt(|octets| octets[2] = 0), Discard::Multiplier);
        assert_eq!(spoilt(|octets| octets[1] |= 1), Discard::Multipoint);
        assert_eq!(spoilt(|octets| octets[4..8].fill(0)), Discard::Discriminator);
        assert_eq!(spoilt(|octets| octets[1] |= 4), Discard::Authenticated);
        assert_eq!(spoilt(|octets| octets[8..12].fill(0)), Discard::Nobody);
    }
}
