//! Cuts a line into words and braces.
//!
//! `"..."` is one word without its quotes, whatever stands next to it. The words after a keyword that takes a command are
//! cut as a shell would, with `'` and `"` and escapes, see [`shell`]. A brace outside quotes is a brace
//! wherever it stands, but for those of a `${NAME}` that is not defined.

use super::diagnostic::{Class, Diagnostics};
use super::shell::{self, Cut};
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
        let ends = |c: char| c.is_whitespace() || matches!(c, '{' | '}');
        let cut = if command { shell::word(&chars[start..], ends) } else { plain(&chars[start..]) };
        let end = start + cut.length;
        let span = line.span(start..end);
        if !cut.closed {
            let message = format!("the quote that starts in `{}` is not closed", &chars[start..end]);
            let diagnostic = found.error(Class::Quote, span, message);
            // Half a command does something else than the whole.
            if command {
                diagnostic.done("the command is skipped");
                while matches!(tokens.last(), Some(Token::Word(_))) {
                    tokens.pop();
                }
            } else {
                diagnostic.done("the word is skipped");
            }
            return tokens;
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

/// The word at the front: what is between two double quotes, or else up to a blank, a quote or a brace.
fn plain(chars: &str) -> Cut {
    if let Some(quoted) = chars.strip_prefix('"') {
        return match quoted.find('"') {
            Some(end) => Cut { text: quoted[..end].to_owned(), length: end + 2, closed: true },
            None => Cut { text: quoted.to_owned(), length: chars.len(), closed: false },
        };
    }
    let mut length = 0;
    while let Some(c) = chars[length..].chars().next() {
        length += match c {
            '$' => undefined(&chars[length..]),
            '"' | '{' | '}' => break,
            _ if c.is_whitespace() => break,
            _ => c.len_utf8(),
        };
    }
    Cut { text: chars[..length].to_owned(), length, closed: true }
}

/// The octets of a `${NAME}` at the front, or of the `$` alone.
fn undefined(chars: &str) -> usize {
    let Some(name) = chars.strip_prefix("${") else { return 1 };
    let length = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
    if name[length..].starts_with('}') { length + 3 } else { 1 }
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
        assert_eq!(cut("a \"{ b }\" ${UNKNOWN}y x"), "a@1 { b }@3 ${UNKNOWN}y@11 x@23");
        assert_eq!(cut("vips{10.0.0.1}"), "vips@1 OPEN 10.0.0.1@6 CLOSE");
        assert_eq!(cut("a b\"c d\"e ${f $g"), "a@1 b@3 c d@4 e@9 $@11 OPEN f@13 $g@15");
        assert_eq!(cut("a \"b"), "a@1 UNCLOSED");
        assert_eq!(cut(""), "");
    }

    #[test]
    fn commands_are_cut_as_a_shell_would() {
        assert_eq!(cut("script '/bin/x \"a b\"' root"), "script@1 /bin/x \"a b\"@8 root@23");
        assert_eq!(cut("c { script \"it's { } here\" }"), "c@1 OPEN script@5 it's { } here@12 CLOSE");
        assert_eq!(cut("c { script 'a"), "c@1 OPEN UNCLOSED");
    }
}
