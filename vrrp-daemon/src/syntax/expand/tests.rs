//! What a text comes to after expansion.

use super::*;
use crate::syntax::source::Memory;

fn expand_all(source: &Memory) -> (Vec<String>, Vec<String>) {
    let mut found = Diagnostics::default();
    let reading = Reading { source, id: None, all_includes: false };
    let out = expand(&reading, "/etc/k.conf", &mut found);
    let lines = out.lines.iter().map(|line| line.as_str().to_owned()).collect();
    (lines, found.iter().map(|d| d.line(&out.files)).collect())
}

fn expanded(text: &str) -> Vec<String> {
    let (lines, found) = expand_all(&Memory::of("/etc/k.conf", text));
    assert_eq!(found, [""; 0], "{text}");
    lines
}

#[test]
fn comments_and_blank_lines_go() {
    assert_eq!(expanded("# a\n\n  b # c\n! d\ne ! f\n\"g # h\" # i\r\n"), ["b", "e", "\"g # h\""]);
    assert_eq!(expanded(r"auth_pass a\#b\!c # d"), ["auth_pass a#b!c"]);
    assert_eq!(expanded("pass a${_HASH}b${_BANG} # c"), ["pass a#b!"]);
}

#[test]
fn conditions_compare_with_the_id() {
    assert_eq!(expanded("@host a\n@other b\n@^host c\n@^other d\n@host $P=7\n@other $P=8\np $P"), ["a", "d", "p 7"]);
}

#[test]
fn definitions_are_put_in_where_they_are_used() {
    assert_eq!(expanded("$A=1\na $A ${A}2 $AB $A, $A.\n"), ["a 1 12 $AB 1, $A."]);
    assert_eq!(expanded("$A=$B\n$B=5\na $A"), ["a 5"]);
    assert_eq!(expanded("$A=1\n$A=2\na $A\n$C = 3"), ["a 2", "$C = 3"]);
    assert_eq!(
        expanded("$V= \\\nvrrp_instance ${N} { \\\n  priority 7 \\\n}\n$N=x\n$V"),
        ["vrrp_instance x {", "priority 7", "}"]
    );
    assert_eq!(expanded("$V=a \\\n b \\\n c\nx $V y"), ["x a", "b", "c y"]);
    assert_eq!(expanded("i ${_INSTANCE} ${_PWD}"), ["i host /etc"]);
}

#[test]
fn repetition() {
    assert_eq!(expanded("~SEQ(i,3) a $i"), ["a 1", "a 2", "a 3"]);
    assert_eq!(expanded("~SEQ(i,3,1) a${i}"), ["a3", "a2", "a1"]);
    assert_eq!(expanded("~SEQx(i,9,2,13) a$i"), ["a9", "ab", "ad"]);
    assert_eq!(expanded("~SEQ(i,1,2) ~LST(j,x,y) $i $j"), ["1 x", "1 y", "2 x", "2 y"]);
    assert_eq!(expanded("~LST({a,b},{1,2},{3,4}) ${a}-${b}"), ["1-2", "3-4"]);
    assert_eq!(expanded("$B=~SEQ(i,2) a${i}\n$B\n$B"), ["a1", "a2", "a1", "a2"]);
    assert_eq!(expanded("$B= \\\nx ${i} { \\\n}\n~SEQ(i,2) $B"), ["x 1 {", "}", "x 2 {", "}"]);
    let (lines, found) =
        expand_all(&Memory::of("/etc/k.conf", "~SEQ(i,1,0,3) a\n~SEQ(i,9999999999) b\n~SEQ(i c\n~LST() d"));
    assert_eq!((lines.len(), found.len()), (0, 4), "{found:?}");
}

#[test]
fn includes_are_relative_to_the_file_that_includes() {
    let mut source = Memory::of("/etc/k.conf", "a\ninclude d/*.conf\nb\n");
    source.files.insert("/etc/d/2.conf".into(), b"two\ninclude ../x\ninclude sub/y.txt".to_vec());
    source.files.insert("/etc/d/1.conf".into(), b"one".to_vec());
    source.files.insert("/etc/d/sub/y.txt".into(), b"why".to_vec());
    let (lines, found) = expand_all(&source);
    assert_eq!(lines, ["a", "one", "two", "why", "b"]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("(/etc/d/2.conf: Line 2)"));
}

#[test]
fn nothing_grows_without_bound() {
    let (_, found) = expand_all(&Memory::of("/etc/k.conf", "a\ninclude k.conf\n"));
    assert!(found[0].contains("include each other"), "{found:?}");
    let (_, found) = expand_all(&Memory::of("/etc/k.conf", "$A=$B$B\n$B=$A$A\nx $A\ny ${A}"));
    assert!(found[0].contains("perhaps by itself"), "{found:?}");
    let doubling: String = (0..40).map(|i| format!("$A{i}=${{A{}}}${{A{}}}\n", i + 1, i + 1)).collect();
    let (_, found) = expand_all(&Memory::of("/etc/k.conf", format!("{doubling}$A31=lol\nx ${{A0}}")));
    assert_eq!(found.len(), 1, "{found:?}");
    let nested = "~SEQ(i,60000) ".repeat(5);
    let (_, found) = expand_all(&Memory::of("/etc/k.conf", format!("{nested} x")));
    assert!(found[0].contains("grows beyond"), "{found:?}");
    let long = "x".repeat(2000);
    let (lines, found) = expand_all(&Memory::of("/etc/k.conf", format!("{long}\na\0b\nc")));
    assert_eq!((lines, found.len()), (vec!["c".to_owned()], 2));
}

#[test]
fn octets_that_are_no_utf_8_are_replaced() {
    let (lines, found) = expand_all(&Memory::of("/etc/k.conf", *b"# caf\xe9\nfrob\xe9 1\n"));
    assert_eq!((lines, found.len()), (vec!["frob\u{fffd} 1".to_owned()], 0));
}
