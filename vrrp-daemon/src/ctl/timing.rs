//! How lateness reads: a time in few digits, and `vrrpctl timing`'s histograms.

use std::fmt::{self, Write};

use crate::io::lateness::{Late, Spread};

/// Characters of the longest bar.
const BAR: u64 = 40;

/// What is measured, by its name.
pub fn measures(late: &Late) -> [(&'static str, &Spread); 3] {
    let Late { advert, takeover, wakeup } = late;
    [("adverts", advert), ("takeovers", takeover), ("wake-ups", wakeup)]
}

/// Microseconds in a unit that leaves few digits: `64 µs`, `1.5 ms`, `16.8 s`.
pub fn time(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros} µs"),
        1000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.1} s", micros as f64 / 1e6),
    }
}

/// All of them.
pub fn histograms(late: &Late) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_histograms(&mut text, late);
    text
}

fn write_histograms(out: &mut String, late: &Late) -> fmt::Result {
    let meanings = [
        "from when they were due until the kernel had taken them",
        "from when the master counted as dead until the kernel had taken the first advert",
        "from when the protocol's timer was due until its thread ran",
    ];
    for ((name, spread), meaning) in measures(late).into_iter().zip(meanings) {
        let Spread { count, p50_us, p99_us, max_us, buckets } = spread;
        writeln!(out, "{name}: {count}, {meaning}")?;
        if *count == 0 {
            continue;
        }
        let [p50, p99, max] = [p50_us, p99_us, max_us].map(|micros| time(*micros));
        writeln!(out, "  half within {p50}, 99 % within {p99}, the latest {max}")?;
        let most = buckets.iter().map(|bucket| bucket.count).max().unwrap_or_default();
        for bucket in buckets {
            let end = bucket.below_us.map_or_else(|| "longer".into(), |end| format!("below {}", time(end)));
            let bar = "#".repeat((bucket.count * BAR).div_ceil(most) as usize);
            writeln!(out, "  {end:14}  {:>10}  {bar}", bucket.count)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::lateness::Bucket;

    #[test]
    fn times_have_few_digits() {
        let cases = [(0, "0 µs"), (999, "999 µs"), (1024, "1.0 ms"), (999_949, "999.9 ms"), (16_777_216, "16.8 s")];
        for (micros, text) in cases {
            assert_eq!(time(micros), text);
        }
    }

    #[test]
    fn histograms_read() {
        let bucket = |below_us, count| Bucket { below_us, count };
        let buckets = vec![bucket(Some(64), 300), bucket(Some(2048), 1), bucket(None, 100)];
        let advert = Spread { count: 401, p50_us: 64, p99_us: 20_000_000, max_us: 20_000_000, buckets };
        let expected = "\
adverts: 401, from when they were due until the kernel had taken them
  half within 64 µs, 99 % within 20.0 s, the latest 20.0 s
  below 64 µs            300  ########################################
  below 2.0 ms             1  #
  longer                 100  ##############
takeovers: 0, from when the master counted as dead until the kernel had taken the first advert
wake-ups: 0, from when the protocol's timer was due until its thread ran
";
        assert_eq!(histograms(&Late { advert, ..Late::default() }), expected);
    }
}
