//! Debian packages unpacked below target/kernels, not installed: kernels, and what boots them as far as the host lacks it.

use crate::tree::{self, Tree};
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// Programs and their packages.
const TOOLS: [(&str, &str); 3] = [("cpio", "cpio"), ("kmod", "kmod"), ("qemu-system-x86_64", "qemu-system-x86")];

/// Where packages hold programs and libraries, with and without the merge of `/` and `/usr`.
const PROGRAMS: [&str; 2] = ["usr/bin", "bin"];
const LIBRARIES: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
/// Where qemu looks for its firmware.
const FIRMWARE: [&str; 2] = ["usr/share/qemu", "usr/share/seabios"];

pub struct Tools {
    directory: PathBuf,
}

impl Tools {
    pub fn find(tree: &Tree) -> Result<Self> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) || tree::which("apt-get").is_none() {
            bail!("Debian's kernels are booted on Debian for x86-64 only");
        }
        let tools = Self { directory: tree.target.join("kernels/tools") };
        let packages: Vec<_> = TOOLS.iter().filter(|tool| tools.path(tool.0).is_none()).map(|tool| tool.1).collect();
        if !packages.is_empty() {
            update(tree);
            // With all that these need; what the host has already is not listed.
            let plan = tree::output(
                tree.command("apt-get").args(["-s", "install", "--no-install-recommends"]).args(packages),
            )?;
            let names: Vec<_> = plan.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next()).collect();
            unpack(tree, &names, &tools.directory)?;
        }
        Ok(tools)
    }

    /// One of the unpacked programs, or the host's.
    pub fn path(&self, program: &str) -> Option<PathBuf> {
        let unpacked = PROGRAMS.map(|place| self.directory.join(place).join(program));
        unpacked.into_iter().find(|file| file.is_file()).or_else(|| tree::which(program))
    }

    /// `program`, with what it looks for.
    pub fn command(&self, tree: &Tree, program: &str) -> Result<Command> {
        let path = self.path(program).with_context(|| format!("{program} is missing"))?;
        let mut command = tree.command(path);
        command.env("LD_LIBRARY_PATH", self.library_path());
        Ok(command)
    }

    /// `depmod` or `modprobe`: kmod goes by the name that it is called by.
    pub fn kmod(&self, tree: &Tree, name: &str) -> Result<Command> {
        let mut command = self.command(tree, "kmod")?;
        command.arg0(name);
        Ok(command)
    }

    pub fn library_path(&self) -> String {
        LIBRARIES.map(|place| self.directory.join(place).display().to_string()).join(":")
    }

    pub fn firmware(&self) -> [PathBuf; 2] {
        FIRMWARE.map(|place| self.directory.join(place))
    }
}

/// An unpacked kernel.
pub struct Kernel {
    pub directory: PathBuf,
    /// As `uname -r` says it.
    pub release: String,
}

impl Kernel {
    /// The newest that the package stands for, if its name begins so; packages come and go, so that no version is named.
    pub fn fetch(tree: &Tree, tools: &Tools, package: &str, begins: &str) -> Result<Self> {
        let place = |name: &str| tree.target.join("kernels").join(name);
        let mut name = resolve(tree, package, begins);
        if !name.as_ref().is_ok_and(|name| place(name).is_dir()) {
            update(tree);
            name = resolve(tree, package, begins);
        }
        let name = name?;
        let directory = place(&name);
        unpack(tree, &[&name], &directory)?;
        let release = name.trim_start_matches("linux-image-").to_owned();
        if !directory.join("lib/modules").join(&release).join("modules.dep").exists() {
            tree::finish(tools.kmod(tree, "depmod")?.arg("-b").arg(&directory).arg(&release))?;
        }
        Ok(Self { directory, release })
    }

    pub fn image(&self) -> PathBuf {
        self.directory.join("boot").join(format!("vmlinuz-{}", self.release))
    }

    /// Where its guest is put together, and where the guest's kernel writes to `console`.
    pub fn guest(&self) -> PathBuf {
        self.directory.join("guest")
    }
}

/// The package behind one that only depends on the newest.
fn resolve(tree: &Tree, package: &str, begins: &str) -> Result<String> {
    let text = tree::output(tree.command("apt-cache").args(["depends", "--important", package]))?;
    let mut behind = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
    let name = behind.next().map_or_else(|| package.to_owned(), |name| format!("linux-image-{name}"));
    if !name.starts_with(begins) {
        bail!("apt knows {name} as {package}, and none that begins with {begins}");
    }
    Ok(name)
}

/// Once, and as far as this user may; what the lists at hand say has to do otherwise.
fn update(tree: &Tree) {
    static DONE: AtomicBool = AtomicBool::new(false);
    if tree::is_root() && !DONE.swap(true, Ordering::Relaxed) {
        println!("apt-get update");
        if tree::finish(tree.command("apt-get").args(["-qq", "update"])).is_err() {
            eprintln!("apt-get update failed; trying with the lists at hand");
        }
    }
}

/// Downloads packages and unpacks them into a directory that is there when all of it is.
fn unpack(tree: &Tree, packages: &[&str], directory: &Path) -> Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    println!("unpacking {} in {}", packages.join(" "), directory.display());
    let mut partial = directory.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    if partial.is_dir() {
        fs::remove_dir_all(&partial)?;
    }
    let archives = partial.join("archives");
    fs::create_dir_all(&archives).with_context(|| format!("cannot make {}", archives.display()))?;
    // As the user who owns target/, not as apt's own, who may not write there.
    let words = ["-qq", "-o", "APT::Sandbox::User=root", "download"];
    tree::finish(tree.command("apt-get").args(words).args(packages).current_dir(&archives))
        .context("not to be had from the configured mirrors")?;
    for archive in fs::read_dir(&archives)? {
        tree::finish(tree.command("dpkg-deb").arg("-x").arg(archive?.path()).arg(&partial))?;
    }
    fs::remove_dir_all(&archives)?;
    fs::rename(&partial, directory).with_context(|| format!("cannot make {}", directory.display()))
}
