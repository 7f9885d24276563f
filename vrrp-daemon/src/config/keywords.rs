//! Every keyword of keepalived's and of ours, with what becomes of it: what docs/compat.md is made of.

use super::auth::{AuthHmac, Authentication};
use super::garp_group::GarpGroup;
use super::global::GlobalDefs;
use super::instance::Instance;
use super::root::Config;
use super::statics::TrackGroup;
use super::sync_group::SyncGroup;
use super::{address, ipvlan, route, rule, vmac};
use crate::syntax::schema::{Block, Foreign, Keyword, Outcome};
use crate::track::{bfd, check, file, process, script};

/// A keyword of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The block's keyword; empty outside all blocks.
    pub block: &'static str,
    pub name: &'static str,
    pub standing: Standing,
    /// What it means, or why it is not done.
    pub text: &'static str,
}

/// What becomes of a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Read, and done.
    Done,
    /// Reported and skipped.
    Skipped,
    /// The virtual router is left out; outside virtual routers: all of them are.
    Refused,
    /// Skipped, with one notice for all of keepalived's load balancing.
    LoadBalancing,
}

/// All keywords, block after block, in the order of their tables.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    of::<Config>("", &mut rows);
    of::<GlobalDefs>("global_defs", &mut rows);
    of::<script::Written>("vrrp_script", &mut rows);
    of::<file::Written>("track_file", &mut rows);
    of::<process::Written>("vrrp_track_process", &mut rows);
    of::<check::Written>("vrrpd_check", &mut rows);
    of::<bfd::Written>("bfd_instance", &mut rows);
    of::<GarpGroup>("garp_group", &mut rows);
    of::<TrackGroup>("track_group", &mut rows);
    of::<SyncGroup>("vrrp_sync_group", &mut rows);
    of::<Instance>("vrrp_instance", &mut rows);
    of::<Authentication>("authentication", &mut rows);
    of::<AuthHmac>("auth_hmac", &mut rows);
    table("virtual_ipaddress", address::OPTIONS, &[], &mut rows);
    table("use_vmac", vmac::OPTIONS, vmac::FOREIGN, &mut rows);
    table("use_ipvlan", ipvlan::OPTIONS, &[], &mut rows);
    table("virtual_routes", route::OPTIONS, route::FOREIGN, &mut rows);
    table("virtual_routes", route::metrics::OPTIONS, &[], &mut rows);
    table("encap", route::encap::OPTIONS, &[], &mut rows);
    table("virtual_rules", rule::OPTIONS, &[], &mut rows);
    rows
}

fn of<B: Block>(block: &'static str, rows: &mut Vec<Row>) {
    table(block, B::KEYWORDS, B::FOREIGN, rows);
}

/// The words of a line are rows like the keywords of a block.
fn table(block: &'static str, keywords: &[Keyword], foreign: &[Foreign], rows: &mut Vec<Row>) {
    for &Keyword { names, help } in keywords {
        rows.extend(names.iter().map(|&name| Row { block, name, standing: Standing::Done, text: help }));
    }
    for &Foreign { name, outcome, why } in foreign {
        let standing = match outcome {
            Outcome::Skipped => Standing::Skipped,
            Outcome::Refused => Standing::Refused,
            Outcome::LoadBalancing => Standing::LoadBalancing,
        };
        rows.push(Row { block, name, standing, text: why });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trackers_can_be_defined_and_used() {
        let is_done = |block: &str, name: &str| rows().iter().any(|row| (row.block, row.name) == (block, name));
        for keyword in crate::track::KEYWORDS {
            assert!(is_done("", keyword), "{keyword} is missing in config/root.rs");
        }
        for (keyword, _) in crate::track::USED_BY {
            for block in ["vrrp_instance", "vrrp_sync_group"] {
                assert!(is_done(block, keyword), "{keyword} is missing in {block}");
            }
        }
    }

    #[test]
    fn a_keyword_has_one_row_in_a_block() {
        let rows = rows();
        for row in &rows {
            let same = |other: &&Row| (other.block, other.name) == (row.block, row.name);
            assert_eq!(rows.iter().filter(same).count(), 1, "{row:?}");
            assert!(!row.text.is_empty() || row.standing == Standing::LoadBalancing, "{row:?}");
        }
    }
}
