//! Everything that touches the host.

pub mod control;
pub mod errands;
pub mod log;
pub mod notify;
pub mod pidfile;
pub mod status;
pub mod utc;
