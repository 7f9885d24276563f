//! Text of a `.case` file to a [`Case`]. Whatever is wrong is told with its line.

use vrrp_common::drop::{Disposition, Reason};
use vrrp_daemon::config::check;
use vrrp_daemon::config::setup::Setup;
use vrrp_daemon::engine::snapshot::StateName;
use vrrp_daemon::syntax::diagnostic::Severity;
use vrrp_daemon::syntax::expand::Reading;
use vrrp_daemon::syntax::source::Memory;
use vrrp_tests::configuration::Anywhere;

use crate::case::{Case, Expectation, Expected, Fault, Field, Happening, Step};
use crate::frame;
use crate::words::{Words, number, octets};

/// Reads the case of this file name.
pub fn read(name: &str, text: &str) -> Result<Case, Fault> {
    let mut lines = text.lines().zip(1..).map(|(text, line)| (line, text));
    let (rule, sentence) = match lines.next().and_then(|(_, first)| first.split_once(": ")) {
        Some((rule, sentence)) if sentence.ends_with('.') => (rule.to_owned(), sentence.to_owned()),
        _ => return Err(Fault::new(1, "the first line is `ID: what the case shows, in one sentence.`")),
    };
    let of_rule = name.strip_prefix(rule.as_str()).is_some_and(|rest| rest.starts_with(['.', '-']));
    if !of_rule {
        return Err(Fault::new(1, format!("a case of {rule} is in {rule}.case or {rule}-WHAT.case")));
    }
    let Some(source) = lines.next().and_then(|(_, second)| second.strip_prefix("source ")) else {
        return Err(Fault::new(2, "the second line is `source DOCUMENT SECTION`"));
    };
    // Blank in place of what is not configuration, so that its findings have the lines of the case.
    let mut configuration = "\n\n".to_owned();
    let mut findings = Vec::new();
    let mut steps: Vec<Step> = Vec::new();
    let mut is_configuration = true;
    for (line, text) in lines {
        let mut words = Words::new(line, text);
        is_configuration &= !matches!(words.peek(), Some("at" | "expect"));
        if is_configuration {
            configuration.push_str(text);
            configuration.push('\n');
            continue;
        }
        match words.take() {
            None => {}
            Some(word) if word.starts_with('#') => {}
            Some("at") => steps.push(step(words)?),
            Some("expect") => match steps.last_mut() {
                Some(step) => step.expectations.push(expectation(words)?),
                None => findings.push((line, words.rest())),
            },
            Some(word) => return Err(words.fault(format!("`{word}` is unknown here; write `at` or `expect`"))),
        }
    }
    let setup = configured(name, &configuration, &findings)?;
    Ok(Case { name: name.to_owned(), rule, sentence, source: source.trim().to_owned(), setup, steps })
}

/// The setup that a configuration comes to. What is found wrong with it must be expected, `error TEXT` or `warning TEXT`.
fn configured(name: &str, text: &str, expected: &[(usize, &str)]) -> Result<Setup, Fault> {
    let source = Memory::of(name, text);
    let checked = check(&Reading { source: &source, id: None, all_includes: false }, &Anywhere, name);
    let found = checked.found.iter().filter(|finding| finding.severity != Severity::Notice);
    let mut found: Vec<_> = found
        .map(|finding| {
            let line = finding.at.map_or(1, |at| at.line as usize);
            (line, format!("{} {}", finding.severity.label(), finding.line(&checked.files)))
        })
        .collect();
    let mut missing = Vec::new();
    for &(line, wanted) in expected {
        let (severity, part) = wanted.split_once(' ').unwrap_or((wanted, ""));
        let fits = |(_, text): &(usize, String)| text.starts_with(severity) && text.contains(part);
        match found.iter().position(fits) {
            Some(index) if ["error", "warning"].contains(&severity) => drop(found.remove(index)),
            _ => missing.push(Fault::new(line, format!("the configuration has no finding `{wanted}`"))),
        }
    }
    let surplus = found.into_iter().map(|(line, text)| Fault::new(line, format!("not expected: {text}")));
    match surplus.chain(missing).next() {
        None => Ok(checked.setup),
        Some(fault) => Err(fault),
    }
}

/// `at TIME WHAT HAPPENS`, behind the `at`.
fn step(mut words: Words) -> Result<Step, Fault> {
    let line = words.line;
    let at = words.time()?;
    let happening = match words.need("what happens")? {
        "interface" => interface(&mut words)?,
        "hear" => hear(&mut words)?,
        "frame" => Happening::Frame { on: on(&mut words)?, octets: digits(&mut words)? },
        "deadline" => Happening::Deadline,
        "check" => {
            let name = words.need("a check's name")?.to_owned();
            let passed = one_of(&mut words, "`passed` or `failed`", &[("passed", true), ("failed", false)])?;
            Happening::Check { name, passed }
        }
        "address" => {
            let address = words.value("address")?;
            let installed = one_of(&mut words, "`set` or `failed`", &[("set", true), ("failed", false)])?;
            Happening::Address { address, installed }
        }
        "shutdown" => Happening::Shutdown,
        word => {
            let known = "interface, hear, frame, deadline, check, address or shutdown";
            return Err(words.fault(format!("`{word}` does not happen; write {known}")));
        }
    };
    words.end()?;
    Ok(Step { line, at, happening, expectations: Vec::new() })
}

