//! The daemon in network namespaces: against itself, against keepalived, against forgers.
//!
//! Every test has a laboratory of its own. Times are asserted as order and as generous bounds: machines stall.

mod failover;
mod interop;
mod scenario;
mod wire;
