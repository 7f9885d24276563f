//! Puts lines together to a tree: an entry is a keyword with its parameters, and perhaps a block of entries.
//!
//! Braces are judged here, and only here. A missing one is reported where it is missed, and reading goes on.

use super::diagnostic::{Class, Diagnostics};
use super::lexer::{self, Token, Word};
use super::source::Span;
use super::text::Text;

/// What the tree must know of the language.
pub struct Grammar<'a> {
    /// Keywords that open a block at the root and nowhere else: inside a block they show that a `}` is missing.
    pub roots: &'a [&'a str],
    /// Keywords whose parameters are cut as a shell would.
    pub is_command: &'a dyn Fn(&str) -> bool,
}

/// A keyword, its parameters, and its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Never empty, but for a block that nothing stands before.
    words: Vec<Word>,
    pub block: Option<Vec<Entry>>,
    /// The `{`, or the keyword when there is none.
    pub at: Span,
}

impl Entry {
    pub fn keyword(&self) -> &Word {
        &self.words[0]
    }

    /// All words, the keyword first: for lines that are items of a list.
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// The words after the keyword.
    pub fn parameters(&self) -> &[Word] {
        &self.words[1..]
    }

    /// From the first word to the last.
    pub fn span(&self) -> Span {
        self.words.last().map_or(self.at, |last| self.words[0].span.to(last.span))
    }

    /// The first parameter; its absence is reported.
    pub fn parameter(&self, expected: &str, found: &mut Diagnostics) -> Option<&Word> {
        let first = self.parameters().first();
        if first.is_none() {
            let keyword = self.keyword();
            let message = format!("`{}` lacks its parameter: {expected}", keyword.text);
            found.error(Class::MissingParameter, keyword.span, message).done("the line is skipped");
        }
        first
    }

    /// Reports parameters that nobody reads. keepalived ignores them without a word, so this is no error.
    pub fn no_more_than(&self, count: usize, found: &mut Diagnostics) {
        if let Some(extra) = self.parameters().get(count) {
            let message = format!("`{}` does not take `{}`", self.keyword().text, extra.text);
            found.notice(Class::Value, extra.span, message).done("it is ignored");
        }
    }

    /// The entries of the block; a missing block is reported and reads as empty.
    pub fn body(&self, found: &mut Diagnostics) -> &[Entry] {
        self.block.as_deref().unwrap_or_else(|| {
            let message = format!("`{}` lacks its `{{`", self.keyword().text);
            found.error(Class::Brace, self.span(), message).done("it is taken for empty");
            &[]
        })
    }

    /// Reports a block that the keyword does not have.
    pub fn no_block(&self, found: &mut Diagnostics) {
        if self.block.is_some() {
            let message = format!("`{}` has no block", self.keyword().text);
            found.error(Class::Brace, self.at, message).done("the block is skipped");
        }
    }
}

/// Blocks inside blocks that are read; keepalived's language needs four.
const DEPTH: usize = 16;

/// Reads lines to a tree; a line is forgotten when it is read.
pub fn read(lines: Vec<Text>, grammar: &Grammar, found: &mut Diagnostics) -> Vec<Entry> {
    let mut reading = Reading { open: vec![Vec::new()], skipped: 0, found };
    for line in lines {
        let mut words: Vec<Word> = Vec::new();
        for token in lexer::tokens(&line, grammar.is_command, reading.found) {
            match token {
                Token::Word(word) => words.push(word),
                Token::Open(span) => {
                    if words.first().is_some_and(|word| grammar.roots.contains(&word.text.as_str())) {
                        reading.close_to_root(&words[0]);
                    }
                    reading.entry(&mut words);
                    reading.open(span);
                }
                Token::Close(span) => {
                    reading.entry(&mut words);
                    reading.close(span);
                }
            }
        }
        if words.len() > 1 && grammar.roots.contains(&words[0].text.as_str()) {
            reading.close_to_root(&words[0]);
        }
        reading.entry(&mut words);
    }
    reading.finish()
}

struct Reading<'a> {
    /// The entries of the root and of every open block; the block of `open[n]` is the last entry of `open[n - 1]`.
    open: Vec<Vec<Entry>>,
    /// Open blocks beyond [`DEPTH`].
    skipped: usize,
    found: &'a mut Diagnostics,
}

