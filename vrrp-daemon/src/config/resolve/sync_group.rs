//! Sync groups: who is a member, and that a group is done whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Resolver, notify};
use crate::config::setup;
use crate::config::sync_group::{Members, SyncGroup};
use crate::engine::plan::{GroupId, GroupPlan, InstanceId, Subject, Watch, Weight};
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::{At, Items, Named};
use crate::syntax::source::Span;
use crate::track::{Use, Uses};

/// The groups of a configuration, while its virtual routers are read.
#[derive(Default)]
pub struct Groups {
    groups: Vec<Group>,
    /// Index into `groups`, by the member's name.
    of: BTreeMap<String, usize>,
}

pub struct Group {
    setup: setup::Group,
    at: Span,
    members: Vec<At<String>>,
    /// What each member watches beside its own.
    pub watches: Vec<Watch>,
    /// `sync_group_tracking_weight`: members may weigh what they track.
    pub has_weights: bool,
    /// It asks for something that is not done; reported.
    refused: bool,
}

impl Groups {
    /// The group that a virtual router is a member of.
    pub fn of(&self, name: &str) -> Option<&Group> {
        self.of.get(name).map(|&index| &self.groups[index])
    }
}

impl Resolver<'_> {
    pub(super) fn sync_groups(&mut self, read: Vec<Named<SyncGroup>>) -> Groups {
        let mut groups = Groups::default();
        for Named { name, at, block } in read {
            if groups.groups.iter().any(|group| group.setup.name == name) {
                let message = format!("vrrp_sync_group `{name}` is defined a second time");
                self.found.error(Class::Duplicate, at, message).done("the first one counts");
                continue;
            }
            let group = self.sync_group(name, at, block, &mut groups);
            groups.groups.push(group);
        }
        groups
    }

    fn sync_group(&mut self, name: String, at: Span, block: SyncGroup, before: &mut Groups) -> Group {
        let SyncGroup {
            group: Members { names, at: _ },
            tracks,
            track_interface,
            tracking_weight,
            global_tracking,
            notify_master,
            notify_backup,
            notify_fault,
            notify_stop,
            notify,
            notify_priority_changes,
            smtp_alert,
            foreign,
        } = block;
        if let Some(at) = global_tracking.0 {
            let message = format!("({name}) `global_tracking` is out of date");
            let diagnostic = self.found.warning(Class::Value, at, message);
            diagnostic.done("it counts as `sync_group_tracking_weight`").hint("write that");
        }
        let mut members: Vec<At<String>> = Vec::new();
        for member in names {
            if before.of.contains_key(&member.value) {
                let message = format!("({name}) `{}` is in a sync group already", member.value);
                self.found.error(Class::Duplicate, member.at, message).done("the first one counts");
            } else {
                before.of.insert(member.value.clone(), before.groups.len());
                members.push(member);
            }
        }
        let notify = notify::Written {
            master: notify_master,
            backup: notify_backup,
            fault: notify_fault,
            stop: notify_stop,
            any: notify,
            priority_changes: notify_priority_changes,
            ..Default::default()
        };
        let notify = self.notify(notify, &name);
        Group {
            refused: self.refuses(&foreign, &name, MEMBERS_LEFT_OUT),
            watches: self.group_watches(track_interface, tracks, &name),
            has_weights: tracking_weight.is_on() || global_tracking.0.is_some(),
            setup: setup::Group { name, smtp_alert: self.alerts(smtp_alert), notify },
            at,
            members,
        }
    }

    fn group_watches(&mut self, interfaces: Items<Use>, tracks: Uses, name: &str) -> Vec<Watch> {
        let mut watches: Vec<Watch> = Vec::new();
        let interfaces: Vec<_> = interfaces.items.into_iter().map(|used| ("track_interface", used)).collect();
        for (keyword, used) in interfaces.into_iter().chain(tracks.items) {
            let found = match keyword {
                "track_interface" => {
                    let Some(id) = self.interface(&used.value.name, used.at) else { continue };
                    let id = self.below(id);
                    Some((Subject::Interface(id), used.value.weight(Weight::default())))
                }
                _ => self.use_of(&used, keyword, name).map(|(id, weight)| (Subject::Tracker(id), weight)),
            };
            let Some((subject, weight)) = found else { continue };
            if watches.iter().any(|watch| watch.subject == subject) {
                let message = format!("({name}) `{}` is tracked a second time", used.value.name);
                self.found.warning(Class::Duplicate, used.at, message).done("the first line counts");
                continue;
            }
            watches.push(Watch { subject, weight });
        }
        watches
    }

    /// Puts the virtual routers that there are into their groups. One that is left out takes its group with it.
    pub(super) fn join(&mut self, groups: Groups) {
        let Groups { groups, of: _ } = groups;
        let there: BTreeSet<String> = self.setup.instances.iter().map(|instance| instance.name.clone()).collect();
        let mut left_out = BTreeSet::new();
        let mut whole = Vec::new();
        for mut group in groups {
            let name = &group.setup.name;
            group.members.retain(|member| {
                let defined = self.routers_named.contains(&member.value);
                if !defined {
                    let message = format!("({name}) there is no vrrp_instance `{}`", member.value);
                    self.found.error(Class::Reference, member.at, message).done("it is skipped");
                }
                defined
            });
            for member in group.members.iter().filter(|member| !there.contains(&member.value)) {
                let message = format!("({name}) its member `{}` is left out", member.value);
                self.found.error(Class::Conflict, member.at, message).done(MEMBERS_LEFT_OUT);
                group.refused = true;
            }
            match group.members.len() {
                _ if group.refused => left_out.extend(group.members.into_iter().map(|member| member.value)),
                0 => {
                    let message = format!("sync group `{name}` has no virtual router");
                    self.found.error(Class::Incomplete, group.at, message).done("it is left out");
                }
                count => {
                    if count == 1 {
                        let message = format!("sync group `{name}` has one virtual router alone");
                        self.found.warning(Class::Incomplete, group.at, message);
                    }
                    whole.push(group);
                }
            }
        }
        let stays = |instance: &setup::Instance| !left_out.contains(&instance.name);
        let mut each = self.setup.instances.iter();
        Arc::make_mut(&mut self.setup.plan.instances).retain(|_| each.next().is_some_and(stays));
        self.setup.instances.retain(stays);
        self.number(whole);
    }

    fn number(&mut self, groups: Vec<Group>) {
        let names = self.setup.instances.iter().map(|instance| instance.name.clone());
        let ids: BTreeMap<String, InstanceId> = names.zip((0..).map(InstanceId)).collect();
        for (group, number) in groups.into_iter().zip((0..).map(GroupId)) {
            let members: Vec<_> = group.members.iter().filter_map(|member| ids.get(&member.value).copied()).collect();
            for member in &members {
                Arc::make_mut(&mut self.setup.plan.instances)[member.index()].group = Some(number);
            }
            self.setup.plan.groups.push(GroupPlan { members });
            self.setup.groups.push(group.setup);
        }
    }
}

const MEMBERS_LEFT_OUT: &str = "its members are left out: apart, they would be master in different places";
