//! A line whose words stand for numbers that only the host knows: names of iproute2's files, and interfaces.

use crate::syntax::lexer::Word;
use crate::syntax::schema::At;

/// The files of iproute2 that give names to numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Naming {
    Table,
    Protocol,
    Scope,
    Tos,
    Realm,
    Group,
}

/// A word that stands for a number of a `T`.
#[derive(Clone, Debug)]
pub struct Named<T> {
    pub naming: Naming,
    pub word: Word,
    pub set: Set<T, u32>,
}

/// Puts a number into a `T`, by its place where it has several of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Set<T, N> {
    pub place: usize,
    pub put: fn(&mut T, usize, N),
}

/// A `T` but for what names and interfaces stand for.
#[derive(Clone, Debug)]
pub struct Written<T> {
    pub value: T,
    pub names: Vec<Named<T>>,
    pub interfaces: Vec<(Word, Set<T, crate::engine::plan::InterfaceId>)>,
    /// `track_group`, of static ones.
    pub group: Option<At<String>>,
    /// The first option that cannot be done.
    pub refused: Option<At<&'static str>>,
}

impl<T> Written<T> {
    pub const fn of(value: T) -> Self {
        Self { value, names: Vec::new(), interfaces: Vec::new(), group: None, refused: None }
    }

    pub fn name(&mut self, naming: Naming, word: &Word, put: fn(&mut T, usize, u32)) {
        self.names.push(Named { naming, word: word.clone(), set: Set { place: 0, put } });
    }

    /// `FROM/TO`, or `TO` alone.
    pub fn realms(&mut self, word: &Word, place: usize, put: fn(&mut T, usize, u32), put_from: fn(&mut T, usize, u32)) {
        let (from, to) = word.text.split_once('/').map_or((None, word.text.as_str()), |(from, to)| (Some(from), to));
        let halves = [(Some(to), put), (from, put_from)];
        for (text, put) in halves.into_iter().filter_map(|(text, put)| Some((text?, put))) {
            let word = Word { text: text.to_owned(), span: word.span };
            self.names.push(Named { naming: Naming::Realm, word, set: Set { place, put } });
        }
    }
}
