//! Mail on changes of state: where it goes, and who asks for it.

use std::cell::LazyCell;
use std::time::Duration;

use super::Resolver;
use crate::config::mail::{ConnectTime, HelloName, MailAddress, Recipients, SmtpServer};
use crate::config::setup::Mail;
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::{At, Lenient, Mark, Switch};

/// keepalived's time for a server that does not answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What `global_defs` says of it.
pub struct Words {
    pub to: Recipients,
    pub from: Lenient<MailAddress>,
    pub server: Option<SmtpServer>,
    pub hello: Lenient<HelloName>,
    pub timeout: Option<ConnectTime>,
    pub no_faults: Mark,
}

impl Resolver<'_> {
    /// Nothing without a server and somebody to write to, as in keepalived.
    pub(super) fn mail(&mut self, words: Words) -> Option<Box<Mail>> {
        let Words { to, from, server, hello, timeout, no_faults } = words;
        let Some(SmtpServer { host: server, port }) = server else {
            self.mail_lacks = Some("smtp_server");
            return None;
        };
        if to.0.is_empty() {
            self.mail_lacks = Some("notification_email");
            return None;
        }
        // A question to the resolver, where it matters.
        let here = LazyCell::new(|| self.host.full_name());
        let complete = |MailAddress(name)| if name.contains('@') { name } else { format!("{name}@{}", *here) };
        Some(Box::new(Mail {
            server,
            port,
            router: self.setup.daemon.router_id.clone().unwrap_or_else(|| here.clone()),
            from: complete(from.0.unwrap_or(MailAddress("root".to_owned()))),
            to: to.0.into_iter().map(complete).collect(),
            hello: hello.0.map_or_else(|| here.clone(), |hello| hello.0),
            timeout: timeout.map_or(TIMEOUT, |seconds| Duration::from_secs(seconds.get() as u64)),
            faults: no_faults.0.is_none(),
        }))
    }

    /// Whether mail is sent of a virtual router or a group. Mail that cannot be is reported once.
    pub(super) fn alerts(&mut self, own: Switch) -> bool {
        let Some(At { value: true, at }) = own.0.or(self.defaults.smtp_alert) else { return false };
        if let Some(lacking) = self.mail_lacks.take() {
            let message = format!("mail is asked for and cannot be sent: there is no `{lacking}`");
            let diagnostic = self.found.notice(Class::Incomplete, at, message).done("nobody is written to");
            diagnostic.hint("write `smtp_server` and `notification_email` in global_defs");
        }
        true
    }
}
