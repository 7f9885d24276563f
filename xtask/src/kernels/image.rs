//! What a guest boots into: a few of the host's programs with their libraries, the tests, the modules that they need,
//! and a script that runs them.

use super::package::{Kernel, Tools};
use crate::tree::{self, Tree};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Of the host's programs, what the script and the tests call.
const HOST: [&str; 3] = ["sh", "mount", "ip"];
/// Devices that the tests make. Some kernels have one or the other built in.
const MODULES: [&str; 8] = ["veth", "macvlan", "ipvlan", "vrf", "bridge", "8021q", "bonding", "af_packet"];

/// What is to prove itself, as it was built for the host: to build it optimized takes longer than the guests gain by it.
pub struct Programs(Vec<(String, PathBuf)>);

impl Programs {
    pub fn build(tree: &Tree) -> Result<Self> {
        tree::finish(&mut tree.cargo(&["build", "--package", "vrrp-daemon", "--bins"]))?;
        let tests =
            ["test", "--package", "vrrp-tests", "--test", "xdp", "--test", "guest", "--test", "e2e", "--no-run"];
        let text = tree::output(tree.cargo(&tests).arg("--message-format=json").stderr(Stdio::inherit()))?;
        let built = text.lines().filter_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            // Of an ordinary library or binary it says the same, without a test in it.
            let name = message["profile"]["test"].as_bool()?.then(|| message["target"]["name"].as_str())??;
            Some((name.to_owned(), message["executable"].as_str()?.into()))
        });
        let daemon = ["vrrpd", "vrrpctl"].map(|name| (name.to_owned(), tree.target.join("debug").join(name)));
        Ok(Self(built.chain(daemon).collect()))
    }
}

/// Writes the archive that the kernel unpacks as its root.
pub fn write(tree: &Tree, tools: &Tools, kernel: &Kernel, programs: &Programs, runs: &[&str]) -> Result<PathBuf> {
    let root = Root::new(tree, tools, kernel.guest().join("root"))?;
    for program in HOST {
        let path = tree::which(program).with_context(|| format!("{program} is missing"))?;
        root.add(&path, &format!("bin/{program}"))?;
    }
    root.add(&tools.path("kmod").context("kmod is missing")?, "bin/insmod")?;
    for (name, path) in &programs.0 {
        root.add(path, &format!("t/{name}"))?;
        // Most of a debug build is for debuggers.
        tree::finish(tree.command("strip").arg("--strip-debug").arg(root.path.join("t").join(name)))?;
    }
    let modules = root.add_modules(kernel)?;
    root.write("etc/passwd", "root:x:0:0:root:/:/bin/sh\n")?;
    root.write("init", &script(&modules, runs))?;
    root.archive()
}

/// Runs each of the commands, saying on the second serial port which, and how it ended.
fn script(modules: &[String], runs: &[&str]) -> String {
    let mut lines = vec![
        "#!/bin/sh".to_owned(),
        "export PATH=/bin VRRP_REQUIRE=1".into(),
        "mount -t proc proc /proc".into(),
        "mount -t sysfs sys /sys".into(),
        "mount -t devtmpfs dev /dev".into(),
        "mount -t tmpfs run /run".into(),
        "exec >/dev/ttyS1 2>&1 </dev/null".into(),
    ];
    lines.extend(modules.iter().map(|module| format!("insmod /m/{module}")));
    lines.push("ip link set lo up".into());
    lines.extend(runs.iter().map(|run| format!("echo '@run {run}'; /t/{run}; echo \"@end $?\"")));
    // A reboot ends the emulation.
    lines.push("echo @done; echo b >/proc/sysrq-trigger\n".into());
    lines.join("\n")
}

/// The guest's root while it is put together.
struct Root<'a> {
    tree: &'a Tree,
    tools: &'a Tools,
    path: PathBuf,
}

impl<'a> Root<'a> {
    fn new(tree: &'a Tree, tools: &'a Tools, path: PathBuf) -> Result<Self> {
        if path.is_dir() {
            fs::remove_dir_all(&path)?;
        }
        for directory in ["bin", "dev", "etc", "lib", "m", "proc", "run", "sys", "t", "tmp"] {
            fs::create_dir_all(path.join(directory)).with_context(|| format!("cannot make {}", path.display()))?;
        }
        Ok(Self { tree, tools, path })
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let file = self.path.join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?)
    }

    fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
        Ok(())
    }

    /// A program, its libraries and its loader.
    fn add(&self, program: &Path, name: &str) -> Result<()> {
        self.copy(program, &self.path.join(name))?;
        let mut ldd = self.tree.command("ldd");
        let listed = tree::output(ldd.arg(program).env("LD_LIBRARY_PATH", self.tools.library_path()))?;
        for file in listed.lines().flat_map(|line| line.split_whitespace()).filter(|word| word.starts_with('/')) {
            let file = Path::new(file);
            // The loader has its place in every program; libraries are looked for in /lib.
            let place = if file.starts_with("/lib64") {
                &file.strip_prefix("/")?.to_owned()
            } else {
                &Path::new("lib").join(file.file_name().unwrap_or_default())
            };
            let place = self.path.join(place);
            fs::create_dir_all(place.parent().context("a directory")?)?;
            if !place.exists() {
                self.copy(file, &place)?;
            }
        }
        Ok(())
    }

    /// The modules and what they need, in the order to load them in.
    fn add_modules(&self, kernel: &Kernel) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for module in MODULES {
            let mut modprobe = self.tools.kmod(self.tree, "modprobe")?;
            modprobe.arg("-d").arg(&kernel.directory).args(["-S", &kernel.release, "--show-depends", module]);
            for line in tree::output(&mut modprobe)?.lines() {
                // A line is `insmod FILE OPTION..`, or `builtin NAME`.
                let Some(words) = line.trim().strip_prefix("insmod ") else { continue };
                let file = Path::new(words.split(' ').next().unwrap_or(words));
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if !names.contains(&name) {
                    self.copy(file, &self.path.join("m").join(&name))?;
                    names.push(name);
                }
            }
        }
        Ok(names)
    }

    fn archive(&self) -> Result<PathBuf> {
        let file = self.path.with_file_name("root.cpio");
        let names = tree::output(self.tree.command("find").arg(".").current_dir(&self.path))?;
        let list = self.path.with_file_name("root.list");
        fs::write(&list, names + "\n")?;
        let mut cpio = self.tools.command(self.tree, "cpio")?;
        cpio.args(["--create", "--format=newc", "--quiet"]).current_dir(&self.path);
        tree::finish(cpio.stdin(File::open(&list)?).stdout(File::create(&file)?))?;
        Ok(file)
    }
}
