//! What was found while reading: severity, class, place, what is done instead, and a remedy; and how it is shown.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::source::{Files, Span};

/// Declares [`Class`]: `Name "LABEL" exit-code` behind the meaning of each.
macro_rules! classes {
    ($($(#[doc = $help:literal])+ $name:ident $label:literal $exit:literal;)+) => {
        /// What kind of finding it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Class {
            $($(#[doc = $help])+ $name,)+
        }

        impl Class {
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The name in messages.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)+ }
            }

            /// What a finding of this class makes of the exit code of a configuration test, unless it is a notice.
            pub const fn exit_code(self) -> u8 {
                match self { $(Self::$name => $exit,)+ }
            }
        }
    };
}

classes! {
    /// The configuration file cannot be read.
    File "FILE" 4;
    /// A keyword without the parameter it cannot do without.
    MissingParameter "MISSING_PARAMETER" 2;
    /// A script that somebody other than root could change is run as root, or nobody asked for that check.
    ScriptSecurity "SCRIPT_SECURITY" 6;
    /// A script that is not there or cannot be run.
    Script "SCRIPT" 5;
    /// A user or group that does not exist.
    User "USER" 5;
    /// A key that cannot be used, or that others can read.
    Key "KEY" 5;
    /// Neither ours nor keepalived's.
    UnknownKeyword "UNKNOWN_KEYWORD" 5;
    /// keepalived's, and not done here: the virtual router is left out.
    Unsupported "UNSUPPORTED" 5;
    /// keepalived's, and without effect here.
    WithoutEffect "WITHOUT_EFFECT" 5;
    /// A brace too many, or one missing.
    Brace "BRACE" 5;
    /// A quote that is not closed.
    Quote "QUOTE" 5;
    /// A line that cannot be used as it is.
    Line "LINE" 5;
    /// A file to include that is not there, and must be.
    Include "INCLUDE" 6;
    /// A definition, or a repetition, that cannot be understood.
    Definition "DEFINITION" 5;
    /// Larger than is ever meant.
    Limit "LIMIT" 5;
    /// A value that the keyword does not take.
    Value "VALUE" 5;
    /// Something named that was not defined before.
    Reference "REFERENCE" 5;
    /// The same thing twice.
    Duplicate "DUPLICATE" 5;
    /// Two settings that exclude each other.
    Conflict "CONFLICT" 5;
    /// A virtual router that lacks what it needs.
    Incomplete "INCOMPLETE" 5;
    /// Defined, and used nowhere.
    Unused "UNUSED" 5;
    /// An interface that does not exist now.
    Interface "INTERFACE" 5;
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is wrong; leaves the exit code alone.
    Notice,
    /// Read, but not as it was written.
    Warning,
    /// Not used.
    Error,
}

impl Severity {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub class: Class,
    pub at: Option<Span>,
    /// What is wrong, and what was expected.
    pub message: String,
    /// What is done instead.
    pub done: Option<String>,
    /// What to write.
    pub hint: Option<String>,
}

impl Diagnostic {
    pub fn done(&mut self, done: impl Into<String>) -> &mut Self {
        self.done = Some(done.into());
        self
    }

    pub fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    /// As a block for people: place, message, the line with a mark under it, what is done, what to write.
    pub fn block(&self, files: &Files) -> String {
        let mut out = String::new();
        let _ = self.write_block(files, &mut out);
        out
    }

    /// As one line for a log, in keepalived's form: `(FILE: Line N) message`.
    pub fn line(&self, files: &Files) -> String {
        let mut out = match self.at {
            Some(at) => format!("({}: Line {}) {}", files.path(at.file), at.line, self.message),
            None => self.message.clone(),
        };
        for more in [&self.done, &self.hint].into_iter().flatten() {
            out.push_str("; ");
            out.push_str(more);
        }
        out
    }

