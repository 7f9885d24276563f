//! `$NAME=value`, and its use as `$NAME` or `${NAME}`. Values are put in where they are used, as late as possible.

use super::{Expander, PRICE, repeat};
use crate::syntax::diagnostic::Class;
use crate::syntax::source::{FileId, Span};
use crate::syntax::text::Text;

/// Definitions inside definitions.
const DEPTH: usize = 32;

/// What a name stands for: the lines of its value.
#[derive(Clone, Debug)]
pub struct Definition {
    lines: Vec<String>,
}

/// If the line defines a name: the name, and where the value starts.
pub fn start(line: &str) -> Option<(&str, usize)> {
    let name = name(line.strip_prefix('$')?)?;
    let after = 1 + name.len();
    line[after..].starts_with('=').then_some((name, after + 1))
}

/// The name at the front: a letter or `_`, then letters, digits and `_`.
fn name(chars: &str) -> Option<&str> {
    let end = chars.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(chars.len());
    (end > 0 && !chars.starts_with(|c: char| c.is_ascii_digit())).then(|| &chars[..end])
}

impl Expander<'_> {
    /// Takes a definition in, with the lines that a `\` at the end continues it on. Returns the index of the next line.
    pub(super) fn definition(&mut self, file: FileId, line: &Text, (name, from): (&str, usize), next: usize) -> usize {
        let mut next = next;
        let mut lines = Vec::new();
        let mut value = line.as_str()[from..].to_owned();
        while let Some(continued) = value.strip_suffix('\\') {
            lines.push(continued.trim().to_owned());
            let Some(more) = self.written(file, next) else {
                let message = format!("the definition of `${name}` is continued past the end of the file");
                self.found.error(Class::Definition, line.whole(), message).done("it ends here");
                value.clear();
                break;
            };
            next += 1;
            value = more.as_str().to_owned();
        }
        lines.push(value.trim().to_owned());
        self.definitions.insert(name.to_owned(), Definition { lines });
        next
    }

    /// Lets a name stand for a value, as `$NAME=value` does.
    pub(super) fn define(&mut self, name: &str, value: String) {
        self.definitions.insert(name.to_owned(), Definition { lines: vec![value] });
    }

    /// The line with all definitions put in. A value of several lines makes it several lines.
    pub(super) fn replaced(&mut self, line: Text) -> Vec<Text> {
        if !line.as_str().contains('$') {
            return vec![line];
        }
        let chars = line.as_str();
        let mut out = vec![Text::empty_like(&line)];
        let mut at = 0;
        while let Some(start) = chars[at..].find('$').map(|skip| at + skip) {
            push(&mut out, &line, at..start);
            let Some(usage) = Use::at(&chars[start..]) else {
                push(&mut out, &line, start..start + 1);
                at = start + 1;
                continue;
            };
            let end = start + usage.length;
            let span = line.span(start..end);
            match self.value(usage.name, span, 0) {
                Some(value) => append(&mut out, &value, span),
                None => push(&mut out, &line, start..end),
            }
            at = end;
        }
        push(&mut out, &line, at..chars.len());
        out
    }

    /// The lines that a name stands for, its own uses of names put in; `None` when it is not defined.
    fn value(&mut self, name: &str, span: Span, depth: usize) -> Option<Vec<String>> {
        if depth > DEPTH {
            let message =
                format!("`${name}` is defined through more than {DEPTH} other definitions, perhaps by itself");
            self.found.error(Class::Definition, span, message).done("it is left out");
            // Going on would report the same once for every use in every value.
            self.definitions.remove(name);
            return Some(Vec::new());
        }
        // A replacement costs more than its octets; without a price, empty values could be doubled for ever.
        if !self.spend(PRICE, span) {
            return Some(Vec::new());
        }
        let lines = match self.predefined(name, span) {
            Some(value) => return Some(vec![value]),
            None => self.definitions.get(name)?.lines.clone(),
        };
        let mut out: Vec<String> = Vec::new();
        for line in lines {
            // What it repeats by is not known before it repeats; the same name may have a value from before.
            if repeat::directive(&line).is_some() {
                out.push(line);
                continue;
            }
            let mut built = vec![String::new()];
            let mut rest = line.as_str();
            while let Some(start) = rest.find('$') {
                let usage = Use::at(&rest[start..]);
                let length = usage.as_ref().map_or(1, |usage| usage.length);
                add(&mut built, &rest[..start]);
                match usage.and_then(|usage| self.value(usage.name, span, depth + 1)) {
                    Some(value) => join(&mut built, &value),
                    None => add(&mut built, &rest[start..start + length]),
                }
                rest = &rest[start + length..];
            }
            add(&mut built, rest);
            let octets = built.iter().map(|line| line.len() + 1).sum::<usize>();
            if !self.spend(octets + 1, span) {
                return Some(Vec::new());
            }
            out.append(&mut built);
        }
        Some(out)
    }

    /// `${_HASH}` and its like.
    fn predefined(&mut self, name: &str, span: Span) -> Option<String> {
        let (name, arguments) = name.split_once(' ').unwrap_or((name, ""));
        match name {
            "_HASH" => Some("#".to_owned()),
            "_BANG" => Some("!".to_owned()),
            "_INSTANCE" => Some(self.id.clone()),
            "_PWD" => Some(super::include::directory(self.out.files.path(span.file)).to_owned()),
            "_ENV" => Some(self.reading.source.variable(arguments.trim()).unwrap_or_default()),
            "_RANDOM" => {
                let mut bounds = arguments.split_whitespace().filter_map(|word| word.parse::<u32>().ok());
                let low = bounds.next().unwrap_or(0).min(32767);
                let high = bounds.next().unwrap_or(32767).clamp(low, 32767);
                // The C library's documented example generator: the point is variety, not secrecy.
                self.random = self.random.wrapping_mul(1_103_515_245).wrapping_add(12345);
                Some((low + (self.random >> 16) % (high - low + 1)).to_string())
            }
            _ => None,
        }
    }
}

