//! Frames: what `classify` takes to accept one or to refuse it, by reason, and what reading and writing an advert takes.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use vrrp_common::abi::{AUTH_NONE, AUTH_PASS, Device, MESSAGE_BUDGET, Peer, PeerKey, RULE_PEERS_ONLY, Rule, RuleKey};
use vrrp_common::classify::{Ingress, Rules, classify};
use vrrp_common::drop::Reason;
use vrrp_common::wire::advert::{Advert, MESSAGE_MAX, Outgoing};
use vrrp_common::wire::checksum::ChecksumForm;
use vrrp_common::wire::ip::vrrp_group;
use vrrp_common::{Address, Centis, Claim, Family, Version, Vrid};
use vrrp_tests::frames::*;

const INGRESS: Ingress = Ingress { ifindex: 2, device: Device { row: 0, flags: 0 } };

/// The least table that finds a rule: what a map costs is not `classify`'s.
struct Table([((u8, u8, Address), Rule); 5]);

impl Rules for Table {
    fn rule(&self, key: RuleKey) -> Option<&Rule> {
        self.0
            .iter()
            .find(|entry| entry.0 == (key.router.family, key.router.vrid, key.destination))
            .map(|entry| &entry.1)
    }

    /// None of those whose adverts are refused.
    fn peer(&self, _: PeerKey) -> Option<&Peer> {
        None
    }
}

fn table() -> Table {
    let rule = |family, version: u8, auth_type: u8| Rule {
        slot: 0,
        row: 1,
        source: if family == Family::V4 { OWN.into() } else { OWN6.into() },
        auth_pass: if auth_type == AUTH_PASS { PASSWORD } else { [0; 8] },
        interval: 100,
        version,
        auth_type,
        flags: RULE_PEERS_ONLY,
    };
    let (v4, v6) = (Family::V4, Family::V6);
    Table([
        ((4, V3_VRID, Address::NONE), rule(v4, 3, AUTH_NONE)),
        ((6, V3_VRID, Address::NONE), rule(v6, 3, AUTH_NONE)),
        ((4, V2_VRID, Address::NONE), rule(v4, 2, AUTH_NONE)),
        ((4, V2_PASSWORD_VRID, Address::NONE), rule(v4, 2, AUTH_PASS)),
        ((4, V3_VRID, OWN.into()), rule(v4, 3, AUTH_NONE)),
    ])
}

fn judged(criterion: &mut Criterion) {
    let table = table();
    let mut group = criterion.benchmark_group("classify");
    let mut bench = |name: &str, reason: Reason, frame: &FrameSpec| {
        let frame = frame.build();
        let mut message = [0; MESSAGE_BUDGET];
        assert_eq!(classify(&frame[..], INGRESS, &table, &mut message).reason, reason, "{name}");
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| black_box(classify(black_box(&frame[..]), INGRESS, &table, &mut message)));
        });
    };
    let many = |frame: FrameSpec, count| FrameSpec { addresses: addresses(frame.family(), count), ..frame };
    bench("valid v3", Reason::OkPassed, &FrameSpec::v3());
    bench("valid v3 with 20 addresses", Reason::OkPassed, &many(FrameSpec::v3(), 20));
    bench("valid v3 over IPv6", Reason::OkPassed, &FrameSpec::v6());
    bench("valid v3 over IPv6 with 15 addresses", Reason::OkPassed, &many(FrameSpec::v6(), 15));
    bench("valid v2", Reason::OkPassed, &FrameSpec::v2());
    bench("valid v2 with a password", Reason::OkPassed, &FrameSpec::v2_password());
    for reason in earned_by_frames() {
        let mut frame = FrameSpec::v3();
        if spoil(reason, &mut frame).is_ok() && ![Reason::OkPassed, Reason::VlanAmbiguous].contains(&reason) {
            bench(reason.label(), reason, &frame);
        }
    }
    group.finish();
}

fn codec(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec");
    for (family, count) in [1u8, 20, 255].into_iter().flat_map(|count| [(Family::V4, count), (Family::V6, count)]) {
        let addresses: Vec<u8> = (0..count).flat_map(|number| vec![number; family.octets()]).collect();
        let outgoing = Outgoing {
            version: Version::V3,
            family,
            vrid: Vrid::new(V3_VRID).expect("a VRID is not 0"),
            claim: Claim::from_octet(150),
            interval: Centis::SECOND,
            addresses: &addresses,
            authentication: None,
            checksum_form: ChecksumForm::PseudoHeader,
            source: if family == Family::V4 { PEER.into() } else { PEER6.into() },
            destination: vrrp_group(family),
        };
        let mut message = [0; MESSAGE_MAX];
        group.bench_function(BenchmarkId::new(format!("write, IPv{} addresses", family as u8), count), |bencher| {
            bencher.iter(|| black_box(black_box(&outgoing).write(&mut message)));
        });
        let length = outgoing.write(&mut message);
        group.bench_function(BenchmarkId::new(format!("read, IPv{} addresses", family as u8), count), |bencher| {
            bencher.iter(|| black_box(Advert::parse(black_box(&message[..length]), family)));
        });
    }
    group.finish();
}

fn quick() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
}

criterion_group! { name = frames; config = quick(); targets = judged, codec }
criterion_main!(frames);
