//! The properties of a route: `mtu`, `advmss`, `congctl` and the others.

use crate::config::setup::Metrics;
use crate::config::words::{Words, options};
use crate::syntax::diagnostic::Diagnostics;
use crate::syntax::lexer::Word;
use crate::syntax::schema::Keyword;
use crate::syntax::value::{Value, Whole};

/// How a value is written.
#[derive(Clone, Copy)]
enum Form {
    /// Up to this number.
    Number(u32),
    /// A time, told in this many parts of a millisecond; a number alone is that number.
    Time(u32),
}

struct Metric {
    name: &'static str,
    /// RTAX.
    number: u16,
    lockable: bool,
    form: Form,
}

const fn metric(name: &'static str, number: u16, lockable: bool, form: Form) -> Metric {
    Metric { name, number, lockable, form }
}

const ANY: Form = Form::Number(u32::MAX);

/// All that are numbers.
const METRICS: &[Metric] = &[
    metric("mtu", 2, true, ANY),
    metric("window", 3, false, ANY),
    metric("rtt", 4, true, Form::Time(8)),
    metric("rttvar", 5, true, Form::Time(4)),
    metric("ssthresh", 6, true, ANY),
    metric("cwnd", 7, true, ANY),
    metric("advmss", 8, true, ANY),
    metric("reordering", 9, true, ANY),
    metric("hoplimit", 10, false, Form::Number(255)),
    metric("initcwnd", 11, false, ANY),
    metric("rto_min", RTO_MIN, true, Form::Time(1)),
    metric("initrwnd", 14, false, ANY),
    metric("quickack", 15, false, Form::Number(1)),
    metric("fastopen_no_cookie", 17, false, Form::Number(1)),
];

/// The kernel heeds it when it is locked alone; so `ip` always locks it.
const RTO_MIN: u16 = 13;
/// RTAX_FEATURES, of which there is one.
const FEATURES: u16 = 12;
const ECN: u32 = 1;
/// RTAX_CC_ALGO: its lock is a bit like the others.
const CONGESTION: u16 = 16;
/// The kernel's bound on the name of an algorithm.
const CONGESTION_MAX: usize = 15;

options! {
    /// All of them, for suggestions and documentation; `lock` may stand before the value of those that can be locked.
    OPTIONS {
        "mtu" "Length of packets; `lock`: path MTU discovery does not change it.";
        "window" "TCP: the window that is told at most.";
        "rtt" "First estimate of a round trip.";
        "rttvar" "First estimate of its variance.";
        "ssthresh" "TCP: threshold of slow start.";
        "cwnd" "TCP: congestion window at most, with `lock`.";
        "advmss" "TCP: segment size that is told.";
        "reordering" "TCP: reordering at most.";
        "hoplimit" "TTL or hop limit of packets.";
        "initcwnd" "TCP: congestion window at first.";
        "rto_min" "TCP: time to a retransmission at least.";
        "initrwnd" "TCP: window that is told at first.";
        "quickack" "TCP: acknowledgements do not wait.";
        "fastopen_no_cookie" "TCP: fast open without a cookie.";
        "features" "`ecn`.";
        "congctl" "TCP: the algorithm of congestion control.";
    }
}

/// Whether the option was one of these. `None`: it was, and the route is skipped, reported.
pub fn read(words: &mut Words, option: &Word, into: &mut Metrics, found: &mut Diagnostics) -> Option<bool> {
    match option.text.as_str() {
        "features" => {
            let word = words.parameter(option, found)?;
            let feature = (word.text == "ecn").then_some(ECN);
            into.values.push((FEATURES, words.read(option, word, feature, "ecn", found)?));
            return Some(true);
        }
        "congctl" => {
            into.locked |= u32::from(words.take("lock")) << CONGESTION;
            let word = words.parameter(option, found)?;
            let name = (word.text.len() <= CONGESTION_MAX).then(|| word.text.clone());
            let name = words.read(option, word, name, "the name of an algorithm, of at most 15 characters", found)?;
            into.congestion = Some(name);
            return Some(true);
        }
        _ => {}
    }
    let Some(metric) = METRICS.iter().find(|metric| metric.name == option.text) else { return Some(false) };
    if metric.lockable {
        into.locked |= u32::from(words.take("lock") || metric.number == RTO_MIN) << metric.number;
    }
    let word = words.parameter(option, found)?;
    let (value, expected) = match metric.form {
        Form::Number(most) => (number(&word.text, most), format!("a whole number from 0 to {most}")),
        Form::Time(parts) => (time(&word.text, parts), "a whole number, or a time in s or ms".to_owned()),
    };
    into.values.push((metric.number, words.read(option, word, value, &expected, found)?));
    Some(true)
}

fn number(word: &str, most: u32) -> Option<u32> {
    let Whole(number) = Whole::<0, { u32::MAX as i64 }>::parse(word)?;
    u32::try_from(number).ok().filter(|&number| number <= most)
}

/// `100`, `0.1s` or `100ms`.
fn time(word: &str, parts: u32) -> Option<u32> {
    let (number_of, in_millis) = match (word.strip_suffix("ms"), word.strip_suffix('s')) {
        (Some(millis), _) => (millis, 1),
        (None, Some(seconds)) => (seconds, 1000),
        (None, None) => return number(word, u32::MAX),
    };
    let micros = crate::syntax::value::micros(number_of)?;
    u32::try_from(micros.checked_mul(in_millis * u64::from(parts))? / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_in_the_table() {
        assert!(METRICS.iter().all(|metric| OPTIONS.iter().any(|option| option.names == [metric.name])));
        assert_eq!(OPTIONS.len(), METRICS.len() + 2);
    }

    /// In eighths of a millisecond, as the kernel has round trips.
    #[test]
    fn times_have_units() {
        let times = ["100", "100ms", "0.1s", "1.5ms", "s", "1m", "-1", "5000000000"].map(|word| time(word, 8));
        assert_eq!(times, [Some(100), Some(800), Some(800), Some(12), None, None, None, None]);
    }
}
