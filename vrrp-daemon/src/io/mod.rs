//! What acts on the host: everything with a file descriptor.

pub mod filter;
pub mod judge;
pub mod xdp;
