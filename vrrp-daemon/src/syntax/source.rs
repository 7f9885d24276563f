//! Where configuration text comes from, and which file each line of it was in. The only way to the disk is [`Source`].

use std::collections::BTreeMap;

/// The disk, as far as reading a configuration goes.
pub trait Source {
    /// The octets of a file, or why it cannot be read.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;

    /// What is in a directory; empty when it cannot be read. The order does not matter.
    fn list(&self, directory: &str) -> Vec<Listed>;

    /// The host's name, up to the first dot: the configuration id unless one is given.
    fn hostname(&self) -> String;

    /// A variable of the environment, for `${_ENV NAME}`.
    fn variable(&self, name: &str) -> Option<String>;
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    pub name: String,
    pub kind: Kind,
}

/// What `include` makes of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Directory,
    /// A regular file without any executable bit.
    Text,
    /// Executable, or no regular file: never included.
    Other,
}

/// A place in the configuration. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Position of the line in the configuration with all includes in place: what comes before what.
    pub order: u32,
    pub file: FileId,
    pub line: u32,
    pub column: u32,
    pub length: u32,
}

impl Span {
    /// From the start of this to the end of `last`, when both are on one line; else this.
    pub fn to(self, last: Self) -> Self {
        if (self.file, self.line) != (last.file, last.line) || last.column < self.column {
            return self;
        }
        Self { length: self.length.max(last.column + last.length - self.column), ..self }
    }
}

/// Index into [`Files`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// The files that were read, in order, with their lines for excerpts.
#[derive(Clone, Debug, Default)]
pub struct Files {
    files: Vec<File>,
}

#[derive(Clone, Debug)]
struct File {
    path: String,
    lines: Vec<String>,
}

impl Files {
    /// Takes a file in; octets that are no UTF-8 become replacement characters.
    pub fn add(&mut self, path: &str, octets: &[u8]) -> FileId {
        let id = FileId(self.files.len() as u32);
        let text = String::from_utf8_lossy(octets);
        let lines = text.lines().map(str::to_owned).collect();
        self.files.push(File { path: path.to_owned(), lines });
        id
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    pub fn path(&self, id: FileId) -> &str {
        self.files.get(id.0 as usize).map_or("", |file| &file.path)
    }

    /// The lines of a file, as written.
    pub fn lines(&self, id: FileId) -> &[String] {
        self.files.get(id.0 as usize).map_or(&[], |file| &file.lines)
    }

    /// The line that a span is on, as written.
    pub fn excerpt(&self, span: Span) -> Option<&str> {
        let index = span.line.checked_sub(1)? as usize;
        self.lines(span.file).get(index).map(String::as_str)
    }
}

/// A [`Source`] in memory, by path: for tests, and for text that came over a socket.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub files: BTreeMap<String, Vec<u8>>,
    pub hostname: String,
    pub variables: BTreeMap<String, String>,
}

impl Memory {
    /// One file.
    pub fn of(path: &str, text: impl Into<Vec<u8>>) -> Self {
        Self { files: BTreeMap::from([(path.to_owned(), text.into())]), hostname: "host".into(), ..Self::default() }
    }
}

impl Source for Memory {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.files.get(path).cloned().ok_or_else(|| "no such file".to_owned())
    }

    fn list(&self, directory: &str) -> Vec<Listed> {
        let prefix = format!("{}/", directory.trim_end_matches('/'));
        let mut listed: Vec<Listed> = self
            .files
            .keys()
            .filter_map(|path| path.strip_prefix(&prefix))
            .map(|rest| match rest.split_once('/') {
                Some((name, _)) => Listed { name: name.to_owned(), kind: Kind::Directory },
                None => Listed { name: rest.to_owned(), kind: Kind::Text },
            })
            .collect();
        listed.dedup();
        listed
    }

    fn hostname(&self) -> String {
        self.hostname.clone()
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}
