//! File name patterns: `*`, `?`, `[...]` and the brace lists of csh, over [`Source::list`].

use crate::syntax::source::{Kind, Source};

/// Alternatives that one pattern may have.
const ALTERNATIVES: usize = 256;

pub fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The pattern without brace lists: `a{b,c}` is `ab` and `ac`.
pub fn alternatives(pattern: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut todo = vec![pattern.to_owned()];
    while let Some(one) = todo.pop() {
        match first_list(&one).filter(|_| todo.len() + done.len() < ALTERNATIVES) {
            Some((before, list, after)) => {
                let elements = elements(list);
                todo.extend(elements.iter().rev().map(|element| format!("{before}{element}{after}")));
            }
            None => done.push(one),
        }
    }
    done.truncate(ALTERNATIVES);
    done
}

/// What is before, in and after the first brace list.
fn first_list(pattern: &str) -> Option<(&str, &str, &str)> {
    let open = pattern.find('{')?;
    let mut depth = 0;
    for (at, c) in pattern[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => {
                return Some((&pattern[..open], &pattern[open + 1..open + at], &pattern[open + at + 1..]));
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The elements of a list, split at the commas outside inner lists.
fn elements(list: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut start = 0;
    let mut out = Vec::new();
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                out.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    out.push(&list[start..]);
    out
}

/// The files that match, sorted. A path without a wildcard is itself.
pub fn matches(pattern: &str, source: &dyn Source) -> Vec<String> {
    if !is_pattern(pattern) {
        return vec![pattern.to_owned()];
    }
    let (mut found, rest) = match pattern.strip_prefix('/') {
        Some(rest) => (vec![String::from("/")], rest),
        None => (vec![String::new()], pattern),
    };
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        let join = |directory: &str, name: &str| match directory {
            "" => name.to_owned(),
            _ if directory.ends_with('/') => format!("{directory}{name}"),
            _ => format!("{directory}/{name}"),
        };
        found = found
            .iter()
            .flat_map(|directory| {
                if !is_pattern(part) {
                    return vec![join(directory, part)];
                }
                let mut listed = source.list(if directory.is_empty() { "." } else { directory });
                listed.sort();
                let right = |kind| if last { kind == Kind::Text } else { kind == Kind::Directory };
                listed.retain(|listed| right(listed.kind) && matches_name(part, &listed.name));
                listed.iter().map(|listed| join(directory, &listed.name)).collect()
            })
            .take(super::FILES)
            .collect();
    }
    found
}

/// Whether a name matches; a leading dot only matches a dot.
fn matches_name(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where to try again: after the last `*`, with one more character taken by it.
    let mut retry = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, n + 1));
                p += 1;
                continue;
            }
            Some('[') => {
                if let Some((true, length)) = class(&pattern[p..], name[n]) {
                    (p, n) = (p + length, n + 1);
                    continue;
                }
            }
            Some('?') => {
                (p, n) = (p + 1, n + 1);
                continue;
            }
            Some(&c) if c == name[n] => {
                (p, n) = (p + 1, n + 1);
                continue;
            }
            _ => {}
        }
        let Some((again, from)) = retry else { return false };
        (p, n) = (again, from);
        retry = Some((again, from + 1));
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// Whether the class at the front, `[a-z]` or `[!abc]`, has the character; and how long the class is.
fn class(pattern: &[char], c: char) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    let from = if negated { 2 } else { 1 };
    let end = from + 1 + pattern.get(from + 1..)?.iter().position(|&c| c == ']')?;
    let mut has = false;
    let mut at = from;
    while at < end {
        if at + 2 < end && pattern[at + 1] == '-' {
            has |= (pattern[at]..=pattern[at + 2]).contains(&c);
            at += 3;
        } else {
            has |= pattern[at] == c;
            at += 1;
        }
    }
    Some((has != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::source::Memory;

    #[test]
    fn names() {
        for (pattern, name, want) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".conf", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("v?.[a-c][!x]", "v1.by", true),
            ("v?.[a-c][!x]", "v1.bx", false),
            ("[", "[", false),
        ] {
            assert_eq!(matches_name(pattern, name), want, "{pattern} {name}");
        }
        assert_eq!(alternatives("a{b,c{d,e}}f"), ["abf", "acdf", "acef"]);
        assert_eq!(alternatives("a{b"), ["a{b"]);
    }

    #[test]
    fn files_in_order() {
        let mut source = Memory::default();
        for path in ["/e/b.conf", "/e/a.conf", "/e/d/x.conf", "/e/c.txt"] {
            source.files.insert(path.into(), vec![]);
        }
        assert_eq!(matches("/e/*.conf", &source), ["/e/a.conf", "/e/b.conf"]);
        assert_eq!(matches("/*/d/*", &source), ["/e/d/x.conf"]);
    }
}
