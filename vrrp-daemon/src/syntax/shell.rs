//! Words as a shell cuts them: quotes and escapes.

/// A word at the front of a string.
pub struct Cut {
    /// Without quotes.
    pub text: String,
    /// Octets it took, with quotes.
    pub length: usize,
    /// Whether every quote was closed.
    pub closed: bool,
}

/// The words of a command string; `None` when a quote of it is not closed.
pub fn split(command: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = command.trim_start();
    while !rest.is_empty() {
        let cut = word(rest, char::is_whitespace);
        if !cut.closed {
            return None;
        }
        rest = rest[cut.length..].trim_start();
        words.push(cut.text);
    }
    Some(words)
}

/// The word at the front of a string: up to a character outside `'` and `"` that ends it. Escapes hold in both.
pub fn word(chars: &str, ends: impl Fn(char) -> bool) -> Cut {
    let mut text = String::new();
    let mut quote = None;
    let mut rest = chars.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        match (c, quote) {
            (_, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(c),
            ('\\', _) => {
                let (unescaped, used) = escape(&chars[at + 1..]);
                text.push_str(&unescaped);
                for _ in 0..used {
                    rest.next();
                }
            }
            (_, None) if ends(c) => return Cut { text, length: at, closed: true },
            _ => text.push(c),
        }
    }
    Cut { text, length: chars.len(), closed: quote.is_none() }
}

/// What follows a backslash: the characters meant, and how many characters they were written with.
fn escape(rest: &str) -> (String, usize) {
    let Some(c) = rest.chars().next() else { return ("\\".into(), 0) };
    let simple = match c {
        'a' => '\x07',
        'b' => '\x08',
        'E' => '\x1b',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        'x' => return number(&rest[1..], 16, 2).map_or(("x".into(), 1), |(c, used)| (c, used + 1)),
        '0'..='7' => return number(rest, 8, 3).unwrap_or((c.into(), 1)),
        'c' => match rest.chars().nth(1).filter(char::is_ascii) {
            Some(letter) if letter as u8 & 0x1f != 0 => return (char::from(letter as u8 & 0x1f).into(), 2),
            _ => 'c',
        },
        _ => c,
    };
    (simple.into(), 1)
}

/// A character by its number. 0 is left out: no argument can carry it.
fn number(digits: &str, radix: u32, most: usize) -> Option<(String, usize)> {
    let used = digits.chars().take(most).take_while(|c| c.is_digit(radix)).count();
    let value = u32::from_str_radix(&digits[..used], radix).ok()?;
    let c = char::from_u32(value & 0xff).filter(|&c| c != '\0');
    Some((c.map(String::from).unwrap_or_default(), used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_strings_are_split_like_a_shell_does() {
        let split = |command| split(command).unwrap_or_default();
        assert_eq!(split("killall -0 nginx"), ["killall", "-0", "nginx"]);
        assert_eq!(split("/bin/sh -c 'exit 1' \"a b\"c {x}"), ["/bin/sh", "-c", "exit 1", "a bc", "{x}"]);
        assert_eq!(split(r"/bin/x a\ b \x41\102\cA \t| ''"), ["/bin/x", "a b", "AB\x01", "\t|", ""]);
        assert_eq!(split(r#""q \" q" '\n it\'s' \"#), ["q \" q", "\n it's", "\\"]);
        assert_eq!(split("  "), [""; 0]);
        assert_eq!(split(r"\xzz \0 é\é"), ["xzz", "", "éé"]);
        assert_eq!(super::split("/bin/x it's"), None);
    }
}
