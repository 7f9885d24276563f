//! The names that iproute2's files give to numbers: `NUMBER NAME` a line, `#` before what is none.
//!
//! A file in `iproute_etc_dir` stands for the one of the same name in `iproute_usr_dir`; beside each are those of `NAME.d/`.

use std::collections::BTreeMap;

use crate::config::written::Naming;
use crate::syntax::source::Source;

/// Where iproute2 has them.
const USR: &str = "/usr/share/iproute2";
const ETC: &str = "/etc/iproute2";

/// What a naming is made of.
struct File {
    name: &'static str,
    /// The greatest number.
    most: u32,
    /// What is so in the kernel, whatever the files say.
    known: &'static [(&'static str, u32)],
}

const fn file(naming: Naming) -> File {
    match naming {
        Naming::Table => {
            File { name: "rt_tables", most: u32::MAX, known: &[("default", 253), ("main", 254), ("local", 255)] }
        }
        Naming::Protocol => File {
            name: "rt_protos",
            most: 255,
            known: &[("kernel", 2), ("boot", 3), ("static", 4), ("keepalived", 18)],
        },
        Naming::Scope => File {
            name: "rt_scopes",
            most: 255,
            known: &[("global", 0), ("universe", 0), ("site", 200), ("link", 253), ("host", 254), ("nowhere", 255)],
        },
        Naming::Tos => File { name: "rt_dsfield", most: 255, known: &[] },
        Naming::Realm => File { name: "rt_realms", most: 0xffff, known: &[] },
        Naming::Group => File { name: "group", most: u32::MAX, known: &[("default", 0)] },
    }
}

/// Reads each file when the first name of it is asked for.
pub struct Names<'a> {
    source: &'a dyn Source,
    usr: String,
    etc: String,
    read: BTreeMap<Naming, BTreeMap<String, u32>>,
}

impl<'a> Names<'a> {
    pub fn new(source: &'a dyn Source, usr: Option<String>, etc: Option<String>) -> Self {
        let (usr, etc) = (usr.unwrap_or_else(|| USR.into()), etc.unwrap_or_else(|| ETC.into()));
        Self { source, usr, etc, read: BTreeMap::new() }
    }

    /// The number that a word stands for, or what was expected of it.
    pub fn number(&mut self, naming: Naming, word: &str) -> Result<u32, String> {
        let File { name, most, known } = file(naming);
        let named = known.iter().find(|(known, _)| *known == word).map(|(_, number)| *number);
        let number = named.or_else(|| number(word)).or_else(|| {
            let Self { source, usr, etc, read } = self;
            read.entry(naming).or_insert_with(|| all(*source, usr, etc, name)).get(word).copied()
        });
        number.filter(|&number| number <= most).ok_or_else(|| format!("a name in {}/{name}, or 0 to {most}", self.etc))
    }
}

fn number(word: &str) -> Option<u32> {
    match word.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

/// What the files of one naming say.
fn all(source: &dyn Source, usr: &str, etc: &str, name: &str) -> BTreeMap<String, u32> {
    let first = [etc, usr].into_iter().find_map(|directory| source.read(&format!("{directory}/{name}")).ok());
    let mut texts: Vec<_> = first.into_iter().collect();
    for directory in [usr, etc].map(|directory| format!("{directory}/{name}.d")) {
        let mut listed = source.list(&directory);
        listed.sort();
        let files = listed.into_iter().filter(|listed| listed.name.ends_with(".conf"));
        texts.extend(files.filter_map(|listed| source.read(&format!("{directory}/{}", listed.name)).ok()));
    }
    let mut names = BTreeMap::new();
    for text in texts {
        names.extend(String::from_utf8_lossy(&text).lines().filter_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            let number = number(words.next()?)?;
            Some((words.next()?.to_owned(), number))
        }));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::source::Memory;

    #[test]
    fn names_are_those_of_the_files() {
        let files = [
            ("/etc/iproute2/rt_tables", "# own\n100 blue\n0x65\tgreen # no. 101\nnonsense\n"),
            ("/usr/share/iproute2/rt_tables", "102 hidden\n"),
            ("/usr/share/iproute2/rt_tables.d/a.conf", "103 more\n"),
            ("/etc/iproute2/rt_tables.d/README", "104 none\n"),
            ("/usr/share/iproute2/rt_dsfield", "0x28 AF11\n"),
            ("/elsewhere/rt_realms", "7 cosmos\n"),
        ];
        let mut memory = Memory::default();
        memory.files.extend(files.map(|(path, text)| (path.to_owned(), text.into())));
        let mut names = Names::new(&memory, None, None);
        let found = ["blue", "green", "hidden", "more", "none", "main", "7", "0xff", "4294967296", "nonsense"]
            .map(|word| names.number(Naming::Table, word).ok());
        let want = [Some(100), Some(101), None, Some(103), None, Some(254), Some(7), Some(255), None, None];
        assert_eq!(found, want);
        assert_eq!(names.number(Naming::Tos, "AF11"), Ok(0x28));
        assert_eq!(names.number(Naming::Tos, "256"), Err("a name in /etc/iproute2/rt_dsfield, or 0 to 255".to_owned()));
        assert!(names.number(Naming::Realm, "cosmos").is_err());
        let mut elsewhere = Names::new(&memory, None, Some("/elsewhere".into()));
        assert_eq!(elsewhere.number(Naming::Realm, "cosmos"), Ok(7));
    }
}
