//! How a status reads: who is master and why in one glance, then what wants attention, then detail.

use std::fmt::{self, Display, Write};

use vrrp_common::drop::{Disposition, Reason};

use super::timing;
use crate::engine::snapshot::{Cause, StateName};
use crate::io::lateness::{Late, Spread};
use crate::io::status::tracker::Word;
use crate::io::status::{Checksum, Drops, Group, Instance, Interface, Path, Status, Tracker, XdpMode, span};

/// Whether there are colours.
#[derive(Clone, Copy, Debug)]
pub struct Paint(bool);

impl Paint {
    pub const fn when(wanted: bool) -> Self {
        Self(wanted)
    }

    /// In a colour of SGR, padded to a width that the escapes do not count for.
    fn put(self, colour: &str, text: &str, width: usize) -> String {
        let padding = width.saturating_sub(text.chars().count());
        match (self.0, colour) {
            (false, _) | (_, "") => format!("{text}{:padding$}", ""),
            _ => format!("\x1b[{colour}m{text}\x1b[0m{:padding$}", ""),
        }
    }

    fn state(self, state: StateName, width: usize) -> String {
        let colour = match state {
            StateName::Master => "1;32",
            StateName::Backup => "36",
            StateName::Fault => "1;31",
            StateName::Init | StateName::Stop => "33",
        };
        self.put(colour, state.label(), width)
    }
}

/// The whole answer. Detail is shown of every instance when asked for, or when there is only one.
pub fn status(status: &Status, detail: bool, paint: Paint) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_status(&mut text, status, detail, paint);
    text
}

fn write_status(out: &mut String, status: &Status, detail: bool, paint: Paint) -> fmt::Result {
    let Status { daemon, interfaces, instances, groups, trackers, conflicts: _ } = status;
    write!(out, "vrrpd {}, pid {}, up {}", daemon.version, daemon.pid, span(daemon.seconds))?;
    if let Some(router_id) = &daemon.router_id {
        write!(out, ", router {router_id}")?;
    }
    writeln!(out, ", {}", daemon.config)?;
    if let Some(due) = &daemon.reload_due {
        writeln!(out, "next reload {due}")?;
    }
    writeln!(out)?;
    if instances.is_empty() {
        return writeln!(out, "The configuration has no vrrp_instance.");
    }
    write_instances(out, instances, paint)?;
    write_groups(out, groups, paint)?;
    write_trackers(out, trackers, paint)?;
    write_attention(out, status, paint)?;
    write_frames(out, status, paint)?;
    write_lateness(out, &daemon.late, paint)?;
    if detail || instances.len() == 1 {
        for instance in instances {
            let interface = interfaces.iter().find(|interface| interface.name == instance.interface);
            writeln!(out)?;
            write_detail(out, instance, interface, paint)?;
        }
    }
    Ok(())
}

fn write_instances(out: &mut String, instances: &[Instance], paint: Paint) -> fmt::Result {
    let headings = ["INSTANCE", "STATE", "FOR", "PRIORITY", "MASTER", "WHERE", "WHY"];
    let rows: Vec<_> = instances
        .iter()
        .map(|instance| {
            [
                instance.name.clone(),
                instance.state.label().to_owned(),
                span(instance.seconds),
                priority(instance),
                master(instance),
                format!("{} vrid {}", instance.interface, instance.vrid),
                why(instance),
            ]
        })
        .collect();
    let widths = widths(&headings, &rows);
    write_row(out, &headings.map(|heading| paint.put("2", heading, 0)), &widths, &headings)?;
    for (row, instance) in rows.iter().zip(instances) {
        let mut cells = row.clone();
        cells[1] = paint.state(instance.state, 0);
        write_row(out, &cells, &widths, row)?;
    }
    Ok(())
}

/// Virtual routers that change state together.
fn write_groups(out: &mut String, groups: &[Group], paint: Paint) -> fmt::Result {
    if groups.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let headings = ["SYNC GROUP", "STATE", "MEMBERS"];
    let row = |group: &Group| [group.name.clone(), group.state.label().to_owned(), group.members.join(" ")];
    let rows: Vec<_> = groups.iter().map(row).collect();
    let widths = widths(&headings, &rows);
    write_row(out, &headings.map(|heading| paint.put("2", heading, 0)), &widths, &headings)?;
    for (row, group) in rows.iter().zip(groups) {
        let mut cells = row.clone();
        cells[1] = paint.state(group.state, 0);
        write_row(out, &cells, &widths, row)?;
    }
    Ok(())
}

