//! `vrrp-ebpf/vrrp.bpf.toml`: what the committed XDP object was made from, and the check that it is not stale.

use crate::sources;
use crate::tree::Tree;
use anyhow::{Context, Result, bail};
use std::fs;

pub const OBJECT: &str = "vrrp-ebpf/vrrp.bpf.o";
pub const RECORD: &str = "vrrp-ebpf/vrrp.bpf.toml";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub compiler: String,
    pub linker: String,
    /// [`sources::hash`] at the time.
    pub sources: String,
    /// SHA-256 of the object, so that a merge cannot pair the one's object with the other's record.
    pub object: String,
}

impl Record {
    pub fn read(tree: &Tree) -> Result<Self> {
        let remedy = || format!("{RECORD}: cannot be read; `cargo xtask ebpf` writes it");
        let text = fs::read_to_string(tree.root.join(RECORD)).with_context(remedy)?;
        Self::parse(&text).with_context(remedy)
    }

    pub fn write(&self, tree: &Tree, object: &[u8]) -> Result<()> {
        fs::write(tree.root.join(OBJECT), object).with_context(|| format!("cannot write {OBJECT}"))?;
        fs::write(tree.root.join(RECORD), self.text()).with_context(|| format!("cannot write {RECORD}"))
    }

    /// Refuses an object that does not come from the sources as they are now. Needs no BPF toolchain.
    pub fn check(&self, tree: &Tree) -> Result<()> {
        let object = fs::read(tree.root.join(OBJECT)).with_context(|| format!("cannot read {OBJECT}"))?;
        if sources::hash_bytes(&object) != self.object {
            bail!("{OBJECT} is not the object that {RECORD} describes; run `cargo xtask ebpf` and commit both");
        }
        if sources::hash(tree)? != self.sources {
            bail!("{OBJECT} is stale: its sources have changed; run `cargo xtask ebpf` and commit it and {RECORD}");
        }
        Ok(())
    }

    fn parse(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse()?;
        let field = |key: &str| {
            let value = table.get(key).and_then(toml::Value::as_str);
            value.map(str::to_owned).with_context(|| format!("no `{key}`"))
        };
        Ok(Self {
            compiler: field("compiler")?,
            linker: field("linker")?,
            sources: field("sources")?,
            object: field("object")?,
        })
    }

    fn text(&self) -> String {
        let Self { compiler, linker, sources, object } = self;
        let mut table = toml::Table::new();
        for (key, value) in [("compiler", compiler), ("linker", linker), ("sources", sources), ("object", object)] {
            table.insert(key.into(), value.as_str().into());
        }
        format!("# What vrrp.bpf.o was made from. Written by `cargo xtask ebpf`, never by hand.\n{table}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        let record = Record {
            compiler: "rustc 1.96.0 (ac68faa20 2026-05-25), LLVM 22.1.8".into(),
            linker: "bpf-linker 0.13.0".into(),
            sources: "aa".into(),
            object: "bb".into(),
        };
        assert_eq!(Record::parse(&record.text()).unwrap(), record);
    }

    #[test]
    fn names_what_is_not_there() {
        assert_eq!(Record::parse("compiler = \"x\"").unwrap_err().to_string(), "no `linker`");
    }
}
