//! Everything that touches the host.
