//! What the daemon is to whoever started it: in the foreground or on its own, and up or not yet.
//!
//! A daemon that leaves for the background keeps its starter waiting until it is up, and exits for it with its own code
//! when it never gets there. A service manager is told by sd_notify(3).

use std::fs::OpenOptions;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::process;

use anyhow::Context;
use nix::unistd::{ForkResult, chdir, dup2_stderr, dup2_stdin, dup2_stdout, fork, setsid};
use sd_notify::NotifyState;

/// Who waits for the daemon to be up.
#[derive(Debug, Default)]
pub struct Starter {
    /// The process that left us in the background.
    waiting: Option<PipeWriter>,
    keeps_stderr: bool,
}

impl Starter {
    /// Goes on in the background, in a session of its own. The process that called it waits for [`Starter::is_up`] or
    /// [`Starter::is_over`], and never returns. To be called before any thread is started. `keeps_stderr`: what is logged
    /// there still comes out.
    pub fn left_behind(keeps_stderr: bool) -> anyhow::Result<Self> {
        let (word, pipe) = std::io::pipe().context("cannot open a pipe")?;
        // SAFETY: nothing was started yet that could hold a lock.
        match unsafe { fork() }.context("cannot leave for the background")? {
            ForkResult::Parent { .. } => {
                drop(pipe);
                process::exit(wait(word))
            }
            ForkResult::Child => {}
        }
        setsid().context("cannot leave the session")?;
        chdir("/").context("/")?;
        let null = OpenOptions::new().read(true).write(true).open("/dev/null").context("/dev/null")?;
        dup2_stdin(&null).and_then(|()| dup2_stdout(&null)).context("/dev/null")?;
        Ok(Self { waiting: Some(pipe), keeps_stderr })
    }

    /// Says that the daemon serves.
    pub fn is_up(&mut self) {
        // Nobody may be listening: then nobody wants to know.
        let _ = sd_notify::notify(false, &[NotifyState::Ready]);
        let was_waited_for = self.waiting.is_some();
        self.tell(0);
        if was_waited_for
            && !self.keeps_stderr
            && let Ok(null) = OpenOptions::new().write(true).open("/dev/null")
        {
            let _ = dup2_stderr(&null);
        }
    }

    /// Says that it stops.
    pub fn is_stopping() {
        let _ = sd_notify::notify(false, &[NotifyState::Stopping]);
    }

    /// Says that it ends with this code, to whom it never said that it is up.
    pub fn is_over(&mut self, code: u8) {
        self.tell(code);
    }

    fn tell(&mut self, code: u8) {
        if let Some(mut pipe) = self.waiting.take() {
            let _ = pipe.write_all(&[code]);
        }
    }
}

/// The code of the daemon that was left in the background; 1 when it died without a word.
fn wait(mut word: PipeReader) -> i32 {
    let mut code = [1];
    let _ = word.read_exact(&mut code);
    code[0].into()
}
