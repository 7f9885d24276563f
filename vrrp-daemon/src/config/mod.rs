//! What a configuration means.
pub mod setup;
