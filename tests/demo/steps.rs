//! What is shown, in order. Every time is the client's, or the switch's.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use vrrp_common::drop::Reason;
use vrrp_tests::addresses;
use vrrp_tests::client::Client;
use vrrp_tests::conf::{Conf, PAIR, PAIR_CHECK, VIP};
use vrrp_tests::daemon::{Daemon, Program::Vrrpd};
use vrrp_tests::forge;
use vrrp_tests::frames::FrameSpec;
use vrrp_tests::lab::{A, B, Lab, own_address};
use vrrp_tests::stamp::{Millis, Stamp};
use vrrp_tests::vrrpd;
use vrrp_tests::watch::letter;

use crate::show::{Expected, Show};

const PATIENCE: Duration = Duration::from_secs(20);
/// What a busy machine may add to the theory before a step counts as failed.
const LATENESS: Duration = Duration::from_millis(500);
/// Crashes at 10 ms.
const ROUNDS: usize = 5;
/// Forged adverts in the flood, and of them each second.
const FLOOD: u32 = 60_000;
const FLOOD_RATE: u32 = 20_000;

/// The README's configuration for one router: its check looks for a file, its scripts are left out.
fn pair(state: &str, priority: u8, healthy: &Path) -> String {
    let notify = |line: &&str| !line.trim_start().starts_with("notify");
    let text: Vec<_> = PAIR.lines().filter(notify).collect();
    text.join("\n")
        .replace(PAIR_CHECK, &format!("/usr/bin/test -e {}", healthy.display()))
        .replace("state MASTER", &format!("state {state}"))
        .replace("priority 150", &format!("priority {priority}"))
}

/// VRRPv2, an advert each second: the README's pair of web servers.
pub fn by_the_second(lab: &Lab, show: &mut Show) -> Result<()> {
    show.chapter(
        "The README's pair of web servers: VRRPv2, VRID 51, an advert each second, a password, check_nginx with weight -50.\n\
         A has priority 150, B 120; the check looks for a file instead of nginx.",
    );
    let (a_healthy, b_healthy) = (lab.directory.join("A-is-healthy"), lab.directory.join("B-is-healthy"));
    std::fs::write(&a_healthy, "")?;
    std::fs::write(&b_healthy, "")?;
    let texts = [pair("MASTER", 150, &a_healthy), pair("BACKUP", 120, &b_healthy)];
    let theory = [Conf::v2(150), Conf::v2(120)];

    let title = "Election";
    show.step(title, "both start, nobody is master: the stronger one takes the address first");
    let mut routers = start_both(lab, &texts)?;
    let started_at = routers[A].1;
    let first_at = first_advert(lab, A, started_at)?;
    tell(lab, show, started_at);
    let down = theory[A].down_interval();
    let expected = Expected { least: down, most: down, lateness: 2 * LATENESS };
    show.measured(title, "A's first advert", "three adverts and A's skew", expected, first_at - started_at);

    let client = Client::start(&lab.client, VIP)?;
    client.wait_answer(Stamp::now(), PATIENCE)?;

    let title = "The master dies";
    show.step(title, "SIGKILL: no word of farewell; B misses three adverts; a guard process removes A's address");
    let (wait, silence) = crash(lab, show, &client, &mut routers)?;
    let why = "B's down interval, less the time since A's last advert";
    show.measured(title, "the client waits", why, at_most(theory[B].down_interval()), wait);
    let title = "... and B waits as it should";
    show.step(title, "from A's last advert to B's first, by the switch's clock: three adverts and B's skew");
    show.measured(title, "silence", "B's down interval", exactly(theory[B].down_interval()), silence);

    let title = "It returns";
    show.step(title, "A starts again, hears a weaker master, and takes the address back");
    let at = come_back(lab, &mut routers, &texts)?;
    takeover(lab, show, &client, A, at)?;
    show.measured(title, "the client waits", "B serves until A announces itself", nothing(), outage(&client, at));

    let title = "Graceful stop";
    show.step(title, "SIGTERM: A says with an advert of priority 0 that it leaves, and B need only wait its skew");
    let at = routers[A].0.stop()?;
    takeover(lab, show, &client, B, at)?;
    let skew = theory[B].skew();
    show.measured(title, "the client waits", "B's skew: 136/256 of a second", exactly(skew), outage(&client, at));

    let at = come_back(lab, &mut routers, &texts)?;
    lab.watch.wait_holder(A, VIP, PATIENCE)?;
    show.note(&format!("(A is started again, and master after {})\n", Millis(at.elapsed())));

    let title = "The health check fails";
    show.step(title, "twice, at 2 s each: A's priority falls by 50 to 100, less than B's 120");
    let at = Stamp::now();
    std::fs::remove_file(&a_healthy)?;
    takeover(lab, show, &client, B, at)?;
    show.measured(title, "the client waits", "A serves until B announces itself", nothing(), outage(&client, at));

    let title = "The health check recovers";
    show.step(title, "A has its 150 again and takes the address back");
    let at = Stamp::now();
    std::fs::write(&a_healthy, "")?;
    takeover(lab, show, &client, A, at)?;
    show.measured(title, "the client waits", "B serves until A announces itself", nothing(), outage(&client, at));

    flood(lab, show, &client, &routers[A].0)?;
    for (daemon, _) in routers.iter_mut().rev() {
        daemon.stop()?;
    }
    Ok(())
}

