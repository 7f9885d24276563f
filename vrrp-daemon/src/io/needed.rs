//! The interfaces that a configuration needs. Without one of them the daemon does not start, nor reload, unless
//! interfaces may come later; keepalived does not start either.

use crate::config::setup::{HOST, Setup, Statics};
use crate::engine::plan::{InterfaceId, Subject};

/// Names the first that is not there, and whose it is. Those that the daemon makes itself need not be.
pub fn check(setup: &Setup, exists: impl Fn(InterfaceId) -> bool) -> Result<(), String> {
    if setup.daemon.dynamic_interfaces {
        return Ok(());
    }
    let made: Vec<_> = setup.uppers.iter().map(|upper| upper.interface).collect();
    let is_missing = |id: &InterfaceId| !exists(*id) && !made.contains(id) && setup.interfaces[id.index()] != HOST;
    let missing = |id: InterfaceId, whose: &str| {
        let interface = &setup.interfaces[id.index()];
        Err(format!(
            "interface {interface} of {whose} does not exist; create it or correct the name (`ip link` lists them)"
        ))
    };
    let Statics { addresses, paths } = &setup.statics;
    let mut statics = addresses.iter().map(|address| address.interface).chain(paths.interfaces());
    if let Some(id) = statics.find(is_missing) {
        return missing(id, "static addresses, routes or rules");
    }
    for (plan, instance) in setup.plan.instances.iter().zip(&setup.instances) {
        let watched = plan.watches.iter().filter_map(|watch| match watch.subject {
            Subject::Interface(id) => Some(id),
            Subject::Tracker(_) => None,
        });
        let addressed = instance.addresses.iter().map(|address| address.interface);
        let mut used = [plan.interface].into_iter().chain(addressed).chain(instance.paths.interfaces()).chain(watched);
        if let Some(id) = used.find(is_missing) {
            return missing(id, &format!("vrrp_instance {}", instance.name));
        }
    }
    Ok(())
}
