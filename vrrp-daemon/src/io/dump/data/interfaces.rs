//! The interfaces of the configuration, as the daemon sees them.

use std::fmt::{self, Display, Write};

use super::{View, list};
use crate::config::setup::{HOST, UpperKind};
use crate::engine::plan::{InterfaceId, LinkDelay, Subject};

pub fn write(view: &View, out: &mut String) -> fmt::Result {
    let View { setup, observed, .. } = view;
    let state = |up: bool| if up { "UP, RUNNING" } else { "not UP, not RUNNING" };
    for ((name, seen), id) in setup.interfaces.iter().zip(&observed.interfaces).zip((0..).map(InterfaceId)) {
        if name == HOST {
            continue;
        }
        writeln!(out, " Name = {name}")?;
        if let Some(link) = seen.link {
            let mac = link.mac.map(|octet| format!("{octet:02x}")).join(":");
            writeln!(out, "   index = {}", link.index.0)?;
            writeln!(out, "   IPv4 address = {}", or_none(link.primary4))?;
            writeln!(out, "   IPv6 address = {}", or_none(link.link_local6))?;
            writeln!(out, "   MAC = {mac}")?;
        }
        writeln!(out, "   State = {}", state(seen.link.is_some_and(|link| link.up)))?;
        let LinkDelay { down, up } = setup.plan.delays.get(&id).copied().unwrap_or_default();
        writeln!(out, "   Up debounce timer = {}us\n   Down debounce timer = {}us", up.as_micros(), down.as_micros())?;
        if let Some(upper) = setup.uppers.iter().find(|upper| upper.interface == id) {
            let (below, seen) = (&setup.interfaces[upper.parent.index()], &observed.interfaces[upper.parent.index()]);
            let below_state = state(seen.link.is_some_and(|link| link.up));
            if matches!(upper.kind, UpperKind::Vmac(_)) {
                writeln!(out, "   VMAC type vepa, underlying interface = {below}, state = {below_state}")?;
            }
            writeln!(out, "   I/f created by keepalived")?;
        }
        list(out, "   Tracking VRRP instances :", view.watchers(Subject::Interface(id), ","))?;
    }
    Ok(())
}

fn or_none(address: Option<impl Display>) -> String {
    address.map_or("(none)".into(), |address| address.to_string())
}
