//! `cargo xtask run`: the release daemon in the foreground, or the demonstration when there are no words for it.

use crate::install;
use crate::tree::{self, Tree};
use anyhow::{Context, Result, bail};
use std::os::unix::process::CommandExt;

#[derive(clap::Args)]
pub struct Args {
    /// For vrrpd, after `--`; `-n -l` (foreground, log to the terminal) are added
    #[arg(last = true)]
    words: Vec<String>,
}

pub fn run(tree: &Tree, args: &Args) -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("vrrpd needs Linux; run this in a Linux machine or virtual machine");
    }
    if !tree::is_root() {
        bail!("vrrpd needs root for raw sockets and network namespaces; run: sudo env PATH=\"$PATH\" cargo xtask run");
    }
    let mut build =
        tree.cargo(&["build", "--release", "--package", "vrrp-daemon", "--bin", "vrrpd", "--bin", "vrrpctl"]);
    let program = if args.words.is_empty() {
        if !tree.has_target("vrrp-tests", "bin", "demo")? {
            bail!("tests/: this tree has no demonstration; run `cargo xtask run -- -f FILE` with a keepalived.conf");
        }
        install::ensure(tree, install::DEMO)?;
        build.args(["--package", "vrrp-tests", "--bin", "demo"]);
        "demo"
    } else {
        "vrrpd"
    };
    tree::finish(&mut build)?;
    // In place of this process: signals and the exit status are the program's own. The working directory stays the
    // caller's, for the files its words name.
    let file = tree.target.join("release").join(program);
    let mut command = std::process::Command::new(&file);
    command.env_remove("LD_LIBRARY_PATH").args(if program == "vrrpd" { foreground(&args.words) } else { Vec::new() });
    Err(command.exec()).with_context(|| format!("cannot start {}", file.display()))
}

/// The words, with `-n` and `-l` before them unless they are there.
fn foreground(words: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for (short, long) in [('n', "--dont-fork"), ('l', "--log-console")] {
        if !words.iter().any(|word| word == long || flags(word).contains(short)) {
            all.push(format!("-{short}"));
        }
    }
    all.extend(words.iter().cloned());
    all
}

/// The letters of a word such as `-nlD`, up to the first that takes a value.
fn flags(word: &str) -> &str {
    match word.strip_prefix('-') {
        Some(letters) if !letters.starts_with('-') => {
            letters.split(|letter| "fSupcrbAMsit".contains(letter)).next().unwrap_or("")
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        let words: Vec<_> = text.split(' ').map(str::to_owned).collect();
        foreground(&words).join(" ")
    }

    #[test]
    fn adds_what_is_missing() {
        assert_eq!(words("-f a.conf"), "-n -l -f a.conf");
        assert_eq!(words("-n -f a.conf"), "-l -n -f a.conf");
        assert_eq!(words("-Dnl -f a.conf"), "-Dnl -f a.conf");
        assert_eq!(words("--dont-fork --log-console"), "--dont-fork --log-console");
    }

    #[test]
    fn a_file_name_is_no_flag() {
        assert_eq!(words("-fnl.conf"), "-n -l -fnl.conf");
        assert_eq!(words("--nl"), "-n -l --nl");
    }
}
