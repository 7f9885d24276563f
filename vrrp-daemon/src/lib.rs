//! vrrpd as a library.
pub mod config;
pub mod engine;
pub mod syntax;
pub mod track;
