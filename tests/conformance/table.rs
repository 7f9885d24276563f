//! docs/conformance.md: every rule, what shows it, and why where nothing does.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::case::Case;
use crate::rules::{Level, RULES, Rule};

const HEAD: &str = "\
# Conformance

The rules of VRRP (RFC 9568 with its errata, RFC 3768 for version 2, and our own), and what shows that they are kept. A case is a
file of `tests/conformance/`; its language is described in [TESTING.md](TESTING.md). A rule without a case says why, and names the
tests that show it instead, if there are any. \"Ours\" is no RFC's rule.

This page is written by

    VRRP_BLESS=1 cargo test -p vrrp-tests --test conformance

and checked by the same without the variable.
";

/// The page.
pub fn page(cases: &[Case]) -> String {
    let shown = RULES.iter().filter(|rule| cases.iter().any(|case| case.rule == rule.id)).count();
    let mut page = HEAD.to_owned();
    let _ = writeln!(page, "\n{} rules, {shown} with {} cases.", RULES.len(), cases.len());
    let mut part = "";
    for rule in RULES {
        let (prefix, _) = rule.id.split_once('-').unwrap_or((rule.id, ""));
        if prefix != part {
            part = prefix;
            let _ =
                writeln!(page, "\n## {}\n\n| rule | level | what it asks | shown by |\n|---|---|---|---|", title(part));
        }
        let level = match rule.level {
            Level::Must => "must",
            Level::Should => "should",
            Level::May => "may",
            Level::Ours => "ours",
        };
        let _ = writeln!(page, "| {} | {level} | {} | {} |", rule.id, rule.title, evidence(rule, cases));
    }
    page
}

fn title(part: &str) -> &'static str {
    match part {
        "FMT" => "The message",
        "CK" => "The checksum",
        "IP" => "What carries it",
        "TM" => "Time",
        "FSM" => "The state machine",
        "DP" => "The data plane",
        "GA" => "Gratuitous ARP",
        "NA" => "Neighbour advertisements",
        "RX" => "What a receiver tests",
        "AU" => "Authentication",
        _ => "Both versions",
    }
}

fn evidence(rule: &Rule, cases: &[Case]) -> String {
    let cases = cases.iter().filter(|case| case.rule == rule.id).map(|case| {
        format!("[{}](../tests/conformance/{}): {} ({})", case.name, case.name, case.sentence, case.source)
    });
    let reason = rule.without.iter().map(|reason| format!("no case: {reason}"));
    let except = rule.except.iter().map(|except| format!("not shown: {except}"));
    let tests = rule.tests.iter().map(|test| format!("`{test}`"));
    cases.chain(reason).chain(except).chain(tests).collect::<Vec<_>>().join("<br>").replace('|', "\\|")
}

/// What is wrong with the list: rules that nobody shows, and tests that are not there.
pub fn gaps(cases: &[Case]) -> Vec<String> {
    let mut gaps = Vec::new();
    for rule in RULES {
        let has_case = cases.iter().any(|case| case.rule == rule.id);
        match (has_case, rule.without) {
            (false, []) => gaps.push(format!("{} has neither a case nor a reason", rule.id)),
            (true, [_, ..]) => gaps.push(format!("{} has a case; take its reason out of rules.rs", rule.id)),
            _ => {}
        }
        if !has_case && !rule.except.is_empty() {
            gaps.push(format!("{} has no case to make an exception of; say `without`", rule.id));
        }
        if RULES.iter().filter(|other| other.id == rule.id).count() > 1 {
            gaps.push(format!("{} is in rules.rs more than once", rule.id));
        }
        let missing = rule.tests.iter().filter(|test| !exists(test));
        gaps.extend(missing.map(|test| format!("{} names the test `{test}`, which does not exist", rule.id)));
    }
    for case in cases {
        if !RULES.iter().any(|rule| rule.id == case.rule) {
            gaps.push(format!("{}:1: {} is no rule of rules.rs", case.name, case.rule));
        }
    }
    gaps
}

/// Whether there is a test of this name: `TARGET FILE::NAME`, or `TARGET NAME` of a target that is one file.
pub fn exists(test: &str) -> bool {
    let Some((target, path)) = test.split_once(' ') else { return false };
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (file, name) = match path.rsplit_once("::") {
        Some((file, name)) => (directory.join(target).join(file.replace("::", "/")).with_extension("rs"), name),
        None => (directory.join(target).with_extension("rs"), path),
    };
    let text = fs::read_to_string(file).unwrap_or_default();
    text.contains(&format!("#[test]\nfn {name}()"))
}
