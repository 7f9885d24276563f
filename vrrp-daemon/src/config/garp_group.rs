//! `garp_group`: interfaces whose announcements share one pace, as it is written.

use super::global::Pause;
use super::unsupported;
use crate::syntax::diagnostic::Diagnostics;
use crate::syntax::schema::{At, Block, FromEntry, FromItem, Items, block};
use crate::syntax::tree::Entry;
use crate::syntax::value::InterfaceName;

block! {
    /// Interfaces that share one pace.
    pub struct GarpGroup, others (unsupported::NONE) {
        /// Time between two gratuitous ARPs.
        "garp_interval" => garp_interval: Option<Pause>;
        /// Time between two unsolicited neighbour advertisements.
        "gna_interval" => gna_interval: Option<Pause>;
        /// An interface of the group.
        "interface" => interface: Vec<At<InterfaceName>>;
        /// Interfaces of the group, one in a line.
        "interfaces" => interfaces: Items<Interface>;
    }
}

/// The name of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface(pub String);

impl FromItem for Interface {
    fn from_item(entry: &Entry, _found: &mut Diagnostics) -> Option<Self> {
        Some(Self(entry.keyword().text.clone()))
    }
}

impl FromEntry for GarpGroup {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        let mut read = Self::default();
        read.read(entry.body(found), found);
        Some(read)
    }
}
