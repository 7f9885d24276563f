//! What one advert costs by each way in which it could leave: why the daemon sends as it does.

use std::time::{Duration, Instant};

use anyhow::Result;
use nix::net::if_::if_nametoindex;
use vrrp_common::abi::Device;
use vrrp_common::drop::Reason;
use vrrp_daemon::io::xdp::{Mode, Sizes, Xdp};
use vrrp_tests::effort;
use vrrp_tests::stamp::Stamp;

use super::Bench;
use crate::board::{Line, Of};
use crate::rig::{A, B, Rig};
use crate::roster::Roster;
use crate::subject::Subject;
use crate::ways::{Advert, BATCH, WAYS, Way};

const WINDOW: Duration = Duration::from_millis(300);
/// Between two batches: a sender that never stops leaves part of its work to the kernel's own threads.
const PAUSE: Duration = Duration::from_micros(50);

pub fn lines() -> Vec<Line> {
    let line = |way: &Way| Line::new("sending", format!("one advert: {}", way.title), samples(way), Of::Median, "µs");
    WAYS.iter().map(line).collect()
}

fn samples(way: &Way) -> String {
    format!("sending.{}", way.name)
}

pub fn run(bench: &mut Bench) {
    for round in 0..bench.reps {
        bench.attempt("sending", Subject::Floor, |bench| measure(bench, round));
    }
}

/// All ways in one world, each round beginning with another. One that cannot be had here does not hide the others.
fn measure(bench: &mut Bench, round: usize) -> Result<()> {
    let rig = Rig::new(1)?;
    let mut peer = rig.routers[B].within(Peer::new)?;
    for number in 0..WAYS.len() {
        let way = &WAYS[(number + round) % WAYS.len()];
        for _ in 0..bench.of(1, 4) {
            match rig.routers[A].within(|| send(way)) {
                Ok(sent) if peer.takes(sent.count) => {
                    let each = sent.cpu as f64 / 1e3 / sent.count as f64;
                    bench.add("sending", (sent.from, sent.until), &samples(way), Subject::Floor, each);
                }
                Ok(_) => bench.board.remarks.push(format!("sending: {}: adverts were lost", way.title)),
                Err(error) => bench.board.remarks.push(format!("sending: {}: {error:#}", way.title)),
            }
        }
    }
    Ok(())
}

struct Sent {
    from: Stamp,
    until: Stamp,
    count: u64,
    /// Nanoseconds, without the pauses.
    cpu: u64,
}

/// Sends by one way for a while, from this namespace.
fn send(way: &Way) -> Result<Sent> {
    let advert = Advert::new(&Roster::new(1, 1, 100))?;
    let mut batch = (way.open)(advert)?;
    let (from, start) = (Stamp::now(), Instant::now());
    let (mut count, mut cpu) = (0, Duration::ZERO);
    while start.elapsed() < WINDOW {
        let before = effort::of_this_thread();
        batch()?;
        cpu += effort::of_this_thread() - before;
        count += BATCH as u64;
        std::thread::sleep(PAUSE);
    }
    Ok(Sent { from, until: Stamp::now(), count, cpu: cpu.as_nanos() as u64 })
}

/// The other router: a program without rules, which drops and counts what arrives.
struct Peer {
    xdp: Xdp,
}

impl Peer {
    fn new() -> Result<Self> {
        let mut xdp = Xdp::load(Sizes::default())?;
        let index = if_nametoindex("eth0")?;
        xdp.set_device(index, &Device { row: 0, flags: 0 })?;
        xdp.attach(index, Mode::Native)?;
        Ok(Self { xdp })
    }

    /// Whether so many adverts arrived since it was last asked.
    fn takes(&mut self, count: u64) -> bool {
        let start = Instant::now();
        let arrived = || self.xdp.counters(0).map_or(0, |counters| counters[Reason::VridUnknown as usize]);
        while arrived() < count && start.elapsed() < Duration::from_secs(1) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let all = arrived() == count;
        self.xdp.clear_counters(0).is_ok() && all
    }
}
