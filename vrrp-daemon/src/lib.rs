//! vrrpd as a library.
pub mod config;
pub mod engine;
#[cfg(feature = "io")]
pub mod io;
#[cfg(all(test, feature = "io"))]
mod testing;
pub mod track;
