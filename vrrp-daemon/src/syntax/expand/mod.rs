//! Turns files into lines without comments, definitions, conditions and includes.
//!
//! A line goes through its stages in this order: length, comment, `@` condition, definition, use of definitions,
//! repetition, include. Whatever is expanded is bounded, so that no text can make reading endless.

mod comment;
mod define;
mod glob;
pub mod include;
mod repeat;

use std::collections::BTreeMap;

use self::include::Include;
use super::diagnostic::{Class, Diagnostics};
use super::source::{FileId, Files, Source, Span};
use super::text::Text;

/// Octets of a line; with its end 1024, as in keepalived.
const LINE: usize = 1023;
/// Octets of a line after expansion.
const EXPANDED: usize = 16 << 10;
/// Files inside files.
const DEPTH: usize = 16;
/// Files in all.
const FILES: usize = 4096;
/// Octets in all, after expansion, with [`PRICE`] for each line and replacement.
const WORK: usize = 16 << 20;

/// The byte order mark of UTF-8.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Octets of work that a line, or a replacement, counts as beside its own.
const PRICE: usize = 64;

/// How a configuration is read.
pub struct Reading<'a> {
    pub source: &'a dyn Source,
    /// What `@id` compares with; the host's name when not given.
    pub id: Option<&'a str>,
    /// `--all-config`: whatever is included must be there.
    pub all_includes: bool,
}

/// The lines of a configuration, and the files they were in.
#[derive(Debug, Default)]
pub struct Expansion {
    pub lines: Vec<Text>,
    pub files: Files,
}

/// Reads a file and all that it includes.
pub fn expand(reading: &Reading, path: &str, found: &mut Diagnostics) -> Expansion {
    let id = reading.id.map_or_else(|| reading.source.hostname(), str::to_owned);
    let mut expander = Expander {
        reading,
        id,
        includes: if reading.all_includes { Include::ALL } else { Include::default() },
        definitions: BTreeMap::new(),
        out: Expansion::default(),
        work: 0,
        random: 1,
        repeating: 0,
        exhausted: false,
        found,
    };
    match reading.source.read(path) {
        Ok(octets) => expander.file(path, &octets, 0),
        Err(why) => {
            let message = format!("`{path}` cannot be read: {why}");
            let diagnostic = expander.found.error(Class::File, None, message).done("there is no configuration");
            diagnostic.hint("`-f` names another file; vrrpd.conf(5) tells of one to begin with");
        }
    }
    expander.out
}

struct Expander<'a> {
    reading: &'a Reading<'a>,
    id: String,
    /// What plain includes demand.
    includes: Include,
    definitions: BTreeMap<String, define::Definition>,
    out: Expansion,
    work: usize,
    /// State of `${_RANDOM}`, the same in every reading.
    random: u32,
    /// Repetitions that are being expanded now, inside each other.
    repeating: usize,
    exhausted: bool,
    found: &'a mut Diagnostics,
}

impl Expander<'_> {
    fn file(&mut self, path: &str, octets: &[u8], depth: usize) {
        let file = self.out.files.add(path, octets.strip_prefix(MARK).unwrap_or(octets));
        if octets.starts_with(MARK) {
            let message = format!("`{path}` starts with a byte order mark");
            let at = Span { file, line: 1, column: 1, length: 1, ..Span::default() };
            let diagnostic = self.found.warning(Class::Line, at, message).done("it is passed over");
            diagnostic
                .hint("keepalived takes it for a part of the first word: save the file as UTF-8 without the mark");
        }
        let mut next = 0;
        while let Some(line) = self.written(file, next) {
            next += 1;
            let Some(line) = self.applicable(line) else { continue };
            if let Some((name, from)) = define::start(line.as_str()) {
                next = self.definition(file, &line, (name, from), next);
            } else {
                self.expanded(line, depth);
            }
            if self.exhausted {
                return;
            }
        }
    }

    /// A line of the file without its comment; `None` past the end. A line that cannot be used reads as empty.
    fn written(&mut self, file: FileId, index: usize) -> Option<Text> {
        let line = Text::written(file, index as u32 + 1, self.out.files.lines(file).get(index)?);
        let chars = line.as_str();
        if !self.spend(chars.len() + 1, line.span(0..0)) {
            return None;
        }
        let trouble = if chars.len() > LINE {
            format!("a line of {} octets; at most {LINE} are read", chars.len())
        } else if chars.contains('\0') {
            "a line with a NUL character".to_owned()
        } else {
            return Some(comment::strip(&line).trimmed());
        };
        self.found.error(Class::Line, line.span(0..0), trouble).done("the line is skipped");
        Some(Text::empty_like(&line))
    }

    /// The line without its `@` condition, if that holds.
    fn applicable(&mut self, line: Text) -> Option<Text> {
        let chars = line.as_str();
        let Some(condition) = chars.strip_prefix('@') else { return (!chars.is_empty()).then_some(line) };
        let length = condition.find(char::is_whitespace).unwrap_or(condition.len());
        let (name, rest) = (&condition[..length], length + 1..chars.len());
        let holds = match name.strip_prefix('^') {
            Some(other) => other != self.id,
            None => name == self.id,
        };
        let rest = line.slice(rest).trimmed();
        (holds && !rest.as_str().is_empty()).then_some(rest)
    }

    /// A line after its definitions are put in, which may be several lines.
    fn expanded(&mut self, line: Text, depth: usize) {
        // Before definitions are put in: a value of several lines is repeated as a whole.
        if let Some(kind) = repeat::directive(line.as_str()) {
            return self.repeated(kind, line, depth);
        }
        for line in self.replaced(line) {
            let line = line.trimmed();
            if line.as_str().is_empty() {
                continue;
            }
            if line.as_str().len() > EXPANDED {
                let message = format!("a line that grows beyond {EXPANDED} octets");
                self.found.error(Class::Limit, line.whole(), message).done("the line is skipped");
                continue;
            }
            match repeat::directive(line.as_str()) {
                Some(kind) => self.repeated(kind, line, depth),
                None => self.plain(line, depth),
            }
        }
    }

    fn plain(&mut self, line: Text, depth: usize) {
        if let Some((kind, pattern)) = include::directive(line.as_str(), self.includes) {
            let at = line.whole();
            return self.include(kind, pattern, at, depth);
        }
        self.includes = include::demand(line.as_str(), self.includes).unwrap_or(self.includes);
        if !self.spend(PRICE, line.whole()) {
            return;
        }
        let mut line = line;
        line.set_order(self.out.lines.len() as u32);
        self.out.lines.push(line);
    }

    /// Counts work done; `false`, once reported, when there was too much of it.
    fn spend(&mut self, octets: usize, at: Span) -> bool {
        self.work = self.work.saturating_add(octets);
        if self.work > WORK {
            self.exhaust(at);
        }
        !self.exhausted
    }

    fn exhaust(&mut self, at: Span) {
        if !self.exhausted {
            let message = format!("the configuration grows beyond {} MiB", WORK >> 20);
            self.found.error(Class::Limit, at, message).done("nothing more is read");
            self.exhausted = true;
        }
    }
}

#[cfg(test)]
mod tests;
