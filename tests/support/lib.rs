//! What the tests share: worlds, namespaces, frames, peers.
