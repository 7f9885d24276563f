//! `cargo xtask package`: a Debian package of the programs, their unit and their manual pages. It is laid out below
//! target/package and closed by dpkg-deb, which every Debian has.

mod trial;

pub use trial::trial;

use crate::install::{self, Need};
use crate::tree::{self, Tree};
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Args {
    /// Of the debug build: install it below a directory of its own, try it there, and remove it. Needs root
    #[arg(long)]
    check: bool,
}

/// What making a package runs.
const NEEDS: &[Need] = &[("dpkg-shlibdeps", "dpkg-dev"), ("strip", "binutils"), ("gzip", "gzip")];

/// The programs, where cargo leaves them and where they go.
const PROGRAMS: &[(&str, &str)] = &[("vrrpd", "usr/sbin/vrrpd"), ("vrrpctl", "usr/bin/vrrpctl")];

/// Everything else: where it is in the tree, and where it goes. What ends with `.gz` is compressed on the way.
const FILES: &[(&str, &str)] = &[
    ("packaging/vrrpd.service", "usr/lib/systemd/system/vrrpd.service"),
    ("packaging/default", "etc/default/vrrpd"),
    ("packaging/dbus/org.keepalived.Vrrp1.conf", "usr/share/dbus-1/system.d/org.keepalived.Vrrp1.conf"),
    ("packaging/keepalived.service.d/vrrpd.conf", "usr/share/doc/vrrpd/examples/keepalived.service.d/vrrpd.conf"),
    ("tests/support/pair.conf", "usr/share/doc/vrrpd/examples/keepalived.conf"),
    ("docs/man/vrrpd.8", "usr/share/man/man8/vrrpd.8.gz"),
    ("docs/man/vrrpctl.8", "usr/share/man/man8/vrrpctl.8.gz"),
    ("docs/man/vrrpd.conf.5", "usr/share/man/man5/vrrpd.conf.5.gz"),
    ("docs/compat.md", "usr/share/doc/vrrpd/compat.md.gz"),
    ("README.md", "usr/share/doc/vrrpd/README.md"),
    ("LICENSE-MIT", "usr/share/doc/vrrpd/copyright"),
    ("LICENSE-APACHE", "usr/share/doc/vrrpd/LICENSE-APACHE.gz"),
];

/// What the administrator may change; the others are told apart by their sums.
const CONFIGURATION: &str = "etc/default/vrrpd";

/// Run by dpkg.
const SCRIPTS: &[&str] = &["postinst", "prerm", "postrm"];

pub fn package(tree: &Tree, args: &Args) -> Result<()> {
    install::ensure(tree, NEEDS)?;
    if args.check {
        tree::finish(&mut tree.cargo(&["build", "--package", "vrrp-daemon", "--bins"]))?;
        return trial(tree);
    }
    tree::finish(&mut tree.cargo(&["build", "--release", "--package", "vrrp-daemon", "--bins"]))?;
    let architecture = architecture(tree)?;
    let name = format!("vrrpd_{}_{architecture}.deb", env!("CARGO_PKG_VERSION"));
    let package = tree.target.join("package").join(name);
    build(tree, "release", "xz", &package)?;
    println!("wrote {}; to install it, as root: apt install {0}", package.display());
    Ok(())
}

/// Makes the package of a profile's programs, which are there already.
fn build(tree: &Tree, profile: &str, compression: &str, package: &Path) -> Result<()> {
    let root = tree.target.join("package/content");
    anew(&root)?;
    for (name, to) in PROGRAMS {
        let to = place(&root.join(to))?;
        let from = tree.target.join(profile).join(name);
        tree::finish(tree.command("strip").arg("-o").arg(&to).arg(from))?;
        fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
    }
    for (from, to) in FILES {
        copy(tree, &tree.root.join(from), &root.join(to))?;
    }
    control(tree, &root)?;
    let compression = format!("-Z{compression}");
    let mut close = tree.command("dpkg-deb");
    close.args(["--root-owner-group", &compression, "--build"]).arg(&root).arg(package);
    tree::output(&mut close).map(drop)
}

/// What dpkg reads and runs.
fn control(tree: &Tree, root: &Path) -> Result<()> {
    let (source, debian) = (tree.root.join("packaging/deb"), root.join("DEBIAN"));
    fs::create_dir(&debian)?;
    let installed = PROGRAMS.iter().chain(FILES).map(|(_, to)| *to);
    let mut size = 0;
    for to in installed.clone() {
        size += fs::metadata(root.join(to)).with_context(|| to)?.len().div_ceil(1024);
    }
    let text = fs::read_to_string(source.join("control"))?
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
        .replace("@ARCHITECTURE@", &architecture(tree)?)
        .replace("@SIZE@", &size.to_string())
        .replace("@DEPENDS@", &libraries(tree, root)?);
    fs::write(debian.join("control"), text)?;
    fs::write(debian.join("conffiles"), format!("/{CONFIGURATION}\n"))?;
    let mut sums = tree.command("md5sum");
    sums.current_dir(root).args(installed.filter(|&to| to != CONFIGURATION));
    fs::write(debian.join("md5sums"), tree::output(&mut sums)? + "\n")?;
    for script in SCRIPTS {
        let to = debian.join(script);
        fs::copy(source.join(script), &to).with_context(|| format!("packaging/deb/{script}"))?;
        fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Debian's name for it.
fn architecture(tree: &Tree) -> Result<String> {
    tree::output(tree.command("dpkg").arg("--print-architecture"))
}

/// The packages of the libraries that the programs were linked with, in the versions that they need.
fn libraries(tree: &Tree, root: &Path) -> Result<String> {
    // It reads nothing of this file, but insists on it.
    let directory = tree.target.join("package/libraries");
    anew(&directory)?;
    fs::write(place(&directory.join("debian/control"))?, "Source: vrrpd\n\nPackage: vrrpd\nArchitecture: any\n")?;
    let mut find = tree.command("dpkg-shlibdeps");
    find.current_dir(&directory).arg("-O").args(PROGRAMS.iter().map(|(_, to)| root.join(to)));
    let found = tree::output(&mut find)?;
    Ok(found.strip_prefix("shlibs:Depends=").context("dpkg-shlibdeps found no library")?.to_owned())
}

fn copy(tree: &Tree, from: &Path, to: &Path) -> Result<()> {
    let name = || from.display().to_string();
    let plain = place(&to.with_extension(""))?;
    let is_compressed = to.extension().is_some_and(|ending| ending == "gz");
    let written = if is_compressed { plain } else { to.to_owned() };
    fs::copy(from, &written).with_context(name)?;
    fs::set_permissions(&written, fs::Permissions::from_mode(0o644))?;
    if is_compressed {
        tree::finish(tree.command("gzip").args(["-9", "--no-name"]).arg(&written))?;
    }
    Ok(())
}

/// The path, with the directories above it.
fn place(path: &Path) -> Result<PathBuf> {
    let above = path.parent().context("a file has a directory")?;
    fs::create_dir_all(above).with_context(|| above.display().to_string())?;
    Ok(path.to_owned())
}

/// An empty directory.
fn anew(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())
}
