//! Where objects are: keepalived's paths.

use vrrp_common::Family;

use crate::config::setup::Setup;
use crate::engine::plan::InstanceId;

const ROOT: &str = "/org/keepalived/Vrrp1";

/// What all paths of a daemon begin with: several of a host may be told apart by network namespace and instance.
pub fn base(setup: &Setup) -> String {
    let names = [&setup.service.net_namespace, &setup.service.instance].into_iter().flatten();
    [ROOT.to_owned()].into_iter().chain(names.map(|name| word(name))).collect::<Vec<_>>().join("/")
}

pub fn daemon(base: &str) -> String {
    format!("{base}/Vrrp")
}

/// By what names it on the wire, and not by its name.
pub fn instance(base: &str, setup: &Setup, id: InstanceId) -> String {
    let plan = &setup.plan.instances[id.index()];
    let interface = if setup.routed.contains(&plan.interface) {
        setup.telling.dbus.as_ref().map_or("none", |dbus| &dbus.no_interface).to_owned()
    } else {
        word(&setup.interfaces[plan.interface.index()])
    };
    let family = match plan.family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    };
    format!("{base}/Instance/{interface}/{}/{family}", plan.vrid.get())
}

/// A bus takes letters, digits and `_`; each other octet is one.
fn word(name: &str) -> String {
    name.bytes().map(|octet| if octet.is_ascii_alphanumeric() { char::from(octet) } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vrrp_common::{Version, Vrid};

    use super::*;
    use crate::config::setup::{Dbus, HOST};
    use crate::engine::plan::{InstancePlan, InterfaceId};

    fn setup(interface: &str, family: Family) -> Setup {
        let mut setup = Setup { interfaces: vec![interface.into()], ..Setup::default() };
        let plan = InstancePlan::new(InterfaceId(0), Vrid::new(51).unwrap(), Version::V3);
        Arc::make_mut(&mut setup.plan.instances).push(InstancePlan { family, ..plan });
        setup.telling.dbus = Some(Dbus { name: "a.b".into(), no_interface: "nowhere".into() });
        setup
    }

    fn only(setup: &Setup) -> String {
        instance(&base(setup), setup, InstanceId(0))
    }

    #[test]
    fn names_are_made_to_fit() {
        for (interface, family, path) in [
            ("eth0", Family::V4, "/org/keepalived/Vrrp1/Instance/eth0/51/IPv4"),
            ("eth0", Family::V6, "/org/keepalived/Vrrp1/Instance/eth0/51/IPv6"),
            ("br-lan.10", Family::V4, "/org/keepalived/Vrrp1/Instance/br_lan_10/51/IPv4"),
            ("a9\u{e9}", Family::V4, "/org/keepalived/Vrrp1/Instance/a9__/51/IPv4"),
        ] {
            assert_eq!(only(&setup(interface, family)), path);
        }
    }

    #[test]
    fn who_has_no_interface_has_a_word_for_it() {
        let mut setup = setup(HOST, Family::V4);
        setup.routed.insert(InterfaceId(0));
        assert_eq!(only(&setup), "/org/keepalived/Vrrp1/Instance/nowhere/51/IPv4");
    }

    #[test]
    fn daemons_of_a_host_are_told_apart() {
        let mut setup = setup("eth0", Family::V4);
        setup.service.instance = Some("blue".into());
        assert_eq!(only(&setup), "/org/keepalived/Vrrp1/blue/Instance/eth0/51/IPv4");
        setup.service.net_namespace = Some("ns-1".into());
        assert_eq!(daemon(&base(&setup)), "/org/keepalived/Vrrp1/ns_1/blue/Vrrp");
    }
}
