//! What `global_defs` says of the protocol's time: how long it may work, and where.

use std::time::Duration;

use crate::config::global::{Cpus, RtTime};
use crate::config::host::Host;
use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::schema::At;

/// The least limit of real-time work. It is there for a daemon that hangs; one that takes over thousands of addresses at
/// once is busy for longer than keepalived's 10 ms, and would be ended when it is needed most.
const RT_TIME_MIN: Duration = Duration::from_secs(1);

/// `vrrp_rlimit_rttime`, never below what our own work may take.
pub fn rt_time(limit: At<RtTime>, found: &mut Diagnostics) -> Duration {
    let wanted = Duration::from_micros(limit.value.get() as u64);
    if wanted < RT_TIME_MIN {
        let message = format!("a limit of {} microseconds could end a daemon that is merely busy", wanted.as_micros());
        let done = format!("{} are used", RT_TIME_MIN.as_micros());
        found.notice(Class::WithoutEffect, limit.at, message).done(done);
    }
    wanted.max(RT_TIME_MIN)
}

/// `vrrp_cpu_affinity`: none of the CPUs when one does not exist.
pub fn cpus(cpus: At<Cpus>, host: &dyn Host, found: &mut Diagnostics) -> Vec<u16> {
    let numbers: Vec<u16> = cpus.value.0.iter().map(|cpu| cpu.get() as u16).collect();
    if let Some(missing) = numbers.iter().find(|&&number| !host.has_cpu(number)) {
        found.error(Class::Value, cpus.at, format!("there is no CPU {missing}")).done("the line is skipped");
        return Vec::new();
    }
    numbers
}
