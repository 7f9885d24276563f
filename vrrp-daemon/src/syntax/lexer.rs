//! Cuts a line into words and braces.
//!
//! `"..."` is one word without its quotes. The words after a keyword that takes a command are cut as a shell would,
//! with `'` and `"` and escapes, see [`command`](super::command). A brace counts where it starts or ends a word.

use super::command;
use super::diagnostic::{Class, Diagnostics};
use super::source::Span;
use super::text::Text;

/// A word of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Word(Word),
    Open(Span),
    Close(Span),
}

/// Cuts a line. After a word for which `is_command` holds, words are cut as a shell would.
pub fn tokens(line: &Text, is_command: &dyn Fn(&str) -> bool, found: &mut Diagnostics) -> Vec<Token> {
    let chars = line.as_str();
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut command = false;
    let mut first = true;
    while let Some(start) = chars[at..].find(|c: char| !c.is_whitespace()).map(|skip| at + skip) {
        let brace = chars.as_bytes()[start];
        if brace == b'{' || brace == b'}' {
            let span = line.span(start..start + 1);
            tokens.push(if brace == b'{' { Token::Open(span) } else { Token::Close(span) });
            (at, command, first) = (start + 1, false, true);
            continue;
        }
        let cut = if command { command::word(&chars[start..]) } else { plain(&chars[start..]) };
        let end = start + cut.length;
        let span = line.span(start..end);
        if !cut.closed {
            let message = format!("the quote that starts in `{}` is not closed", &chars[start..end]);
            found.error(Class::Quote, span, message).done("it is taken to end with the line");
        }
        if first {
            command = is_command(&cut.text);
            first = false;
        }
        tokens.push(Token::Word(Word { text: cut.text, span }));
        at = end;
    }
    tokens
}

/// A word at the front of a string.
pub struct Cut {
    /// Without quotes.
    pub text: String,
    /// Octets it took, with quotes.
    pub length: usize,
    /// Whether every quote was closed.
    pub closed: bool,
}

/// The word at the front: up to a blank outside double quotes, or up to a brace that ends it.
fn plain(chars: &str) -> Cut {
    let mut text = String::new();
    let mut quoted = false;
    let mut inner = 0usize;
    let mut length = chars.len();
    for (at, c) in chars.char_indices() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => text.push(c),
            _ if c.is_whitespace() => {
                length = at;
                break;
            }
            '{' | '}' if inner == 0 && ends_word(&chars[at..]) => {
                length = at;
                break;
            }
            // Braces inside a word are the word's: `${NAME}` that is not defined, `a{b}`.
            '{' | '}' => {
                inner = if c == '{' { inner + 1 } else { inner.saturating_sub(1) };
                text.push(c);
            }
            _ => text.push(c),
        }
    }
    Cut { text, length, closed: !quoted }
}

/// Whether only braces follow, up to a blank or the end.
fn ends_word(rest: &str) -> bool {
    rest.trim_start_matches(['{', '}']).chars().next().is_none_or(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::source::FileId;

    fn cut(line: &str) -> String {
        let mut found = Diagnostics::default();
        let text = Text::written(FileId(0), 1, line);
        let shown: Vec<String> = tokens(&text, &|word| word == "script", &mut found)
            .into_iter()
            .map(|token| match token {
                Token::Word(word) => format!("{}@{}", word.text, word.span.column),
                Token::Open(_) => "OPEN".into(),
                Token::Close(_) => "CLOSE".into(),
            })
            .collect();
        let quotes = if found.is_empty() { "" } else { " UNCLOSED" };
        shown.join(" ") + quotes
    }

    #[test]
    fn words_quotes_and_braces() {
        assert_eq!(cut("vrrp_instance VI_1 {"), "vrrp_instance@1 VI_1@15 OPEN");
        assert_eq!(cut("vrrp_instance VI_1{"), "vrrp_instance@1 VI_1@15 OPEN");
        assert_eq!(cut("\tvips { 10.0.0.1/24 }}"), "vips@2 OPEN 10.0.0.1/24@9 CLOSE CLOSE");
        assert_eq!(cut("} priority 3"), "CLOSE priority@3 3@12");
        assert_eq!(cut("a \"b c\" \"\" d"), "a@1 b c@3 @9 d@12");
        assert_eq!(cut("a \"{ b }\" ${UNKNOWN} x"), "a@1 { b }@3 ${UNKNOWN}@11 x@22");
        assert_eq!(cut("a \"b"), "a@1 b@3 UNCLOSED");
        assert_eq!(cut(""), "");
    }

    #[test]
    fn commands_are_cut_as_a_shell_would() {
        assert_eq!(cut("script '/bin/x \"a b\"' root"), "script@1 /bin/x \"a b\"@8 root@23");
        assert_eq!(cut("c { script \"it's { } here\" }"), "c@1 OPEN script@5 it's { } here@12 CLOSE");
        assert_eq!(cut("script 'a"), "script@1 a@8 UNCLOSED");
    }
}
