//! The XDP program; on any other target an empty program, so that the workspace builds on stable Rust.
//!
//! What it decides is [`vrrp_common::classify`]; here is only what the kernel adds: the frame, the maps, the verdict.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod packet;
#[cfg(target_arch = "bpf")]
mod program;
#[cfg(target_arch = "bpf")]
mod report;

#[cfg(not(target_arch = "bpf"))]
fn main() {}
