//! The daemon in network namespaces: against itself, against keepalived, against forgers.
//!
//! Every test has a laboratory of its own. Times are asserted as order and as generous bounds: machines stall.

mod accept;
mod authentication;
mod bad_input;
mod console;
mod failover;
mod forged;
mod interop;
mod ipv6;
mod matrix;
mod moving;
mod reload;
mod repaired;
mod scenario;
mod scripts;
mod starved;
mod sync_groups;
mod tidiness;
mod trackers;
mod unicast;
mod urgency;
mod vlan;
mod vmac;
mod wire;
mod without_bpf;
