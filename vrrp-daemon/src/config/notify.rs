//! FIFOs and files of the daemon, as they stand in a configuration.

use crate::syntax::command::{CommandLine, UserName};
use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::lexer::Word;
use crate::syntax::schema::FromEntry;
use crate::syntax::tree::Entry;
use crate::syntax::value::Value;

/// `PATH [USER [GROUP]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FifoPath {
    pub path: Word,
    pub owner: Option<UserName>,
}

impl FromEntry for FifoPath {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.no_block(found);
        let path = entry.parameter("the path of a FIFO", found)?;
        entry.no_more_than(3, found);
        if !path.text.starts_with('/') {
            let message = format!("`{}` is `{}`; expected a full path", entry.keyword().text, path.text);
            found.error(Class::Value, path.span, message).done("the line is skipped");
            return None;
        }
        Some(Self { path: path.clone(), owner: UserName::from_words(&entry.parameters()[1..]) })
    }
}

/// A full path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePath(pub String);

impl Value for FilePath {
    fn expected() -> String {
        "a full path".to_owned()
    }

    fn parse(word: &str) -> Option<Self> {
        word.starts_with('/').then(|| Self(word.to_owned()))
    }
}

/// One full path and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimePath(pub FilePath);

impl FromEntry for TimePath {
    /// Without a path it is wrong, and not what keepalived would miss.
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.no_block(found);
        let path = match entry.parameters() {
            [word] => FilePath::parse(&word.text),
            _ => None,
        };
        if path.is_none() {
            let message = format!("`{}` expects {} and nothing else", entry.keyword().text, FilePath::expected());
            found.error(Class::Value, entry.span(), message).done("the line is skipped");
        }
        path.map(Self)
    }
}

/// A full path, or none for the usual place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkPath(pub Option<FilePath>);

impl FromEntry for MarkPath {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.no_block(found);
        match entry.parameters().is_empty() {
            true => Some(Self(None)),
            false => FilePath::from_entry(entry, found).map(|path| Self(Some(path))),
        }
    }
}

/// A command, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedLine(pub Option<CommandLine>);

impl FromEntry for DeletedLine {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.no_block(found);
        match entry.parameters().is_empty() {
            true => Some(Self(None)),
            false => CommandLine::from_entry(entry, found).map(|line| Self(Some(line))),
        }
    }
}