    fn write_block(&self, files: &Files, out: &mut String) -> fmt::Result {
        if let Some(at) = self.at {
            write!(out, "{}:{}:{}: ", files.path(at.file), at.line, at.column)?;
        }
        writeln!(out, "{}: {} [{}]", self.severity.label(), self.message, self.class.label())?;
        if let Some((at, line)) = self.at.and_then(|at| Some((at, files.excerpt(at)?))) {
            // A tab stays a tab in the line of the mark, so that the mark stands where the terminal puts the word.
            let shown = printable(&without_secret(line), EXCERPT);
            let before = shown.chars().take(at.column.saturating_sub(1) as usize);
            let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            let room = shown.chars().count().saturating_sub(indent.chars().count()).max(1);
            let mark = "^".repeat((at.length as usize).clamp(1, room));
            writeln!(out, "{:>5} | {shown}\n      | {indent}{mark}", at.line)?;
        }
        for more in [&self.done, &self.hint].into_iter().flatten() {
            writeln!(out, "      = {more}")?;
        }
        Ok(())
    }
}

/// The line with a secret blotted out, a password or a key: reports end up in tickets.
fn without_secret(line: &str) -> String {
    let behind = |word: &str| line.find(word).map(|at| at + word.len());
    let secrets = [behind("auth_pass"), behind("hex:"), behind_key(line)];
    let Some(secret) = secrets.into_iter().flatten().min() else { return line.to_owned() };
    let blot = |c: char| if c.is_whitespace() { c } else { '*' };
    line[..secret].to_owned() + &line[secret..].chars().map(blot).collect::<String>()
}

/// Where the word `key` ends.
fn behind_key(line: &str) -> Option<usize> {
    let ends = line.match_indices("key").map(|(at, word)| (at, at + word.len()));
    let stands_alone = |&(at, end): &(usize, usize)| {
        let opens = line[..at].chars().next_back().is_none_or(|c| c.is_whitespace() || c == '{');
        opens && line[end..].starts_with(char::is_whitespace)
    };
    ends.filter(stands_alone).map(|(_, end)| end).next()
}

/// The front of a text, safe for a terminal: a file that came from elsewhere may hold its control characters.
fn printable(text: &str, most: usize) -> String {
    let safe = |c: char| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().take(most).map(safe).collect()
}

/// Characters of a message; words of the file are quoted in it.
const MESSAGE: usize = 400;

/// Characters of a line that an excerpt shows.
const EXCERPT: usize = 160;

/// Findings kept; further ones are counted only.
const KEPT: usize = 500;

/// All findings of one reading, in the order they were made.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    counts: BTreeMap<(Class, Severity), u32>,
    beyond: Option<Diagnostic>,
}

