//! A second reading of RFC 9568 section 6.4 and of keepalived's additions, in plain numbers: what an input makes of one
//! virtual router. It shares nothing with the engine but the plan and the names of inputs.

use std::net::IpAddr;

use vrrp_common::{Claim, Version};
use vrrp_daemon::engine::plan::InstancePlan;
use vrrp_daemon::engine::snapshot::StateName;
use vrrp_daemon::engine::{Heard, Input};

use crate::world::Nanos;

/// What is broken, in words.
pub type Breach = String;

/// A master may be provoked to an advert this often.
const ANSWER_INTERVAL: Nanos = 10_000_000;
/// Nanoseconds in a centisecond.
const CENTI: Nanos = 10_000_000;

/// Fails with words unless the condition holds.
macro_rules! must {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err(format!($($words)+));
        }
    };
}
pub(crate) use must;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expected {
    /// Init, fault or stopped.
    Out,
    Backup(Backup),
    Master(Master),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backup {
    pub heard_at: Nanos,
    pub interval_centis: u64,
    pub wait: Wait,
    /// The master that was last heard.
    pub master: Option<IpAddr>,
    pub patience: Patience,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wait {
    Down,
    /// The master left.
    Skew,
    /// Over; the others of its sync group wait on.
    Over,
}

/// `preempt_delay`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Patience {
    Unasked,
    Until(Nanos),
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Master {
    pub since: Nanos,
    pub next_advert_at: Nanos,
    pub answered_at: Nanos,
}

/// One input to one virtual router, and what is seen of it from outside.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The router's own address, and its effective priority afterwards.
    pub address: IpAddr,
    pub priority: u8,
    /// The state that the engine says it is in afterwards.
    pub after: StateName,
    /// Whether it serves as soon as it takes part.
    pub owner: bool,
    pub now: Nanos,
    /// When it happened.
    pub at: Nanos,
    pub input: Input,
    /// The advert is for this one, and not for another of its sync group.
    pub for_it: bool,
    pub adverts: &'a [Claim],
}

impl Expected {
    pub const fn is_master(&self) -> bool {
        matches!(self, Self::Master(_))
    }

    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Backup(Backup { wait: Wait::Over, .. }))
    }

    pub const fn word(&self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Backup(_) => "backup",
            Self::Master(_) => "master",
        }
    }

    /// When time alone changes something next.
    pub fn due(&self, plan: &InstancePlan, priority: u8) -> Nanos {
        match self {
            Self::Out => Nanos::MAX,
            Self::Backup(backup) => down_at(plan, priority, backup),
            Self::Master(master) => master.next_advert_at,
        }
    }
}

pub fn interval(plan: &InstancePlan) -> Nanos {
    u64::from(plan.advert_int.get()) * CENTI
}

/// So many intervals and the skew, of a router of this priority.
pub fn down(plan: &InstancePlan, priority: u8, interval_centis: u64, adverts: u64) -> Nanos {
    let interval = interval_centis * CENTI;
    let whole = if plan.version == Version::V2 { 100 * CENTI } else { interval };
    interval * adverts + whole * (256 - u64::from(priority)) / 256
}

/// When a backup of this priority takes over.
fn down_at(plan: &InstancePlan, priority: u8, backup: &Backup) -> Nanos {
    let adverts = match backup.wait {
        Wait::Down => plan.down_adverts.into(),
        Wait::Skew => 0,
        Wait::Over => return Nanos::MAX,
    };
    backup.heard_at + down(plan, priority, backup.interval_centis, adverts)
}

pub fn backup_since(plan: &InstancePlan, at: Nanos) -> Backup {
    let patience = if plan.preempt_delay.is_zero() { Patience::Over } else { Patience::Unasked };
    let interval_centis = plan.advert_int.get().into();
    Backup { heard_at: at, interval_centis, wait: Wait::Down, master: None, patience }
}

pub fn master_since(plan: &InstancePlan, at: Nanos) -> Expected {
    Expected::Master(Master { since: at, next_advert_at: next_advert(plan, at), answered_at: at })
}

/// The first instant after an advert at which the next is due.
fn next_advert(plan: &InstancePlan, at: Nanos) -> Nanos {
    let interval = interval(plan);
    match plan.phase.map(|phase| phase.as_nanos() as Nanos) {
        None => at + interval,
        Some(phase) if at < phase => phase,
        Some(phase) => phase + ((at - phase) / interval + 1) * interval,
    }
}

/// The interval that a master's advert teaches.
fn learned(plan: &InstancePlan, heard: &Heard) -> u64 {
    match plan.version {
        Version::V2 => plan.advert_int.get().into(),
        Version::V3 => heard.interval.get().into(),
    }
}

/// Whether a master is so late that somebody else must have taken over.
fn is_overdue(plan: &InstancePlan, master: &Master, at: Nanos) -> bool {
    plan.late_rival.is_some_and(|rival| {
        let sent_at = master.since.max(master.next_advert_at.saturating_sub(interval(plan)));
        at >= sent_at + down(plan, rival.get(), plan.advert_int.get().into(), plan.down_adverts.into())
    })
}

