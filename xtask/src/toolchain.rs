//! Finding, or installing, a compiler and linker for BPF, and running them. Two ways: Debian's own packages, which hold
//! `core` compiled for BPF; or rustup's nightly with the `rust-src` component, which compiles it.

use crate::install;
use crate::tree::{self, Tree};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiler flags of the object. Line information is for the verifier's log; it costs nothing in the kernel.
pub const FLAGS: &[&str] = &["-Cdebuginfo=2", "-Clink-arg=--btf"];

const LINKER_VERSION: &str = "0.13";
const TARGET: &str = "bpfel-unknown-none";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const REMEDY: &str = "either become root on Debian 12, where this command installs what it needs, or run \
    `rustup toolchain install nightly --component rust-src` and `cargo install bpf-linker`";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// Whichever is there; else Debian's, installed
    Auto,
    /// rustc-web and libstd-rust-web-dev-bpf
    Debian,
    /// rustup's nightly with rust-src, and a bpf-linker on PATH
    Nightly,
}

pub struct Toolchain {
    nightly: bool,
    linker_path: PathBuf,
    pub compiler: String,
    pub linker: String,
}

impl Toolchain {
    pub fn find(tree: &Tree, choice: Choice) -> Result<Self> {
        let found = match choice {
            Choice::Debian => Self::debian(tree),
            Choice::Nightly => Self::nightly(tree),
            Choice::Auto if debian_knows_bpf(tree) => Self::debian(tree),
            Choice::Auto => Self::nightly(tree).or_else(|_| Self::debian(tree)),
        };
        let found = found.with_context(|| format!("no toolchain for the XDP object; {REMEDY}"))?;
        println!("compiler: {} ({})", found.compiler, if found.nightly { "rustup's nightly" } else { DEBIAN_RUSTC });
        println!("linker: {} ({})", found.linker, found.linker_path.display());
        Ok(found)
    }

    fn debian(tree: &Tree) -> Result<Self> {
        if !debian_knows_bpf(tree) {
            install::install(tree, &["rustc-web", "libstd-rust-web-dev-bpf"])?;
        }
        let version = Version::of(tree.command(DEBIAN_RUSTC))?;
        let llvm = version.llvm_major();
        let root = tree.target.join(format!("tools/llvm-{llvm}"));
        let linker_path = root.join("bin/bpf-linker");
        let linker = match linker_version(tree, &linker_path) {
            Ok(linker) => linker,
            Err(_) => {
                install_linker(tree, llvm, &root)?;
                linker_version(tree, &linker_path)?
            }
        };
        Ok(Self { nightly: false, linker_path, compiler: version.name(), linker })
    }

    fn nightly(tree: &Tree) -> Result<Self> {
        let rustc = || {
            let mut rustup = tree.command("rustup");
            rustup.args(["run", "nightly", "rustc"]);
            rustup
        };
        let version = Version::of(rustc())?;
        let sysroot = tree::output(rustc().args(["--print", "sysroot"]))?;
        if !Path::new(&sysroot).join("lib/rustlib/src/rust/library/core").is_dir() {
            bail!("rustup's nightly has no rust-src component");
        }
        let linker_path = tree::which("bpf-linker").context("bpf-linker is not on PATH")?;
        let linker = linker_version(tree, &linker_path)?;
        Ok(Self { nightly: true, linker_path, compiler: version.name(), linker })
    }

    /// Compiles the program and returns the object as the linker wrote it. The target directory is its own: a build of
    /// the workspace running at the same time neither waits for this one nor throws its work away.
    pub fn build(&self, tree: &Tree, features: &[&str]) -> Result<Vec<u8>> {
        let target = tree.target.join("bpf");
        // The crates' directories must exist before their names can be kept out of the object.
        tree::finish(&mut tree.cargo(&["fetch", "--quiet", "--locked", "--target", TARGET]))?;
        let mut cargo = if self.nightly {
            let mut rustup = tree.command("rustup");
            rustup.args(["run", "nightly", "cargo"]).env_remove("RUSTC");
            rustup
        } else {
            let mut cargo = tree.cargo(&[]);
            // Compiling for BPF uses features that Debian's stable compiler grants only when asked like this.
            cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
            cargo
        };
        cargo.args(["build", "--locked", "--package", "vrrp-ebpf", "--bin", "vrrp", "--release", "--target", TARGET]);
        if self.nightly {
            cargo.arg("-Zbuild-std=core");
        }
        if !features.is_empty() {
            cargo.arg("--features").arg(features.join(","));
        }
        cargo.arg("--target-dir").arg(&target);
        cargo.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", flags(tree).join("\x1f"));
        cargo.env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &self.linker_path);
        // The linker for BPF joins and optimizes the crates itself.
        cargo.env("CARGO_PROFILE_RELEASE_LTO", "off");
        tree::finish(&mut cargo)?;
        let file = target.join(TARGET).join("release/vrrp");
        fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
    }
}

