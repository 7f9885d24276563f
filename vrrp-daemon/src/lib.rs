//! vrrpd: VRRP for people who have a `keepalived.conf`. The rules are pure; everything that touches the host is in
//! [`io`], behind the feature of that name.

#[cfg(feature = "io")]
pub mod cli;
pub mod config;
pub mod engine;
#[cfg(feature = "io")]
pub mod io;
pub mod syntax;
pub mod track;
