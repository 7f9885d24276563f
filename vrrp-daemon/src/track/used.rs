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
        weight(entry.parameters(), MOST, found).map(Self)
    }
}

/// Something that is tracked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub name: String,
    /// In place of the tracker's own.
    pub weight: Option<plan::Weight>,
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
    fn read(entry: &Entry, most: i16, found: &mut Diagnostics) -> Self {
        let name = entry.keyword().text.clone();
        let Some(option) = entry.parameters().first() else { return Self { name, weight: None } };
        let weight = if option.text == "weight" {
            let words = &entry.parameters()[1..];
            if words.is_empty() {
                let message = format!("`weight` of `{name}` lacks its number");
                found.error(Class::Value, option.span, message).done("the weight is skipped");
            }
            weight(words, most, found)
        } else {
            let message = format!("unknown option `{}` of `{name}`; expected weight", option.text);
            found.error(Class::Value, option.span, message).done("the rest of the line is skipped");
            None
        };
        Self { name, weight }
    }
}

/// What is wrong is reported.
fn weight(words: &[Word], most: i16, found: &mut Diagnostics) -> Option<plan::Weight> {
    let number = words.first()?;
    type Number = crate::syntax::value::Whole<{ i16::MIN as i64 }, { i16::MAX as i64 }>;
    let value = Number::parse(&number.text).map(|value| value.get() as i16).filter(|value| value.abs() <= most);
    let Some(value) = value else {
        let message = format!("the weight is `{}`; expected a whole number from -{most} to {most}", number.text);
        found.error(Class::Value, number.span, message).done("the weight is skipped");
        return None;
    };
    let reverse = words.get(1).is_some_and(|word| word.text == "reverse");
    if let Some(odd) = words.get(1).filter(|word| !["reverse", "noreverse"].contains(&word.text.as_str())) {
        let message = format!("`{}` after a weight; expected nothing or reverse", odd.text);
        found.error(Class::Value, odd.span, message).done("it is ignored");
    }
    Some(plan::Weight { value, reverse })
}