/// [`FLAGS`], and what keeps this machine's directories out of the object's line information.
fn flags(tree: &Tree) -> Vec<String> {
    let mut flags: Vec<String> = FLAGS.iter().map(|flag| flag.to_string()).collect();
    let mut hide = |dir: &Path, name: &str| flags.push(format!("--remap-path-prefix={}={name}", dir.display()));
    let home = std::env::var_os("HOME").map(PathBuf::from);
    if let Some(home) = &home {
        hide(home, "home");
    }
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    if let Some(cargo) = cargo.or(home.map(|home| home.join(".cargo"))) {
        // One directory for each registry, named after its host.
        for registry in fs::read_dir(cargo.join("registry/src")).into_iter().flatten().flatten() {
            hide(&registry.path(), "registry");
        }
    }
    // The last that matches wins.
    hide(&tree.root, ".");
    flags
}

fn debian_knows_bpf(tree: &Tree) -> bool {
    let mut rustc = tree.command(DEBIAN_RUSTC);
    let Ok(libraries) = tree::output(rustc.args(["--print", "target-libdir", "--target", TARGET])) else {
        return false;
    };
    let Ok(entries) = fs::read_dir(libraries) else {
        return false;
    };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
}

/// bpf-linker links with the LLVM that the compiler has, or it cannot read the compiler's bitcode.
fn install_linker(tree: &Tree, llvm: u32, root: &Path) -> Result<()> {
    let prefix = PathBuf::from(format!("/usr/lib/llvm-{llvm}"));
    let packages = [format!("llvm-{llvm}-dev"), format!("libpolly-{llvm}-dev")];
    let mut missing: Vec<&str> = Vec::new();
    if !prefix.join("bin/llvm-config").exists() {
        missing.extend(packages.iter().map(String::as_str));
    }
    let headers = [("/usr/include/zlib.h", "zlib1g-dev"), ("/usr/include/zstd.h", "libzstd-dev")];
    missing.extend(install::missing(&headers));
    missing.extend(install::missing(&[("g++", "g++")]));
    if !missing.is_empty() {
        install::install(tree, &missing)?;
    }
    println!("building bpf-linker {LINKER_VERSION} for LLVM {llvm}; about a minute, once");
    let mut cargo = tree.cargo(&["install", "bpf-linker", "--quiet", "--locked", "--force", "--no-default-features"]);
    cargo.args(["--version", &format!("~{LINKER_VERSION}"), "--features", &format!("llvm-{llvm}")]);
    cargo.arg("--root").arg(root);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([prefix.join("bin")].into_iter().chain(std::env::split_paths(&path)))?;
    tree::finish(cargo.env("LLVM_PREFIX", &prefix).env("PATH", path))
}

fn linker_version(tree: &Tree, linker: &Path) -> Result<String> {
    let line = tree::output(tree.command(linker).arg("--version"))?;
    if !line.starts_with(&format!("bpf-linker {LINKER_VERSION}.")) {
        bail!("{} is {line}; {LINKER_VERSION} is wanted", linker.display());
    }
    Ok(line)
}

/// What `rustc -vV` says.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    rustc: String,
    llvm: String,
}

impl Version {
    fn of(mut rustc: Command) -> Result<Self> {
        Self::parse(&tree::output(rustc.arg("-vV"))?).context("`rustc -vV` names no release or LLVM version")
    }

    fn parse(text: &str) -> Option<Self> {
        let first = text.lines().next()?;
        // The name ends with the first parenthesis: Debian adds a remark on how it was built.
        let end = first.find(')').map_or(first.len(), |at| at + 1);
        let llvm = text.lines().find_map(|line| line.strip_prefix("LLVM version: "))?.trim();
        llvm.split('.').next()?.parse::<u32>().ok()?;
        first.starts_with("rustc ").then(|| Self { rustc: first[..end].into(), llvm: llvm.into() })
    }

    fn llvm_major(&self) -> u32 {
        self.llvm.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0)
    }

    fn name(&self) -> String {
        format!("{}, LLVM {}", self.rustc, self.llvm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_debian_s_compiler() {
        let text = "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)\nbinary: rustc\n\
                    release: 1.96.0\nLLVM version: 22.1.8";
        let version = Version::parse(text).unwrap();
        assert_eq!(version.name(), "rustc 1.96.0 (ac68faa20 2026-05-25), LLVM 22.1.8");
        assert_eq!(version.llvm_major(), 22);
    }

    #[test]
    fn refuses_what_is_no_compiler() {
        assert_eq!(Version::parse("cargo 1.95.0\nLLVM version: 22.1"), None);
        assert_eq!(Version::parse("rustc 1.95.0\nLLVM version: none"), None);
        assert_eq!(Version::parse(""), None);
    }
}
