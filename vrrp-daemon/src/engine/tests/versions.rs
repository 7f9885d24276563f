//! Both versions at once (RFC 9568 section 8.4): who is known to speak version 3, and for how long.

use super::*;

fn both() -> InstancePlan {
    InstancePlan { both_versions: true, ..instance() }
}

/// In version 2.
fn older(source: IpAddr, octet: u8) -> Input {
    let claim = Claim::from_octet(octet);
    Input::Advert(ID, Heard { source, version: Version::V2, claim, interval: centis(100), addresses_match: true })
}

/// IV-04: a master of version 3 that is absorbed speaks it all the while, and what it says in version 2 is no news.
#[test]
fn who_is_absorbed_in_version_3_is_not_heard_in_version_2() {
    let mut bench = Bench::up(10 * S, both());
    bench.hears(11 * S, ABOVE, 200, 100);
    bench.on(14 * S, Input::Seen(ID));
    assert_eq!(bench.on(16 * S, older(ABOVE, 0)), "");
    assert_eq!(bench.due(), 17_609_375_000, "its priority 0 in version 2 is no news");
    assert_eq!(bench.snapshot().stats.version_2_ignored, 1);
}

/// One that went back to version 2 does not speak version 3 because its adverts are absorbed.
#[test]
fn who_is_absorbed_in_version_2_is_heard_in_version_2() {
    let mut bench = Bench::up(10 * S, both());
    bench.hears(10_500 * MS, ABOVE, 200, 100);
    bench.on(14_109_375_000, Input::Deadline);
    assert_eq!(
        bench.on(14_500 * MS, older(ABOVE, 200)),
        "release",
        "it is heard once it would be waited for no longer"
    );
    bench.on(16 * S, Input::Seen(ID));
    bench.on(17 * S, older(ABOVE, 0));
    assert_eq!(bench.due(), 17_609_375_000, "its priority 0 leaves us our skew");
    assert_eq!(bench.snapshot().stats.version_2_ignored, 0);
}
