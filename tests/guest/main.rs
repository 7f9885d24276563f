//! The program and the daemon on VLANs, ipvlans, bonds and VRFs, which many a host's kernel lacks: run by `cargo xtask kernels`, in its
//! guests. Where the host's kernel has them, `cargo test -p vrrp-tests --test guest` does, too.

mod ipvlan;
mod stacked;
mod vlan;
mod vrf;
