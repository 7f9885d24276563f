//! The source tree: where things are in it, and how cargo and other programs are started there.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Tree {
    /// The workspace's top directory, absolute.
    pub root: PathBuf,
    /// Cargo's target directory, absolute.
    pub target: PathBuf,
}

impl Tree {
    pub fn find() -> Result<Self> {
        // `cargo run` names the package it runs; the binary started by itself falls back on where it was compiled.
        let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&package).parent().context("xtask has no workspace above it")?.to_owned();
        if !root.join("vrrp-ebpf").is_dir() {
            bail!("{}: not the workspace of vrrpd; start this as `cargo xtask` inside it", root.display());
        }
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => std::path::absolute(dir)?,
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// `program`, to be started at the top of the tree.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        // `cargo run` points this at its own libraries, which another compiler must not load.
        command.current_dir(&self.root).env_remove("LD_LIBRARY_PATH");
        command
    }

    /// The cargo that started this program.
    pub fn cargo(&self, words: &[&str]) -> Command {
        let mut command = self.command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(words);
        command
    }

    /// Names of the package's targets of one kind: `bin`, `test`, ...
    pub fn targets(&self, package: &str, kind: &str) -> Result<Vec<String>> {
        let text = output(&mut self.cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
        let metadata: serde_json::Value = serde_json::from_str(&text).context("cargo metadata")?;
        let list = |value: &serde_json::Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let packages = list(&metadata, "packages");
        let targets = packages.iter().filter(|found| found["name"] == package).flat_map(|found| list(found, "targets"));
        Ok(targets
            .filter(|target| list(target, "kind").iter().any(|found| found == kind))
            .filter(|target| kind != "test" || target["test"] == true)
            .filter_map(|target| target["name"].as_str().map(str::to_owned))
            .collect())
    }

    pub fn has_target(&self, package: &str, kind: &str, name: &str) -> Result<bool> {
        Ok(self.targets(package, kind)?.iter().any(|target| target == name))
    }
}

/// Runs to the end; a failure names the command.
pub fn finish(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", words(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", words(command));
    }
    Ok(())
}

/// What the command prints, without the final newline; its complaints join the error.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {}", words(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("{} failed ({}): {said}", words(command), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// The command as a person would type it.
pub fn words(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let mut text = program.to_string_lossy().into_owned();
    for word in command.get_args() {
        text.push(' ');
        text.push_str(&word.to_string_lossy());
    }
    text
}

/// Where `program` is, looking also where root's programs live.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// Whether the effective user is root. The kernel gives a process's directory to that user.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
