//! What the kernel's program and the daemon must agree on: identifiers, time, the wire format, the maps, and
//! [`classify`](classify::classify), the one judgement of a frame.
//!
//! It allocates nothing, reads no clock, has no `unsafe` and knows no map handle: it compiles for the BPF target.
#![no_std]
#![deny(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod abi;
pub mod address;
pub mod classify;
pub mod drop;
pub mod ids;
pub mod stance;
pub mod time;
pub mod wire;

pub use address::Address;
pub use ids::{Claim, Family, IfIndex, Priority, Version, Vrid};
pub use time::{Centis, Instant};
