//! What acts on the host: everything with a file descriptor.

pub mod announce;
pub mod capabilities;
pub mod clock;
pub mod control;
pub mod driver;
pub mod errands;
pub mod files;
pub mod filter;
pub mod guard;
pub mod hands;
pub mod judge;
pub mod log;
pub mod netlink;
pub mod notify;
pub mod observe;
pub mod pidfile;
pub mod ports;
pub mod privilege;
pub mod readiness;
pub mod run;
pub mod rx;
pub mod socket;
pub mod status;
pub mod tx;
pub mod utc;
pub mod xdp;
