//! vrrpd as a library.
pub mod config;
#[cfg(feature = "io")]
pub mod ctl;
pub mod engine;
#[cfg(feature = "io")]
pub mod io;
#[cfg(all(test, feature = "io"))]
mod testing;
pub mod track;
