//! Which virtual routers have an object on the bus.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tracing::warn;
use zbus::Connection;
use zbus::names::InterfaceName;

use super::objects::{Instance, Known, number};
use super::{Wishes, path};
use crate::engine::plan::InstanceId;
use crate::engine::snapshot::StateName;
use crate::io::status::Observed;

/// An interface that every node has, also those that only lead to others.
const OF_ALL_NODES: &str = "org.freedesktop.DBus.Peer";

/// By path.
#[derive(Default)]
pub struct Tree(BTreeMap<String, Arc<Known>>);

impl Tree {
    /// Has an object for each virtual router there is, in its state, and for none that is gone.
    pub async fn grow(
        &mut self,
        connection: &Connection,
        base: &str,
        observed: &Observed,
        wishes: &Wishes,
    ) -> zbus::Result<()> {
        let wanted = wanted(base, observed);
        let stays =
            |path: &String, known: &Arc<Known>| wanted.get(path).is_some_and(|wanted| wanted.name == known.name);
        let gone = self.0.iter().filter(|(path, known)| !stays(path, known)).map(|(path, _)| path.clone());
        for path in gone.collect::<Vec<_>>() {
            self.0.remove(&path);
            self.fell(connection, base, &path).await?;
        }
        for (path, known) in wanted {
            match self.0.entry(path) {
                Entry::Occupied(there) => {
                    there.get().state.store(known.state.load(Ordering::Relaxed), Ordering::Relaxed);
                }
                Entry::Vacant(place) => {
                    let instance = Instance::new(Arc::clone(&known), wishes.clone());
                    connection.object_server().at(place.key().as_str(), instance).await?;
                    place.insert(known);
                }
            }
        }
        Ok(())
    }

    /// Removes an object, and the nodes that led to it alone: zbus leaves those.
    async fn fell(&self, connection: &Connection, base: &str, path: &str) -> zbus::Result<()> {
        let server = connection.object_server();
        server.remove::<Instance, _>(path).await?;
        let mut node = path;
        while let Some((above, _)) = node.rsplit_once('/').filter(|(above, _)| above.len() > base.len()) {
            let below = format!("{above}/");
            if self.0.range(below.clone()..).next().is_some_and(|(other, _)| other.starts_with(&below)) {
                break;
            }
            server.remove_named(above, InterfaceName::from_static_str_unchecked(OF_ALL_NODES)).await?;
            node = above;
        }
        Ok(())
    }

    /// A virtual router has another state.
    pub fn enters(&self, path: &str, name: &str, state: StateName) {
        if let Some(known) = self.0.get(path).filter(|known| known.name == name) {
            known.state.store(number(state), Ordering::Relaxed);
        }
    }
}

/// Two names of interfaces may come to one word: then the first virtual router has the path, as in keepalived.
fn wanted(base: &str, observed: &Observed) -> BTreeMap<String, Arc<Known>> {
    let mut wanted = BTreeMap::<_, Arc<Known>>::new();
    for ((instance, seen), id) in observed.setup.instances.iter().zip(&observed.instances).zip(0..) {
        let state = AtomicU32::new(number(seen.snapshot.state));
        match wanted.entry(path::instance(base, &observed.setup, InstanceId(id))) {
            Entry::Vacant(place) => drop(place.insert(Arc::new(Known { name: instance.name.clone(), state }))),
            Entry::Occupied(taken) => {
                let (path, other) = (taken.key(), &taken.get().name);
                warn!("({}) has no object on D-Bus: {path} is that of {other}", instance.name);
            }
        }
    }
    wanted
}
