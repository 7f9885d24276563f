//! `cargo xtask ebpf`: builds the XDP object, or checks the committed one against its sources.

use crate::object::{self, Program};
use crate::record::{OBJECT, RECORD, Record};
use crate::sources;
use crate::toolchain::{Choice, Toolchain};
use crate::tree::{self, Tree};
use anyhow::{Context, Result, bail};
use std::fs;

#[derive(clap::Args)]
pub struct Args {
    /// Rebuild and compare: equal instructions with the same compiler, the same verdicts with another
    #[arg(long, conflicts_with_all = ["stale_check", "trace"])]
    pub check: bool,
    /// Only compare the sources with those the object was built from; needs no BPF toolchain
    #[arg(long, conflicts_with = "trace")]
    pub stale_check: bool,
    /// Build the object that traces every verdict, into target/bpf/vrrp-trace.bpf.o
    #[arg(long)]
    pub trace: bool,
    /// Which compiler to use
    #[arg(long, value_enum, default_value_t = Choice::Auto)]
    pub toolchain: Choice,
}

pub fn ebpf(tree: &Tree, args: &Args) -> Result<()> {
    if args.stale_check {
        return stale_check(tree);
    }
    if args.check {
        return check(tree, args.toolchain);
    }
    let toolchain = Toolchain::find(tree, args.toolchain)?;
    if args.trace {
        let object = build(tree, &toolchain, &["trace"])?;
        return write(tree, "vrrp-trace.bpf.o", &object);
    }
    let object = build(tree, &toolchain, &[])?;
    let Toolchain { compiler, linker, .. } = toolchain;
    let (sources, hash) = (sources::hash(tree)?, sources::hash_bytes(&object));
    Record { compiler, linker, sources, object: hash }.write(tree, &object)?;
    println!("wrote {OBJECT} ({} octets) and {RECORD}", object.len());
    Ok(())
}

/// Refuses a committed object that does not belong to the sources.
pub fn stale_check(tree: &Tree) -> Result<()> {
    Record::read(tree)?.check(tree)?;
    println!("{OBJECT} belongs to these sources");
    Ok(())
}

/// The stale check, then a rebuild: nobody has to trust a binary in the repository.
pub fn check(tree: &Tree, choice: Choice) -> Result<()> {
    stale_check(tree)?;
    let record = Record::read(tree)?;
    let toolchain = Toolchain::find(tree, choice)?;
    let rebuilt = build(tree, &toolchain, &[])?;
    write(tree, "rebuilt.o", &rebuilt)?;
    let committed = fs::read(tree.root.join(OBJECT)).with_context(|| format!("cannot read {OBJECT}"))?;
    let differences = Program::read(&committed)?.differences(&Program::read(&rebuilt)?);
    if differences.is_empty() {
        println!("the rebuilt object holds the same instructions, data and maps as {OBJECT}");
        return Ok(());
    }
    if (&record.compiler, &record.linker) == (&toolchain.compiler, &toolchain.linker) {
        bail!(
            "{OBJECT} is not what its sources compile to with {}: {}; run `cargo xtask ebpf` and commit",
            record.compiler,
            differences.join("; ")
        );
    }
    println!("{OBJECT} was built with {} and {}; with these the instructions differ", record.compiler, record.linker);
    judge(tree)
}

/// Lets the kernel-against-host tests judge the rebuilt object in place of the committed one.
fn judge(tree: &Tree) -> Result<()> {
    if !tree.has_target("vrrp-tests", "test", "xdp")? {
        println!("this tree has no kernel-against-host tests to judge it by");
        return Ok(());
    }
    let mut tests = tree.cargo(&["test", "--package", "vrrp-tests", "--test", "xdp"]);
    tree::finish(tests.env("VRRP_BPF_OBJECT", tree.target.join("bpf/rebuilt.o")))
        .context("the rebuilt object judges frames differently from the host")
}

fn build(tree: &Tree, toolchain: &Toolchain, features: &[&str]) -> Result<Vec<u8>> {
    let object = object::strip(&toolchain.build(tree, features)?)?;
    // The object is committed; the directories of who built it are nobody's business and make builds differ.
    if names_directory(&object, &tree.root.to_string_lossy()) {
        bail!(
            "the object names {}; the compiler flag that maps this directory away has no effect",
            tree.root.display()
        );
    }
    Ok(object)
}

/// Whether a string in the object's string tables starts with the directory.
fn names_directory(object: &[u8], directory: &str) -> bool {
    let start = format!("\0{directory}/");
    object.windows(start.len()).any(|window| window == start.as_bytes())
}

fn write(tree: &Tree, name: &str, object: &[u8]) -> Result<()> {
    let file = tree.target.join("bpf").join(name);
    fs::write(&file, object).with_context(|| format!("cannot write {}", file.display()))?;
    println!("wrote {} ({} octets)", file.display(), object.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_found_only_at_the_start_of_a_string() {
        assert!(names_directory(b"xdp\0/src/vrrp-ebpf/src/main.rs\0", "/src"));
        assert!(!names_directory(b"xdp\0./vrrp-ebpf/src/main.rs\0", "/src"));
    }
}
