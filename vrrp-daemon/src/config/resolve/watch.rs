//! What a virtual router watches: its interface, those of its addresses, what it tracks, and what its group tracks.

use std::collections::BTreeSet;

use vrrp_common::Priority;

use super::Resolver;
use super::sync_group::Group;
use crate::engine::plan::{InterfaceId, Subject, Watch, Weight};
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::{At, Items};
use crate::track::{Use, Uses};

/// A virtual router, as far as it matters here.
pub struct Watcher<'a> {
    pub name: &'a str,
    pub interface: InterfaceId,
    /// `dont_track_primary`.
    pub ignores_interface: bool,
    /// Interfaces of its addresses.
    pub devs: &'a BTreeSet<InterfaceId>,
    pub priority: Priority,
    pub group: Option<&'a Group>,
}

impl Resolver<'_> {
    /// `None`: the virtual router is left out, reported.
    pub(super) fn watches(&mut self, of: &Watcher, interfaces: Items<Use>, tracks: Uses) -> Option<Vec<Watch>> {
        let mut watches = Vec::new();
        if !of.ignores_interface {
            watches.push(Watch { subject: Subject::Interface(of.interface), weight: Weight::default() });
        }
        for used in interfaces.items {
            let id = self.interface(&used.value.name, used.at)?;
            // A virtual MAC interface has the link state of the one below, and is down in backups.
            let id = self.below(id);
            if id == of.interface && !self.setup.routed.contains(&id) {
                let message = format!("({}) its own interface `{}` is tracked anyway", of.name, used.value.name);
                self.found.warning(Class::Duplicate, used.at, message).done("the line is skipped");
                continue;
            }
            let weight = used.value.weight(Weight::default());
            self.watch(of, &mut watches, Watch { subject: Subject::Interface(id), weight }, &used);
        }
        for (keyword, used) in tracks.items {
            if let Some((id, weight)) = self.use_of(&used, keyword, of.name) {
                self.watch(of, &mut watches, Watch { subject: Subject::Tracker(id), weight }, &used);
            }
        }
        let devs = of.devs.iter().filter(|&&dev| dev != of.interface);
        let devs = devs.map(|&dev| Watch { subject: Subject::Interface(dev), weight: Weight::default() });
        let grouped = of.group.into_iter().flat_map(|group| &group.watches).copied();
        for watch in devs.chain(grouped) {
            if watches.iter().all(|own: &Watch| own.subject != watch.subject) {
                watches.push(watch);
            }
        }
        Some(watches)
    }

    /// Adds what a line says is to be watched, or reports why not.
    fn watch(&mut self, of: &Watcher, watches: &mut Vec<Watch>, watch: Watch, used: &At<Use>) {
        let (name, tracked) = (of.name, &used.value.name);
        if watches.iter().any(|other| other.subject == watch.subject) {
            let message = format!("({name}) `{tracked}` is tracked a second time");
            self.found.warning(Class::Duplicate, used.at, message).done("the first line counts");
        } else if watch.weight.value != 0 && of.priority.is_owner() {
            let message = format!("({name}) `{tracked}` has a weight, and priority 255 never changes");
            self.found.warning(Class::Conflict, used.at, message).done("it is not tracked");
        } else if watch.weight.value != 0 && of.group.is_some_and(|group| !group.has_weights) {
            let message = format!("({name}) `{tracked}` has a weight, and its sync group would fall apart by it");
            let diagnostic = self.found.warning(Class::Conflict, used.at, message).done("it is not tracked");
            diagnostic.hint("track it in the vrrp_sync_group, or write `sync_group_tracking_weight` there");
        } else {
            watches.push(watch);
        }
    }
}
