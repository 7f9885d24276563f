//! The table of what was held, written anew with each cell to the file that `VRRP_MATRIX` names.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::{COLUMNS, MODES};

/// What became of a cell, by mode and column.
static ENTERED: Mutex<BTreeMap<(&str, String), &str>> = Mutex::new(BTreeMap::new());

/// Enters what became of a cell.
pub fn enter(mode: &'static str, column: &str, outcome: &'static str) {
    let mut entered = ENTERED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    entered.insert((mode, column.to_owned()), outcome);
    if let Some(path) = std::env::var_os("VRRP_MATRIX") {
        std::fs::write(path, table(&entered)).expect("VRRP_MATRIX is a file that can be written");
    }
}

/// A cell that was not run, or failed, is a hole.
fn table(entered: &BTreeMap<(&str, String), &str>) -> String {
    let mut text = format!("{:13}", "");
    for (column, _) in COLUMNS {
        text += &format!("  {:20}", column.replace('_', " "));
    }
    for mode in MODES {
        text += &format!("\n{:13}", mode.name);
        for (column, _) in COLUMNS {
            let is_run = mode.cells.contains(&column);
            let outcome = entered.get(&(mode.name, column.to_owned())).copied();
            let outcome = outcome.unwrap_or(if is_run || mode.lacking.is_empty() { "HOLE" } else { mode.lacking });
            text += &format!("  {outcome:20}");
        }
    }
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// A column without test has a reason, and a reason is of a column without test.
#[test]
fn every_cell_is_a_test_or_says_why_not() {
    for mode in MODES {
        let known = |cell: &&&str| COLUMNS.iter().any(|column| column.0 == **cell);
        assert_eq!(mode.cells.iter().filter(known).count(), mode.cells.len(), "{}", mode.name);
        assert_eq!(mode.cells.len() == COLUMNS.len(), mode.lacking.is_empty(), "{}", mode.name);
    }
    assert!(table(&BTreeMap::new()).contains("HOLE"));
}
