//! `include` and the stricter forms of it: what each says of a pattern that finds nothing.

use super::{DEPTH, Expander, FILES, glob};
use crate::syntax::diagnostic::Class;
use crate::syntax::source::{Kind, Span};

/// What must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Include {
    /// A file that matches must be readable.
    read: bool,
    /// Something must match.
    matched: bool,
    /// Every wildcard must match.
    wildcard: bool,
    /// Every element of a brace list must match.
    brace: bool,
}

/// If the line is an include: which, and its pattern.
pub fn directive(line: &str) -> Option<(Include, &str)> {
    let (keyword, pattern) = line.split_once(char::is_whitespace)?;
    let none = Include { read: false, matched: false, wildcard: false, brace: false };
    let kind = match keyword {
        "include" => none,
        "includer" => Include { read: true, ..none },
        "includem" => Include { matched: true, ..none },
        "includew" => Include { wildcard: true, ..none },
        "includeb" => Include { brace: true, ..none },
        "includea" => Include { read: true, matched: true, wildcard: true, brace: true },
        _ => return None,
    };
    Some((kind, pattern.trim().trim_matches('"')))
}

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
        let mut any = false;
        for one in glob::alternatives(pattern) {
            let path = if one.starts_with('/') || base == "." { one.clone() } else { format!("{base}/{one}") };
            let wild = glob::is_pattern(&path);
            let paths = glob::matches(&path, self.reading.source);
            let mut read = false;
            for path in paths {
                if self.out.files.len() >= FILES {
                    self.found.error(Class::Limit, at, format!("more than {FILES} files")).done("no more are read");
                    return;
                }
                match self.reading.source.read(&path) {
                    Ok(octets) => {
                        read = true;
                        self.file(&path, &octets, depth + 1);
                    }
                    Err(why) if kind.read || kind.matched && !wild => {
                        self.found.error(Class::Include, at, format!("`{path}` cannot be read: {why}"));
                    }
                    Err(why) => {
                        let message = format!("`{path}` cannot be read: {why}");
                        self.found.notice(Class::Include, at, message).done("it is left out");
                    }
                }
                if self.exhausted {
                    return;
                }
            }
            any |= read;
            if !read && (kind.wildcard && wild || kind.brace && one != pattern) {
                self.found.error(Class::Include, at, format!("`{one}` matches no file"));
            }
        }
        if !any {
            let message = format!("`{pattern}` matches no file that can be included");
            if kind.matched {
                self.found.error(Class::Include, at, message);
            } else {
                self.found.notice(Class::Include, at, message).done("nothing is included");
            }
        }
    }
}

/// Whether `include` takes a file of this kind.
pub(super) fn takes(kind: Kind) -> bool {
    kind == Kind::Text
}