/// `$NAME` or `${NAME}` in a text.
struct Use<'a> {
    name: &'a str,
    length: usize,
}

impl<'a> Use<'a> {
    /// The use at the front of a text that starts with `$`.
    fn at(chars: &'a str) -> Option<Self> {
        let rest = &chars[1..];
        if let Some(inner) = rest.strip_prefix('{') {
            let end = inner.find('}')?;
            let name = &inner[..end];
            let plain = self::name(name) == Some(name) || name.starts_with('_');
            return plain.then_some(Self { name, length: end + 3 });
        }
        let name = self::name(rest)?;
        let after = rest[name.len()..].chars().next();
        let ends = after.is_none_or(|c| c.is_whitespace() || c == ')' || c == ',');
        ends.then_some(Self { name, length: 1 + name.len() })
    }
}

fn push(out: &mut [Text], from: &Text, range: std::ops::Range<usize>) {
    if let Some(last) = out.last_mut() {
        last.push(from, range);
    }
}

/// Puts a value at the end: its first line on the last one, the others below.
fn append(out: &mut Vec<Text>, value: &[String], span: Span) {
    let Some((first, others)) = value.split_first() else { return };
    if let Some(last) = out.last_mut() {
        last.push_for(first, span);
    }
    for line in others {
        let mut text = out.last().map(Text::empty_like).unwrap_or_default();
        text.push_for(line, span);
        out.push(text);
    }
}

fn add(out: &mut [String], chars: &str) {
    if let Some(last) = out.last_mut() {
        last.push_str(chars);
    }
}

fn join(out: &mut Vec<String>, value: &[String]) {
    let Some((first, others)) = value.split_first() else { return };
    add(out, first);
    out.extend_from_slice(others);
}
