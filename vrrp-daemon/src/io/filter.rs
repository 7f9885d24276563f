//! The rules by which frames are judged, as the daemon holds them: what it writes to the kernel's map, and what the
//! raw socket's path asks itself.

use std::collections::BTreeMap;

use vrrp_common::abi::{Rule, RuleKey};
use vrrp_common::classify::Rules;

/// The rules of every virtual router here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleTable(BTreeMap<RuleKey, Rule>);

impl RuleTable {
    /// Sets the rule for a key; returns the one it replaces.
    pub fn insert(&mut self, key: RuleKey, rule: Rule) -> Option<Rule> {
        self.0.insert(key, rule)
    }

    pub fn remove(&mut self, key: RuleKey) -> Option<Rule> {
        self.0.remove(&key)
    }

    /// Keys and rules, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (RuleKey, &Rule)> {
        self.0.iter().map(|(key, rule)| (*key, rule))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(RuleKey, Rule)> for RuleTable {
    fn from_iter<I: IntoIterator<Item = (RuleKey, Rule)>>(rules: I) -> Self {
        Self(rules.into_iter().collect())
    }
}

impl Rules for RuleTable {
    fn rule(&self, key: RuleKey) -> Option<&Rule> {
        self.0.get(&key)
    }
}
