//! vrrpd.
fn main() {}
