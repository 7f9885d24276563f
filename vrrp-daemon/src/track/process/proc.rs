//! Processes as /proc shows them.

use std::fs;
use std::io::Read;

/// Octets of a command line that are looked at.
const COMMAND_LENGTH: u64 = 16 << 10;

/// A process, as far as it can be told from others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// At most 15 octets.
    pub name: Vec<u8>,
    /// The program as it was called, and its parameters; empty of the kernel's own threads.
    pub command: Vec<Vec<u8>>,
}

/// `None` when there is none of this number, or it has ended and nobody has asked for its status. The command line is
/// read when it is wanted.
pub fn identity(pid: u32, wants_command: bool) -> Option<Identity> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name may have any octets in it, parentheses too.
    let (open, close) = (stat.iter().position(|&octet| octet == b'(')?, stat.iter().rposition(|&octet| octet == b')')?);
    if matches!(stat.get(close + 2)?, b'Z' | b'X') {
        return None;
    }
    let name = stat.get(open + 1..close)?.to_vec();
    let mut line = Vec::new();
    if wants_command {
        fs::File::open(format!("/proc/{pid}/cmdline")).ok()?.take(COMMAND_LENGTH).read_to_end(&mut line).ok()?;
    }
    let words = line.strip_suffix(b"\0").unwrap_or(&line);
    let command =
        if words.is_empty() { Vec::new() } else { words.split(|&octet| octet == 0).map(<[u8]>::to_vec).collect() };
    Some(Identity { name, command })
}

/// All processes that there are now.
pub fn all(wants_command: bool) -> Vec<(u32, Identity)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, identity(pid, wants_command)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_there_and_a_zombie_is_not() {
        let ours = identity(std::process::id(), true).unwrap();
        assert_eq!(ours.command.len(), std::env::args().count());
        assert!(all(false).iter().any(|(pid, identity)| *pid == std::process::id() && identity.name == ours.name));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let start = std::time::Instant::now();
        while identity(child.id(), false).is_some() {
            assert!(start.elapsed() < std::time::Duration::from_secs(10), "it is a zombie by now");
        }
        child.wait().unwrap();
    }
}
