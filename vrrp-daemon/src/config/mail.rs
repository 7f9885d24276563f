//! Mail on changes of state, as it stands in a configuration: by which server, and to whom.

use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::schema::{Field, FromEntry};
use crate::syntax::tree::Entry;
use crate::syntax::value::{Value, Whole};

/// `smtp_connect_timeout`, in seconds.
pub type ConnectTime = Whole<1, 4294>;

/// `NAME@DOMAIN`, or a name of this host's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailAddress(pub String);

impl Value for MailAddress {
    fn expected() -> String {
        "a mail address alone: NAME@DOMAIN, without a name in front or `<>`".to_owned()
    }

    fn parse(word: &str) -> Option<Self> {
        let odd = |c: char| c.is_whitespace() || c.is_control() || "<>,".contains(c);
        let (name, domain) = word.rsplit_once('@').unwrap_or((word, "this host"));
        (!name.is_empty() && !domain.is_empty() && !word.contains(odd)).then(|| Self(word.to_owned()))
    }
}

/// `smtp_helo_name`, which a server reads as one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelloName(pub String);

impl Value for HelloName {
    fn expected() -> String {
        "a host's name".to_owned()
    }

    fn parse(word: &str) -> Option<Self> {
        let odd = |c: char| c.is_whitespace() || c.is_control();
        (!word.is_empty() && !word.contains(odd)).then(|| Self(word.to_owned()))
    }
}

/// The addresses of `notification_email`, one or more to a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipients(pub Vec<MailAddress>);

impl Field for Recipients {
    fn take(&mut self, entry: &Entry, found: &mut Diagnostics) {
        let lines = entry.body(found);
        if entry.block.is_some() && lines.is_empty() {
            found.warning(Class::Incomplete, entry.span(), "`notification_email` names nobody");
        }
        for line in lines {
            line.no_block(found);
            for word in std::iter::once(line.keyword()).chain(line.parameters()) {
                match MailAddress::parse(&word.text) {
                    Some(address) => self.0.push(address),
                    None => {
                        let expected = MailAddress::expected();
                        let message = format!("`notification_email` has `{}`; expected {expected}", word.text);
                        found.error(Class::Value, word.span, message).done("nobody is written to there");
                    }
                }
            }
        }
    }
}

/// `smtp_server HOST [PORT]`. keepalived looks a name up when it reads it, we each time we write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpServer {
    pub host: String,
    pub port: u16,
}

/// SMTP's.
const PORT: u16 = 25;

impl FromEntry for SmtpServer {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.no_block(found);
        let host = entry.parameter("the name or address of a mail server", found)?;
        entry.no_more_than(2, found);
        let port = match entry.parameters().get(1) {
            None => PORT,
            Some(word) => match Whole::<1, 65_535>::parse(&word.text) {
                Some(port) => port.get() as u16,
                None => {
                    let expected = Whole::<1, 65_535>::expected();
                    let message = format!("the port of `smtp_server` is `{}`; expected {expected}", word.text);
                    found.error(Class::Value, word.span, message).done("the line is skipped");
                    return None;
                }
            },
        };
        Some(Self { host: host.text.clone(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_single_words() {
        let is_one = |word| MailAddress::parse(word).is_some();
        assert_eq!(["a@example.org", "root", "a@b@example.org", "a@[192.0.2.1]"].map(is_one), [true; 4]);
        assert_eq!(["", "@", "a@", "@b", "<a@b>", "a b@c", "a@b,c@d", "a@b\r\nX: y"].map(is_one), [false; 8]);
    }
}
