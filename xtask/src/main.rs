//! `cargo xtask`: builds, deploys and tests the project.
fn main() {}
