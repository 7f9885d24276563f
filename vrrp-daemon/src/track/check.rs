//! `vrrpd_check`, our own: a question to a server, asked again and again without starting a program.
//!
//! keepalived skips the block and the `track_check` that uses it, so that both can share one file.

#[cfg(feature = "io")]
mod dns;
#[cfg(feature = "io")]
mod http;
#[cfg(feature = "io")]
mod icmp;
#[cfg(feature = "io")]
mod locate;
#[cfg(feature = "io")]
mod tcp;
#[cfg(feature = "io")]
mod tls;
#[cfg(feature = "io")]
mod watch;
mod written;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use ::http::Uri;

use super::schedule::{Schedule, Time, Times, outcomes};
use super::{Defined, Kind, Programs, Weight};
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::{At, Mark, block};
use crate::syntax::source::Span;
use crate::syntax::value::choice;
use written::{Statuses, Text, Tried};

block! {
    /// A check as it is written: one of the first four, and when it is asked.
    pub struct Written, others (&[]) {
        /// HOST:PORT that takes connections.
        "tcp" => tcp: Tried<Target>;
        /// A URL that is answered; http or https.
        "http" => http: Tried<Url>;
        /// A server's address, perhaps with a port, a name that it must know, and the type of record; default A.
        "dns" => dns: Tried<Query>;
        /// A host that answers echo requests.
        "icmp" => icmp: Tried<Host>;
        /// Answers of HTTP that are right: numbers and ranges; default 200-299.
        "status" => status: Option<At<Statuses>>;
        /// What the body of HTTP's answer must contain.
        "body" => body: Option<At<Text>>;
        /// Any certificate will do.
        "unverified" => unverified: Mark;
        /// Seconds from question to question; default 1.
        "interval" => interval: Option<At<Time>>;
        /// Seconds after which the answer comes too late; default the interval.
        "timeout" => timeout: Option<At<Time>>;
        /// What it does to the priority of virtual routers that do not say; 0 makes a failure a fault.
        "weight" => weight: Option<Weight<253>>;
        /// Right answers in a row until it counts as well again.
        "rise" => rise: Option<Times>;
        /// Wrong ones in a row until it counts as failed.
        "fall" => fall: Option<Times>;
        /// It counts as failed until it was heard of.
        "init_fail" => init_fail: Mark;
    }
}

/// A check.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Check {
    pub question: Question,
    pub schedule: Schedule,
}

/// What is asked, and which answers are right.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    Tcp(Target),
    Http(Box<Page>),
    Dns(Query),
    Icmp(Host),
}

/// An address, or a name that is looked up each time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host(pub String);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub host: Host,
    pub port: u16,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host: Host(host), port } = self;
        match host.parse() {
            Ok(IpAddr::V6(address)) => write!(f, "[{address}]:{port}"),
            _ => write!(f, "{host}:{port}"),
        }
    }
}

/// A URL with a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    pub uri: Uri,
    pub target: Target,
    /// https.
    pub is_secret: bool,
}

/// A page of a web server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Page {
    pub url: Url,
    /// Those that are right.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// In the first 64 KiB.
    pub body: Option<String>,
    /// The certificate is looked at.
    pub verified: bool,
}

/// A question to a name server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    pub server: SocketAddr,
    pub name: String,
    pub record: Record,
}

choice! {
    /// Type of a record.
    #[derive(Hash)]
    pub enum Record {
        "A" => A,
        "AAAA" => Aaaa,
        "CNAME" => Cname,
        "MX" => Mx,
        "NS" => Ns,
        "PTR" => Ptr,
        "SOA" => Soa,
        "SRV" => Srv,
        "TXT" => Txt,
    }
}

impl Written {
    pub fn define(self, name: &str, at: Span, with: &mut dyn Programs) -> Option<Defined> {
        let Self {
            tcp,
            http,
            dns,
            icmp,
            status,
            body,
            unverified,
            interval,
            timeout,
            weight,
            rise,
            fall,
            init_fail,
            foreign: _,
        } = self;
        let of = format!("vrrpd_check {name}");
        let of_http = [status.as_ref().map(|at| at.at), body.as_ref().map(|at| at.at), unverified.0];
        if let Some(at) = of_http.into_iter().flatten().next().filter(|_| !http.is_there) {
            let message = format!("{of}: `status`, `body` and `unverified` are of `http`");
            with.found().error(Class::Conflict, at, message).done("they have no effect");
        }
        let is_reported = tcp.is_there || http.is_there || dns.is_there || icmp.is_there;
        let page = |At { value: url, at }: At<Url>| {
            let statuses = status.map_or_else(|| vec![200..=299], |statuses| statuses.value.0);
            let (body, verified) = (body.map(|body| body.value.0), unverified.0.is_none());
            At { value: Question::Http(Box::new(Page { url, statuses, body, verified })), at }
        };
        let questions = [
            tcp.right.map(|At { value, at }| At { value: Question::Tcp(value), at }),
            http.right.map(page),
            dns.right.map(|At { value, at }| At { value: Question::Dns(value), at }),
            icmp.right.map(|At { value, at }| At { value: Question::Icmp(value), at }),
        ];
        let mut questions = questions.into_iter().flatten();
        let Some(At { value: question, .. }) = questions.next() else {
            if is_reported {
                return Some(Defined::Disabled);
            }
            let message = format!("{of} asks nothing");
            let diagnostic = with.found().error(Class::Incomplete, at, message).done("it is left out");
            diagnostic.hint("write one of `tcp`, `http`, `dns` and `icmp`");
            return None;
        };
        if let Some(second) = questions.next() {
            let message = format!("{of} asks a second question");
            let diagnostic = with.found().error(Class::Conflict, second.at, message).done("it is skipped");
            diagnostic.hint("make it a vrrpd_check of its own");
        }
        Some(Defined::Tracker {
            weight: weight.unwrap_or_default().0,
            plan: outcomes(rise, fall, init_fail),
            kind: Kind::Check(Check { question, schedule: Schedule::new(interval, timeout, &of, with) }),
        })
    }
}