/// `NAME up [ADDRESS..]`, `NAME down [ADDRESS..]`.
fn interface(words: &mut Words) -> Result<Happening, Fault> {
    let name = words.need("an interface")?.to_owned();
    let up = one_of(words, "`up` or `down`", &[("up", true), ("down", false)])?;
    let mut addresses = Vec::new();
    while words.peek().is_some() {
        addresses.push(words.value("address")?);
    }
    Ok(Happening::Interface { name, up, addresses })
}

/// `SOURCE [on INTERFACE] [FIELD VALUE]..`.
fn hear(words: &mut Words) -> Result<Happening, Fault> {
    Ok(Happening::Hear { source: words.value("address")?, on: on(words)?, fields: fields(words)? })
}

/// `[on INTERFACE]`.
fn on(words: &mut Words) -> Result<Option<String>, Fault> {
    if words.peek() != Some("on") {
        return Ok(None);
    }
    words.take();
    Ok(Some(words.need("an interface")?.to_owned()))
}

fn fields(words: &mut Words) -> Result<Vec<Field>, Fault> {
    let mut fields = Vec::new();
    while let Some(name) = words.take() {
        let value = if frame::takes_the_rest(name) { words.rest() } else { words.need("a value")? };
        fields.push(Field { name: name.to_owned(), value: value.to_owned() });
    }
    Ok(fields)
}

/// `[ROUTER] WHAT`, behind the `expect`.
fn expectation(mut words: Words) -> Result<Expectation, Fault> {
    let line = words.line;
    let first = words.need("what is expected")?;
    if let Some(what) = expected(first, &mut words)? {
        words.end()?;
        return Ok(Expectation { line, router: None, what });
    }
    // No such word: the name of a virtual router, then, and the word comes next.
    if let Some(word) = words.take()
        && let Some(what) = expected(word, &mut words)?
    {
        words.end()?;
        return Ok(Expectation { line, router: Some(first.to_owned()), what });
    }
    let known =
        "advert, install, release, announce, absorb, drop, pass, log, state, deadline, effective, counter or nothing";
    Err(words.fault(format!("`{first}` cannot be expected; write {known}")))
}

/// What the word and those behind it say; `None` when the word says nothing.
fn expected(word: &str, words: &mut Words) -> Result<Option<Expected>, Fault> {
    Ok(Some(match word {
        "advert" => match fields(words)? {
            fields if fields.first().is_some_and(|field| field.name == "priority") => Expected::Advert(fields),
            _ => return Err(words.fault("say which: `advert priority 100`")),
        },
        "install" => Expected::Install,
        "release" => Expected::Release,
        "announce" => announce(words)?,
        "absorb" => Expected::Absorb(one_of(words, "`on` or `off`", &[("on", true), ("off", false)])?),
        "drop" => Expected::Refused(Disposition::Drop, reason(words)?),
        "pass" => Expected::Refused(Disposition::Pass, reason(words)?),
        "log" => Expected::Log(words.rest().to_owned()),
        "state" => Expected::State(one_of(words, "a state", &STATES.map(|state| (state.label(), state)))?),
        "deadline" if words.peek() == Some("none") => {
            words.take();
            Expected::Deadline(None)
        }
        "deadline" => Expected::Deadline(Some((words.time()?, words.need("the deadline's reason")?.to_owned()))),
        "effective" => Expected::Effective(words.value("priority")?),
        "counter" => Expected::Counter(words.need("a counter's name")?.to_owned(), words.value("count")?),
        "nothing" => Expected::Nothing,
        _ => return Ok(None),
    }))
}

const STATES: [StateName; 5] =
    [StateName::Init, StateName::Backup, StateName::Master, StateName::Fault, StateName::Stop];

/// `ADDRESS [frame OCTETS]`, `all xROUNDS`.
fn announce(words: &mut Words) -> Result<Expected, Fault> {
    let address = match words.need("an address or `all`")? {
        "all" => None,
        word => Some(word.parse().map_err(|_| words.fault(format!("`{word}` is neither an address nor `all`")))?),
    };
    let rounds = match words.peek().and_then(|word| number(word.strip_prefix('x')?)) {
        Some(rounds) => {
            words.take();
            rounds as u32
        }
        None => 1,
    };
    let frame = match words.take() {
        Some("frame") => Some(digits(words)?),
        Some(word) => return Err(words.fault(format!("`{word}` is unknown here; write `xROUNDS` or `frame OCTETS`"))),
        None => None,
    };
    Ok(Expected::Announce { address, rounds, frame })
}

fn digits(words: &mut Words) -> Result<Vec<u8>, Fault> {
    let rest = words.rest();
    octets(rest).filter(|octets| !octets.is_empty()).ok_or_else(|| words.fault(format!("`{rest}` is no run of octets")))
}

fn reason(words: &mut Words) -> Result<Reason, Fault> {
    let label = words.need("a reason")?;
    let reason = Reason::ALL.iter().copied().find(|reason| reason.label() == label);
    reason.ok_or_else(|| words.fault(format!("`{label}` is no reason; they are listed in vrrp-common/src/drop.rs")))
}

/// The value of the next word, which must be one of these.
fn one_of<T: Copy>(words: &mut Words, what: &str, known: &[(&str, T)]) -> Result<T, Fault> {
    let word = words.need(what)?;
    let found = known.iter().find(|(name, _)| *name == word);
    found.map(|&(_, value)| value).ok_or_else(|| words.fault(format!("`{word}` is not {what}")))
}
