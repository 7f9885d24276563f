//! Command lines as the configuration writes them: program and arguments, then who runs it.

use super::diagnostic::{Class, Diagnostics};
use super::lexer::Word;
use super::schema::FromEntry;
use super::shell::split;
use super::tree::Entry;

/// `"CMD ARGS" [USER [[:]GROUP]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// Program and arguments, never empty.
    pub argv: Vec<String>,
    /// As it stands in the file, for messages.
    pub word: Word,
    pub user: Option<UserName>,
}

/// `USER [[:]GROUP]`; a colon asks for the group and the user's supplementary groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserName {
    pub user: Word,
    pub group: Option<Word>,
    /// There is a colon.
    pub supplementary: bool,
}

impl UserName {
    /// From the words after the keyword or the command.
    pub fn from_words(words: &[Word]) -> Option<Self> {
        let (user, rest) = words.split_first()?;
        let supplementary = rest.first().is_some_and(|word| word.text.starts_with(':'));
        let group =
            rest.first().map(|word| Word { text: word.text.trim_start_matches(':').to_owned(), ..word.clone() });
        // A colon alone names no group.
        Some(Self { user: user.clone(), group: group.filter(|word| !word.text.is_empty()), supplementary })
    }
}

impl FromEntry for UserName {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.parameter("a user name", found)?;
        entry.no_more_than(2, found);
        Self::from_words(entry.parameters())
    }
}

impl FromEntry for CommandLine {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        let word = entry.parameter("a command", found)?;
        let Some(argv) = split(&word.text) else {
            let message = format!("a quote inside the command of `{}` is not closed", entry.keyword().text);
            found.error(Class::Quote, word.span, message).done("the line is skipped");
            return None;
        };
        if argv.is_empty() {
            found.error(Class::Value, word.span, format!("`{}` has an empty command", entry.keyword().text));
            return None;
        }
        entry.no_more_than(3, found);
        Some(Self { argv, word: word.clone(), user: UserName::from_words(&entry.parameters()[1..]) })
    }
}
