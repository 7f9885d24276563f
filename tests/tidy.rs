//! The architecture as a test: who may use whom, what the rules' half may not know, how long a file may be.
//!
//! Each finding is one line: file, line number, what is there, and what to do about it. The text is searched, not
//! parsed: comments, strings' meaning and inline test modules are left out only as far as the rules need it.

use std::fs;
use std::path::{Path, PathBuf};

/// What the code below a directory may not name, outside its tests.
struct Arrow {
    below: &'static str,
    forbidden: &'static [&'static str],
    remedy: &'static str,
}

const HOST: &[&str] = &["tokio", "aya", "rtnetlink", "anyhow", "libc::", "nix::", "crate::io"];
const CLOCKS: &[&str] = &["Instant::now", "SystemTime", "std::time::Instant"];
const DISK: &[&str] = &["std::fs", "File::open", "std::process"];
const HASHED: &[&str] = &["HashMap", "HashSet"];

const ARROWS: &[Arrow] = &[
    Arrow {
        below: "vrrp-common/src",
        forbidden: &["std::", "alloc::", "extern crate", "unsafe {", "unsafe fn", "unsafe impl", "vrrp_daemon"],
        remedy: "vrrp-common runs in the kernel: no allocation, no clock, no unsafe",
    },
    Arrow {
        below: "vrrp-ebpf/src",
        forbidden: &["vrrp_daemon", "std::"],
        remedy: "the XDP program uses vrrp-common and nothing else of ours",
    },
    Arrow {
        below: "xtask/src",
        forbidden: &["vrrp_common", "vrrp_daemon", "vrrp_tests"],
        remedy: "xtask builds before anything of ours is built",
    },
    Arrow { below: "vrrp-daemon/src/engine", forbidden: HOST, remedy: "the engine decides; let io act" },
    Arrow { below: "vrrp-daemon/src/engine", forbidden: CLOCKS, remedy: "instants are handed in" },
    Arrow { below: "vrrp-daemon/src/engine", forbidden: DISK, remedy: "the engine has no disk and no processes" },
    Arrow { below: "vrrp-daemon/src/engine", forbidden: HASHED, remedy: "use Vec or BTreeMap: every run the same" },
    Arrow {
        below: "vrrp-daemon/src/engine",
        forbidden: &["crate::config", "crate::syntax", "crate::track", "tracing::", "println!", "String"],
        remedy: "the engine knows numbers: resolve names in config, tell by Event",
    },
    Arrow {
        below: "vrrp-daemon/src/engine",
        forbidden: &["async ", ".await", "Result<", "std::thread", "Mutex", "Arc<"],
        remedy: "every input in every state has an outcome: no errors, no waiting, no sharing",
    },
    Arrow { below: "vrrp-daemon/src/auth", forbidden: HOST, remedy: "auth signs and verifies octets" },
    Arrow { below: "vrrp-daemon/src/auth", forbidden: CLOCKS, remedy: "the time is handed in" },
    Arrow { below: "vrrp-daemon/src/auth", forbidden: DISK, remedy: "config hands in the keys" },
    Arrow { below: "vrrp-daemon/src/auth", forbidden: HASHED, remedy: "use Vec or BTreeMap: every run the same" },
    Arrow {
        below: "vrrp-daemon/src/auth",
        forbidden: &["crate::config", "crate::engine", "crate::syntax", "crate::track", "tracing::", "println!"],
        remedy: "auth uses vrrp-common alone, and says nothing of a secret",
    },
    Arrow { below: "vrrp-daemon/src/syntax", forbidden: HOST, remedy: "syntax reads text" },
    Arrow { below: "vrrp-daemon/src/syntax", forbidden: CLOCKS, remedy: "syntax reads text" },
    Arrow { below: "vrrp-daemon/src/syntax", forbidden: HASHED, remedy: "use Vec or BTreeMap: every run the same" },
    Arrow {
        below: "vrrp-daemon/src/syntax",
        forbidden: DISK,
        remedy: "the disk is behind the Source that syntax is handed",
    },
    Arrow {
        below: "vrrp-daemon/src/syntax",
        forbidden: &["crate::config", "crate::track", "crate::engine"],
        remedy: "syntax uses vrrp-common alone; meaning belongs to config",
    },
    Arrow {
        below: "vrrp-daemon/src/track",
        forbidden: &["rtnetlink", "aya", "crate::io", "crate::config"],
        remedy: "a check uses engine and syntax; let io hand it what it needs",
    },
    Arrow { below: "vrrp-daemon/src/config", forbidden: HOST, remedy: "config means; let io act" },
    Arrow { below: "vrrp-daemon/src/config", forbidden: CLOCKS, remedy: "a configuration has no time" },
    Arrow { below: "vrrp-daemon/src/config", forbidden: HASHED, remedy: "use Vec or BTreeMap: every run the same" },
    Arrow { below: "vrrp-daemon/src/config", forbidden: DISK, remedy: "read through the Source that is handed in" },
    Arrow {
        below: "vrrp-daemon/src/io",
        forbidden: &["Engine::new"],
        remedy: "only io/driver.rs holds the engine; send it an input",
    },
    Arrow {
        below: "vrrp-daemon/src",
        forbidden: &["unsafe {", "unsafe fn", "unsafe impl"],
        remedy: "unsafe lives in vrrp-ebpf and in the io files that ALLOWED names",
    },
    Arrow {
        below: "",
        forbidden: &[".unwrap()", ".expect("],
        remedy: "handle it, or name it in ALLOWED with the reason why it cannot fail",
    },
];

