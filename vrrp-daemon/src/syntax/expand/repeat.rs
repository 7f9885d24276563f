//! `~SEQ(var, [start, [step,]] end) text` and `~LST(var, value, ...) text`: the text once for each value.

use super::Expander;
use crate::syntax::diagnostic::Class;
use crate::syntax::text::Text;

/// Repetitions inside each other on one line.
const DEPTH: usize = 8;
/// Values of one sequence.
const VALUES: usize = 65536;

/// Which repetition a line starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Numbers,
    Hexadecimal,
    List,
}

pub fn directive(line: &str) -> Option<Kind> {
    let name = line.strip_prefix('~')?;
    let is = |known: &str| name.strip_prefix(known).is_some_and(|rest| rest.trim_start().starts_with('('));
    let kinds = [("SEQx", Kind::Hexadecimal), ("SEQ", Kind::Numbers), ("LST", Kind::List)];
    kinds.into_iter().find(|(known, _)| is(known)).map(|(_, kind)| kind)
}

/// One round: the names and what they stand for.
type Round = Vec<(String, String)>;

impl Expander<'_> {
    pub(super) fn repeated(&mut self, kind: Kind, line: Text, depth: usize) {
        let chars = line.as_str();
        let open = chars.find('(').map_or(chars.len(), |at| at + 1);
        let Some(close) = chars[open..].find(')').map(|at| open + at) else {
            let message = "a repetition without its closing `)`";
            self.found.error(Class::Definition, line.whole(), message).done("the line is skipped");
            return;
        };
        let header: String = self.replaced(line.slice(open..close)).iter().map(|text| text.as_str()).collect();
        let rounds = match kind {
            Kind::Numbers | Kind::Hexadecimal => numbers(&header, kind == Kind::Hexadecimal),
            Kind::List => list(&header),
        };
        let rounds = match rounds {
            Ok(rounds) if self.repeating < DEPTH => rounds,
            Ok(_) => {
                let message = format!("more than {DEPTH} repetitions inside each other");
                self.found.error(Class::Limit, line.whole(), message).done("the line is skipped");
                return;
            }
            Err(why) => {
                let at = line.span(open..close);
                self.found.error(Class::Definition, at, why).done("the line is skipped");
                return;
            }
        };
        let text = line.slice(close + 1..chars.len()).trimmed();
        self.repeating += 1;
        for round in rounds {
            if !self.spend(text.as_str().len() + 1, line.whole()) {
                break;
            }
            for (name, value) in round {
                self.define(&name, value);
            }
            self.expanded(text.clone(), depth);
        }
        self.repeating -= 1;
    }
}

/// The rounds of `var, [start, [step,]] end`.
fn numbers(header: &str, hexadecimal: bool) -> Result<Vec<Round>, String> {
    let mut parts = header.split(',').map(str::trim);
    let name = parts.next().unwrap_or_default().to_owned();
    let given: Option<Vec<i64>> = parts.map(number).collect();
    let (start, step, end) = match given.as_deref() {
        Some(&[end]) => (1, 1, end),
        Some(&[start, end]) => (start, if end < start { -1 } else { 1 }, end),
        Some(&[start, step, end]) if step != 0 => (start, step, end),
        _ => {
            return Err(
                "expected `~SEQ(name, [start, [step,]] end)` with whole numbers and a step that is not 0".into()
            );
        }
    };
    let (start, end, step) = (i128::from(start), i128::from(end), i128::from(step));
    let count = ((end - start) / step + 1).max(0);
    if (end - start).signum() * step.signum() < 0 {
        return Err(format!("steps of {step} never come from {start} to {end}"));
    }
    if count > VALUES as i128 {
        return Err(format!("a sequence of {count} values; at most {VALUES} are made"));
    }
    let shown = |value: i128| if hexadecimal { format!("{value:x}") } else { value.to_string() };
    Ok((0..count).map(|index| vec![(name.clone(), shown(start + index * step))]).collect())
}

/// A whole number as C writes it: 12, 0xc.
fn number(part: &str) -> Option<i64> {
    let (sign, digits) = part.strip_prefix('-').map_or((1, part), |digits| (-1, digits));
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    Some(sign * value.ok().filter(|&value| value >= 0)?)
}

/// The rounds of `var, a, b` or `{var, var}, {a, b}, {c, d}`. What a round has no value for is empty.
fn list(header: &str) -> Result<Vec<Round>, String> {
    let mut items = Vec::new();
    let mut rest = Some(header.trim());
    while let Some(text) = rest {
        let (item, after) = match text.strip_prefix('{') {
            Some(inner) => inner.split_once('}').ok_or("a `{` without its `}`")?,
            None => text.split_at(text.find(',').unwrap_or(text.len())),
        };
        items.push(item.split(',').map(|part| part.trim().to_owned()).collect::<Vec<_>>());
        let after = after.trim_start();
        rest = after.strip_prefix(',').map(str::trim_start);
        if rest.is_none() && !after.is_empty() {
            return Err(format!("`{after}` behind an element; expected a comma"));
        }
        if items.len() > VALUES {
            return Err(format!("more than {VALUES} values"));
        }
    }
    let usage = "expected `~LST(name, value, ...)` or `~LST({name, name}, {value, value}, ...)`";
    let (names, values) = items.split_first().filter(|(_, values)| !values.is_empty()).ok_or(usage)?;
    let round = |value: &Vec<String>| {
        let value = value.iter().cloned().chain(std::iter::repeat(String::new()));
        names.iter().cloned().zip(value).collect()
    };
    Ok(values.iter().map(round).collect())
}
