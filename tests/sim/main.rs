//! Worlds of engines on a virtual network: many from seeds, and some that have names.
//!
//! `VRRP_SIM_SEEDS` is how many seeds are tried (1000), `VRRP_SIM_SEED` the first (0). A single seed is traced.

mod chaos;
mod regroup;
mod scenarios;
mod table;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

fn number(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")),
        Err(_) => otherwise,
    }
}

/// Each seed is a world that is disturbed at random and then left in peace, several times over.
#[test]
fn seeds() {
    live("seeds", number("VRRP_SIM_SEEDS", 1000), chaos::live);
}

/// The same, of worlds that are reloaded more than anything else.
#[test]
fn regrouped() {
    live("regrouped", number("VRRP_SIM_SEEDS", 1000), regroup::live);
}

fn live(test: &str, count: u64, life: fn(u64, bool) -> chaos::Tally) {
    let first = number("VRRP_SIM_SEED", 0);
    let begun = Instant::now();
    let mut tally = chaos::Tally::default();
    for seed in first..first + count {
        let lived = catch_unwind(AssertUnwindSafe(|| life(seed, count == 1)));
        match lived {
            Ok(counted) => tally += counted,
            Err(_) => {
                panic!("replay: VRRP_SIM_SEED={seed} VRRP_SIM_SEEDS=1 cargo test -p vrrp-tests --test sim {test}")
            }
        }
    }
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    println!("{count} seeds, {rate:.0} in a second; {tally}");
    // A simulator in which little happens proves little.
    if count >= 100 {
        assert!(tally.tenures > 8 * count && tally.rests > 2 * count, "too quiet: {tally}");
    }
}
