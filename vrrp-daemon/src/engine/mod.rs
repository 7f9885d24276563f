//! The rules of VRRP, for many instances at once.
pub mod plan;
