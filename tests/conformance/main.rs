//! The rules of the protocol, each shown by cases: `ID.case` or `ID-WHAT.case`, named by the rule's id.
//!
//! `VRRP_BLESS=1` writes docs/conformance.md anew. The cases' language is described in docs/TESTING.md.

mod case;
mod frame;
mod proof;
mod reader;
mod router;
mod rules;
mod runner;
mod signature;
mod table;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use case::Case;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance")
}

/// All cases in the order of their names, and what cannot be read of them.
fn cases() -> (Vec<Case>, Vec<String>) {
    let entries = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.filter(|name| name.ends_with(".case")).collect();
    names.sort();
    let (mut cases, mut faults) = (Vec::new(), Vec::new());
    for name in names {
        match reader::read(&name, &fs::read_to_string(directory().join(&name)).unwrap()) {
            Ok(case) => cases.push(case),
            Err(fault) => faults.push(format!("tests/conformance/{name}:{}: {}", fault.line, fault.text)),
        }
    }
    (cases, faults)
}

#[test]
fn every_case_holds() {
    let (cases, mut faults) = cases();
    for case in &cases {
        let found = runner::run(case).into_iter();
        faults.extend(found.map(|fault| format!("tests/conformance/{}:{}: {}", case.name, fault.line, fault.text)));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_rule_is_shown_or_says_why_not() {
    let gaps = table::gaps(&cases().0);
    assert!(gaps.is_empty(), "{} gaps:\n{}", gaps.len(), gaps.join("\n"));
}

#[test]
fn the_page_is_of_these_cases() {
    let page = table::page(&cases().0);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    if std::env::var_os("VRRP_BLESS").is_some() {
        fs::write(path, page).unwrap();
        return;
    }
    let written = fs::read_to_string(path).unwrap_or_default();
    let stale = page.lines().zip(written.lines().chain(std::iter::repeat(""))).find(|(is, was)| is != was);
    assert!(
        page == written,
        "docs/conformance.md is stale; write it by VRRP_BLESS=1 cargo test -p vrrp-tests --test conformance\n{stale:?}"
    );
}
