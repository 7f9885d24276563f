//! vrrpd as a library.
pub mod config;
pub mod engine;