/// What is in the code nevertheless: file, word, and why that is right. An entry that nothing needs is a finding too.
const ALLOWED: &[(&str, &str, &str)] = &[
    ("vrrp-daemon/src/engine/plan.rs", "Arc<", "what nobody changes any more is read by the host side, too"),
    ("vrrp-daemon/src/engine/snapshot.rs", "Result<", "serde's signature"),
    ("vrrp-daemon/src/io/driver.rs", "Engine::new", "it holds the engine"),
    ("vrrp-daemon/src/io/guard.rs", "unsafe {", "fork(2) and signal(2), before there are threads"),
    (
        "vrrp-daemon/src/io/privilege.rs",
        "unsafe {",
        "sched_setscheduler(2), setpriority(2), mlockall(2) and mallopt(3) are not wrapped",
    ),
    ("vrrp-daemon/src/io/readiness.rs", "unsafe {", "AsyncFd's registration"),
    ("vrrp-daemon/src/io/service.rs", "unsafe {", "fork(2), before there are threads"),
    ("vrrp-daemon/src/io/socket.rs", "unsafe {", "sendmmsg(2) and socket addresses are not wrapped"),
    ("vrrp-daemon/src/io/xdp/link.rs", "unsafe {", "bpf(2) is not wrapped"),
    ("vrrp-daemon/src/io/xdp/seen.rs", "unsafe impl", "a mapping may be read from any thread"),
    ("vrrp-daemon/src/io/xdp/seen.rs", "unsafe {", "mmap(2)"),
    ("vrrp-daemon/src/track/readable.rs", "unsafe {", "AsyncFd's registration"),
    (
        "vrrp-daemon/src/track/run/image.rs",
        "unsafe {",
        "clone(2), and what a script is between it and exec; pidfd_open(2)",
    ),
];

const LINES_MAX: usize = 600;
const MEDIAN_MAX: usize = 200;

/// Names that say nothing of what a file holds.
const EMPTY_NAMES: &[&str] = &["util", "helper", "manager", "misc", "common.rs"];

/// Words of the place where a change was made, not of the project. In halves, or they would be found here.
const FOREIGN: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("work", "tree"),
    concat!("sub", "agent"),
    concat!("cl", "aude"),
    concat!("anth", "ropic"),
    concat!("chat", "gpt"),
    concat!("art", "ifactory"),
    concat!("nexus", "/repository"),
];

struct File {
    /// From the top of the workspace.
    name: String,
    text: String,
}

