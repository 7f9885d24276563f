//! The words of a check, as they are read.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use http::Uri;

use super::{Host, Query, Record, Target, Url};
use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::schema::{At, Field, FromEntry};
use crate::syntax::tree::Entry;
use crate::syntax::value::Value;

/// The port of name servers.
const DNS_PORT: u16 = 53;

/// A question, right or wrong.
#[derive(Clone, Debug)]
pub struct Tried<T> {
    pub right: Option<At<T>>,
    /// It is there, if only to be reported.
    pub is_there: bool,
}

impl<T> Default for Tried<T> {
    fn default() -> Self {
        Self { right: None, is_there: false }
    }
}

impl<T: FromEntry> Field for Tried<T> {
    fn take(&mut self, entry: &Entry, found: &mut Diagnostics) {
        self.is_there = true;
        Field::take(&mut self.right, entry, found);
    }
}

impl Value for Host {
    fn expected() -> String {
        "an address or the name of a host".to_owned()
    }

    fn parse(word: &str) -> Option<Self> {
        let is_name = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) && !word.is_empty();
        (is_name || word.parse::<IpAddr>().is_ok()).then(|| Self(word.to_owned()))
    }
}

impl Value for Target {
    fn expected() -> String {
        "HOST:PORT, an IPv6 address in brackets".to_owned()
    }

    fn parse(word: &str) -> Option<Self> {
        let (host, port) = word.rsplit_once(':')?;
        let port = port.parse().ok().filter(|&port| port != 0)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').filter(|host| host.contains(':'))?,
            None if host.contains(':') => return None,
            None => host,
        };
        Some(Self { host: Host::parse(host)?, port })
    }
}

impl Value for Url {
    fn expected() -> String {
        "a URL that begins with http:// or https://".to_owned()
    }

    fn parse(word: &str) -> Option<Self> {
        let uri: Uri = word.parse().ok()?;
        let (is_secret, port) = match uri.scheme_str()? {
            "http" => (false, 80),
            "https" => (true, 443),
            _ => return None,
        };
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let target = Target { host: Host::parse(host)?, port: authority.port_u16().unwrap_or(port) };
        Some(Self { uri, target, is_secret })
    }
}

impl FromEntry for Query {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.no_block(found);
        let first = entry.parameter("the address of a server, and a name", found)?;
        entry.no_more_than(3, found);
        let address = first.text.parse().map(|address: IpAddr| SocketAddr::new(address, DNS_PORT));
        let Ok(server) = address.or_else(|_| first.text.parse::<SocketAddr>()) else {
            let message = format!("`dns` asks `{}`; expected the address of a server, perhaps with a port", first.text);
            found.error(Class::Value, first.span, message).done("the line is skipped");
            return None;
        };
        let Some(name) = entry.parameters().get(1) else {
            let message = "`dns` lacks the name that the server must know";
            found.error(Class::Value, first.span, message).done("the line is skipped");
            return None;
        };
        let is_name = |label: &str| (1..=63).contains(&label.len()) && label.is_ascii();
        if name.text.len() > 253 || !name.text.trim_end_matches('.').split('.').all(is_name) {
            let message = format!("`{}` is no name that a server could know", name.text);
            found.error(Class::Value, name.span, message).done("the line is skipped");
            return None;
        }
        let record = match entry.parameters().get(2) {
            None => Record::A,
            Some(word) => Record::parse(&word.text).or_else(|| {
                let message =
                    format!("`{}` is no type of record that is asked for; expected {}", word.text, Record::expected());
                found.error(Class::Value, word.span, message).done("the line is skipped");
                None
            })?,
        };
        Some(Self { server, name: name.text.clone(), record })
    }
}

/// `200 301-308`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(pub Vec<RangeInclusive<u16>>);

impl FromEntry for Statuses {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.no_block(found);
        entry.parameter("numbers and ranges of them", found)?;
        let mut ranges = Vec::new();
        for word in entry.parameters() {
            let (first, last) = word.text.split_once('-').unwrap_or((&word.text, &word.text));
            let number = |text: &str| text.parse().ok().filter(|status| (100..=599).contains(status));
            match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => ranges.push(first..=last),
                _ => {
                    let message = format!("`status` is `{}`; expected 100 to 599, or a range of them", word.text);
                    found.error(Class::Value, word.span, message).done("the line is skipped");
                    return None;
                }
            }
        }
        Some(Self(ranges))
    }
}

/// Words, one blank between two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub String);

impl FromEntry for Text {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.no_block(found);
        entry.parameter("a text", found)?;
        let words: Vec<_> = entry.parameters().iter().map(|word| word.text.as_str()).collect();
        Some(Self(words.join(" ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_hosts_and_ports() {
        for (word, shown) in [
            ("192.0.2.1:80", Some("192.0.2.1:80")),
            ("[2001:db8::1]:443", Some("[2001:db8::1]:443")),
            ("db.example.net:5432", Some("db.example.net:5432")),
            ("2001:db8::1:80", None),
            ("192.0.2.1", None),
            ("192.0.2.1:0", None),
            ("192.0.2.1:65536", None),
            ("[192.0.2.1]:80", None),
            (":80", None),
            ("a b:80", None),
        ] {
            assert_eq!(Target::parse(word).map(|target| target.to_string()).as_deref(), shown, "{word}");
        }
    }

    #[test]
    fn urls_have_a_scheme_and_a_host() {
        for (word, shown) in [
            ("http://192.0.2.1/health?deep=1", Some("192.0.2.1:80 false")),
            ("https://[2001:db8::1]:8443/", Some("[2001:db8::1]:8443 true")),
            ("https://web.example.net", Some("web.example.net:443 true")),
            ("ftp://192.0.2.1/", None),
            ("192.0.2.1/health", None),
            ("http://user@192.0.2.1/", None),
            ("http:///health", None),
        ] {
            let url = Url::parse(word).map(|url| format!("{} {}", url.target, url.is_secret));
            assert_eq!(url.as_deref(), shown, "{word}");
        }
    }
}
