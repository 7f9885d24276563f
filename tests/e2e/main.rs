//! The daemon in network namespaces: against itself, against keepalived, against forgers.
//!
//! Every test has a laboratory of its own. Times are asserted as order and as generous bounds: machines stall.

mod accept;
mod authentication;
mod bad_input;
mod bfd;
mod console;
mod dumps;
mod failover;
mod fifo;
mod forged;
mod interop;
mod ipv6;
mod lines;
mod matrix;
mod moving;
mod places;
mod reload;
mod repaired;
mod routes;
mod scripts;
mod service;
mod starved;
mod sync_groups;
mod tidiness;
mod trackers;
mod unicast;
mod urgency;
mod versions;
mod vmac;
mod web;
mod weights;
mod wire;
mod without_bpf;