/// What virtual routers depend on, and what was last found out of it.
fn write_trackers(out: &mut String, trackers: &[Tracker], paint: Paint) -> fmt::Result {
    if trackers.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let headings = ["TRACKER", "IS", "AGO", "LAST", "KIND"];
    let row = |tracker: &Tracker| {
        let is = tracker.number.map_or_else(|| tracker.verdict.label().to_owned(), |number| number.to_string());
        let last = tracker.last.clone().unwrap_or_else(|| "nothing yet".into());
        [tracker.name.clone(), is, tracker.seconds.map(span).unwrap_or_default(), last, tracker.kind.clone()]
    };
    let rows: Vec<_> = trackers.iter().map(row).collect();
    let widths = widths(&headings, &rows);
    write_row(out, &headings.map(|heading| paint.put("2", heading, 0)), &widths, &headings)?;
    for (row, tracker) in rows.iter().zip(trackers) {
        let mut cells = row.clone();
        let colour = match tracker.verdict {
            Word::Passed => "32",
            Word::Failed => "1;31",
            Word::Unknown => "33",
            Word::Number => "",
        };
        cells[1] = paint.put(colour, &row[1], 0);
        write_row(out, &cells, &widths, row)?;
    }
    Ok(())
}

fn widths<const N: usize>(headings: &[&str; N], rows: &[[String; N]]) -> [usize; N] {
    std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([headings[column].chars().count()]).max().unwrap_or_default()
    })
}

/// One line of a table: `cells` as they are painted, as wide as their `plain` text. Nothing trails.
fn write_row<const N: usize>(
    out: &mut String,
    cells: &[String; N],
    widths: &[usize; N],
    plain: &[impl AsRef<str>; N],
) -> fmt::Result {
    for column in 0..N {
        let padding = widths[column] - plain[column].as_ref().chars().count();
        match column + 1 == N {
            true => writeln!(out, "{}", cells[column])?,
            false => write!(out, "{}{:padding$}  ", cells[column], "")?,
        }
    }
    Ok(())
}

fn priority(instance: &Instance) -> String {
    match (instance.effective_priority, instance.base_priority) {
        (effective, base) if effective == base => effective.to_string(),
        (effective, base) => format!("{effective} (base {base})"),
    }
}

/// Who is left that needs it.
const fn version_2(instance: &Instance) -> &'static str {
    match instance.stats.version_2_rcvd {
        0 => "no router heard that speaks it alone",
        _ => "heard of a router that speaks it alone",
    }
}

fn master(instance: &Instance) -> String {
    match &instance.master {
        Some(master) if master.ourselves => "this router".into(),
        Some(master) => format!("{} (priority {})", master.address, master.priority),
        None if instance.state == StateName::Master => "this router".into(),
        None => "unknown".into(),
    }
}

/// Why an instance is in its state, in words that follow "because".
fn why(instance: &Instance) -> String {
    match (instance.why, instance.state) {
        (Cause::None, _) => "waits for its interface and its checks".into(),
        (Cause::Startup, StateName::Backup) => "started, and has not taken over".into(),
        (Cause::Startup, _) => "started".into(),
        (Cause::Shutdown, _) => "the daemon stops".into(),
        (Cause::HigherPriorityBackup, _) => "yielded to a router of higher priority or address".into(),
        (Cause::MasterTimeout, _) => "no advert from a master for the whole down interval".into(),
        (Cause::MasterLeft, _) => "the master left (priority 0)".into(),
        (Cause::LowerPriorityMaster, _) => "the master had a lower priority".into(),
        (Cause::InterfaceDown, _) => format!("{} is down", instance.interface),
        (Cause::NoPrimaryIpAddress, _) => format!("{} has no address to send from", instance.interface),
        (Cause::NoPeer, _) => "has no unicast peer, and must not serve without one (unicast_fault_no_peer)".into(),
        (Cause::CheckFailed, _) => "a tracked check has failed".into(),
        (Cause::FaultCleared, _) => "recovered from a fault".into(),
        (Cause::CameTooLate, _) => "this host was so late that another must have taken over".into(),
        (Cause::SyncGroup, _) => "follows another member of its sync group".into(),
        (Cause::OwnerPreempt, _) => "owns the addresses (priority 255)".into(),
    }
}

