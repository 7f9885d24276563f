//! What is watched by the host side for the engine.
//!
//! The engine hears outcomes one by one; rise, fall and weights are its business.

pub mod command;
#[cfg(feature = "io")]
pub mod run;
pub mod script;
