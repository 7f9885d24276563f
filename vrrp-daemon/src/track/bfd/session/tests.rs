//! RFC 5880 section 6.8 as tables, and two sessions on a wire that may be cut.

use super::*;
use State::{AdminDown, Down, Init, Up};

const MS: Duration = Duration::from_millis(1);
const TIMING: Timing = Timing {
    min_rx: Duration::from_millis(10),
    min_tx: Duration::from_millis(20),
    idle_tx: Duration::from_secs(1),
    multiplier: 5,
    passive: false,
};

fn start() -> Instant {
    Instant::from_nanos(1_000_000_000)
}

fn said(state: State) -> Packet {
    Packet {
        diagnostic: 0,
        state,
        poll: false,
        is_final: false,
        demand: false,
        multiplier: 3,
        mine: 77,
        yours: 7,
        desired_min_tx: 30 * MS,
        required_min_rx: 40 * MS,
    }
}

fn handle(session: &mut Session, now: Instant, input: Input) -> Vec<Output> {
    let mut out = Vec::new();
    session.handle(now, input, &mut out);
    out
}

/// A session brought to a state by what leads there.
fn in_state(state: State) -> Session {
    let mut session = Session::new(TIMING, 7, start());
    let heard: &[State] = match state {
        Down | AdminDown => &[],
        Init => &[Down],
        Up => &[Init],
    };
    for &state in heard {
        handle(&mut session, start(), Input::Heard(said(state)));
    }
    if state == AdminDown {
        handle(&mut session, start(), Input::Shutdown);
    }
    assert_eq!(session.state(), state);
    session
}

/// Section 6.8.6: every state that can hear every state.
#[test]
fn the_transitions_of_section_6_8_6() {
    for (ours, heard, then, diagnostic) in [
        (AdminDown, AdminDown, AdminDown, 7),
        (AdminDown, Down, AdminDown, 7),
        (AdminDown, Init, AdminDown, 7),
        (AdminDown, Up, AdminDown, 7),
        (Down, AdminDown, Down, 0),
        (Down, Down, Init, 0),
        (Down, Init, Up, 0),
        (Down, Up, Down, 0),
        (Init, AdminDown, Down, 3),
        (Init, Down, Init, 0),
        (Init, Init, Up, 0),
        (Init, Up, Up, 0),
        (Up, AdminDown, Down, 3),
        (Up, Down, Down, 3),
        (Up, Init, Up, 0),
        (Up, Up, Up, 0),
    ] {
        let mut session = in_state(ours);
        let out = handle(&mut session, start() + 5 * MS, Input::Heard(said(heard)));
        assert_eq!(session.state(), then, "{ours:?} hears {heard:?}");
        assert_eq!(session.packet(false).diagnostic, diagnostic, "{ours:?} hears {heard:?}");
        let told = out.iter().filter(|output| matches!(output, Output::Became(..))).count();
        assert_eq!(told, usize::from(ours != then), "{ours:?} hears {heard:?}");
        if ours != then {
            let sent = out.iter().any(|output| matches!(output, Output::Send(packet) if packet.state == then));
            assert!(sent, "{ours:?} hears {heard:?}: a change is said at once");
        }
    }
}

/// Section 6.8.4: the neighbour's multiplier, and the slower of what we allow and it wants.
#[test]
fn the_detection_time() {
    for (wants, multiplier, lost_after) in [(30, 3, 90), (5, 3, 30), (30, 1, 30)] {
        let mut session = in_state(Up);
        let now = start() + 100 * MS;
        let packet = Packet { desired_min_tx: wants * MS, multiplier, ..said(Up) };
        handle(&mut session, now, Input::Heard(packet));
        assert_eq!(session.lost_at, Some(now + lost_after * MS), "{wants} ms x {multiplier}");
        handle(&mut session, now + lost_after * MS - Duration::from_nanos(1), Input::Deadline);
        assert_eq!(session.state(), Up);
        let out = handle(&mut session, now + lost_after * MS, Input::Deadline);
        assert_eq!(out[0], Output::Became(Down, Diagnostic::DetectionTimeExpired));
        let Output::Send(packet) = out[1] else { panic!("it says nothing: {out:?}") };
        assert_eq!((packet.state, packet.diagnostic, packet.yours), (Down, 1, 0));
        assert_eq!(packet.desired_min_tx, TIMING.idle_tx);
    }
}

/// Section 6.8.7: the slower of what we want and it allows, less up to a quarter; a tenth at least where one may be missed.
#[test]
fn the_interval_and_its_jitter() {
    for (multiplier, from, to) in [(5, 30.0, 40.0), (1, 30.0, 36.0)] {
        let mut session = in_state(Up);
        session.timing.multiplier = multiplier;
        let mut waits = Vec::new();
        let mut now = start();
        for _ in 0..1000 {
            handle(&mut session, now, Input::Heard(said(Up)));
            let due = session.next_at.unwrap();
            waits.push(due.since(now).as_secs_f64() * 1000.0);
            now = due;
            assert_eq!(handle(&mut session, now, Input::Deadline).len(), 1);
        }
        let (least, most) = waits[1..].iter().fold((f64::MAX, 0.0_f64), |(a, b), &wait| (a.min(wait), b.max(wait)));
        assert!((from - 0.001..from + 1.0).contains(&least), "{multiplier}: {least}");
        assert!((to - 1.0..to + 0.001).contains(&most), "{multiplier}: {most}");
    }
}

