//! What the configuration says of the daemon as a whole.

use std::fmt::{self, Write};

use super::run_by;
use crate::config::setup::{Daemon, Fifo, Firewall, Mail, Pace, RunAs, Scheduling, Service, Setup, Telling, UpperKind};
use crate::engine::plan::InterfaceId;
use crate::io::dump::address::command;

/// Where nothing is said, as 2.2.7 shows it: microseconds, for its `vrrp_rlimit_rttime`.
const RT_TIME: u128 = 10_000;

pub fn write(setup: &Setup, out: &mut String) -> fmt::Result {
    let Setup { daemon, service, telling, .. } = setup;
    writeln!(out, "------< Global definitions >------")?;
    who(daemon, service, out)?;
    if let Some(mail) = telling.mail.as_deref() {
        write_mail(mail, out)?;
    }
    for (what, bracket) in [("Startup", &service.startup), ("Shutdown", &service.shutdown)] {
        if let Some(bracket) = bracket {
            let timeout = bracket.timeout.as_secs();
            writeln!(out, " {what} script = {}, timeout {timeout}", run_by(&bracket.command))?;
        }
    }
    writeln!(out, " Dynamic interfaces = {}", daemon.dynamic_interfaces)?;
    fifos(telling, out)?;
    if setup.uppers.iter().any(|upper| matches!(upper.kind, UpperKind::Vmac(_)))
        || setup.instances.iter().any(|instance| instance.no_accept)
    {
        let Firewall { table, priority, counters } = &daemon.firewall;
        writeln!(out, " nftables table name = {table}")?;
        writeln!(out, " nftables base chain priority = {priority}")?;
        writeln!(out, " nftables with{} counters", if *counters { "" } else { "out" })?;
    }
    scheduling(&daemon.scheduling, out)?;
    writeln!(out, " DBus {}", if telling.dbus.is_some() { "enabled" } else { "disabled" })?;
    if let Some(dbus) = &telling.dbus {
        writeln!(out, " DBus service name = {}", dbus.name)?;
    }
    writeln!(out, " umask = 0{:o}", service.umask.unwrap_or(Service::UMASK))?;
    let delay = setup.plan.startup.delay;
    if !delay.is_zero() {
        writeln!(out, " vrrp_startup_delay = {}", delay.as_secs_f64())?;
    }
    paces(setup, out)
}

fn who(daemon: &Daemon, service: &Service, out: &mut String) -> fmt::Result {
    writeln!(out, " Network namespace = {}", service.net_namespace.as_deref().unwrap_or("(default)"))?;
    for (what, name) in [
        ("Instance name", &service.instance),
        ("VRRP process name", &service.process_name),
        ("Router ID", &daemon.router_id),
    ] {
        if let Some(name) = name {
            writeln!(out, " {what} = {name}")?;
        }
    }
    Ok(())
}

fn write_mail(mail: &Mail, out: &mut String) -> fmt::Result {
    let Mail { server, port, router: _, from, to, hello, timeout, faults: _ } = mail;
    writeln!(out, " Smtp server = {server}\n Smtp server port = {port}\n Smtp HELO name = {hello}")?;
    writeln!(out, " Smtp server connection timeout = {}", timeout.as_secs())?;
    writeln!(out, " Email notification from = {from}\n Email notification to:")?;
    to.iter().try_for_each(|to| writeln!(out, "   {to}"))
}

fn fifos(telling: &Telling, out: &mut String) -> fmt::Result {
    for Fifo { of_vrrp, path, owner, script } in &telling.fifos {
        let whose = if *of_vrrp { "VRRP" } else { "Global" };
        writeln!(out, " {whose} notify fifo = {path}, uid:gid {}:{}", owner.uid, owner.gid)?;
        if let Some(script) = script {
            let RunAs { uid, gid } = script.run_as;
            writeln!(out, " {whose} notify fifo script = {} '{path}', uid:gid {uid}:{gid}", command(script))?;
        }
    }
    writeln!(out, " FIFO write vrrp states on reload = {}", telling.states_on_reload)
}

fn scheduling(scheduling: &Scheduling, out: &mut String) -> fmt::Result {
    let Scheduling { rt_priority, rt_time, nice, cpus, no_swap } = scheduling;
    writeln!(out, " VRRP process priority = {}", nice.unwrap_or_default())?;
    writeln!(out, " VRRP don't swap = {no_swap}")?;
    writeln!(out, " VRRP realtime priority = {}", rt_priority.unwrap_or_default())?;
    if !cpus.is_empty() {
        let cpus: Vec<_> = cpus.iter().map(u16::to_string).collect();
        writeln!(out, " VRRP CPU Affinity = {}", cpus.join(" "))?;
    }
    writeln!(out, " VRRP realtime limit = {}", rt_time.map_or(RT_TIME, |time| time.as_micros()))
}

/// Those that pace something, with their interfaces. One that was made for a virtual MAC address is paced as the one below it.
fn paces(setup: &Setup, out: &mut String) -> fmt::Result {
    let is_made = |id| setup.uppers.iter().any(|upper| upper.interface == id);
    let mut groups = Vec::new();
    for (index, pace) in (0..).zip(&setup.paces).filter(|(_, pace)| **pace != Pace::default()) {
        let of = setup.pace_of.iter().zip((0..).map(InterfaceId)).filter(|&(of, id)| *of == index && !is_made(id));
        let names: Vec<_> = of.map(|(_, id)| &setup.interfaces[id.index()]).collect();
        groups.extend((!names.is_empty()).then_some((pace, names)));
    }
    if !groups.is_empty() {
        writeln!(out, "------< Gratuitous ARP delays >------")?;
    }
    for (number, (Pace { garp, gna }, names)) in groups.iter().enumerate() {
        writeln!(out, "------< GARP delay group {number} >------")?;
        for (what, interval) in [("GARP", garp), ("GNA", gna)] {
            if !interval.is_zero() {
                writeln!(out, " {what} interval = {}", interval.as_secs_f64())?;
            }
        }
        writeln!(out, " Interfaces")?;
        names.iter().try_for_each(|name| writeln!(out, "  {name}"))?;
    }
    Ok(())
}