/// VRRPv3, an advert each 10 ms, the most that the protocol has.
pub fn by_the_centisecond(lab: &Lab, show: &mut Show) -> Result<()> {
    show.chapter("The same two routers with VRRPv3 and `advert_int 0.01`: a hundred adverts each second.");
    let confs = [Conf::v3(150).every(1), Conf::v3(120).every(1)];
    let texts = confs.clone().map(|conf| conf.text());
    let mut routers = start_both(lab, &texts)?;
    lab.watch.wait_holder(A, VIP, PATIENCE)?;
    let client = Client::start(&lab.client, VIP)?;
    client.wait_answer(Stamp::now(), PATIENCE)?;

    let title = "The master dies, at 10 ms";
    show.step(title, "SIGKILL, five times; each missed advert now costs a hundredth of what it did");
    let mut worst = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        let (wait, silence) = crash(lab, show, &client, &mut routers)?;
        worst = (worst.0.max(wait), worst.1.max(silence));
        show.note(&format!("the client waited {}\n", Millis(wait)));
        come_back(lab, &mut routers, &texts)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        client.wait_answer(Stamp::now(), PATIENCE)?;
    }
    show.measured(title, "the longest wait", "B's down interval", at_most(confs[B].down_interval()), worst.0);
    let title = "... and B waits as it should";
    show.step(title, "from A's last advert to B's first, at most");
    show.measured(title, "silence", "B's down interval", exactly(confs[B].down_interval()), worst.1);

    let title = "Graceful stop, at 10 ms";
    show.step(title, "priority 0, then B's skew: 136/256 of an interval");
    let at = routers[A].0.stop()?;
    takeover(lab, show, &client, B, at)?;
    let skew = confs[B].skew();
    show.measured(title, "the client waits", "B's skew", at_most(skew), outage(&client, at));
    routers[B].0.stop()?;

    let title = "Never two masters";
    show.step(title, "how long both routers held the address at once, at most, over all of the above");
    let record = lab.watch.record();
    let longest = addresses::overlaps(&record.changes, VIP.into()).into_iter().map(|overlap| overlap.1).max();
    let expected = Expected { least: Duration::ZERO, most: Duration::from_millis(1), lateness: LATENESS };
    show.measured(title, "two holders", "one advert on the wire", expected, longest.unwrap_or_default());
    Ok(())
}

fn start_both(lab: &Lab, texts: &[String; 2]) -> Result<[(Daemon, Stamp); 2]> {
    let start = |router| -> Result<_> {
        let at = Stamp::now();
        let mut daemon = lab.start(router, Vrrpd, &texts[router])?;
        daemon.wait_log("Entering BACKUP STATE", PATIENCE)?;
        Ok((daemon, at))
    };
    Ok([start(A)?, start(B)?])
}

fn come_back(lab: &Lab, routers: &mut [(Daemon, Stamp); 2], texts: &[String; 2]) -> Result<Stamp> {
    let at = Stamp::now();
    routers[A] = (lab.start(A, Vrrpd, &texts[A])?, at);
    Ok(at)
}

fn first_advert(lab: &Lab, router: usize, since: Stamp) -> Result<Stamp> {
    lab.watch.wait(format!("{}'s first advert", letter(router)), PATIENCE, |record| {
        record.adverts_of(router, since).next().map(|advert| advert.at)
    })
}

/// Waits until `router` is master alone and the client is served, and tells what happened since `at`.
fn takeover(lab: &Lab, show: &Show, client: &Client, router: usize, at: Stamp) -> Result<()> {
    lab.watch.wait_holder(router, VIP, PATIENCE)?;
    lab.watch.wait("gratuitous ARP", PATIENCE, |record| record.announcements(router, VIP, at).next())?;
    client.wait_answer(Stamp::now(), PATIENCE)?;
    tell(lab, show, at);
    Ok(())
}

/// What the switch and the routers' kernels saw, in short.
fn tell(lab: &Lab, show: &Show, start: Stamp) {
    let record = lab.watch.record();
    let mut lines = Vec::new();
    let mut last = None;
    for advert in record.adverts().filter(|advert| advert.at >= start) {
        let now = (advert.router, advert.priority);
        if last.replace(now) != Some(now) {
            let router = letter(advert.router);
            let text = match advert.priority {
                0 => format!("{router} sends an advert of priority 0: it leaves"),
                priority => format!("{router} sends an advert of priority {priority}"),
            };
            lines.push((advert.at, text));
        }
    }
    for change in record.changes.iter().filter(|change| change.at >= start && change.address == VIP) {
        let verb = if change.set { "has" } else { "has no longer" };
        lines.push((change.at, format!("{} {verb} {VIP}", letter(change.router))));
    }
    for router in [A, B] {
        let first = record.announcements(router, VIP, start).next();
        lines.extend(
            first.map(|at| (at, format!("{} tells the switch and the client by gratuitous ARP", letter(router)))),
        );
    }
    lines.sort();
    lines.iter().for_each(|(at, text)| show.happened(start, *at, text));
}