/// What an operator should look at, if there is anything.
fn write_attention(out: &mut String, status: &Status, paint: Paint) -> fmt::Result {
    let mut lines = Vec::new();
    for instance in &status.instances {
        let held = instance.addresses.iter().filter(|address| address.held).count();
        let (name, all) = (&instance.name, instance.addresses.len());
        match instance.state {
            StateName::Master if held < all => {
                lines.push(format!("{name} is master and holds {held} of {all} addresses"))
            }
            StateName::Master if instance.paths.iter().any(|path| !path.held) => {
                let missing = instance.paths.iter().filter(|path| !path.held).count();
                let all = instance.paths.len();
                lines.push(format!("{name} is master without {missing} of its {all} routes and rules"))
            }
            StateName::Master => {}
            state if held > 0 => lines.push(format!("{name} is {} and still holds {held} addresses", state.label())),
            _ => {}
        }
    }
    let checksums = status.instances.iter().filter_map(|instance| Some((&instance.name, instance.checksum.as_ref()?)));
    for (name, Checksum { ours, peer }) in checksums {
        if let Some(peer) = peer.as_ref().filter(|peer| *peer != ours) {
            lines.push(format!(
                "{name} sums its adverts by {ours}, its peer by {peer}, which may not hear us: see v3_checksum_as_v2"
            ));
        }
    }
    for interface in &status.interfaces {
        let name = &interface.name;
        match interface.ifindex {
            None => lines.push(format!("{name} does not exist")),
            Some(_) if !interface.up => lines.push(format!("{name} is down")),
            Some(_) => {}
        }
        if let Some(why) = &interface.xdp_off_why {
            lines.push(format!("{name} has no XDP program: {why}"));
        }
    }
    lines.extend(status.conflicts.iter().cloned());
    if status.daemon.log_lines_lost > 0 {
        lines.push(format!("{} log lines were lost", status.daemon.log_lines_lost));
    }
    if status.daemon.events_lost > 0 {
        lines.push(format!("{} events were neither logged nor told", status.daemon.events_lost));
    }
    if status.daemon.fifo_lines_lost > 0 {
        lines.push(format!("{} lines were not written to a FIFO", status.daemon.fifo_lines_lost));
    }
    if status.daemon.letters_lost > 0 {
        lines.push(format!("{} letters were not sent: no mail server took them", status.daemon.letters_lost));
    }
    if status.daemon.notices_lost > 0 {
        lines.push(format!("notify scripts were not run for {} changes of state", status.daemon.notices_lost));
    }
    if !lines.is_empty() {
        writeln!(out, "\n{}", paint.put("1;33", "Attention", 0))?;
    }
    lines.iter().try_for_each(|line| writeln!(out, "  {line}"))
}

