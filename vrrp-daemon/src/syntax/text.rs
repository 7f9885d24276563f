//! A line of configuration that still knows, for each character, where it was written.

use std::ops::Range;

use super::source::{FileId, Span};

/// A line after any number of replacements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    chars: String,
    pieces: Vec<Piece>,
    file: FileId,
    line: u32,
    order: u32,
}

/// From `at` on, the characters stand in the file from `column` on; or, with a `width`, all stand for that many
/// characters there (a definition's use).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    at: usize,
    column: u32,
    width: Option<u32>,
}

impl Text {
    /// A line as it is in the file. `line` counts from 1.
    pub fn written(file: FileId, line: u32, chars: &str) -> Self {
        let pieces = vec![Piece { at: 0, column: 1, width: None }];
        Self { chars: chars.to_owned(), pieces, file, line, order: 0 }
    }

    /// A line without characters, at the place of another.
    pub fn empty_like(other: &Self) -> Self {
        Self { file: other.file, line: other.line, order: other.order, ..Self::default() }
    }

    pub fn as_str(&self) -> &str {
        &self.chars
    }

    /// Numbers the line in the whole configuration.
    pub fn set_order(&mut self, order: u32) {
        self.order = order;
    }

    /// Appends a part of another line, places kept.
    pub fn push(&mut self, other: &Self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let base = self.chars.len();
        let first = other.piece(range.start);
        let inside = other.pieces.iter().copied().filter(|piece| range.start < piece.at && piece.at < range.end);
        let start = Piece { at: base, column: other.column(range.start), width: first.and_then(|piece| piece.width) };
        self.pieces.push(start);
        self.pieces.extend(inside.map(|piece| Piece { at: base + piece.at - range.start, ..piece }));
        self.chars.push_str(&other.chars[range]);
    }

    /// Appends characters that stand for the span.
    pub fn push_for(&mut self, chars: &str, span: Span) {
        self.pieces.push(Piece { at: self.chars.len(), column: span.column, width: Some(span.length) });
        self.chars.push_str(chars);
    }

    /// A part of the line as a line.
    pub fn slice(&self, range: Range<usize>) -> Self {
        let mut part = Self::empty_like(self);
        part.push(self, range);
        part
    }

    /// Without blanks at either end.
    pub fn trimmed(&self) -> Self {
        let start = self.chars.len() - self.chars.trim_start().len();
        self.slice(start..start + self.chars.trim().len())
    }

    /// Where the characters in this range were written.
    pub fn span(&self, range: Range<usize>) -> Span {
        let column = self.column(range.start);
        let length = match self.piece(range.start).and_then(|piece| piece.width) {
            Some(width) => width,
            None => match self.piece(range.end.saturating_sub(1).max(range.start)) {
                Some(Piece { width: Some(width), column: last, .. }) => (last + width).saturating_sub(column),
                _ => self.column_after(range.end).saturating_sub(column),
            },
        };
        Span { order: self.order, file: self.file, line: self.line, column, length: length.max(1) }
    }

    /// Where the line was written.
    pub fn whole(&self) -> Span {
        self.span(0..self.chars.len())
    }

    fn piece(&self, at: usize) -> Option<Piece> {
        let after = self.pieces.partition_point(|piece| piece.at <= at);
        self.pieces.get(after.checked_sub(1)?).copied()
    }

    fn column(&self, at: usize) -> u32 {
        match self.piece(at) {
            None => 1,
            Some(Piece { width: Some(_), column, .. }) => column,
            Some(Piece { at: from, column, .. }) => column + count(&self.chars[from..at.max(from)]),
        }
    }

    /// The column just after the character that ends at `end`.
    fn column_after(&self, end: usize) -> u32 {
        let Some(last) = self.chars[..end].char_indices().next_back() else { return 1 };
        self.column(last.0) + 1
    }
}

fn count(chars: &str) -> u32 {
    chars.chars().count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_survive_slicing_and_replacement() {
        let line = Text::written(FileId(0), 3, "  priority $PRIO weight");
        let mut text = Text::empty_like(&line);
        text.push(&line, 2..11);
        text.push_for("150", line.span(11..16));
        text.push(&line, 16..23);
        assert_eq!(text.as_str(), "priority 150 weight");
        let place = |range: Range<usize>| (text.span(range.clone()).column, text.span(range).length);
        assert_eq!(place(0..8), (3, 8));
        assert_eq!(place(9..12), (12, 5));
        assert_eq!(place(13..19), (18, 6));
        assert_eq!(text.slice(13..19).whole().column, 18);
    }

    #[test]
    fn columns_count_characters() {
        let line = Text::written(FileId(0), 1, "größe 7");
        assert_eq!(line.span(8..9).column, 7);
        assert_eq!(line.span(0..7).length, 5);
    }
}
