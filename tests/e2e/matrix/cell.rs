//! One cell of the matrix: a laboratory in which the master crashes, comes back, loses and regains its priority, and stops.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use vrrp_common::Family;
use vrrp_tests::conf::{Conf, Preempt};
use vrrp_tests::daemon::{Daemon, Program};
use vrrp_tests::lab::{A, B, Lab, with_lab};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::{frr, keepalived};

use super::{COLUMNS, MODES, board};
use vrrp_tests::scenario::{self, PATIENCE, Pair, TOLERANCE, announced, holds};

/// Of router A, the first master, and of B.
const PRIORITY: [u8; 2] = [150, 120];
/// What a failing check takes from either: more than lies between them.
const WEIGHT: u8 = 50;

/// Runs the cell of a mode, and enters what it held.
pub fn run(mode: &str, column: &str) {
    let mode = MODES.iter().find(|known| known.name == mode).expect("a mode of the table");
    let programs = COLUMNS.iter().find(|known| known.0 == column).expect("a column of the table").1;
    let missing = |program: &Program| match program {
        Program::Vrrpd => false,
        Program::Keepalived => keepalived::is_missing(),
        Program::Frr => frr::is_missing(),
    };
    if programs.iter().any(missing) {
        return;
    }
    board::enter(mode.name, column, "HOLE");
    with_lab(|lab| {
        let cell = Cell::new(lab, programs, mode.conf)?;
        cell.events()?;
        lab.nobody_complains()?;
        board::enter(mode.name, column, "held");
        Ok(())
    });
}

struct Cell<'a> {
    lab: &'a Lab,
    programs: [Program; 2],
    confs: [Conf; 2],
}

impl<'a> Cell<'a> {
    fn new(lab: &'a Lab, programs: [Program; 2], conf: fn(usize, u8) -> Conf) -> Result<Self> {
        let confs = [A, B].map(|router| {
            let mut conf = conf(router, PRIORITY[router]).global("enable_script_security");
            if programs[router] == Program::Frr && conf.preempt != Preempt::Never {
                conf.preempt = Preempt::AtOnce;
            }
            conf.check(&healthy(lab, router), -i32::from(WEIGHT))
        });
        for router in [A, B] {
            std::fs::write(healthy(lab, router), "")?;
        }
        if confs[A].family() == Family::V6 {
            lab.speak_ipv6()?;
        }
        Ok(Self { lab, programs, confs })
    }

    fn events(&self) -> Result<()> {
        let [a, b] = &self.confs;
        let mut pair = scenario::elect(self.lab, self.programs, a, b).context("election")?;
        scenario::crash(self.lab, &mut pair, a, b).context("crash")?;
        self.come_back(&mut pair).context("return")?;
        if a.preempt == Preempt::Never {
            self.change_nothing(&pair.b, B).context("change of priority")?;
            scenario::leaves(self.lab, &mut pair.b, B, &pair.a, a).context("graceful stop")?;
            pair.a.stop()?;
        } else {
            self.change_priority(&pair).context("change of priority")?;
            scenario::leaves(self.lab, &mut pair.a, A, &pair.b, b).context("graceful stop")?;
            pair.b.stop()?;
        }
        for address in a.held() {
            self.lab.watch.wait_nobody(address, PATIENCE)?;
        }
        scenario::one_holder_at_a_time(self.lab, Stamp::default())
    }

    /// The first master starts again, and takes over as its configuration says.
    fn come_back(&self, pair: &mut Pair) -> Result<()> {
        let a = &self.confs[A];
        let since = Stamp::now();
        if a.preempt != Preempt::Never {
            scenario::come_back(self.lab, pair, a)?;
            return self.is_delayed(A, since);
        }
        pair.a = self.lab.start_conf(A, self.programs[A], a)?;
        pair.a.wait_log(self.programs[A].backup_line(), PATIENCE)?;
        self.stays(B)
    }

    /// The master loses priority and mastership, and gets both back.
    fn change_priority(&self, pair: &Pair) -> Result<()> {
        let [a, b] = &self.confs;
        for (healthy, router, conf) in [(false, B, b), (true, A, a)] {
            let since = Stamp::now();
            self.set_healthy(&pair.a, A, healthy)?;
            holds(self.lab, router, conf)?;
            announced(self.lab, router, conf, since)?;
            self.is_delayed(router, since)?;
            if router == B {
                self.waits(since)?;
            }
        }
        Ok(())
    }

    /// Router B waited since the last advert of A that was not weaker than itself.
    fn waits(&self, since: Stamp) -> Result<()> {
        let [a, b] = &self.confs;
        let record = self.lab.watch.record();
        let first = record.adverts_of(B, since).next().context("an advert of B")?.at;
        let adverts: Vec<_> = record.adverts_of(A, Stamp::default()).filter(|advert| advert.at < first).collect();
        let last = adverts.iter().rfind(|advert| advert.priority > b.priority).context("an advert of A")?.at;
        let weak = adverts.iter().any(|advert| advert.priority == a.priority - WEIGHT && advert.at > last);
        ensure!(weak, "the master never said that it has less priority");
        let theory = self.programs[B].counts(b.down_interval());
        ensure!(first - last + TOLERANCE >= theory, "taken over after {:?}, theory says {theory:?}", first - last);
        Ok(())
    }

    /// No advert of a router came before its `preempt_delay` was over.
    fn is_delayed(&self, router: usize, since: Stamp) -> Result<()> {
        let Preempt::After(seconds) = self.confs[router].preempt else { return Ok(()) };
        let first = self.lab.watch.record().adverts_of(router, since).next().context("an advert")?.at;
        let delay = Duration::from_secs(seconds.into());
        ensure!(first - since + TOLERANCE >= delay, "preempted after {:?}, and not {delay:?}", first - since);
        Ok(())
    }

    /// The master loses priority, and stays master all the same.
    fn change_nothing(&self, daemon: &Daemon, router: usize) -> Result<()> {
        let priority = self.confs[router].priority;
        for (healthy, priority) in [(false, priority - WEIGHT), (true, priority)] {
            let since = Stamp::now();
            self.set_healthy(daemon, router, healthy)?;
            self.lab.watch.wait(format!("an advert of priority {priority}"), PATIENCE, |record| {
                record.adverts_of(router, since).find(|advert| advert.priority == priority)
            })?;
            self.stays(router)?;
        }
        Ok(())
    }

    fn set_healthy(&self, daemon: &Daemon, router: usize, is_healthy: bool) -> Result<()> {
        let conf = &self.confs[router];
        match (daemon.program, is_healthy) {
            (Program::Frr, true) => frr::set_priority(daemon, conf, conf.priority),
            (Program::Frr, false) => frr::set_priority(daemon, conf, conf.priority - WEIGHT),
            (_, true) => Ok(std::fs::write(healthy(self.lab, router), "")?),
            (_, false) => Ok(std::fs::remove_file(healthy(self.lab, router))?),
        }
    }

    /// Nobody else becomes master for longer than it would have to wait.
    fn stays(&self, router: usize) -> Result<()> {
        let since = Stamp::now();
        let other = &self.confs[1 - router];
        std::thread::sleep(other.down_interval() + other.advert_int.duration());
        holds(self.lab, router, &self.confs[router])?;
        let moved = self.lab.watch.record().changes.iter().any(|change| change.at > since);
        ensure!(!moved, "an address moved");
        Ok(())
    }
}

/// The file by which a router's check passes.
fn healthy(lab: &Lab, router: usize) -> PathBuf {
    lab.directory.join(format!("healthy{router}"))
}
