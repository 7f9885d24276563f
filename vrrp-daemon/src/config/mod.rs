//! What a configuration means: from the tree of [`syntax`](crate::syntax) to a [`Setup`](setup::Setup).
//!
//! Each block of the language is one file; [`resolve`] turns names into numbers and settles what contradicts. The host
//! is only asked, through [`Host`](host::Host), and never changed.

mod address;
mod auth;
mod check;
mod dbus;
mod garp_group;
mod global;
pub mod host;
mod instance;
mod ipvlan;
pub mod keywords;
mod link;
mod mail;
mod matching;
mod notify;
mod resolve;
pub mod risk;
mod root;
pub mod route;
mod rule;
mod service;
pub mod setup;
mod statics;
mod sync_group;
mod unicast;
mod unsupported;
mod vmac;
mod words;
mod written;

pub use check::{Checked, check};
pub use matching::matching;
pub use service::Umask;
pub use unsupported::NO_SNMP;