impl Reading<'_> {
    fn here(&mut self) -> &mut Vec<Entry> {
        let last = self.open.len() - 1;
        &mut self.open[last]
    }

    fn entry(&mut self, words: &mut Vec<Word>) {
        if self.skipped == 0 && !words.is_empty() {
            let at = words[0].span;
            self.here().push(Entry { words: std::mem::take(words), block: None, at });
        }
        words.clear();
    }

    fn open(&mut self, span: Span) {
        if self.skipped > 0 || self.open.len() > DEPTH {
            if self.skipped == 0 {
                let message = format!("more than {DEPTH} blocks inside each other");
                self.found.error(Class::Limit, span, message).done("the inner ones are skipped");
            }
            self.skipped += 1;
            return;
        }
        match self.here().last_mut() {
            // The block's own place until it is closed is `open`; `Some` marks that it has one.
            Some(entry) if entry.block.is_none() => {
                entry.at = span;
                entry.block = Some(Vec::new());
            }
            _ => {
                self.found.error(Class::Brace, span, "`{` without a keyword before it").done("the block is skipped");
                let nobody = Word { text: String::new(), span };
                self.here().push(Entry { words: vec![nobody], block: Some(Vec::new()), at: span });
            }
        }
        self.open.push(Vec::new());
    }

    fn close(&mut self, span: Span) {
        if self.skipped > 0 {
            self.skipped -= 1;
        } else if self.open.len() == 1 {
            self.found.error(Class::Brace, span, "`}` closes nothing").done("it is ignored");
        } else {
            self.pop();
        }
    }

    fn pop(&mut self) {
        let entries = self.open.pop().unwrap_or_default();
        if let Some(owner) = self.here().last_mut() {
            owner.block = Some(entries);
        }
    }

    /// Closes what is still open before a keyword that can only stand at the root.
    fn close_to_root(&mut self, keyword: &Word) {
        if self.open.len() > 1 {
            let message = format!("`{}` inside a block: a `}}` is missing before it", keyword.text);
            self.missing(Some(keyword.span), message);
        }
    }

    fn finish(mut self) -> Vec<Entry> {
        if self.open.len() > 1 {
            self.missing(None, "the file ends inside a block: a `}` is missing".to_owned());
        }
        self.open.pop().unwrap_or_default()
    }

    fn missing(&mut self, at: Option<Span>, message: String) {
        let depth = self.open.len();
        let owner = self.open[depth - 2].last().map(|entry| (entry.keyword().text.clone(), entry.at));
        let (keyword, opened) = owner.unwrap_or_default();
        let hint = format!("`{keyword}` was opened in line {}", opened.line);
        let place = at.unwrap_or(opened);
        self.found.error(Class::Brace, place, message).done("everything open is closed here").hint(hint);
        self.skipped = 0;
        while self.open.len() > 1 {
            self.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::source::FileId;

    fn shown(entries: &[Entry]) -> String {
        let one = |entry: &Entry| {
            let words: Vec<&str> = entry.words.iter().map(|word| word.text.as_str()).collect();
            let block = entry.block.as_ref().map(|block| format!("[{}]", shown(block)));
            words.join(" ") + &block.unwrap_or_default()
        };
        entries.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    fn read_text(text: &str) -> (String, Vec<String>) {
        let mut found = Diagnostics::default();
        let line = |(index, line)| Text::written(FileId(0), index as u32 + 1, line);
        let lines: Vec<Text> = text.lines().enumerate().map(line).collect();
        let tree = read(lines, &Grammar { roots: &["root"], is_command: &|_| false }, &mut found);
        let place = |d: &super::super::diagnostic::Diagnostic| {
            let at = d.at.unwrap();
            format!("{}:{} {}", at.line, at.column, d.message)
        };
        (shown(&tree), found.iter().map(place).collect())
    }

    #[test]
    fn blocks_open_on_the_same_line_or_the_next() {
        let want = "root a[b c; d[e f]]; g";
        for text in
            ["root a {\n b c\n d {\n e f\n }\n}\ng", "root a\n{ b c\n d\n{ e f }\n}\ng", "root a{ b c\nd { e f }} g"]
        {
            assert_eq!(read_text(text), (want.to_owned(), vec![]), "{text}");
        }
    }

    #[test]
    fn a_missing_close_ends_at_the_next_root_keyword_or_the_end() {
        let (tree, found) = read_text("root a {\n b {\n c\nroot d {\n e\n}");
        assert_eq!(tree, "root a[b[c]]; root d[e]");
        assert_eq!(found, ["4:1 `root` inside a block: a `}` is missing before it"]);
        let (tree, found) = read_text("root a {\n b");
        assert_eq!(tree, "root a[b]");
        assert_eq!(found, ["1:8 the file ends inside a block: a `}` is missing"]);
    }

    #[test]
    fn braces_too_many_are_reported_and_passed_over() {
        let (tree, found) = read_text("root a {\n}\n}\nb\n");
        assert_eq!((tree.as_str(), found.len()), ("root a[]; b", 1));
        assert_eq!(found[0], "3:1 `}` closes nothing");
        let (tree, found) = read_text("{\n a\n}\nb");
        assert_eq!((tree.as_str(), found.len()), ("[a]; b", 1));
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "a {\n".repeat(100_000) + &"}\n".repeat(100_000);
        let (_, found) = read_text(&deep);
        assert_eq!(found.len(), 1);
    }
}
