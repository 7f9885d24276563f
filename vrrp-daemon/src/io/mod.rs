//! What acts on the host: everything with a file descriptor.

pub mod xdp;
