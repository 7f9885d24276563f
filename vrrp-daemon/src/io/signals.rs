//! What signals ask of the daemon: keepalived's, by its own numbers.

use std::io;

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals as Arrivals;

/// Declares what can be asked: `Request "FUNC" "SIGNAL" number "what is done";`.
macro_rules! requests {
    ($($request:ident $function:literal $signal:literal $number:expr, $help:literal;)+) => {
        /// What a signal asks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Asked {
            $(#[doc = $help] $request,)+
        }

        impl Asked {
            /// The names that `--signum` knows.
            pub const FUNCTIONS: &[&str] = &[$($function),+];

            /// For documentation: the names of `--signum` and of signal(7), and what is done.
            pub const TABLE: &[(&str, &str, &str)] = &[$(($function, $signal, $help)),+];

            /// By the name of keepalived's `--signum`: the number for kill(1).
            pub fn number(function: &str) -> Option<i32> {
                match function {
                    $($function => Some($number),)+
                    _ => None,
                }
            }

            fn of(signal: i32) -> Option<Self> {
                $(if signal == $number {
                    return Some(Self::$request);
                })+
                (signal == SIGINT).then_some(Self::Stop)
            }
        }
    };
}

requests! {
    Stop "STOP" "TERM" SIGTERM, "Stops, as INT does unless `--ignore-sigint` is given.";
    Reload "RELOAD" "HUP" SIGHUP, "Reads the configuration anew.";
    Data "DATA" "USR1" SIGUSR1, "Writes `keepalived.data`.";
    Stats "STATS" "USR2" SIGUSR2, "Writes `keepalived.stats`.";
    StatsClear "STATS_CLEAR" "RTMAX-1" libc::SIGRTMAX() - 1, "The same, and counting begins anew.";
    Json "JSON" "RTMIN+2" libc::SIGRTMIN() + 2, "Writes `keepalived.json`.";
}

/// Signals on their way to the thread that waits for them.
pub struct Signals {
    arrivals: Arrivals,
    ignores_sigint: bool,
}

impl Signals {
    /// Takes the signals in; before the first other thread is started, so that all of those leave them alone.
    pub fn take(ignores_sigint: bool) -> io::Result<Self> {
        let numbers = Asked::FUNCTIONS.iter().filter_map(|function| Asked::number(function));
        let arrivals = Arrivals::new(numbers.chain([SIGINT]))?;
        SigSet::all().thread_block()?;
        Ok(Self { arrivals, ignores_sigint })
    }

    /// The next that is asked; waits for it. Signals that come while nobody waits are kept, each once.
    pub fn wait(&mut self) -> Asked {
        // This thread alone takes them, and no system call of the others is interrupted.
        let _ = SigSet::all().thread_unblock();
        loop {
            let arrived = self.arrivals.forever().find(|&signal| !(self.ignores_sigint && signal == SIGINT));
            if let Some(asked) = arrived.and_then(Asked::of) {
                return asked;
            }
        }
    }
}

/// The main thread waits for a signal. However the thread that has this ends, in a panic too, it is over.
pub struct EndsDaemon;

impl Drop for EndsDaemon {
    fn drop(&mut self) {
        let _ = kill(Pid::this(), Signal::SIGTERM);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_keepalived_s() {
        let numbers: Vec<_> = Asked::FUNCTIONS.iter().map(|name| Asked::number(name).unwrap()).collect();
        assert_eq!(numbers, [15, 1, 10, 12, 63, 36]);
        assert_eq!(Asked::number("TDUMP"), None);
        assert_eq!((Asked::of(2), Asked::of(36), Asked::of(64)), (Some(Asked::Stop), Some(Asked::Json), None));
    }
}
