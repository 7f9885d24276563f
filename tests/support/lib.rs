//! What the tests share: worlds, namespaces, frames, peers.

mod skip;

pub use skip::skip;
