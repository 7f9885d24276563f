//! The package as an administrator meets it, below a directory of its own: installed beside a configuration, run, removed.

use super::{CONFIGURATION, FILES, NEEDS as MAKING, PROGRAMS, anew, build, place};
use crate::install::{self, Need};
use crate::tree::{self, Tree};
use anyhow::{Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What a trial runs.
const NEEDS: &[Need] = &[("groff", "groff-base"), ("systemd-analyze", "systemd")];

/// What an administrator wrote before there was a package.
const WRITTEN: &str = "\
vrrp_instance VI_1 {
    interface lo
    virtual_router_id 51
    virtual_ipaddress {
        192.0.2.100
    }
}
";

/// Makes the package of the debug build, and tries it.
pub fn trial(tree: &Tree) -> Result<()> {
    install::ensure(tree, &[MAKING, NEEDS].concat())?;
    let package = tree.target.join("package/trial.deb");
    build(tree, "debug", "none", &package)?;
    let root = tree.target.join("package/trial");
    anew(&root)?;
    let conf = place(&root.join("etc/keepalived/keepalived.conf"))?;
    fs::write(&conf, WRITTEN)?;
    fs::create_dir(root.join("run"))?;
    let before = listing(tree, &root)?;

    dpkg(tree, &root, "--install", &package)?;
    for (_, to) in PROGRAMS.iter().chain(FILES) {
        ensure!(root.join(to).is_file(), "{to} was not installed");
    }
    let status = |program: &str| tree.command(root.join(program));
    let version = tree::output(status("usr/sbin/vrrpd").arg("--version"))?;
    ensure!(version == concat!("vrrpd ", env!("CARGO_PKG_VERSION")), "vrrpd --version says {version:?}");
    let checked = tree::output(status("usr/bin/vrrpctl").arg("check").arg(&conf))?;
    ensure!(checked.contains("VI_1") && checked.contains("192.0.2.100"), "vrrpctl check says {checked}");
    unit(tree, &root)?;
    for (_, page) in FILES.iter().filter(|(_, to)| to.starts_with("usr/share/man")) {
        manual_page(tree, &root.join(page))?;
    }

    dpkg(tree, &root, "--remove", "vrrpd".as_ref())?;
    ensure!(root.join(CONFIGURATION).exists(), "{CONFIGURATION} does not wait for the package to come back");
    // Where the daemon ran, which is empty once it has stopped.
    fs::create_dir(root.join("run/vrrpd"))?;
    dpkg(tree, &root, "--purge", "vrrpd".as_ref())?;
    let after = listing(tree, &root)?;
    ensure!(before == after, "before it was installed:\n{before}\nafter it was purged:\n{after}");
    ensure!(fs::read_to_string(&conf)? == WRITTEN, "the configuration was changed");
    fs::remove_file(package)?;
    println!("the package was installed, tried and removed");
    Ok(())
}

/// The package's scripts are told by DPKG_ROOT that they are not on a host.
fn dpkg(tree: &Tree, root: &Path, what: &str, of: &Path) -> Result<()> {
    let admin = root.join("var/lib/dpkg");
    for directory in ["info", "updates"] {
        fs::create_dir_all(admin.join(directory))?;
    }
    if !admin.join("status").exists() {
        fs::write(admin.join("status"), "")?;
    }
    let mut dpkg = tree.command("dpkg");
    // Libraries are the host's: none is installed there.
    dpkg.args(["--force-depends", "--force-script-chrootless"]).arg(format!("--root={}", root.display()));
    tree::output(dpkg.arg(what).arg(of)).map(drop)
}

/// systemd's own reading of the unit, with the program where it is now.
fn unit(tree: &Tree, root: &Path) -> Result<()> {
    let text = fs::read_to_string(root.join("usr/lib/systemd/system/vrrpd.service"))?;
    let program = root.join("usr/sbin/vrrpd").display().to_string();
    let unit = tree.target.join("package/vrrpd.service");
    fs::write(&unit, text.replace("/usr/sbin/vrrpd", &program))?;
    said_nothing(tree.command("systemd-analyze").args(["verify", "--man=no"]).arg(&unit), "vrrpd.service")
}

fn manual_page(tree: &Tree, page: &Path) -> Result<()> {
    let plain = page.with_extension("");
    let text = tree::output(tree.command("gzip").args(["--decompress", "--stdout"]).arg(page))?;
    fs::write(&plain, text + "\n")?;
    let said = said_nothing(tree.command("groff").args(["-man", "-ww", "-z"]).arg(&plain), "");
    fs::remove_file(plain)?;
    said
}

/// Fails by what the command says of `word`.
fn said_nothing(command: &mut Command, word: &str) -> Result<()> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let ours: Vec<_> = said.lines().filter(|line| line.contains(word)).collect();
    ensure!(ours.is_empty(), "{}: {}", tree::words(command), ours.join("\n"));
    Ok(())
}

/// What is there, but for dpkg's own.
fn listing(tree: &Tree, root: &Path) -> Result<String> {
    let find = ["(", "-path", "./var", "-prune", ")", "-o", "-type", "f", "-print"];
    let all = tree::output(tree.command("find").current_dir(root).arg(".").args(find))?;
    let mut lines: Vec<_> = all.lines().collect();
    lines.sort_unstable();
    Ok(lines.join("\n"))
}
