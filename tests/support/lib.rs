//! What the tests share: worlds, namespaces, frames, peers.

pub mod frames;
mod skip;

pub use skip::skip;
