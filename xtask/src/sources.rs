//! The hash of everything the XDP object is made from: sources, locked crates, profile, flags. Not: crates that only run
//! inside the compiler on behalf of macros, and build scripts, or every update of `syn` would make the object stale.

use crate::toolchain::FLAGS;
use crate::tree::{self, Tree};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// Files and directories below the top, in the order they are hashed.
const INPUTS: &[&str] = &["vrrp-common/Cargo.toml", "vrrp-common/src", "vrrp-ebpf/Cargo.toml", "vrrp-ebpf/src"];

/// SHA-256, in hexadecimal.
pub fn hash(tree: &Tree) -> Result<String> {
    let mut sum = Sum::default();
    for input in INPUTS {
        for file in files(&tree.root.join(input))? {
            let name = file.strip_prefix(&tree.root)?.to_string_lossy().into_owned();
            let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            sum.add(&name, &text);
        }
    }
    let manifest = fs::read_to_string(tree.root.join("Cargo.toml")).context("cannot read Cargo.toml")?;
    sum.add("profile", profile(&manifest)?.as_bytes());
    let mut listing = tree.cargo(&["tree", "--locked", "--package", "vrrp-ebpf", "--target", "bpfel-unknown-none"]);
    listing.args(["--edges", "normal", "--no-dedupe", "--prefix", "depth", "--format", " {p} {f}"]);
    sum.add("crates", crates(&tree::output(&mut listing)?).join("\n").as_bytes());
    sum.add("flags", FLAGS.join("\n").as_bytes());
    Ok(sum.hex())
}

/// SHA-256 of one file's content, in hexadecimal.
pub fn hash_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[derive(Default)]
struct Sum(Sha256);

impl Sum {
    /// Name and length go in too: moving a line from one file to the next is a change.
    fn add(&mut self, name: &str, content: &[u8]) {
        self.0.update(format!("{name}\n{}\n", content.len()));
        self.0.update(content);
    }

    fn hex(self) -> String {
        hex(&self.0.finalize())
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Every file at or below `path`, sorted.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // An editor's leavings do not make the object stale.
        if !name.starts_with('.') && !name.ends_with('~') {
            found.extend(files(&entry.path())?);
        }
    }
    found.sort();
    Ok(found)
}

/// What the workspace's manifest says about how the object is compiled.
fn profile(manifest: &str) -> Result<String> {
    let manifest: toml::Table = manifest.parse().context("Cargo.toml")?;
    let at = |path: &[&str]| {
        let mut value = manifest.get(path[0])?;
        for key in &path[1..] {
            value = value.get(key)?;
        }
        Some(value.to_string())
    };
    Ok([at(&["profile", "release"]), at(&["workspace", "package", "edition"])]
        .into_iter()
        .map(Option::unwrap_or_default)
        .collect::<Vec<_>>()
        .join("\n"))
}

/// Names, versions and features of the crates compiled into the object and of its macros, from `cargo tree` with depths.
fn crates(listing: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut macro_depth = None;
    for line in listing.lines() {
        let Some((depth, package)) = line.split_once(' ') else {
            continue;
        };
        let depth: u32 = depth.parse().unwrap_or(0);
        if macro_depth.is_some_and(|above| depth > above) {
            continue;
        }
        macro_depth = package.contains("(proc-macro)").then_some(depth);
        // A member's path is this checkout's; its content is hashed by itself.
        if !package.contains("(/") {
            found.push(package.trim_end().to_owned());
        }
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_crates_and_macros_but_not_what_macros_are_made_of() {
        let listing = "0 vrrp-ebpf v0.1.0 (/src/vrrp-ebpf) \n\
                       1 aya-ebpf v0.2.1 \n\
                       2 aya-ebpf-macros v0.2.0 (proc-macro) \n\
                       3 syn v2.0.1 default\n\
                       4 unicode-ident v1.0.1 \n\
                       2 aya-ebpf-cty v0.3.0 \n\
                       1 vrrp-common v0.1.0 (/src/vrrp-common) \n\
                       2 bytemuck v1.25.2 derive";
        let expected = [
            "aya-ebpf v0.2.1",
            "aya-ebpf-cty v0.3.0",
            "aya-ebpf-macros v0.2.0 (proc-macro)",
            "bytemuck v1.25.2 derive",
        ];
        assert_eq!(crates(listing), expected);
    }

    #[test]
    fn profile_ignores_the_rest_of_the_manifest() {
        let before = "[workspace.package]\nedition = \"2024\"\n[profile.release]\nlto = true\n";
        let after = format!("{before}[workspace.dependencies]\nanyhow = \"1\"\n[profile.dev]\nopt-level = 3\n");
        assert_eq!(profile(before).unwrap(), profile(&after).unwrap());
        assert_ne!(profile(before).unwrap(), profile(&before.replace("true", "false")).unwrap());
    }

    #[test]
    fn where_a_line_stands_counts() {
        let sum = |files: &[(&str, &str)]| {
            let mut sum = Sum::default();
            files.iter().for_each(|(name, text)| sum.add(name, text.as_bytes()));
            sum.hex()
        };
        assert_ne!(sum(&[("a", "xy"), ("b", "z")]), sum(&[("a", "x"), ("b", "yz")]));
        assert_ne!(sum(&[("a", "x")]), sum(&[("b", "x")]));
    }

    #[test]
    fn hexadecimal() {
        assert_eq!(hash_bytes(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
