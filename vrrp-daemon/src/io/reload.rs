//! SIGHUP and `vrrpctl reload`: a thread of its own reads, checks and prepares the new configuration, and then has the other
//! threads go on by it. What is wrong is said, and the old one stays.

mod mark;

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use tokio::sync::mpsc;

use super::driver::Message;
use super::errands::{self, Errand};
use super::fifo::Fifo;
use super::identity::Places;
use super::next::{Move, Next, Wanted};
use super::privilege::{self, Urgency};
use super::xdp::{Sizes, Xdp};
use super::{bfd, files, firewall, log, needed, ports};
use crate::config::matching;
use crate::config::setup::Setup;
use crate::engine::matching::{Matching, Moves};
use crate::engine::plan::Id;

/// What the thread needs.
pub struct Reloads {
    pub current: Arc<Setup>,
    pub places: Places,
    pub urgency: Urgency,
    /// Room in the kernel's tables; `None` while there is no program.
    pub room: Option<Sizes>,
    /// Those that are open; whoever writes to them keeps them so.
    pub fifos: Vec<Weak<Fifo>>,
    pub protocol: mpsc::Sender<Message>,
    pub errands: mpsc::UnboundedSender<Errand>,
    pub sessions: mpsc::UnboundedSender<bfd::Change>,
}

impl Reloads {
    /// Serves until nobody is left who could want one.
    pub fn run(mut self, wanted: &Receiver<Wanted>) {
        mark::remove(self.current.reloading.mark.as_deref());
        while let Ok(first) = wanted.recv() {
            let waiting: Vec<_> = std::iter::once(first).chain(wanted.try_iter()).collect();
            tracing::info!("Reloading {}", self.places.config.display());
            let outcome = self.reload();
            match &outcome {
                Ok(took) => tracing::info!("Reload complete (the protocol was held up for {} us)", took.as_micros()),
                Err(why) => tracing::warn!("Reload refused, the configuration of before stays: {why}"),
            }
            // Reading takes ten times what stays of it.
            self.urgency.shrink();
            for reply in waiting.into_iter().flatten() {
                // Whoever asked may have gone.
                let _ = reply.send(outcome.as_ref().map(|_| ()).map_err(String::clone));
            }
        }
    }

    fn reload(&mut self) -> Result<Duration, String> {
        let mark = self.current.reloading.mark.as_deref();
        mark::set(mark);
        let read = read(&self.places);
        mark::remove(mark);
        let mut setup = read?;
        keep_fixed(&self.current, &mut setup);
        if self.places.no_bfd {
            bfd::leave_out(&mut setup);
        }
        errands::disable_unusable(&mut setup);
        let matching = matching(&self.current, &setup);
        check(&self.current, &setup, &matching)?;
        privilege::allow_files(setup.interfaces.len());
        let program = self.larger_program(&setup, &matching)?;
        let room = program.as_ref().map(|(_, sizes)| *sizes);
        let mut urgency = Urgency::of(&setup);
        let is_other = urgency != self.urgency;
        if is_other {
            urgency.prepare();
            self.urgency = urgency;
        }
        let urgency = is_other.then_some(urgency);
        let to = Arc::new(Move { setup: Arc::new(setup), matching, urgency });
        let (done, outcome) = sync_channel(1);
        let fifos = Fifo::open_all(&to.setup.telling.fifos, &self.fifos);
        let open = fifos.iter().map(Arc::downgrade).collect();
        let next = Box::new(Next { to: Arc::clone(&to), program, fifos, done });
        let gone = || "the daemon is stopping".to_owned();
        self.protocol.blocking_send(Message::Reload(next)).map_err(|_| gone())?;
        let took = outcome.recv().map_err(|_| gone())??;
        let _ = self.errands.send(Errand::Reload(Arc::clone(&to)));
        if !self.places.no_bfd {
            let _ = self.sessions.send(bfd::Change { peers: bfd::peers(&to.setup), urgency });
        }
        self.room = room.or(self.room);
        self.fifos = open;
        // The one before is freed here, where nobody waits for it.
        self.current = Arc::clone(&to.setup);
        Ok(took)
    }

