//! Configurations cut up and put together at random: whatever comes out is read to its end, within bounds.

use std::time::{Duration, Instant};

use vrrp_daemon::config::risk;
use vrrp_tests::configuration::read_any;
use vrrp_tests::effort;

use super::{cases, read, source, summary};

/// How many are tried, and for how long at most.
const ROUNDS: u32 = 20_000;
const TIME: Duration = Duration::from_secs(3);
/// Processor time that one text may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// xorshift64*: the same sequence on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// What a mutation likes to put in.
const SPICE: &[&str] = &[
    "{",
    "}",
    "\"",
    "'",
    "\\",
    "$",
    "${",
    "}",
    "#",
    "!",
    "@",
    "~SEQ(i,1,9) ",
    "~LST(a,b,c) ",
    "include parts/*.inc\n",
    "$A=$B$B\n",
    "$B=${A}\n",
    "\n",
    "\r\n",
    "\0",
    "\t",
    "é",
    "\u{feff}",
    "255",
    "-1",
    "0",
    "99999999999999999999",
    "0.0000001",
    "/0",
    "/33",
    "::",
    "vrrp_instance X {\n",
    "\\\n",
    " ",
    "(",
    ")",
    ",",
    "\\x00",
    "[",
    "*",
];

fn mutate(text: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    for _ in 0..=random.below(6) {
        let at = random.below(text.len() + 1);
        let end = (at + random.below(40)).min(text.len());
        match random.below(6) {
            0 => drop(text.drain(at..end)),
            1 => {
                let copy = text[at..end].to_vec();
                let to = random.below(text.len() + 1);
                text.splice(to..to, copy);
            }
            2 => drop(text.splice(at..at, SPICE[random.below(SPICE.len())].bytes())),
            3 if at < text.len() => text[at] = random.next() as u8,
            4 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len() + 1);
                let to = (from + random.below(200)).min(other.len());
                text.splice(at..at, other[from..to].iter().copied());
            }
            _ => drop(text.splice(at..end, SPICE[random.below(SPICE.len())].bytes())),
        }
    }
}

#[test]
fn no_text_makes_reading_fail() {
    let mut source = source();
    let corpus: Vec<Vec<u8>> = cases().iter().map(|case| source.files[&format!("{case}.conf")].clone()).collect();
    let mut random = Random(0x5eed);
    let start = Instant::now();
    for round in 0..ROUNDS {
        if start.elapsed() > TIME {
            break;
        }
        let mut text = corpus[random.below(corpus.len())].clone();
        mutate(&mut text, &corpus, &mut random);
        source.files.insert("mutant".into(), text.clone());
        let began = effort::of_this_thread();
        let checked = read(&source, "mutant");
        let what = format!("round {round}: {:?}", String::from_utf8_lossy(&text));
        summary::assert_consistent(&checked.setup, &what);
        risk::of(&checked.setup);
        // A mutant may ask for much by repetition; what it gets is bounded.
        assert!(effort::of_this_thread() - began < PATIENCE, "slow: {what}");
        assert!(checked.found.iter().count() <= 500, "{what}");
        let report = checked.report();
        assert!(report.len() < 1 << 20, "{what}");
        assert!(report.lines().count() > 0);
    }
}

/// Texts that are nothing but one thing, many times.
#[test]
fn monotonous_texts_are_read_to_their_end() {
    for spice in SPICE {
        for count in [1, 100, 20_000] {
            let began = effort::of_this_thread();
            read_any(spice.repeat(count).as_bytes());
            assert!(effort::of_this_thread() - began < PATIENCE, "{count} times {spice:?}");
        }
    }
}
