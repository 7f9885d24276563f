//! Lines of virtual routers and sync groups that name what they track: `NAME [weight N [reverse]]`.

use super::USED_BY;
use crate::engine::plan;
use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::lexer::Word;
use crate::syntax::schema::{At, Field, FromEntry, FromItem};
use crate::syntax::tree::Entry;
use crate::syntax::value::Value;

/// What an interface may add to or take from a priority.
const INTERFACE_WEIGHT: i16 = 253;

/// `N [reverse|noreverse]`, N from -MOST to MOST.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight<const MOST: i16>(pub plan::Weight);

impl<const MOST: i16> FromEntry for Weight<MOST> {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.parameter(&format!("a whole number from -{MOST} to {MOST}, perhaps with reverse"), found)?;
        let written = written(entry.parameters(), MOST, found)?;
        Some(Self(written.over(plan::Weight::default())))
    }
}

/// Something that is tracked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub name: String,
    weight: Option<Written>,
}

/// A weight as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Written {
    value: i16,
    /// `reverse` or `noreverse`.
    reverse: Option<bool>,
}

impl FromItem for Use {
    fn from_item(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        Some(Self::read(entry, INTERFACE_WEIGHT, found))
    }
}

/// Lines of the blocks that use trackers, in order; with the keyword of the block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    pub items: Vec<(&'static str, At<Use>)>,
}

impl Field for Uses {
    fn take(&mut self, entry: &Entry, found: &mut Diagnostics) {
        let Some(&(keyword, most)) = USED_BY.iter().find(|(keyword, _)| *keyword == entry.keyword().text) else {
            return;
        };
        for item in entry.body(found) {
            item.no_block(found);
            let value = Use::read(item, most, found);
            self.items.push((keyword, At { value, at: item.span() }));
        }
    }
}

impl Use {
    /// In place of the tracker's own weight; without a word it is as reversed as that (keepalived 2.2.7, observed).
    pub fn weight(&self, own: plan::Weight) -> plan::Weight {
        self.weight.map_or(own, |written| written.over(own))
    }

    fn read(entry: &Entry, most: i16, found: &mut Diagnostics) -> Self {
        let name = entry.keyword().text.clone();
        let Some(option) = entry.parameters().first() else { return Self { name, weight: None } };
        let weight = if option.text == "weight" {
            let words = &entry.parameters()[1..];
            if words.is_empty() {
                let message = format!("`weight` of `{name}` lacks its number");
                found.error(Class::Value, option.span, message).done("the weight is skipped");
            }
            written(words, most, found)
        } else {
            let message = format!("unknown option `{}` of `{name}`; expected weight", option.text);
            found.error(Class::Value, option.span, message).done("the rest of the line is skipped");
            None
        };
        Self { name, weight }
    }
}

impl Written {
    fn over(self, own: plan::Weight) -> plan::Weight {
        plan::Weight { value: self.value, reverse: self.reverse.unwrap_or(own.reverse) }
    }
}

/// What is wrong is reported.
fn written(words: &[Word], most: i16, found: &mut Diagnostics) -> Option<Written> {
    let number = words.first()?;
    type Number = crate::syntax::value::Whole<{ i16::MIN as i64 }, { i16::MAX as i64 }>;
    let value = Number::parse(&number.text).map(|value| value.get() as i16).filter(|value| value.abs() <= most);
    let Some(value) = value else {
        let message = format!("the weight is `{}`; expected a whole number from -{most} to {most}", number.text);
        found.error(Class::Value, number.span, message).done("the weight is skipped");
        return None;
    };
    let reverse = words.get(1).and_then(|word| match word.text.as_str() {
        "reverse" => Some(true),
        "noreverse" => Some(false),
        odd => {
            let message = format!("`{odd}` after a weight; expected nothing or reverse");
            found.error(Class::Value, word.span, message).done("it is ignored");
            None
        }
    });
    Some(Written { value, reverse })
}
