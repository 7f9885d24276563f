//! `include` and the stricter forms of it: what each says of a pattern that finds nothing.

use super::{DEPTH, Expander, FILES, glob};
use crate::syntax::diagnostic::Class;
use crate::syntax::source::Span;

/// What must be found, or else there is no configuration; observed of keepalived 2.2.7.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Include {
    /// What is there must be a file that can be read.
    read: bool,
    /// A name without a wildcard must be there.
    matched: bool,
    /// A wildcard must match something.
    wildcard: bool,
    /// Every element of a brace list must be there.
    brace: bool,
}

impl Include {
    /// `includea`, and every include by `--all-config`.
    pub const ALL: Self = Self { read: true, matched: true, wildcard: true, brace: true };
}

/// If the line is an include: which, and its pattern. `default` is what a plain one demands.
pub fn directive(line: &str, default: Include) -> Option<(Include, &str)> {
    let (keyword, pattern) = line.split_once(char::is_whitespace)?;
    let read = Include { read: true, ..Include::default() };
    let kind = match keyword {
        "include" => default,
        "includer" => read,
        "includem" => Include { matched: true, ..read },
        "includew" => Include { matched: true, wildcard: true, ..read },
        "includeb" => Include { brace: true, ..read },
        "includea" => Include::ALL,
        _ => return None,
    };
    Some((kind, pattern.trim()))
}

/// What plain includes demand from here on, if the line says so: `include_check` alone for all, or words of [`DEMANDS`];
/// with a sign they change what was demanded before. Other words are for the reader of `global_defs` to report.
pub fn demand(line: &str, before: Include) -> Option<Include> {
    let mut words = line.split_whitespace().skip_while(|&word| word == "{").peekable();
    words.next_if_eq(&"include_check")?;
    let mut demand = match words.peek() {
        None => return Some(Include::ALL),
        Some(word) if word.starts_with(['+', '-']) => before,
        Some(_) => Include::default(),
    };
    for word in words {
        let field = match word.trim_start_matches(['+', '-']) {
            "read" => &mut demand.read,
            "match" => &mut demand.matched,
            "wildcard_match" => &mut demand.wildcard,
            "brace_match" => &mut demand.brace,
            _ => continue,
        };
        *field = !word.starts_with('-');
    }
    Some(demand)
}

/// The words of `include_check`.
pub const DEMANDS: &[&str] = &["read", "match", "wildcard_match", "brace_match"];

/// The directory of a path, without the last `/`.
pub fn directory(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((directory, _)) => directory,
        None => ".",
    }
}

impl Expander<'_> {
    pub(super) fn include(&mut self, kind: Include, pattern: &str, at: Span, depth: usize) {
        if depth + 1 > DEPTH {
            let message = format!("more than {DEPTH} files include each other");
            self.found.error(Class::Limit, at, message).done("this file is not read").hint("does it include itself?");
            return;
        }
        // keepalived reads a file from within its directory.
        let base = directory(self.out.files.path(at.file)).to_owned();
        let alternatives = glob::alternatives(pattern);
        let is_list = alternatives.len() > 1;
        for one in alternatives {
            let path = if one.starts_with('/') || base == "." { one.clone() } else { format!("{base}/{one}") };
            let wild = glob::is_pattern(&path);
            let paths = glob::matches(&path, self.reading.source);
            if wild && paths.is_empty() {
                self.missing(kind.wildcard, at, format!("`{one}` matches no file that can be included"));
            }
            for path in paths {
                if self.out.files.len() >= FILES {
                    self.found.error(Class::Limit, at, format!("more than {FILES} files")).done("no more are read");
                    return;
                }
                match self.reading.source.read(&path) {
                    Ok(octets) => self.file(&path, &octets, depth + 1),
                    Err(why) => {
                        let demanded = match (wild || self.exists(&path), is_list) {
                            (true, _) => kind.read,
                            (false, true) => kind.brace,
                            (false, false) => kind.matched,
                        };
                        self.missing(demanded, at, format!("`{path}` cannot be read: {why}"));
                    }
                }
                if self.exhausted {
                    return;
                }
            }
        }
    }

    /// Reports what cannot be included.
    fn missing(&mut self, demanded: bool, at: Span, message: String) {
        let quoted = message.contains('"');
        let diagnostic = if demanded {
            let done = "this include demands it: without it there is no configuration";
            self.found.error(Class::Include, at, message).done(done)
        } else {
            self.found.notice(Class::Include, at, message).done("it is left out")
        };
        if quoted {
            diagnostic.hint("names of files are written without quotes");
        }
    }

    /// Whether there is something of this name.
    fn exists(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.reading.source.list(directory(path)).iter().any(|listed| listed.name == name)
    }
}
