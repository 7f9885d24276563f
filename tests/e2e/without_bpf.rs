//! Without BPF the daemon runs on raw sockets: the same failover, and status says so, and why.

use anyhow::{Result, ensure};
use vrrp_daemon::io::xdp::{Sizes, Xdp};
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Program::Vrrpd;
use vrrp_tests::lab::{A, B, Lab, with_lab};
use vrrp_tests::vrrpd;

use vrrp_tests::scenario::{self, PATIENCE};

/// Not without `xdp_mode`: what a machine that has everything does by itself.
#[test]
fn adverts_are_judged_by_xdp_where_it_can_be_had() {
    with_lab(|lab| {
        let daemon = lab.start(A, Vrrpd, &Conf::v3(150).text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let status = vrrpd::status(&daemon)?;
        ensure!(status["interfaces"][0]["xdp"] == "native", "{status:#}");
        ensure!(lab.routers[A].ip("link show dev eth0")?.contains("prog/xdp"), "the kernel shows no XDP program");
        Ok(())
    });
}

#[test]
fn failover_with_xdp_mode_off() {
    with_lab(|lab| {
        let conf = |priority| Conf::v3(priority).global("xdp_mode off");
        let pair = scenario::elect(lab, [Vrrpd; 2], &conf(150), &conf(100))?;
        for daemon in [&pair.a, &pair.b] {
            let status = vrrpd::status(daemon)?;
            let why = vrrpd::why_without_xdp(&status).unwrap_or_default();
            ensure!(why.contains("xdp_mode"), "status does not say why there is no XDP program: {status:#}");
        }
        drop(pair);
        lab.watch.wait_nobody(VIP, PATIENCE)?;
        scenario::round(lab, [Vrrpd; 2], &conf(150), &conf(100)).map(drop)
    });
}

/// Prefixes a command so that it runs without these capabilities.
pub fn without(capabilities: &'static str) -> impl Fn(Vec<String>) -> Vec<String> {
    let bound = format!("--bounding-set={capabilities}");
    move |words| ["setpriv".to_owned(), bound.clone(), "--".into()].into_iter().chain(words).collect()
}

/// A host that lets nobody load programs, as containers often are.
#[test]
fn failover_without_the_capability_for_bpf() {
    with_lab(|lab| {
        let (a, b) = (Conf::v3(150), Conf::v3(100));
        let no_bpf = without("-bpf,-sys_admin,-perfmon");
        let mut a_runs = lab.start_by(A, Vrrpd, &a.text(), &no_bpf)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let status = vrrpd::status(&a_runs)?;
        let why = vrrpd::why_without_xdp(&status).unwrap_or_default();
        ensure!(why.contains("CAP_BPF"), "status does not name the capability: {status:#}");
        let mut b_runs = lab.start_by(B, Vrrpd, &b.text(), &no_bpf)?;
        b_runs.wait_log("Entering BACKUP STATE", PATIENCE)?;
        a_runs.kill()?;
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        let _a_runs = lab.start_by(A, Vrrpd, &a.text(), &no_bpf)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        scenario::one_holder_at_a_time(lab, Default::default())
    });
}

/// Somebody else's program on the interface stays there; ours does without.
#[test]
fn a_taken_slot_is_left_to_its_holder() {
    with_lab(|lab| {
        // Any program will do for a stranger; this one is at hand.
        let _stranger = lab.routers[A].within(attach_stranger)?;
        let (a, b) = (Conf::v3(150), Conf::v3(100));
        let mut pair = scenario::elect(lab, [Vrrpd; 2], &a, &b)?;
        let status = vrrpd::status(&pair.a)?;
        let why = vrrpd::why_without_xdp(&status).unwrap_or_default();
        ensure!(why.contains("another XDP program") && why.contains("id "), "status does not name it: {status:#}");
        scenario::hand_over(lab, &mut pair, &b)?;
        ensure!(shows_program(lab)?, "the stranger's program is gone");
        Ok(())
    });
}

fn attach_stranger() -> Result<Xdp> {
    let mut stranger = Xdp::load(Sizes::default()).map_err(|error| anyhow::anyhow!("{error}"))?;
    // It knows no rules, and passes everything.
    let index = nix::net::if_::if_nametoindex("eth0")?;
    stranger.attach(index, vrrp_daemon::io::xdp::Mode::Native).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(stranger)
}

fn shows_program(lab: &Lab) -> Result<bool> {
    Ok(lab.routers[A].ip("link show dev eth0")?.contains("prog/xdp"))
}
