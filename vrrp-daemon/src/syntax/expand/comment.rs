//! Comments: `#` or `!` to the end of the line, outside double quotes; `\#` and `\!` are the characters themselves.

use crate::syntax::text::Text;

/// The line without its comment and without the backslashes that kept a comment from starting.
pub fn strip(line: &Text) -> Text {
    let chars = line.as_str();
    let mut out = Text::empty_like(line);
    let mut quoted = false;
    let mut kept = 0;
    let mut rest = chars.char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' if chars[at + 1..].starts_with(['#', '!']) && !quoted => {
                out.push(line, kept..at);
                kept = at + 1;
                rest.next();
            }
            // `\"` opens and closes nothing, and the second of two backslashes escapes nothing.
            '\\' if chars[at + 1..].starts_with(['"', '\\']) => {
                rest.next();
            }
            '#' | '!' if !quoted => {
                out.push(line, kept..at);
                return out;
            }
            _ => {}
        }
    }
    out.push(line, kept..chars.len());
    out
}
