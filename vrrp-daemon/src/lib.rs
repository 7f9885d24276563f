//! vrrpd as a library.

#[cfg(feature = "io")]
pub mod io;
