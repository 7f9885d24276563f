//! Log lines that people look for: those that keepalived 2.2.7 and we write alike, and those that differ, with the reason.
//! docs/compat.md shows both lists; the test `lines` of target `e2e` holds them against what the programs write.
//!
//! `*` stands for whatever is there.

/// Written by both, with the same values.
pub const ALIKE: &[&str] = &[
    "(*) Entering BACKUP STATE (init)",
    "(*) Entering BACKUP STATE",
    "(*) Entering MASTER STATE",
    "(*) Entering FAULT STATE",
    "(*) Receive advertisement timeout",
    "(*) Backup received priority 0 advertisement",
    "(*) Received advert from * with lower priority *, ours *, forcing new election",
    "(*) Master received advert from * with higher priority *, ours *",
    "(*) received lower priority (*) advert from * - discarding",
    "(*) Changing effective priority from * to *",
    "(*) setting VIPs.",
    "(*) removing VIPs.",
    "(*) sent 0 priority",
    "(*) received an invalid passwd!",
    "(*) Sending/queueing gratuitous ARPs on * for *",
    "VRRP_Script(*) succeeded",
    "VRRP_Script(*) failed (exited with status *)",
    "Script `*` now returning *",
    "VRRP_Group(*) Syncing instances to MASTER state",
    "VRRP_Group(*) Syncing instances to BACKUP state",
    "Netlink reports * down",
    "Netlink reports * up",
    "Startup complete",
];

/// A line that is not written by both.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// keepalived's; empty when it has none.
    pub theirs: &'static str,
    /// Ours.
    pub ours: &'static str,
    pub why: &'static str,
    /// Two events have to meet for it: it need not be there.
    pub by_chance: bool,
}

const fn always(theirs: &'static str, ours: &'static str, why: &'static str) -> Difference {
    Difference { theirs, ours, why, by_chance: false }
}

const fn by_chance(theirs: &'static str, ours: &'static str, why: &'static str) -> Difference {
    Difference { theirs, ours, why, by_chance: true }
}

/// Of `-D`, in the life that the test has them live.
pub const DIFFERENCES: &[Difference] = &[
    always("Starting Keepalived *", "Starting vrrpd * with *", "each has its name"),
    always("Stopped Keepalived *", "Stopped", "each has its name"),
    always("Stopping", "", "the lines of each virtual router say it"),
    always("", "(*) Entering STOP STATE", "keepalived enters it without a line"),
    always("Stopped - used *", "", "what it cost is not told"),
    always("CPU usage *", "", "the same"),
    always("Running on *", "", "not told"),
    always("Command line: *", "", "not told"),
    always("'*", "", "the rest of the command line"),
    always("Opening file *", "", "the first line names the file"),
    always("Configuration file *", "", "the same"),
    always("NOTICE: setting config option max_auto_priority *", "", "real-time priority does not wait for lateness"),
    always("Starting VRRP child process, pid=*", "", "there is one process"),
    always("Registering *", "", "how it is built inside"),
    always("VRRP sockpool: *", "", "the same"),
    always("Assigned address * for interface *", "", "`vrrpctl status` has it"),
    always(
        "SECURITY VIOLATION - scripts are being executed but script_security not enabled.",
        "(*: Line *) scripts are run, and *",
        "as a finding with its place",
    ),
    always("", "*: XDP program attached, *", "keepalived has none"),
    always(
        "(*) received a * auth, expecting *!",
        "(*) received another auth, expecting *!",
        "once, and then once a minute, as all that is said of authentication; the counters do not know the type",
    ),
    always("Sending gratuitous ARP on * for *", "", "one line for all that are sent of an address"),
    always("", "(*) interface is down", "why a state was entered is in a line of its own"),
    always(
        "VRRP_Group(*) Syncing instances to FAULT state",
        "",
        "only when a member is well itself and follows; here the interface is that of all",
    ),
    by_chance("(*) Master received priority 0 message", "", "a master that hears another leave answers, and is silent"),
];

/// Whether a line is one of a pattern's.
pub fn is_like(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|begin| line.strip_prefix(begin)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((end, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(end)
}

#[test]
fn stars_stand_for_anything() {
    for (pattern, line, like) in [
        ("Stopped", "Stopped", true),
        ("Stopped", "Stopped -", false),
        ("(*) up", "(VI_1) up", true),
        ("(*) up", "(VI_1) up (init)", false),
        ("* of *", "1 of 2", true),
        ("'*", "no", false),
    ] {
        assert_eq!(is_like(pattern, line), like, "{pattern} {line}");
    }
}
