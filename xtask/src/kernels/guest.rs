//! One boot: qemu's command line, and what the guest says while it runs.

use super::package::{Kernel, Tools};
use crate::libtest::Tally;
use crate::tree::Tree;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Seconds; several times what the tests take on a machine with nothing else to do.
const PATIENCE: &str = "900";
/// What `timeout` says when it had to end what it started.
const TIMED_OUT: i32 = 124;
/// Two emulated CPUs make a guest's kernel stumble over its own patched code now and then, so it has one.
const MACHINE: &str = "-M q35 -accel tcg -cpu max -smp 1 -m 1024 -nodefaults -no-user-config -display none -no-reboot";
const KERNEL_WORDS: &str = "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check";

/// What the guest's second serial port told.
#[derive(Default)]
pub struct Story {
    pub tally: Tally,
    /// What the test of the verifier printed.
    pub verifier: Option<String>,
    /// Whether it came to its end.
    pub done: bool,
    release: String,
    /// What is running, and how many tests had passed and failed before.
    running: Option<(String, (usize, usize))>,
}

/// Boots a kernel into an image, shows what the tests print, and returns when the guest is gone.
pub fn boot(tree: &Tree, tools: &Tools, kernel: &Kernel, image: &Path) -> Result<Story> {
    let qemu = tools.path("qemu-system-x86_64").context("qemu-system-x86_64 is missing")?;
    // In the foreground: Ctrl-C is for the guest, too.
    let mut command = tree.command("timeout");
    command.args(["--foreground", PATIENCE]).arg(qemu).args(MACHINE.split(' '));
    for directory in tools.firmware() {
        command.arg("-L").arg(directory);
    }
    command.arg("-serial").arg(format!("file:{}", console(kernel).display())).args(["-serial", "stdio"]);
    command.arg("-kernel").arg(kernel.image()).arg("-initrd").arg(image).args(["-append", KERNEL_WORDS]);
    command.env("LD_LIBRARY_PATH", tools.library_path()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start timeout(1)")?;
    let output = child.stdout.take().context("a pipe was asked for")?;
    let mut story = Story { release: kernel.release.clone(), ..Story::default() };
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{} | {}", kernel.release, line.trim_end());
        story.line(line.trim_end());
    }
    match child.wait()?.code() {
        Some(0) => Ok(story),
        Some(TIMED_OUT) => bail!("Linux {} was not done after {PATIENCE} s", kernel.release),
        _ => bail!("qemu failed; its lines above say why"),
    }
}

/// Where the guest's kernel writes.
pub fn console(kernel: &Kernel) -> PathBuf {
    kernel.guest().join("console")
}

/// The end of that.
pub fn last_words(kernel: &Kernel) -> String {
    let text = std::fs::read(console(kernel)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<_> = text.lines().rev().take(50).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

impl Story {
    fn line(&mut self, line: &str) {
        if let Some(run) = line.strip_prefix("@run ") {
            let run = format!("Linux {}, {run}", self.release);
            self.tally.begin(run.clone());
            self.running = Some((run, self.so_far()));
        } else if let Some(status) = line.strip_prefix("@end ") {
            self.end(status);
        } else if line == "@done" {
            self.done = true;
        } else {
            if let Some(said) = line.split_once("verifier: ") {
                self.verifier = Some(said.1.to_owned());
            }
            self.tally.line(line);
        }
    }

    fn end(&mut self, status: &str) {
        self.tally.end();
        let Some((run, before)) = self.running.take() else { return };
        let (passed, failed) = self.so_far();
        if failed == before.1 && (status != "0" || passed == before.0) {
            self.tally.failed.push(format!("{run}: {} tests ran, exit status {status}", passed - before.0));
        }
    }

    fn so_far(&self) -> (usize, usize) {
        (self.tally.passed, self.tally.failed.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story(text: &str) -> Story {
        let mut story = Story { release: "6.1".into(), ..Story::default() };
        text.lines().for_each(|line| story.line(line));
        story
    }

    #[test]
    fn a_whole_story() {
        let told = story(
            "@run xdp\nrunning 2 tests\ntest a ... ok\nverifier: 700 instructions\ntest b ... ok\n\
             test result: ok. 2 passed; 0 failed; 0 ignored\n@end 0\n@run e2e c\ntest c ... FAILED\n\
             test result: FAILED. 0 passed; 1 failed; 0 ignored\n@end 101\n@done",
        );
        assert!(told.done);
        assert_eq!((told.tally.passed, told.verifier.as_deref()), (2, Some("700 instructions")));
        assert_eq!(told.tally.failed, ["Linux 6.1, e2e c c"]);
    }

    #[test]
    fn a_name_that_no_test_has_is_a_failure() {
        let told =
            story("@run e2e gone\nrunning 0 tests\ntest result: ok. 0 passed; 0 failed; 0 ignored\n@end 0\n@done");
        assert_eq!(told.tally.failed, ["Linux 6.1, e2e gone: 0 tests ran, exit status 0"]);
    }

    #[test]
    fn a_program_that_does_not_start_is_a_failure() {
        let told = story("@run xdp\n/init: 12: /t/xdp: not found\n@end 127\n@done");
        assert_eq!(told.tally.failed, ["Linux 6.1, xdp ended without a result"]);
    }

    #[test]
    fn a_guest_that_dies_is_not_done() {
        assert!(!story("@run xdp\ntest a ... ok").done);
    }
}
