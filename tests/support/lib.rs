//! What the tests share: worlds, namespaces, frames, peers.

pub mod invariants;
pub mod rng;
pub mod world;