/// What an input makes of one virtual router, as far as it concerns it alone.
pub fn expect(plan: &InstancePlan, was: Expected, scene: &Scene) -> Result<Expected, Breach> {
    let Scene { after, owner, now, at, input, adverts, .. } = *scene;
    Ok(match (was, input) {
        (
            Expected::Out,
            Input::Interface { .. }
            | Input::NoInterface(_)
            | Input::Check { .. }
            | Input::Value { .. }
            | Input::Source { .. }
            | Input::Deadline,
        ) => match after {
            StateName::Master if owner => master_since(plan, at),
            StateName::Backup if !owner => Expected::Backup(backup_since(plan, at)),
            StateName::Master | StateName::Backup => return Err(format!("starts as {after:?}")),
            _ => Expected::Out,
        },
        (Expected::Out, _) | (_, Input::Shutdown) => Expected::Out,
        (
            was,
            Input::Interface { .. }
            | Input::NoInterface(_)
            | Input::Check { .. }
            | Input::Value { .. }
            | Input::Source { .. },
        ) => match after {
            StateName::Fault => Expected::Out,
            _ => was,
        },
        // Worlds hand in every advert; quiet mode lives in the shadow.
        (was, Input::Address { .. } | Input::Announce(_) | Input::Seen(_)) => was,
        (Expected::Backup(backup), Input::Deadline) => match down_at(plan, scene.priority, &backup) <= now {
            true if plan.group.is_none() => master_since(plan, now),
            true => Expected::Backup(Backup { wait: Wait::Over, ..backup }),
            false => was,
        },
        (Expected::Master(master), Input::Deadline) => {
            if is_overdue(plan, &master, now) {
                return Ok(Expected::Backup(backup_since(plan, now)));
            }
            let is_due = master.next_advert_at <= now;
            // Unless it has to leave with its sync group, before or after.
            let (sent, stays) = (adverts.iter().filter(|&&claim| claim != Claim::Leaving), after == StateName::Master);
            let (sent, wanted) = (sent.count(), usize::from(is_due));
            must!(sent == wanted || !stays && sent < wanted, "{sent} adverts, and one is due: {is_due}");
            let passed = if is_due { (now - master.next_advert_at) / interval(plan) + 1 } else { 0 };
            let next_advert_at = master.next_advert_at + passed * interval(plan);
            Expected::Master(Master { next_advert_at, ..master })
        }
        (was, Input::Advert(_, heard)) if heard.source == scene.address || !scene.for_it || plan.ignores_adverts => was,
        (Expected::Backup(backup), Input::Advert(_, heard)) => {
            Expected::Backup(backup_hears(plan, backup, scene, &heard))
        }
        (Expected::Master(master), Input::Advert(_, heard)) if is_overdue(plan, &master, at) => {
            Expected::Backup(backup_hears(plan, backup_since(plan, at), scene, &heard))
        }
        (Expected::Master(master), Input::Advert(_, heard)) => master_hears(plan, master, scene, &heard)?,
    })
}

fn backup_hears(plan: &InstancePlan, backup: Backup, scene: &Scene, heard: &Heard) -> Backup {
    let (at, priority) = (scene.at, scene.priority);
    let Claim::Serving(theirs) = heard.claim else {
        let left = Backup { heard_at: at, wait: Wait::Skew, ..backup };
        let sooner = down_at(plan, priority, &left) < down_at(plan, priority, &backup);
        return if backup.wait == Wait::Down && sooner && at >= backup.heard_at { left } else { backup };
    };
    let weaker = (plan.preempt || priority == 255) && theirs.get() < priority;
    let patience = match (weaker, backup.patience) {
        (false, _) => backup_since(plan, at).patience,
        (true, Patience::Unasked) => Patience::Until(at + plan.preempt_delay.as_nanos() as Nanos),
        (true, Patience::Until(until)) if at < until => backup.patience,
        (true, _) => return Backup { patience: Patience::Over, ..backup },
    };
    let (new, ours) = (learned(plan, heard), u64::from(plan.advert_int.get()));
    let master = Some(heard.source);
    let followed = backup.master == master && backup.wait != Wait::Over;
    let jumps = followed && new > backup.interval_centis && new > 10 * ours;
    let interval_centis = if jumps { backup.interval_centis } else { new };
    Backup { heard_at: at.max(backup.heard_at), interval_centis, wait: Wait::Down, master, patience }
}

fn master_hears(plan: &InstancePlan, master: Master, scene: &Scene, heard: &Heard) -> Result<Expected, Breach> {
    let (theirs, sent) = (heard.claim.octet(), scene.adverts.len());
    let wins = octets(heard.source) > octets(scene.address);
    if theirs > scene.priority || (theirs == scene.priority && wins) {
        must!(sent == usize::from(plan.answers_higher), "{sent} adverts before it yields");
        let backup = Backup {
            interval_centis: learned(plan, heard),
            master: Some(heard.source),
            ..backup_since(plan, scene.at)
        };
        return Ok(Expected::Backup(backup));
    }
    if theirs > 0 && !plan.answers_lower {
        must!(sent == 0, "{sent} answers to a weaker advert, and there is to be none");
        return Ok(Expected::Master(master));
    }
    let limited = scene.at.saturating_sub(master.answered_at) < ANSWER_INTERVAL;
    must!(sent == usize::from(!limited), "{sent} answers to a weaker advert");
    let mut master = master;
    if !limited {
        master.answered_at = scene.at;
        if theirs == 0 {
            master.next_advert_at = next_advert(plan, scene.at);
        }
    }
    Ok(Expected::Master(master))
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
