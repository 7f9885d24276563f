//! vrrpd: VRRP for people who have a `keepalived.conf`. The rules are pure; everything that touches the host is in
//! [`io`], behind the feature of that name.

pub mod auth;
#[cfg(feature = "io")]
pub mod cli;
pub mod config;
#[cfg(feature = "io")]
pub mod ctl;
pub mod engine;
#[cfg(feature = "io")]
pub mod io;
pub mod syntax;
#[cfg(all(test, feature = "io"))]
mod testing;
pub mod track;
