//! A log line on its way from the thread that says it to the thread that writes it: severity, part of the daemon, time,
//! message.

use std::fmt;
use std::io::{self, Write};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::io::utc;

/// Which of keepalived's processes would say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Daemon,
    Vrrp,
    Bfd,
}

impl Part {
    /// By the module that says it.
    fn of(target: &str) -> Self {
        match target {
            "vrrpd" | "vrrp_daemon::io::run" | "vrrp_daemon::io::bracket" => Self::Daemon,
            _ if target.starts_with("vrrp_daemon::io::bfd") => Self::Bfd,
            _ => Self::Vrrp,
        }
    }

    const fn letter(self) -> char {
        match self {
            Self::Daemon => 'k',
            Self::Vrrp => 'v',
            Self::Bfd => 'b',
        }
    }
}

/// As it was read; on the way it is `6v2026-02-03T04:05:06.789Z message field=value`.
pub struct Line<'a> {
    /// syslog(3)'s number: 3 error, 4 warning, 6 info, 7 debug.
    pub severity: u8,
    pub part: Part,
    time: &'a str,
    pub message: &'a str,
}

impl<'a> Line<'a> {
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (head, message) = text.trim_end_matches('\n').split_once(' ')?;
        let mut letters = head.chars();
        let severity = letters.next()?.to_digit(8)? as u8;
        let letter = letters.next()?;
        let part = [Part::Daemon, Part::Vrrp, Part::Bfd].into_iter().find(|part| part.letter() == letter)?;
        Some(Self { severity, part, time: letters.as_str(), message })
    }

    /// `2026-02-03T04:05:06.789Z WARN  message field=value`
    pub fn for_people(&self, to: &mut impl Write) -> io::Result<()> {
        let level = match self.severity {
            3 => "ERROR",
            4 => "WARN ",
            6 => "INFO ",
            _ => "DEBUG",
        };
        writeln!(to, "{} {level} {}", self.time, self.message)
    }

    /// `<4>message field=value`, as sd-daemon(3) has it.
    pub fn for_journal(&self, to: &mut impl Write) -> io::Result<()> {
        writeln!(to, "<{}>{}", self.severity, self.message)
    }
}

/// Makes lines of events.
pub struct Lines;

impl<S> FormatEvent<S, DefaultFields> for Lines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let severity = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            _ => 7,
        };
        let part = Part::of(event.metadata().target()).letter();
        write!(writer, "{severity}{part}{} ", utc::rfc3339(super::happened_at()))?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