impl Diagnostics {
    pub fn error(&mut self, class: Class, at: impl Into<Option<Span>>, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Error, class, at.into(), message.into())
    }

    pub fn warning(
        &mut self,
        class: Class,
        at: impl Into<Option<Span>>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(Severity::Warning, class, at.into(), message.into())
    }

    pub fn notice(&mut self, class: Class, at: impl Into<Option<Span>>, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Notice, class, at.into(), message.into())
    }

    fn push(&mut self, severity: Severity, class: Class, at: Option<Span>, message: String) -> &mut Diagnostic {
        *self.counts.entry((class, severity)).or_default() += 1;
        let message = printable(&message, MESSAGE);
        let diagnostic = Diagnostic { severity, class, at, message, done: None, hint: None };
        if !self.is_full() {
            self.list.push(diagnostic);
            let last = self.list.len() - 1;
            return &mut self.list[last];
        }
        self.beyond.insert(diagnostic)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Whether further findings are counted only.
    pub fn is_full(&self) -> bool {
        self.list.len() >= KEPT
    }

    /// Findings of this severity, kept or not.
    pub fn count(&self, severity: Severity) -> u32 {
        self.counts.iter().filter(|((_, of), _)| *of == severity).map(|(_, count)| count).sum()
    }

    /// Findings of this class and severity, kept or not.
    pub fn count_of(&self, class: Class, severity: Severity) -> u32 {
        self.counts.get(&(class, severity)).copied().unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What `vrrpd -t` exits with: 0, or the code of keepalived that takes precedence.
    ///
    /// A missing parameter ends keepalived's reading (2); then scripts, and includes that must be there (6); a file that cannot be read (4); anything
    /// else (5).
    pub fn exit_code(&self) -> u8 {
        let found = |code| {
            let of = |(class, severity): &(Class, Severity)| *severity != Severity::Notice && class.exit_code() == code;
            self.counts.keys().any(of)
        };
        [2, 6, 4, 5].into_iter().find(|&code| found(code)).unwrap_or(0)
    }

    /// Every finding as a block, in the order of their places, and a line of totals.
    pub fn report(&self, files: &Files) -> String {
        let mut list: Vec<&Diagnostic> = self.iter().collect();
        list.sort_by_key(|diagnostic| diagnostic.at.map(|at| (at.file, at.line, at.column)));
        let mut out: String = list.iter().map(|diagnostic| diagnostic.block(files)).collect();
        let totals = [Severity::Error, Severity::Warning, Severity::Notice].map(|severity| {
            let count = self.count(severity);
            format!("{count} {}{}", severity.label(), if count == 1 { "" } else { "s" })
        });
        if self.beyond.is_some() {
            let _ = writeln!(out, "only the first {KEPT} findings are shown");
        }
        let _ = writeln!(out, "{}", totals.join(", "));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::source::FileId;

    #[test]
    fn a_block_shows_place_line_mark_and_remedy() {
        let mut files = Files::default();
        let file = files.add("k.conf", b"a\n\tpriorty 1\n");
        let mut found = Diagnostics::default();
        let at = Span { order: 0, file, line: 2, column: 2, length: 7 };
        found.error(Class::UnknownKeyword, at, "unknown keyword `priorty`").done("the line is skipped").hint("try it");
        let block = found.iter().next().unwrap().block(&files);
        let lines: Vec<&str> = block.lines().collect();
        assert_eq!(lines[0], "k.conf:2:2: error: unknown keyword `priorty` [UNKNOWN_KEYWORD]");
        assert_eq!(lines[1], "    2 | \tpriorty 1");
        assert_eq!(lines[2], "      | \t^^^^^^^");
        assert_eq!(lines[4], "      = try it");
        assert_eq!(FileId(0), file);
        let line = found.iter().next().unwrap().line(&files);
        assert_eq!(line, "(k.conf: Line 2) unknown keyword `priorty`; the line is skipped; try it");
    }

    #[test]
    fn neither_passwords_nor_control_characters_are_shown() {
        let mut files = Files::default();
        let lines = b" auth_pass sec ret\n\x1b[2J\n\tkey 1 a secret}\nauth_hmac {key 2 file:x\nmonkey 1\n$K=hex:ab\n";
        let file = files.add("k.conf", lines);
        let mut found = Diagnostics::default();
        for line in 1..=6 {
            found.error(Class::Value, Span { file, line, column: 1, ..Span::default() }, "a\x1b[2Jb");
        }
        let report = found.report(&files);
        assert!(report.contains(" auth_pass *** ***\n") && !report.contains('\x1b'), "{report}");
        for line in ["\tkey * * *******\n", " auth_hmac {key * ******\n", " monkey 1\n", " $K=hex:**\n"] {
            assert!(report.contains(line), "{line}: {report}");
        }
    }

    #[test]
    fn exit_codes_have_an_order() {
        let mut found = Diagnostics::default();
        assert_eq!(found.exit_code(), 0);
        found.notice(Class::WithoutEffect, None, "");
        assert_eq!(found.exit_code(), 0);
        found.warning(Class::Value, None, "");
        assert_eq!(found.exit_code(), 5);
        found.warning(Class::ScriptSecurity, None, "");
        assert_eq!(found.exit_code(), 6);
        found.error(Class::MissingParameter, None, "");
        assert_eq!(found.exit_code(), 2);
    }

    #[test]
    fn the_list_is_bounded_and_the_count_is_not() {
        let mut found = Diagnostics::default();
        for _ in 0..KEPT + 7 {
            found.error(Class::Value, None, "").done("");
        }
        assert_eq!(found.iter().count(), KEPT);
        assert_eq!(found.count(Severity::Error) as usize, KEPT + 7);
    }
}