    /// Another program, when what stays and what is new have not all room in the present one's tables.
    fn larger_program(&self, setup: &Setup, matching: &Matching) -> Result<Option<(Xdp, Sizes)>, String> {
        let Some(room) = self.room else { return Ok(None) };
        let needed = needed(&self.current, setup, matching);
        if needed.rules <= room.rules && needed.devices <= room.devices && needed.peers <= room.peers {
            return Ok(None);
        }
        let sizes = Sizes {
            rules: needed.rules.next_power_of_two().max(room.rules),
            devices: needed.devices.next_power_of_two().max(room.devices),
            peers: needed.peers.next_power_of_two().max(room.peers),
            rows: 0,
        };
        let sizes = Sizes { rows: sizes.rules + sizes.devices, ..sizes };
        let loaded = Xdp::load(sizes).map_err(|error| format!("no XDP program with more room: {error:#}"))?;
        Ok(Some((loaded, sizes)))
    }
}

/// Whose number is free only now is not given to what is new: frames may be on their way.
fn needed(old: &Setup, new: &Setup, matching: &Matching) -> Sizes {
    fn count<I: Id>(old: usize, moves: &Moves<I>) -> u32 {
        (old + moves.fresh().count()) as u32
    }
    Sizes {
        rules: count(old.instances.len(), &matching.instances),
        devices: count(old.interfaces.len(), &matching.interfaces),
        peers: ports::peers(new),
        rows: 0,
    }
}

/// What the configuration comes to now; or why it is not to be applied.
fn read(places: &Places) -> Result<Setup, String> {
    let checked = files::check(&places.config, &places.how);
    log::findings(&checked);
    let path = places.config.display();
    if !checked.is_readable() {
        return Err(format!("{path} cannot be read"));
    }
    if checked.has_errors() {
        let first = checked.first_error().unwrap_or_default();
        return Err(format!("{first} (`vrrpd -t -f {path}` shows all)"));
    }
    if checked.setup.instances.is_empty() {
        return Err(format!("{path} has no virtual router that could run"));
    }
    let mut setup = checked.setup.clone();
    setup.plan.instances = Arc::new(Vec::clone(&setup.plan.instances));
    Ok(setup)
}

/// Settings that hold from the start of the daemon to its end.
fn keep_fixed(old: &Setup, new: &mut Setup) {
    let (before, after) = (&old.daemon, &mut new.daemon);
    let mut fixed = Vec::new();
    if before.firewall.table != after.firewall.table {
        after.firewall.table.clone_from(&before.firewall.table);
        fixed.push("nftables");
    }
    if before.xdp.mode != after.xdp.mode {
        after.xdp.mode = before.xdp.mode;
        fixed.push("xdp_mode");
    }
    let (before, after) = (&old.service, &mut new.service);
    if (&before.net_namespace, &before.instance) != (&after.net_namespace, &after.instance) {
        fixed.push("net_namespace or instance");
    }
    after.clone_from(before);
    for keyword in fixed {
        tracing::warn!("{keyword} cannot be changed by a reload; the setting of before stays until vrrpd is restarted");
    }
}

/// What the host lacks for the new configuration. What was there before may have gone meanwhile.
fn check(old: &Setup, new: &Setup, matching: &Matching) -> Result<(), String> {
    let exists = |name: &str| if_nametoindex(name).is_ok();
    let known = |name: &String| old.interfaces.contains(name);
    for upper in &new.uppers {
        let name = &new.interfaces[upper.interface.index()];
        if !known(name) && exists(name) {
            return Err(format!(
                "interface {name} exists, and would be made anew; remove it (`ip link del {name}`) or choose another name \
                 (`use_vmac NAME`, `use_ipvlan NAME`)"
            ));
        }
    }
    needed::check(new, |id| matching.interfaces.from(id).is_some() || exists(&new.interfaces[id.index()]))?;
    firewall::check(new).map_err(|error| format!("{error:#}"))
}
