//! FIFOs that changes are written to, as they are written in a configuration.

use crate::syntax::command::UserName;
use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::lexer::Word;
use crate::syntax::schema::FromEntry;
use crate::syntax::tree::Entry;

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