/// Sections 6.5 and 6.8.3: going up, the faster interval is asked about until it is answered; a question is answered at
/// once, with no question of our own.
#[test]
fn poll_and_final() {
    let mut session = in_state(Up);
    assert!(session.packet(false).poll && session.packet(false).desired_min_tx == TIMING.min_tx);
    let out = handle(&mut session, start() + MS, Input::Heard(Packet { poll: true, ..said(Up) }));
    let Output::Send(answer) = out[0] else { panic!("no answer: {out:?}") };
    assert!(answer.is_final && !answer.poll);
    handle(&mut session, start() + 2 * MS, Input::Heard(Packet { is_final: true, ..said(Up) }));
    assert!(!session.packet(false).poll, "it was answered");
}

#[test]
fn when_nothing_is_sent() {
    let mut passive = Session::new(Timing { passive: true, ..TIMING }, 7, start());
    assert_eq!(passive.deadline(), None, "passive, and nobody was heard");
    handle(&mut passive, start(), Input::Heard(Packet { yours: 0, ..said(Down) }));
    assert!(passive.next_at.is_some(), "it was spoken to");
    handle(&mut passive, start() + 90 * MS, Input::Deadline);
    assert_eq!(passive.state(), Down, "{passive:?}");
    handle(&mut passive, start() + 5000 * MS, Input::Deadline);
    assert_eq!(passive.next_at, None, "and it has forgotten whom it spoke to");

    let mut quiet = in_state(Up);
    handle(&mut quiet, start(), Input::Heard(Packet { required_min_rx: Duration::ZERO, ..said(Up) }));
    assert!(quiet.next_at.is_none_or(|at| handle(&mut quiet, at, Input::Deadline).is_empty()), "it wants no packets");

    let mut demanded = in_state(Up);
    handle(&mut demanded, start(), Input::Heard(Packet { demand: true, is_final: true, ..said(Up) }));
    assert!(demanded.next_at.is_none_or(|at| handle(&mut demanded, at, Input::Deadline).is_empty()), "demand mode");
}

#[test]
fn a_shutdown_is_said_once() {
    let mut session = in_state(Up);
    let out = handle(&mut session, start() + MS, Input::Shutdown);
    assert_eq!(out[0], Output::Became(AdminDown, Diagnostic::AdministrativelyDown));
    assert!(matches!(out[1], Output::Send(packet) if packet.state == AdminDown && packet.diagnostic == 7));
    assert_eq!((handle(&mut session, start() + MS, Input::Shutdown), session.deadline()), (Vec::new(), None));
}

/// Two sessions, packets a millisecond on their way: up within three idle intervals, steady for ten seconds, and down
/// within the detection time after the cut, on both sides.
#[test]
fn two_sessions_on_a_wire() {
    for seed in 1..200 {
        let mut sides = [Session::new(TIMING, seed, start()), Session::new(TIMING, seed + 1000, start())];
        let mut wire: Vec<(Instant, usize, Packet)> = Vec::new();
        let (mut now, mut changes) = (start(), Vec::new());
        let cut_at = start() + Duration::from_secs(13);
        while now < cut_at + Duration::from_secs(1) {
            let arrival = wire.iter().map(|&(at, ..)| at).min();
            let due = sides.iter().filter_map(Session::deadline).chain(arrival).min().unwrap();
            now = now.max(due);
            let (arrived, rest): (Vec<_>, Vec<_>) = wire.into_iter().partition(|&(at, ..)| at <= now);
            wire = rest;
            let heard = arrived.into_iter().map(|(_, to, packet)| (to, Input::Heard(packet)));
            for (to, input) in heard.chain([(0, Input::Deadline), (1, Input::Deadline)]).collect::<Vec<_>>() {
                for output in handle(&mut sides[to], now, input) {
                    match output {
                        Output::Send(packet) if now < cut_at => wire.push((now + MS, 1 - to, packet)),
                        Output::Send(_) => {}
                        Output::Became(state, _) => changes.push((now, to, state)),
                    }
                }
            }
        }
        for side in 0..2 {
            let up_at = changes.iter().find(|&&(_, of, state)| (of, state) == (side, Up)).unwrap().0;
            assert!(up_at < start() + Duration::from_secs(3), "seed {seed}: {changes:?}");
            let later: Vec<_> = changes.iter().filter(|&&(at, of, _)| of == side && at > up_at).collect();
            let detection = TIMING.min_tx * 5;
            assert_eq!(later.len(), 1, "seed {seed}: {changes:?}");
            assert!(later[0].0 <= cut_at + detection + MS && later[0].2 == Down, "seed {seed}: {changes:?}");
            assert!(later[0].0 >= cut_at + detection - TIMING.min_tx, "seed {seed}: {changes:?}");
        }
    }
}
