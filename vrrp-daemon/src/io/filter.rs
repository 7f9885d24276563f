//! The rules of the daemon's own filter.

use std::collections::BTreeMap;

use vrrp_common::abi::{Rule, RuleKey};
use vrrp_common::classify::Rules;

/// What the kernel's map of rules holds, for the raw sockets' path.
#[derive(Clone, Debug, Default)]
pub struct RuleTable(BTreeMap<RuleKey, Rule>);

impl RuleTable {
    pub fn insert(&mut self, key: RuleKey, rule: Rule) {
        self.0.insert(key, rule);
    }

    pub fn remove(&mut self, key: RuleKey) {
        self.0.remove(&key);
    }
}

impl Rules for RuleTable {
    fn rule(&self, key: RuleKey) -> Option<&Rule> {
        self.0.get(&key)
    }
}
