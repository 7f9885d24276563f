//! What the daemon has for as long as it runs, and the virtual routers that cannot serve without.

use std::collections::{BTreeMap, BTreeSet};

use super::paths::{Tracked, Whose, WrittenPaths};
use super::{DEFAULT_INTERFACE, Resolver};
use crate::config::address::Address;
use crate::config::instance::Instance;
use crate::config::setup::Statics;
use crate::config::statics::TrackGroup;
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::{At, Items, Named};

/// The names of virtual routers, by the name of their group.
type Groups = BTreeMap<String, Vec<String>>;

impl Resolver<'_> {
    pub(super) fn statics(
        &mut self,
        groups: Vec<Named<TrackGroup>>,
        addresses: Items<Address>,
        paths: WrittenPaths,
        instances: &[Named<Instance>],
    ) {
        let groups = self.track_groups(groups, instances);
        let mut statics = Statics::default();
        let mut known = BTreeSet::new();
        for mut item in addresses.items {
            let At { value, at } = &mut item;
            let dev = value.dev.as_ref().or(self.defaults.interface.as_ref());
            let dev = dev.map_or(DEFAULT_INTERFACE, |name| name.0.as_str()).to_owned();
            let Some(interface) = self.interface(&dev, *at) else { continue };
            if value.use_vmac.take().is_some() {
                let message = format!("`use_vmac` of static address {}", value.address);
                let diagnostic = self.found.error(Class::Unsupported, *at, message).done("it is ignored");
                diagnostic.hint("only a virtual router has a virtual MAC address");
            }
            if !known.insert((value.address, interface)) {
                let message = format!("static address {} is there a second time", value.address);
                self.found.warning(Class::Duplicate, *at, message).done("the first one counts");
                continue;
            }
            let group = value.track_group.take();
            self.watched_by(&groups, Tracked { group, interfaces: [interface].into() });
            let on_host = self.on_host(item, interface, "");
            statics.addresses.push(on_host);
        }
        if let Some((paths, tracked)) = self.paths(paths, Whose::Daemon) {
            statics.paths = paths;
            tracked.into_iter().for_each(|tracked| self.watched_by(&groups, tracked));
        }
        self.setup.statics = statics;
    }

    /// Those of the group that a static names watch its interfaces.
    fn watched_by(&mut self, groups: &Groups, Tracked { group, interfaces }: Tracked) {
        let Some(At { value, at }) = group else { return };
        let Some(members) = groups.get(&value) else {
            let message = format!("`track_group {value}` is not defined");
            let diagnostic = self.found.error(Class::Reference, at, message).done("no virtual router tracks it");
            diagnostic.hint(format!("write `track_group {value} {{ group {{ .. }} }}`"));
            return;
        };
        for member in members {
            self.track_groups.entry(member.clone()).or_default().extend(&interfaces);
        }
    }

    fn track_groups(&mut self, groups: Vec<Named<TrackGroup>>, instances: &[Named<Instance>]) -> Groups {
        let mut known = Groups::new();
        for Named { name, at, block } in groups {
            let TrackGroup { group, foreign: _ } = block;
            if known.contains_key(&name) {
                let message = format!("track_group `{name}` is defined a second time");
                self.found.error(Class::Duplicate, at, message).done("the first one counts");
                continue;
            }
            let mut members = Vec::new();
            for At { value, at } in group.names {
                if instances.iter().any(|instance| instance.name == value) {
                    members.push(value);
                } else {
                    let message = format!("track_group `{name}`: there is no vrrp_instance `{value}`");
                    self.found.error(Class::Reference, at, message).done("it is skipped");
                }
            }
            if members.is_empty() {
                let message = format!("track_group `{name}` has no virtual routers");
                self.found.error(Class::Incomplete, at, message).done("nothing is tracked by it");
            }
            known.insert(name, members);
        }
        known
    }
}