impl File {
    /// Whether all of it is test code.
    fn is_test(&self) -> bool {
        let parts: Vec<&str> = self.name.split('/').collect();
        parts[0] == "tests" || parts.contains(&"tests") || ["tests.rs", "testing.rs"].contains(&parts[parts.len() - 1])
    }

    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Lines without comments, and without what is there for tests alone: the item after a `#[cfg(test)]`.
    fn code(&self) -> Vec<(usize, &str)> {
        let mut code = Vec::new();
        let mut skipping: Option<&str> = None;
        for (number, line) in self.lines() {
            let indent = &line[..line.len() - line.trim_start().len()];
            let line = line.split("//").next().unwrap_or_default();
            match skipping {
                None if line.trim() == "#[cfg(test)]" => skipping = Some(indent),
                None => code.push((number, line)),
                // The item ends where something at its own depth closes it.
                Some(depth) if indent == depth && line.trim_end().ends_with(['}', ';']) => skipping = None,
                Some(_) => {}
            }
        }
        code
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Files of the workspace that end so, in the order of their names.
fn files(endings: &[&str]) -> Vec<File> {
    let mut found = Vec::new();
    let mut directories = vec![workspace()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory").map(|entry| entry.expect("an entry")) {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if path.is_dir() {
                if name != "target" && name != ".git" {
                    directories.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let name = path.strip_prefix(workspace()).expect("it is below").to_string_lossy().into_owned();
                let text = fs::read_to_string(&path).expect("text");
                found.push(File { name, text });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Fails with all findings at once.
fn report(findings: Vec<String>) {
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

/// Whether the word is there as a whole one: `aya` is not in `ayahuasca`.
fn names(line: &str, word: &str) -> bool {
    let is_part = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        let opens = word.starts_with(|letter: char| letter.is_alphanumeric());
        let closes = word.ends_with(|letter: char| letter.is_alphanumeric());
        !(opens && is_part(before.chars().next_back()) || closes && is_part(after.chars().next()))
    })
}

#[test]
fn modules_use_what_they_may() {
    let sources = files(&[".rs"]);
    let mut findings = Vec::new();
    let mut needed = vec![false; ALLOWED.len()];
    for file in sources.iter().filter(|file| !file.is_test()) {
        let code = file.code();
        for arrow in ARROWS {
            let path = Path::new(&file.name);
            if !(path.starts_with(arrow.below) || path == Path::new(arrow.below).with_extension("rs")) {
                continue;
            }
            for (number, line) in &code {
                for &word in arrow.forbidden.iter().filter(|&&word| names(line, word)) {
                    let allowed = ALLOWED.iter().position(|entry| entry.0 == file.name && entry.1 == word);
                    match allowed {
                        Some(entry) => needed[entry] = true,
                        None => findings.push(format!("{}:{number}: `{word}`: {}", file.name, arrow.remedy)),
                    }
                }
            }
        }
    }
    for (&(name, word, _), needed) in ALLOWED.iter().zip(needed) {
        if !needed && sources.iter().any(|file| file.name == name) {
            findings.push(format!("tests/tidy.rs: {name} no longer has `{word}`: take it out of ALLOWED"));
        }
    }
    report(findings);
}

#[test]
fn files_say_what_they_are_and_stay_short() {
    let sources = files(&[".rs"]);
    let mut findings = Vec::new();
    for file in &sources {
        if !file.text.starts_with("//! ") {
            findings.push(format!("{}:1: begin with `//!` and the file's job in one sentence", file.name));
        }
        let length = file.text.lines().count();
        if length > LINES_MAX {
            findings.push(format!("{}:{LINES_MAX}: {length} lines: split it by nouns", file.name));
        }
        let name = Path::new(&file.name).components().next_back().expect("a name").as_os_str().to_string_lossy();
        if EMPTY_NAMES.iter().any(|empty| name.contains(empty)) {
            findings.push(format!("{}:1: name the file after what it holds", file.name));
        }
    }
    let mut lengths: Vec<usize> = sources.iter().map(|file| file.text.lines().count()).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    if median >= MEDIAN_MAX {
        findings.push(format!("Cargo.toml:1: the median file has {median} lines: split the long ones"));
    }
    report(findings);
}

#[test]
fn nothing_is_left_undone_in_silence() {
    let unfinished = [concat!("to", "do!("), concat!("unimple", "mented!(")];
    let mut findings = Vec::new();
    for file in files(&[".rs"]) {
        for (number, line) in file.lines() {
            if unfinished.iter().any(|word| line.contains(word)) {
                findings.push(format!("{}:{number}: finish it, or leave it out", file.name));
            }
            if line.trim() == concat!("#[ig", "nore]") {
                findings.push(format!("{}:{number}: say why it is ignored", file.name));
            }
        }
    }
    report(findings);
}

#[test]
fn the_project_does_not_speak_of_where_it_was_made() {
    let mut findings = Vec::new();
    for file in files(&[".rs", ".toml", ".md", ".lock", ".conf", ".case", ".service", "run"]) {
        for (number, line) in file.lines() {
            let line = line.to_lowercase();
            for word in FOREIGN.iter().filter(|&&word| line.contains(word)) {
                findings
                    .push(format!("{}:{number}: `{word}` is of one machine or one workplace: leave it out", file.name));
            }
        }
    }
    report(findings);
}

/// Who follows the README runs what the tests run.
#[test]
fn the_readme_s_pair_is_the_tested_one() {
    let readme = fs::read_to_string(workspace().join("README.md")).expect("text");
    let pair: String = include_str!("support/pair.conf").lines().map(|line| format!("    {line}\n")).collect();
    assert!(readme.contains(&pair), "README.md and tests/support/pair.conf differ");
}

/// The search itself, or a rule could pass because it finds nothing at all.
#[test]
fn the_search_finds() {
    assert!(
        names("use tokio::net;", "tokio") && names("std::fs::read(x)", "std::fs") && names("a.unwrap();", ".unwrap()")
    );
    assert!(!names("let tokios = 1;", "tokio") && !names("mystd::fs", "std::fs"));
    let text = "use a;\n#[cfg(test)]\nuse b;\nfn c() { d } // e\n#[cfg(test)]\nmod tests {\n    fn f() {\n    }\n}\nfn g() {}\n";
    let file = File { name: "x/src/y.rs".to_string(), text: text.to_string() };
    let code: Vec<&str> = file.code().into_iter().map(|(_, line)| line.trim()).collect();
    assert_eq!(code, ["use a;", "fn c() { d }", "fn g() {}"]);
    assert!(!file.is_test() && File { name: "x/src/y/tests.rs".to_string(), text: String::new() }.is_test());
    assert!(files(&[".rs"]).len() > 40, "the workspace was found");
}
