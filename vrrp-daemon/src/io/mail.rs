//! Mail on changes of state, in keepalived's words: one letter after the other, so that who reads them finds them in order.
//!
//! lettre speaks to the server, without encryption as keepalived does. Nobody waits for a letter, and no letter is tried
//! twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use lettre::Address;
use lettre::address::Envelope;
use lettre::transport::smtp;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use tracing::{info, warn};

use super::notify::{Moment, Notice, Who};
use crate::config::setup::{Mail, Setup};

/// What is written of a change of state.
#[derive(Debug)]
pub struct Letter {
    /// The configuration that says where it goes; another may hold by then.
    setup: Arc<Setup>,
    at: OffsetDateTime,
    /// Behind `[ROUTER_ID] `.
    pub(super) subject: String,
    text: String,
}

impl Letter {
    /// `None` of what is not mailed. keepalived 2.2.7 begins to write of a stop, and is gone before that is sent.
    pub fn of(notice: &Notice) -> Option<Self> {
        let Notice { setup, who, moment } = notice;
        let mail = setup.telling.mail.as_deref()?;
        let (kind, name, wanted) = match *who {
            Who::Instance(id, _) => {
                let instance = &setup.instances[id.index()];
                ("Instance", &instance.name, instance.smtp_alert)
            }
            Who::Group(id) => {
                let group = &setup.groups[id.index()];
                ("Group", &group.name, group.smtp_alert)
            }
        };
        let text = match (moment, who) {
            _ if !wanted => return None,
            (Moment::Fault, _) if !mail.faults => return None,
            (Moment::Stop | Moment::RxLower | Moment::MasterPriority | Moment::BackupPriority, _) => return None,
            (Moment::Deleted, _) => "=> VRRP Deleted at reload <=".to_owned(),
            (Moment::Master | Moment::Backup | Moment::Fault, Who::Group(_)) => {
                format!("=> All VRRP group instances are now in {} state <=", moment.label())
            }
            (Moment::Master, Who::Instance(..)) => "=> VRRP Instance is now owning VRRP VIPs <=".to_owned(),
            (Moment::Backup | Moment::Fault, Who::Instance(..)) => {
                "=> VRRP Instance is no longer owning VRRP VIPs <=".to_owned()
            }
        };
        let subject = match moment {
            Moment::Deleted => format!("VRRP {kind} {name} - Deleted"),
            _ => format!("VRRP {kind} {name} - Entering {} state", moment.label()),
        };
        Some(Self { setup: Arc::clone(setup), at: OffsetDateTime::now_utc(), subject, text })
    }

    /// As it is sent, without the dot that ends it.
    fn message(&self, mail: &Mail) -> anyhow::Result<String> {
        let Mail { router, from, to, .. } = mail;
        let (date, to) = (self.at.format(&Rfc2822)?, to.join(", "));
        let Self { subject, text, .. } = self;
        Ok(format!(
            "Date: {date}\r\nFrom: {from}\r\nSubject: [{router}] {subject}\r\nX-Mailer: Keepalived\r\nTo: {to}\r\n\r\n{text}\r\n"
        ))
    }

    async fn send(&self, mail: &Mail) -> anyhow::Result<()> {
        let to = mail.to.iter().map(|to| address(to)).collect::<Result<_, _>>()?;
        let (envelope, message) = (Envelope::new(Some(address(&mail.from)?), to)?, self.message(mail)?);
        let silent = || format!("no answer for {} s", mail.timeout.as_secs());
        let mut server = timeout(mail.timeout, connect(mail)).await.with_context(silent)??;
        timeout(mail.timeout, server.send(&envelope, message.as_bytes())).await.with_context(silent)??;
        // It has the letter, whatever it says to that.
        let _ = timeout(mail.timeout, server.abort()).await;
        Ok(())
    }
}

async fn connect(mail: &Mail) -> anyhow::Result<AsyncSmtpConnection> {
    let stream = TcpStream::connect((mail.server.as_str(), mail.port)).await?;
    // A letter is several short writes, of which each would wait for the answer to the one before.
    stream.set_nodelay(true)?;
    Ok(AsyncSmtpConnection::connect_with_transport(Box::new(stream), &ClientId::Domain(mail.hello.clone())).await?)
}

fn address(text: &str) -> anyhow::Result<Address> {
    text.parse().with_context(|| format!("`{text}` is no mail address"))
}

/// Sends letters until there can be no more. Those that wait for a server that does not answer are counted as lost with the one
/// that found it so: keepalived, which sends all at once, loses them, too.
pub async fn run(mut letters: Receiver<Letter>, lost: Arc<AtomicU64>) {
    while let Some(letter) = letters.recv().await {
        let Some(mail) = letter.setup.telling.mail.as_deref() else { continue };
        // In a box of its own: most never send one, and this waits for good.
        let Err(error) = Box::pin(letter.send(mail)).await else {
            info!("SMTP alert successfully sent.");
            continue;
        };
        warn!("mail by {}:{} was not sent: {error}; it was: {}", mail.server, mail.port, letter.subject);
        let answered = error.downcast_ref::<smtp::Error>().is_some_and(|error| error.status().is_some());
        let mut count = 1;
        while !answered && letters.try_recv().is_ok() {
            count += 1;
        }
        lost.fetch_add(count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
