//! What the tests share: worlds, namespaces, frames, peers.

pub mod frames;
pub mod invariants;
pub mod quiet;
pub mod rng;
mod skip;
pub mod world;

pub use skip::skip;
