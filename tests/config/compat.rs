//! docs/compat.md: what becomes of each keyword and flag of keepalived's. All of it comes from the daemon's own lists.
//!
//! `VRRP_BLESS=1` writes the page anew.

mod behaviour;
mod language;
mod program;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use vrrp_daemon::config::keywords::{self, Row, Standing};
use vrrp_daemon::syntax::source::Memory;

use super::{cases, directory, read};

const HEAD: &str = "\
# What becomes of keepalived's configuration

Every keyword of a `keepalived.conf`, every word of an address, a route or a rule, and every flag of the command line, is
one of these:

- **supported**: it is read, and done as keepalived does it. Where the versions differ, the newer one counts, unless that
  would lose mastership against the older.
- **accepted**: it is read and has no effect here; `vrrpd -t` says so and why. What belongs to keepalived's load balancing is
  passed over with one notice for all of it.
- **refused**: without it something else would be on the wire, or something would be missing, so the virtual router that asks
  for it is left out, with an error; outside virtual routers all of them are. A refused flag is answered, and the daemon
  does not start.

A keyword that is in none of these tables is unknown: it is reported, with its line, and skipped.

This page is written from the tables that the daemon reads by:

    VRRP_BLESS=1 cargo test -p vrrp-tests --test config

and checked by the same without the variable.
";

/// How our own keywords start, or the blocks that they are in.
const OURS: &[&str] = &["xdp_", "vrrpd_", "track_check"];

/// Blocks whose lines are made of the same words.
const ALIKE: &[(&str, &str)] = &[
    ("virtual_ipaddress", ", `virtual_ipaddress_excluded`, `static_ipaddress`: after an address"),
    ("use_vmac", ": after it"),
    ("use_ipvlan", ": after it"),
    ("virtual_routes", ", `static_routes`: words of a route"),
    ("encap", ": words of a route after it"),
    ("virtual_rules", ", `static_rules`: words of a rule"),
];

/// How a row counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Supported,
    Accepted,
    Refused,
}

impl Verdict {
    fn of(standing: Standing) -> Self {
        match standing {
            Standing::Done => Self::Supported,
            Standing::Skipped | Standing::LoadBalancing => Self::Accepted,
            Standing::Refused => Self::Refused,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
        }
    }
}

/// Rows of each verdict.
type Counts = BTreeMap<Verdict, usize>;

fn page() -> String {
    let mut counts = Counts::new();
    let mut body = String::new();
    language(&mut body);
    for block in blocks(&keywords::rows()) {
        keywords_of(&block, &mut body, &mut counts);
    }
    program::flags(&mut body, &mut counts);
    program::signals(&mut body);
    program::exit_codes(&mut body);
    behaviour::table(&mut body);
    behaviour::lines(&mut body);
    let mut page = HEAD.to_owned();
    let _ = writeln!(page, "\n{}.", sentence(&counts));
    page + &body
}

/// "2 keywords, words and flags: 1 supported, 1 accepted, 0 refused".
fn sentence(counts: &Counts) -> String {
    let of = |verdict: Verdict| format!("{} {}", counts.get(&verdict).unwrap_or(&0), verdict.label());
    let all: usize = counts.values().sum();
    let each = [Verdict::Supported, Verdict::Accepted, Verdict::Refused].map(of);
    format!("{all} keywords, words and flags of keepalived's: {}", each.join(", "))
}

/// The rows, block by block.
fn blocks(rows: &[Row]) -> Vec<Vec<Row>> {
    rows.chunk_by(|a, b| a.block == b.block).map(<[Row]>::to_vec).collect()
}

fn language(page: &mut String) {
    let _ = writeln!(page, "\n## The language\n\n| feature | as keepalived has it | shown by |\n|---|---|---|");
    for feature in language::FEATURES {
        let cases = feature.cases.iter().map(|case| format!("[{case}](../tests/config/{case}.conf)"));
        let shown = cases.collect::<Vec<_>>().join(", ");
        let _ = writeln!(page, "| {} | {} | {shown} |", feature.name, feature.rule.replace('|', "\\|"));
    }
}

