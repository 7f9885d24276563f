//! The faults: each a wrong engine that somebody could have written.

/// One fault: `find`, which is in `file` exactly once, becomes `put`.
pub struct Mutant {
    pub name: &'static str,
    pub file: &'static str,
    pub find: &'static str,
    pub put: &'static str,
}

const fn mutant(name: &'static str, file: &'static str, find: &'static str, put: &'static str) -> Mutant {
    Mutant { name, file, find, put }
}

const INSTANCE: &str = "vrrp-daemon/src/engine/instance.rs";
const VERSIONS: &str = "vrrp-daemon/src/engine/instance/versions.rs";
const HEARING: &str = "vrrp-daemon/src/engine/instance/hearing.rs";
const ENGINE: &str = "vrrp-daemon/src/engine/mod.rs";
const GROUP: &str = "vrrp-daemon/src/engine/group.rs";
const GARP: &str = "vrrp-daemon/src/engine/garp.rs";
const TRACKING: &str = "vrrp-daemon/src/engine/tracking.rs";
const AGENDA: &str = "vrrp-daemon/src/engine/agenda.rs";
const TIME: &str = "vrrp-common/src/time.rs";

#[rustfmt::skip]
pub const MUTANTS: &[Mutant] = &[
    // Election.
    mutant("never preempts", HEARING,
        "let preempt = self.plan.preempt || effective.is_owner();", "let preempt = false;"),
    mutant("ignores nopreempt", HEARING,
        "let preempt = self.plan.preempt || effective.is_owner();", "let preempt = true;"),
    mutant("nopreempt binds the owner", HEARING,
        "let preempt = self.plan.preempt || effective.is_owner();", "let preempt = self.plan.preempt;"),
    mutant("a backup discards equal priority", HEARING,
        "if !preempt || theirs >= effective =>", "if !preempt || theirs > effective =>"),
    mutant("a master yields to the lower address", HEARING, "source > ours)", "source < ours)"),
    mutant("a master yields to every equal", HEARING, "source > ours)", "source != ours)"),
    mutant("a master ignores higher priority", HEARING, "if theirs > effective ||", "if"),
    mutant("hears itself", HEARING, "if Some(heard.source) == self.source {", "if false {"),
    mutant("state MASTER serves at once", INSTANCE,
        "self.plan.priority.is_owner() && self.plan.wanted == Wanted::Master", "self.plan.wanted == Wanted::Master"),
    // Priority 0.
    mutant("ignores priority 0", HEARING,
        "if backup.wait == Wait::Down && sooner && now >= backup.heard_at {", "if false && sooner {"),
    mutant("every priority 0 starts the skew anew", HEARING,
        "if backup.wait == Wait::Down && sooner && now >= backup.heard_at {", "if sooner || true {"),
    mutant("an old priority 0 counts", HEARING, "&& sooner && now >= backup.heard_at {", "&& sooner {"),
    mutant("shuts down without a word", INSTANCE,
        "self.leave(out);\n        self.enter(now, State::Stopped", "self.enter(now, State::Stopped"),
    mutant("does not resign on a fault", INSTANCE,
        "self.leave(out);\n        self.enter(now, State::Fault", "self.enter(now, State::Fault"),
    mutant("releases without priority 0", INSTANCE, "self.advertise(Claim::Leaving, Due::Now, out);", ""),
    mutant("a master lets priority 0 pass", HEARING,
        "master.next_advert_at = self.plan.next_advert_at(now);\n                }", "let _ = master;\n                }"),
    // Timers.
    mutant("a discarded advert resets the wait", HEARING,
        "backup.cause = Cause::LowerPriorityMaster;", "backup.cause = Cause::LowerPriorityMaster; backup.heard_at = now;"),
    mutant("a discarded advert teaches its interval", HEARING,
        "backup.cause = Cause::LowerPriorityMaster;",
        "backup.cause = Cause::LowerPriorityMaster; backup.interval = heard.interval;"),
    mutant("never learns the interval", HEARING, "Version::V3 => theirs,", "Version::V3 => { let _ = theirs; own }"),
    mutant("skew in whole centiseconds", TIME,
        "* nanos / 256)", "* nanos / 256 / 10_000_000 * 10_000_000)"),
    mutant("v2's skew is of the interval", TIME, "Version::V2 => Centis::SECOND,", "Version::V2 => interval,"),
    mutant("adverts drift", INSTANCE,
        "master.next_advert_at = self.plan.next_advert_at(due + interval * missed);",
        "master.next_advert_at = now + interval;"),
    mutant("makes up for missed adverts", INSTANCE,
        "master.next_advert_at = self.plan.next_advert_at(due + interval * missed);",
        "let _ = missed; master.next_advert_at = self.plan.next_advert_at(due);"),
    mutant("an older arrival shortens the wait", HEARING, "backup.heard_at = backup.heard_at.max(now);", "backup.heard_at = now;"),
    mutant("deadlines out of order", AGENDA, "if moved <= self.heap[least] {", "if moved > self.heap[least] {"),
    // Answers.
    mutant("answers without a limit", HEARING, "Duration = Duration::from_millis(10);", "Duration = Duration::from_millis(0);"),
    mutant("does not answer weaker masters", HEARING, "if self.plan.answers_lower {", "if false {"),
    mutant("answers weaker masters though it is told not to", HEARING, "if self.plan.answers_lower {", "if true {"),
    mutant("yields without the last advert it is told to send", HEARING, "if self.plan.answers_higher {", "if false {"),
    // Patience, lateness, disbelief.
    mutant("preempts without delay", HEARING, "Patience::Until(until) if now < until => true,", "Patience::Until(until) if now < until => false,"),
    mutant("the delay never ends", HEARING, "Patience::Until(until) if now < until => true,", "Patience::Until(_) => true,"),
    mutant("a better master does not end the delay", HEARING, "            backup.patience = Patience::Unasked;\n", ""),
    mutant("a weaker master that is let be is absorbed", HEARING,
        "self.follow(now, heard, theirs, out);\n                self.hear_all(out);",
        "self.follow(now, heard, theirs, out);\n                out.absorb(true);"),
    mutant("a master is never late", INSTANCE, "if self.is_overdue(now) {", "if false {"),
    mutant("a late master answers its successor", HEARING, "if self.is_overdue(now) {", "if false {"),
    mutant("believes every interval", HEARING, "if is_followed && interval > backup.interval", "if false && interval > backup.interval"),
    mutant("disbelieves a new master's interval", HEARING,
        "is_awaited && backup.master.is_some_and(|it| it.address == heard.source);", "is_awaited && backup.master.is_some();"),
    mutant("believes every interval after priority 0", HEARING,
        "matches!(backup.wait, Wait::Down | Wait::Skew)", "backup.wait == Wait::Down"),
    // Both versions.
    mutant("listens to what was said in version 3", VERSIONS, "        is_repetition\n    }\n\n    /// In", "        false\n    }\n\n    /// In"),
    mutant("never listens again to who spoke version 3", VERSIONS, "known.is_some_and(|known| now <", "known.is_some_and(|known| true || now <"),
    mutant("forgets that an absorbed master speaks version 3", INSTANCE, "if backup.version == Version::V3 {", "if false {"),
    mutant("takes an absorbed advert of version 2 for version 3", INSTANCE, "if backup.version == Version::V3 {", "if true {"),
    mutant("version 2 is waited for by our own interval", HEARING, "let interval = learned(version, own, heard.interval);", "let interval = learned(heard.version, own, heard.interval);"),
    // Owners.
    mutant("an owner does not tell of another", HEARING, "if conflict || master", "if master"),
    mutant("two that claim to own are no news to a backup", HEARING, "if conflict || master.is_some_and(|master| master.priority.is_owner() && master.address != source) {", "if conflict {"),
    mutant("an owner told to be deaf listens", HEARING, "if self.plan.ignores_adverts {", "if false {"),
    mutant("nobody is held at the start", ENGINE, "if self.held_until.is_some() {", "if false {"),
    mutant("who was held is forgotten", ENGINE, "self.settle_each(now, out);", ""),
    // Sync groups.
    mutant("one member serves without the others", INSTANCE, "match self.plan.group {", "match None::<GroupId> {"),
    mutant("a group serves when one of it could", GROUP, "Some(holdout) => {\n                self.holdout = holdout;\n                None",
        "Some(holdout) => {\n                self.holdout = holdout;\n                (0..self.members.len()).filter_map(ready_at).max()"),
    mutant("a member yields alone", GROUP, "if before == StateName::Master {", "if false {"),
    mutant("a fault of one member is its own", GROUP, "Standing::Faulty(_) => return GroupStanding::Faulty,", "Standing::Faulty(_) => {}"),
    mutant("a group does not wait for its last interface", GROUP, "Standing::Waiting => whole = GroupStanding::Waiting,", "Standing::Waiting => {}"),
    mutant("one owner makes its group serve at once", GROUP, "let serves = members.iter().all(", "let serves = members.iter().any("),
    mutant("who waits for its group no longer listens", INSTANCE, "Some(_) => self.hear_all(out),", "Some(_) => {}"),
    mutant("a wait that is over stays over", HEARING, "backup.wait = Wait::Down;\n        backup.master", "backup.master"),
    mutant("a group is told of before its members", GROUP,
        "self.with(first, out, &go);",
        "out.push(Action::TellGroup { id: group, event: GroupEvent::Entered(state) });\n        self.with(first, out, &go);"),
    // Addresses and their announcement.
    mutant("forgets to release on yielding", HEARING,
        "self.release(out);\n            self.become_backup", "self.become_backup"),
    mutant("forgets to release when it is late", INSTANCE,
        "self.release(out);\n            self.become_backup", "self.become_backup"),
    mutant("installs before it advertises", INSTANCE,
        "self.advertise(Claim::Serving(self.effective), due, out);\n        self.tenure.0 = self.tenure.0.wrapping_add(1);\n        out.install(self.tenure);",
        "self.tenure.0 = self.tenure.0.wrapping_add(1);\n        out.install(self.tenure);\n        self.advertise(Claim::Serving(self.effective), due, out);"),
    mutant("no second round of announcements", GARP,
        "self.again = again(now, plan.delay, plan.repeat);", ""),
    mutant("refreshes once alone", GARP, "self.refresh_at = Some(next(now, at, plan.refresh));", "let _ = at; self.refresh_at = None;"),
    mutant("announces extra interfaces once alone", GARP,
        "self.extra_at = Some(next(now, at, extra.every));", "let _ = at; self.extra_at = None;"),
    mutant("serves without a peer", TRACKING, "if plan.lacks_peers {", "if false {"),
    mutant("announces what is not set", GARP, "if self.outstanding > 0 ||", "if"),
    mutant("takes an answer of an earlier tenure", INSTANCE, "if tenure != self.tenure {", "if false {"),
    // Checks.
    mutant("effective priority is not clamped", TRACKING, "priority.clamp(1, 254) as u8", "priority as u8"),
    mutant("rise and fall change places", TRACKING,
        "(Verdict::Passed, self.plan.rise),\n            false => (Verdict::Failed, self.plan.fall),",
        "(Verdict::Passed, self.plan.fall),\n            false => (Verdict::Failed, self.plan.rise),"),
    mutant("negative weights do nothing", TRACKING, "Bearing::Add(sign * value.min(0))", "Bearing::Add(0)"),
    mutant("a number that takes all is no fault", TRACKING, "..=-254 => Bearing::Fault,", "..=-32000 => Bearing::Fault,"),
    mutant("does not wait for the first outcome", TRACKING, "=> return Bearing::Wait,", "=> return Bearing::Add(0),"),
    mutant("init_fail is ignored", TRACKING, "if plan.starts_failed {", "if false {"),
    mutant("the owner is weighed", TRACKING, "if plan.priority.is_owner() {", "if false {"),
    mutant("a change of weight is not taken up", INSTANCE,
        "self.effective = priority;\n                    out.tell", "out.tell"),
];
