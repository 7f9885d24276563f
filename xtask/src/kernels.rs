//! `cargo xtask kernels`: boots Debian's kernels under qemu's software emulation and runs the tests of the XDP program
//! there, and a daemon. No KVM, no root, nothing is installed: what it lacks is unpacked below target/kernels.

mod guest;
mod image;
mod package;

use crate::report::Report;
use crate::tree::Tree;
use anyhow::{Context, Result, bail};
use guest::Story;
use image::Programs;
use package::{Kernel, Tools};
use std::str::FromStr;

/// Kernels that must take the program besides the host's own, and Debian's packages that bring the newest of each.
const KERNELS: [(&str, &str); 2] = [("6.1", "linux-image-cloud-amd64"), ("6.12", "linux-image-6.12-cloud-amd64")];

/// What each of them runs: every test of the program, those that need a guest, one after the other, since emulation is slow,
/// one daemon that becomes master behind the program, and one round of two.
const RUNS: [&str; 4] = [
    "xdp",
    "guest --test-threads=1",
    "e2e --exact without_bpf::adverts_are_judged_by_xdp_where_it_can_be_had",
    "e2e --exact failover::crash_return_and_stop_v3",
];

#[derive(clap::Args)]
pub struct Args {
    /// 6.1, 6.12, or any Debian package of a kernel, such as linux-image-rt-amd64
    #[arg(default_values = KERNELS.map(|of| of.0))]
    kernels: Vec<Wanted>,
    /// A kernel that cannot be had fails, and is not skipped; CI=true and VRRP_REQUIRE=1 imply it
    #[arg(long)]
    require: bool,
}

/// A kernel, and where it is found.
#[derive(Clone)]
pub struct Wanted {
    name: String,
    package: String,
    /// How the package behind that one must begin.
    begins: String,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let (package, begins) = match KERNELS.iter().find(|(version, _)| *version == name) {
            Some((version, package)) => (*package, format!("linux-image-{version}.")),
            None if name.starts_with("linux-image-") => (name, "linux-image-".to_owned()),
            None => {
                return Err(format!("there are {} and Debian's linux-image-...", KERNELS.map(|of| of.0).join(", ")));
            }
        };
        Ok(Self { name: name.to_owned(), package: package.to_owned(), begins })
    }
}

pub fn kernels(tree: &Tree, args: &Args) -> Result<()> {
    let is = |variable, wanted| std::env::var(variable).is_ok_and(|value| value == wanted);
    let require = args.require || is("CI", "true") || is("VRRP_REQUIRE", "1");
    let mut report = Report::default();
    steps(tree, &mut report, require, &args.kernels);
    report.print();
    std::process::exit(i32::from(report.failed()))
}

/// All of [`KERNELS`].
pub fn every(tree: &Tree, report: &mut Report, require: bool) {
    let wanted: Vec<_> = KERNELS.iter().filter_map(|(version, _)| version.parse().ok()).collect();
    steps(tree, report, require, &wanted);
}

fn steps(tree: &Tree, report: &mut Report, require: bool, kernels: &[Wanted]) {
    let tools = match Tools::find(tree).context("cannot emulate a machine") {
        Ok(tools) => tools,
        Err(error) => return lack(report, "cargo xtask kernels", require, error),
    };
    let mut programs = None;
    report.step("build what the kernels run", || {
        programs = Some(Programs::build(tree)?);
        Ok(())
    });
    let Some(programs) = programs else { return };
    let mut found = Vec::new();
    for Wanted { name, package, begins } in kernels {
        match Kernel::fetch(tree, &tools, package, begins) {
            Ok(kernel) => found.push(kernel),
            Err(error) => lack(report, &format!("kernel {name}"), require, error),
        }
    }
    if found.is_empty() {
        return;
    }
    let releases: Vec<_> = found.iter().map(|kernel| kernel.release.as_str()).collect();
    let mut notes = Vec::new();
    report.tests(&format!("tests on Linux {}", releases.join(" and ")), |tally| {
        for (kernel, story) in found.iter().zip(side_by_side(tree, &tools, &found, &programs)) {
            match story {
                Ok(story) => {
                    tally.add(story.tally);
                    notes.extend(story.verifier.map(|line| format!("Linux {}: {line}", kernel.release)));
                }
                Err(error) => tally.failed.push(format!("Linux {}: {error:#}", kernel.release)),
            }
        }
        Ok(())
    });
    report.notes.extend(notes);
}

/// What each of the kernels told. An emulated machine has one processor, the host has more.
fn side_by_side(tree: &Tree, tools: &Tools, kernels: &[Kernel], programs: &Programs) -> Vec<Result<Story>> {
    std::thread::scope(|scope| {
        let guests: Vec<_> =
            kernels.iter().map(|kernel| scope.spawn(|| prove(tree, tools, kernel, programs))).collect();
        guests.into_iter().map(|guest| guest.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

fn lack(report: &mut Report, step: &str, require: bool, error: anyhow::Error) {
    if require {
        report.step(step, || Err(error));
    } else {
        report.skip(step, &format!("{error:#}"));
    }
}

/// Boots it, a second time when the first one ended without a word: emulation does that now and then.
fn prove(tree: &Tree, tools: &Tools, kernel: &Kernel, programs: &Programs) -> Result<Story> {
    let image = image::write(tree, tools, kernel, programs, &RUNS)?;
    for _ in 0..2 {
        let story = guest::boot(tree, tools, kernel, &image)?;
        if story.done {
            return Ok(story);
        }
        let (release, said) = (&kernel.release, guest::last_words(kernel));
        eprintln!("{release} | the guest ended before its tests did; its kernel said:\n{said}");
    }
    bail!(
        "the guest ended twice before its tests did; all that its kernel said is in {}",
        guest::console(kernel).display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_packages_are_known() {
        for (version, package) in KERNELS {
            assert_eq!(version.parse::<Wanted>().map(|wanted| wanted.package), Ok(package.to_owned()));
        }
        assert!("linux-image-rt-amd64".parse::<Wanted>().is_ok());
        assert_eq!("6.2".parse::<Wanted>().err().unwrap(), "there are 6.1, 6.12 and Debian's linux-image-...");
    }
}
