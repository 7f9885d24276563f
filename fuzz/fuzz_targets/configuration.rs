//! Any octets as a configuration: they are read to their end, and every finding can be shown.
//!
//! The corpus is tests/config: `cargo +nightly fuzz run configuration fuzz/corpus/configuration tests/config`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vrrp_tests::configuration::read_any;

fuzz_target!(|octets: &[u8]| read_any(octets));
