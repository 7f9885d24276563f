//! What virtual routers watch beside adverts. A kind of tracker is one file and one line of [`trackers!`].

pub mod bfd;
pub mod check;
pub mod command;
#[cfg(feature = "io")]
pub mod run;
pub mod script;

use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::schema::{Field, FromItem, Named};
use crate::syntax::source::Span;
use crate::syntax::tree::Entry;
use crate::syntax::value::Value;

/// Declares the kinds of trackers that are defined in blocks of their own: `Kind "keyword" "use" => block;`.
macro_rules! trackers {
    ($($(#[$doc:meta])* $kind:ident $keyword:literal $used_by:literal => $block:ty;)+) => {
        /// A tracker as it is written.
        #[derive(Clone, Debug)]
        pub enum Spec {
            $($(#[$doc])* $kind($block),)+
        }

        impl Spec {
            /// The keyword that defines it.
            pub const fn keyword(&self) -> &'static str {
                match self { $(Self::$kind(_) => $keyword,)+ }
            }

            /// The keyword of virtual routers that use it.
            pub const fn used_by(&self) -> &'static str {
                match self { $(Self::$kind(_) => $used_by,)+ }
            }
        }

        impl Field for Definitions {
            fn take(&mut self, entry: &Entry, found: &mut Diagnostics) {
                if entry.parameter("a name", found).is_none() {
                    return;
                }
                match entry.keyword().text.as_str() {
                    $($keyword => {
                        let mut read: Vec<Named<$block>> = Vec::new();
                        read.take(entry, found);
                        let define = |Named { name, at, block }| Definition { name, at, spec: Spec::$kind(block) };
                        self.0.extend(read.into_iter().map(define));
                    })+
                    _ => {}
                }
            }
        }
    };
}

trackers! {
    /// A command run again and again.
    Script "vrrp_script" "track_script" => script::Script;
    /// A session with a neighbour.
    Bfd "bfd_instance" "track_bfd" => bfd::Bfd;
}

/// A tracker and its name.
#[derive(Clone, Debug)]
pub struct Definition {
    pub name: String,
    /// The name's place.
    pub at: Span,
    pub spec: Spec,
}

/// All trackers of a configuration, in order.
#[derive(Clone, Debug, Default)]
pub struct Definitions(pub Vec<Definition>);

/// What trackers may add to or take from a priority.
pub const WEIGHT_MAX: i64 = 253;

/// `weight N [reverse]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// -253 to 253; 0 makes a failure a fault.
    pub value: i16,
    /// Success and failure change places.
    pub reverse: bool,
}

/// A line of `track_script` or `track_interface`: `NAME [weight N [reverse]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub name: String,
    /// In place of the tracker's own.
    pub weight: Option<Weight>,
}

impl FromItem for Use {
    fn from_item(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        let name = entry.keyword().text.clone();
        let Some(option) = entry.parameters().first() else { return Some(Self { name, weight: None }) };
        let weight = if option.text == "weight" {
            let words = &entry.parameters()[1..];
            if words.is_empty() {
                let message = format!("`weight` of `{name}` lacks its number");
                found.error(Class::Value, option.span, message).done("the weight is skipped");
            }
            weight(words, found)
        } else {
            let message = format!("unknown option `{}` of `{name}`; expected weight", option.text);
            found.error(Class::Value, option.span, message).done("the rest of the line is skipped");
            None
        };
        Some(Self { name, weight })
    }
}

/// `N [reverse]`; what is wrong is reported.
pub fn weight(words: &[crate::syntax::lexer::Word], found: &mut Diagnostics) -> Option<Weight> {
    let number = words.first()?;
    type Number = crate::syntax::value::Whole<{ -WEIGHT_MAX }, WEIGHT_MAX>;
    let Some(value) = Number::parse(&number.text) else {
        let message = format!("the weight is `{}`; expected {}", number.text, Number::expected());
        found.error(Class::Value, number.span, message).done("the weight is skipped");
        return None;
    };
    let reverse = words.get(1).is_some_and(|word| word.text == "reverse");
    if let Some(odd) = words.get(1).filter(|word| word.text != "reverse") {
        let message = format!("`{}` after a weight; expected nothing or reverse", odd.text);
        found.error(Class::Value, odd.span, message).done("it is ignored");
    }
    Some(Weight { value: value.get() as i16, reverse })
}
