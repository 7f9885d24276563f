//! What the tests share: worlds, namespaces, frames, peers.

pub mod addresses;
pub mod bpf;
pub mod bus;
pub mod capture;
pub mod client;
pub mod conf;
pub mod configuration;
pub mod daemon;
pub mod effort;
pub mod forge;
pub mod frames;
pub mod frr;
pub mod invariants;
pub mod judges;
pub mod keepalived;
pub mod lab;
pub mod lines;
pub mod mailbox;
pub mod netns;
pub mod quiet;
pub mod rng;
pub mod routed;
pub mod rules;
pub mod scenario;
mod skip;
mod spoil;
pub mod stamp;
pub mod sweep;
pub mod tshark;
pub mod veth;
pub mod vrrpd;
pub mod watch;
pub mod world;

pub use skip::skip;
