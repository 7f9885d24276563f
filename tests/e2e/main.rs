//! The daemon in network namespaces: against itself, against keepalived, against forgers.
//!
//! Every test has a laboratory of its own. Times are asserted as order and as generous bounds: machines stall.

mod accept;
mod appointed;
mod authentication;
mod bad_input;
mod bfd;
mod console;
mod dbus;
mod dumps;
mod failover;
mod fifo;
mod forged;
mod interop;
mod ipv6;
mod kept;
mod lines;
mod link_state;
mod mail;
mod matrix;
mod moving;
mod places;
mod reload;
mod repaired;
mod routes;
mod scripts;
mod service;
mod settings;
mod starved;
mod sync_groups;
mod tidiness;
mod told;
mod trackers;
mod unicast;
mod urgency;
mod versions;
mod vmac;
mod web;
mod weights;
mod wire;
mod without_bpf;
mod words;
