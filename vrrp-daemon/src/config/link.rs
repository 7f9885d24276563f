//! Lines about the link state of interfaces: `interface_up_down_delays` (`INTERFACE [DOWN [UP]]`).

use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::lexer::Word;
use crate::syntax::schema::FromItem;
use crate::syntax::tree::Entry;
use crate::syntax::value::{Seconds, Value};

/// For how long an interface must be down, or up, until it counts as that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delay {
    pub interface: String,
    pub down: Pause,
    pub up: Pause,
}

/// Up to 255 seconds; 0 for none.
pub type Pause = Seconds<0, 255_000_000>;

impl FromItem for Delay {
    fn from_item(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.no_more_than(2, found);
        // keepalived's manual has the second be as the first where it is missing; there is none then (2.2.7, observed).
        let mut pauses = entry.parameters().iter().map(|word| pause(word, found));
        let (down, up) = (pauses.next(), pauses.next());
        let none = Some(Seconds(0));
        Some(Self { interface: entry.keyword().text.clone(), down: down.unwrap_or(none)?, up: up.unwrap_or(none)? })
    }
}

fn pause(word: &Word, found: &mut Diagnostics) -> Option<Pause> {
    let pause = Pause::parse(&word.text);
    if pause.is_none() {
        let message = format!("a delay is `{}`; expected {}", word.text, Pause::expected());
        found.error(Class::Value, word.span, message).done("the line is skipped");
    }
    pause
}