fn keywords_of(rows: &[Row], page: &mut String, counts: &mut Counts) {
    let title = match rows.first().map_or("", |row| row.block) {
        "" => "Outside all blocks".to_owned(),
        block => {
            let more = ALIKE.iter().find(|(name, _)| *name == block).map_or("", |(_, more)| more);
            format!("`{block}`{more}")
        }
    };
    let _ = writeln!(page, "\n## {title}\n\n| keyword | standing | what it means, or why not |\n|---|---|---|");
    for row in rows {
        let verdict = Verdict::of(row.standing);
        let is_ours = OURS.iter().any(|prefix| row.name.starts_with(prefix) || row.block.starts_with(prefix));
        if !is_ours {
            *counts.entry(verdict).or_default() += 1;
        }
        let standing = if is_ours { "ours" } else { verdict.label() };
        let text = if row.standing == Standing::LoadBalancing { "load balancing" } else { row.text };
        let _ = writeln!(page, "| `{}` | {standing} | {} |", row.name, text.replace('|', "\\|"));
    }
}

#[test]
fn the_page_is_of_these_lists() {
    let page = page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/compat.md");
    if std::env::var_os("VRRP_BLESS").is_some() {
        fs::write(path, page).unwrap();
        return;
    }
    let written = fs::read_to_string(path).unwrap_or_default();
    let stale = page.lines().zip(written.lines().chain(std::iter::repeat(""))).find(|(is, was)| is != was);
    let remedy = "write it by VRRP_BLESS=1 cargo test -p vrrp-tests --test config";
    assert!(page == written, "docs/compat.md is stale; {remedy}\n{stale:?}");
}

/// `keepalived.keywords` has keepalived's own: one that is in no list of ours would be called unknown.
#[test]
fn every_keyword_of_keepalived_has_a_row() {
    let rows = keywords::rows();
    let text = fs::read_to_string(directory().join("keepalived.keywords")).unwrap();
    let mut block = "";
    let mut missing = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_suffix(':') {
            Some(name) => block = if name == "root" { "" } else { name },
            None => {
                let has_row = |name: &&str| !rows.iter().any(|row| row.block == block && row.name == *name);
                missing.extend(line.split_whitespace().filter(has_row).map(|name| format!("{block} {name}")));
            }
        }
    }
    assert!(missing.is_empty(), "keepalived has them: {missing:?}");
}

/// The tables of words are documentation alone, unless each of them is read.
#[test]
fn every_word_of_a_line_is_read() {
    let blocks: [(&str, &[&str]); 4] = [
        ("virtual_ipaddress", &["virtual_ipaddress {\n10.0.0.1/24 WORD\n}"]),
        ("virtual_routes", &["virtual_routes {\n10.1.0.0/16 nexthop WORD\n}"]),
        ("encap", &["virtual_routes {\n10.1.0.0/16 encap WORD\n}", "virtual_routes {\n10.1.0.0/16 encap ip WORD\n}"]),
        ("virtual_rules", &["virtual_rules {\nnot WORD\n}"]),
    ];
    let is_read = |line: &&str, word: &str| {
        let head = "vrrp_instance VI {\ninterface eth0\nvirtual_router_id 1\n";
        let report =
            read(&Memory::of("k.conf", format!("{head}{}\n}}\n", line.replace("WORD", word))), "k.conf").report();
        !report.contains(&format!("unknown option `{word}`"))
            && !report.contains(&format!("is `{word}`; expected ip, ip6"))
    };
    let mut tried = 0;
    for (block, lines) in blocks {
        assert!(!lines.iter().any(|line| is_read(line, "frobnicate")), "{block}");
        for row in keywords::rows().iter().filter(|row| row.block == block) {
            assert!(lines.iter().any(|line| is_read(line, row.name)), "{block} {}", row.name);
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried} words");
}

#[test]
fn every_feature_is_shown_by_a_case() {
    let cases = cases();
    for feature in language::FEATURES {
        assert!(!feature.cases.is_empty(), "{}", feature.name);
        for case in feature.cases {
            assert!(cases.iter().any(|known| known == case), "{} names {case}, which is no case", feature.name);
        }
    }
}