/// Frames that were not simply taken, with what was found of them.
fn write_frames(out: &mut String, status: &Status, paint: Paint) -> fmt::Result {
    let of = |name: &str, drops: &Drops| {
        let kept = drops.iter().filter(|(label, _)| !label.starts_with("ok_"));
        kept.map(|(label, count)| {
            let (fate, help) = match Reason::ALL.iter().find(|reason| reason.label() == label) {
                Some(reason) => (fate(*reason), reason.help()),
                None => ("", ""),
            };
            [name.to_owned(), count.to_string(), fate.into(), label.clone(), help.into()]
        })
        .collect::<Vec<_>>()
    };
    let instances = status.instances.iter().flat_map(|instance| of(&instance.name, &instance.drops));
    let rows: Vec<_> = instances.chain(status.interfaces.iter().flat_map(|i| of(&i.name, &i.drops))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let headings = ["FRAMES", "COUNT", "WERE", "BECAUSE", "WHICH MEANS"];
    let widths = widths(&headings, &rows);
    write_row(out, &headings.map(|heading| paint.put("2", heading, 0)), &widths, &headings)?;
    rows.iter().try_for_each(|row| write_row(out, row, &widths, row))
}

/// How late what was due came: microseconds in JSON, rounded here.
fn write_lateness(out: &mut String, late: &Late, paint: Paint) -> fmt::Result {
    let rows: Vec<_> = timing::measures(late)
        .into_iter()
        .filter(|(_, spread)| spread.count > 0)
        .map(|(name, Spread { count, p50_us, p99_us, max_us, buckets: _ })| {
            let [p50, p99, max] = [p50_us, p99_us, max_us].map(|micros| timing::time(*micros));
            [name.to_owned(), p50, p99, max, count.to_string()]
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let headings = ["LATE", "HALF WITHIN", "99 % WITHIN", "MOST", "OF"];
    let widths = widths(&headings, &rows);
    write_row(out, &headings.map(|heading| paint.put("2", heading, 0)), &widths, &headings)?;
    rows.iter().try_for_each(|row| write_row(out, row, &widths, row))
}

const fn fate(reason: Reason) -> &'static str {
    match reason.disposition() {
        Disposition::Drop => "refused",
        Disposition::Deliver => "taken",
        Disposition::Pass => "passed on",
    }
}

fn write_detail(out: &mut String, instance: &Instance, interface: Option<&Interface>, paint: Paint) -> fmt::Result {
    writeln!(out, "{}", paint.put("1", &instance.name, 0))?;
    let mut line = |name: &str, text: &dyn Display| writeln!(out, "  {}{text}", paint.put("2", name, 11));
    let state = paint.state(instance.state, 0);
    line("state", &format_args!("{state} for {}, since {}", span(instance.seconds), instance.since))?;
    line("because", &why(instance))?;
    line("master", &master(instance))?;
    line("priority", &priority(instance))?;
    let (version, family, vrid) = (instance.version, instance.family, instance.vrid);
    let both = if instance.both_versions { " and VRRPv2" } else { "" };
    line("protocol", &format_args!("VRRPv{version}{both} over IPv{family}, vrid {vrid}"))?;
    if instance.both_versions {
        line("version 2", &version_2(instance))?;
    }
    if let Some(Checksum { ours, peer }) = &instance.checksum {
        match peer {
            Some(peer) => line("checksum", &format_args!("by {ours}, the peer's by {peer}"))?,
            None => line("checksum", &format_args!("by {ours}"))?,
        }
    }
    line("interface", &interface.map_or_else(|| instance.interface.clone(), describe))?;
    let mut heading = "addresses";
    for address in &instance.addresses {
        let held = if address.held { "held" } else { "not held" };
        let place = if address.interface == instance.interface { "" } else { &format!(" on {}", address.interface) };
        line(heading, &format_args!("{}{place}, {held}", address.address))?;
        heading = "";
    }
    let mut heading = "paths";
    for Path { path, held } in &instance.paths {
        line(heading, &format_args!("{path}, {}", if *held { "set" } else { "not set" }))?;
        heading = "";
    }
    line("lateness", &format_args!("{} for its latest advert", timing::time(instance.latest_us)))?;
    line("counters", &counters(instance))
}

fn describe(interface: &Interface) -> String {
    let Interface { name, ifindex, up, xdp, xdp_off_why: _, drops: _ } = interface;
    let index = ifindex.map_or_else(|| "absent".into(), |index| format!("index {index}"));
    let up = if *up { "up" } else { "down" };
    let xdp = match xdp {
        XdpMode::Native => "native",
        XdpMode::Generic => "generic",
        XdpMode::Off => "off",
    };
    format!("{name}, {index}, {up}, XDP {xdp}")
}

/// Those that are not zero, by their names in JSON, whichever there are.
fn counters(instance: &Instance) -> String {
    let stats = serde_json::to_value(instance.stats).unwrap_or_default();
    let stats = stats.as_object().into_iter().flatten().filter(|(_, count)| **count != 0);
    let counted: Vec<_> = stats.map(|(name, count)| format!("{name} {count}")).collect();
    if counted.is_empty() { "all zero".into() } else { counted.join(", ") }
}

#[cfg(test)]
mod tests;
