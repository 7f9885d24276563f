//! One side of a session in asynchronous mode: RFC 5880 section 6.8 without a socket and without a clock.

use std::time::Duration;

use vrrp_common::Instant;

use super::packet::{Diagnostic, Packet, State};

/// What the configuration wants of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    pub min_rx: Duration,
    pub min_tx: Duration,
    /// Between packets while it is not up.
    pub idle_tx: Duration,
    /// At least 1.
    pub multiplier: u8,
    /// Nothing is sent before the neighbour was heard.
    pub passive: bool,
}

/// What happens to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Heard(Packet),
    /// Time has passed.
    Deadline,
    /// It ends, and says so.
    Shutdown,
}

/// What comes of it, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Send(Packet),
    Became(State, Diagnostic),
}

#[derive(Clone, Debug)]
pub struct Session {
    timing: Timing,
    state: State,
    diagnostic: Diagnostic,
    /// Never 0.
    local: u32,
    neighbor: Neighbor,
    /// bfd.DesiredMinTxInterval: `idle_tx`, and `min_tx` while up.
    desired_min_tx: Duration,
    /// A change of that is being asked about.
    polling: bool,
    /// When the last periodic packet left; none leaves while there is none.
    sent_at: Option<Instant>,
    next_at: Option<Instant>,
    /// When the neighbour counts as lost.
    lost_at: Option<Instant>,
    chance: u32,
}

/// What the neighbour last said.
#[derive(Clone, Copy, Debug)]
struct Neighbor {
    /// 0: nothing yet.
    discriminator: u32,
    state: State,
    /// 1 microsecond until it was heard (section 6.8.1).
    min_rx: Duration,
    demand: bool,
}

const UNHEARD: Neighbor =
    Neighbor { discriminator: 0, state: State::Down, min_rx: Duration::from_micros(1), demand: false };

impl Session {
    /// `discriminator` is not 0, and no other session's of this system.
    pub fn new(timing: Timing, discriminator: u32, now: Instant) -> Self {
        let mut session = Self {
            timing,
            state: State::Down,
            diagnostic: Diagnostic::None,
            local: discriminator,
            neighbor: UNHEARD,
            desired_min_tx: timing.idle_tx,
            polling: false,
            sent_at: None,
            next_at: None,
            lost_at: None,
            chance: discriminator,
        };
        session.next_at = session.is_periodic().then_some(now);
        session
    }

    pub const fn state(&self) -> State {
        self.state
    }

    pub const fn discriminator(&self) -> u32 {
        self.local
    }

    /// When [`Input::Deadline`] is next due.
    pub fn deadline(&self) -> Option<Instant> {
        [self.next_at, self.lost_at].into_iter().flatten().min()
    }

    pub fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Heard(packet) => self.hear(now, packet, out),
            Input::Deadline => self.pass(now, out),
            Input::Shutdown if self.state == State::AdminDown => {}
            Input::Shutdown => {
                self.become_now(State::AdminDown, Diagnostic::AdministrativelyDown, out);
                (self.next_at, self.lost_at) = (None, None);
                out.push(Output::Send(self.packet(false)));
            }
        }
    }

    /// Section 6.8.6, from where the session was found.
    fn hear(&mut self, now: Instant, packet: Packet, out: &mut Vec<Output>) {
        let (before, was_slow) = (self.state, self.interval());
        if self.state == State::AdminDown {
            return;
        }
        self.neighbor = Neighbor {
            discriminator: packet.mine,
            state: packet.state,
            min_rx: packet.required_min_rx,
            demand: packet.demand,
        };
        self.polling &= !packet.is_final;
        // Section 6.8.4.
        let detection = self.timing.min_rx.max(packet.desired_min_tx) * u32::from(packet.multiplier);
        self.lost_at = Some(now + detection);
        match (self.state, packet.state) {
            (State::Down | State::AdminDown, State::AdminDown) => {}
            (State::Init | State::Up, State::AdminDown) | (State::Up, State::Down) => {
                self.become_now(State::Down, Diagnostic::NeighborSignaledDown, out);
            }
            (State::Down, State::Down) => self.become_now(State::Init, self.diagnostic, out),
            (State::Down, State::Init) | (State::Init, State::Init | State::Up) => {
                self.become_now(State::Up, Diagnostic::None, out);
            }
            (State::Down, State::Up) | (State::Init, State::Down) | (State::Up, State::Init | State::Up) => {}
            (State::AdminDown, _) => {}
        }
        if packet.poll {
            out.push(Output::Send(self.packet(true)));
        }
        // What changed is said at once; what is wanted faster than before is sent sooner (section 6.8.3).
        if self.state != before {
            self.next_at = self.is_periodic().then_some(now);
            self.pass(now, out);
        } else if self.next_at.is_none() || self.interval() != was_slow {
            self.schedule(now);
        }
    }

    fn pass(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.lost_at.is_some_and(|at| at <= now) {
            self.lost_at = None;
            self.neighbor = UNHEARD;
            if matches!(self.state, State::Init | State::Up) {
                self.become_now(State::Down, Diagnostic::DetectionTimeExpired, out);
                self.next_at = Some(now);
            }
        }
        if self.next_at.is_some_and(|at| at <= now) {
            self.next_at = None;
            if self.is_periodic() {
                out.push(Output::Send(self.packet(false)));
                self.sent_at = Some(now);
                self.schedule(now);
            }
        }
    }

    fn become_now(&mut self, state: State, diagnostic: Diagnostic, out: &mut Vec<Output>) {
        (self.state, self.diagnostic) = (state, diagnostic);
        let wanted = if state == State::Up { self.timing.min_tx } else { self.timing.idle_tx };
        // Section 6.8.3: a change is asked about, as long as somebody may answer.
        self.polling = state == State::Up && wanted != self.desired_min_tx;
        self.desired_min_tx = wanted;
        out.push(Output::Became(state, diagnostic));
    }

    /// Whether packets leave without being asked for: section 6.8.7.
    fn is_periodic(&self) -> bool {
        let knows = !self.timing.passive || self.neighbor.discriminator != 0;
        let both_up = self.state == State::Up && self.neighbor.state == State::Up;
        knows && !self.neighbor.min_rx.is_zero() && !(self.neighbor.demand && both_up && !self.polling)
    }

    fn interval(&self) -> Duration {
        self.desired_min_tx.max(self.neighbor.min_rx)
    }

    fn schedule(&mut self, now: Instant) {
        let wait = self.jittered(self.interval());
        let due = self.sent_at.map_or(now, |sent| (sent + wait).max(now));
        self.next_at = self.is_periodic().then_some(due);
    }

    /// Section 6.8.7: three quarters to all of it, and to nine tenths where one packet is all that may be missed.
    fn jittered(&mut self, interval: Duration) -> Duration {
        // xorshift32, which never comes to 0 from elsewhere.
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 17;
        self.chance ^= self.chance << 5;
        let least = if self.timing.multiplier == 1 { 100 } else { 0 };
        let less = least + self.chance % (251 - least);
        interval.mul_f64(1.0 - f64::from(less) / 1000.0)
    }

    fn packet(&self, is_final: bool) -> Packet {
        Packet {
            diagnostic: self.diagnostic as u8,
            state: self.state,
            // Never both (section 6.5).
            poll: self.polling && !is_final,
            is_final,
            demand: false,
            multiplier: self.timing.multiplier,
            mine: self.local,
            yours: self.neighbor.discriminator,
            desired_min_tx: self.desired_min_tx,
            required_min_rx: self.timing.min_rx,
        }
    }
}

#[cfg(test)]
mod tests;