fn outage(client: &Client, since: Stamp) -> Duration {
    client.longest_outage(since).map_or(Duration::ZERO, |outage| outage.duration())
}

/// Kills A, waits for B, and starts nothing: how long the client waited, and how long nobody sent adverts.
fn crash(lab: &Lab, show: &Show, client: &Client, routers: &mut [(Daemon, Stamp); 2]) -> Result<(Duration, Duration)> {
    let at = routers[A].0.kill()?;
    takeover(lab, show, client, B, at)?;
    let record = lab.watch.record();
    let last = record.adverts_of(A, Stamp::default()).last().context("A sent no advert")?.at;
    let first = record.adverts_of(B, at).next().context("B sent no advert")?.at;
    Ok((outage(client, at), first - last))
}

fn at_most(most: Duration) -> Expected {
    Expected { least: Duration::ZERO, most, lateness: LATENESS }
}

fn exactly(time: Duration) -> Expected {
    Expected { least: time, most: time, lateness: LATENESS }
}

fn nothing() -> Expected {
    Expected { least: Duration::ZERO, most: Duration::ZERO, lateness: Duration::from_millis(100) }
}

/// Forged adverts that would win any election, each wrong in one way.
fn forgeries() -> Vec<(Reason, FrameSpec)> {
    let real = FrameSpec {
        source: [192, 168, 1, 66].into(),
        source_mac: [2, 0, 0, 0, 0, 0x66],
        vrid: 51,
        priority: 254,
        auth_type: 1,
        auth_data: Some(*b"secret12"),
        addresses: vec![VIP.into()],
        ..FrameSpec::v2()
    };
    let version_3 =
        FrameSpec { vrid: 51, priority: 254, source: real.source, addresses: vec![VIP.into()], ..FrameSpec::v3() };
    let own = FrameSpec { source: own_address(A).into(), priority: 150, ..real.clone() };
    vec![
        (Reason::VridUnknown, FrameSpec { vrid: 99, ..real.clone() }),
        (Reason::AuthFailure, FrameSpec { auth_data: Some(*b"password"), ..real.clone() }),
        (Reason::TtlNot255, FrameSpec { ttl: 254, ..real.clone() }),
        (Reason::Checksum, FrameSpec { checksum_error: 1, ..real.clone() }),
        (Reason::VersionMismatch, version_3),
        (Reason::Truncated, FrameSpec { cut: Some(4), ..real }),
        (Reason::SrcIsSelf, own),
    ]
}

fn flood(lab: &Lab, show: &mut Show, client: &Client, master: &Daemon) -> Result<()> {
    let title = "A flood of forged adverts";
    show.step(title, "priority 254, each wrong in one way: XDP drops them in the kernel, counted by reason");
    let forgeries = forgeries();
    let before = vrrpd::status(master)?;
    let frames: Vec<_> = forgeries.iter().map(|(_, frame)| frame.build()).collect();
    let at = Stamp::now();
    let flood = forge::flood(&lab.attacker, &frames, FLOOD, FLOOD_RATE)?;
    let after = vrrpd::status(master)?;
    let mut counted = 0;
    for (reason, _) in &forgeries {
        let count = vrrpd::drops(&after, *reason) - vrrpd::drops(&before, *reason);
        show.note(&format!("{count:6} {:20} {}", reason.label(), reason.help()));
        counted += count;
    }
    let heard = vrrpd::counter(&after, "advert_rcvd")? - vrrpd::counter(&before, "advert_rcvd")?;
    let record = lab.watch.record();
    let moved = record.changes.iter().any(|change| change.at >= at);
    let adverts: Vec<_> = record.adverts_of(A, at).map(|advert| advert.at).collect();
    let gap = adverts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
    drop(record);
    let mode = after["interfaces"][0]["xdp"].as_str().unwrap_or("?");
    show.note(&format!(
        "{} forged adverts in {}; {counted} dropped (XDP: {mode}), {heard} heard by the daemon",
        flood.sent,
        Millis(flood.took)
    ));
    show.note(&format!(
        "A's own adverts: {} apart at most; the client waited {}",
        Millis(gap),
        Millis(outage(client, at))
    ));
    ensure!(!adverts.is_empty(), "A sent nothing during the flood");
    let all = counted * 100 >= u64::from(flood.sent) * 99;
    let held = all && heard == 0 && !moved && gap < Duration::from_secs(1) + LATENESS;
    show.finish(title, "all dropped, none heard, A stays", &format!("{counted} of {}", flood.sent), held);
    Ok(())
}
