//! `reload_time_file`: a file whose first line says when to reload.
//!
//! What a line means, and what follows from one after another, is here and has no clock; looking and waiting are in
//! [`keep`].

pub mod keep;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};

/// What a line must be.
const FORM: &str = "expected HH:MM:SS, YY-MM-DD HH:MM:SS or YYYY-MM-DD HH:MM:SS, with Z behind it for UTC";

/// When the next reload is due, by what the file said last.
#[derive(Debug)]
pub struct Appointment {
    due: Option<DateTime<Utc>>,
    said: Said,
}

/// The first line of the file, none while it is not there; or why it cannot be read.
pub type Said = Result<Option<String>, String>;

impl Appointment {
    pub fn due(&self) -> Option<DateTime<Utc>> {
        self.due
    }

    /// Takes in what the file says; returns what to log. Nothing follows from what it said before.
    pub fn hear<Z: TimeZone>(&mut self, said: Said, now: &DateTime<Z>) -> Option<Result<String, String>> {
        if self.said == said {
            return None;
        }
        let (next, wrong) = match &said {
            Ok(None) => (None, None),
            Ok(Some(line)) => match due(line, now) {
                Ok(next) => (Some(next), None),
                Err(why) => (None, Some(format!("nothing is scheduled by {line:?}: {why}"))),
            },
            Err(why) => (None, Some(format!("it cannot be read: {why}"))),
        };
        self.said = said;
        let local = |at: DateTime<Utc>| at.with_timezone(&now.timezone()).naive_local();
        let told = match (std::mem::replace(&mut self.due, next), next) {
            (None, None) => None,
            (None, Some(next)) => Some(format!("Scheduling reload for {}", local(next))),
            (Some(before), Some(next)) => {
                Some(format!("Reload time updated from {} to {}", local(before), local(next)))
            }
            (Some(before), None) => Some(format!("Cancelling reload scheduled for {}", local(before))),
        };
        match (told, wrong) {
            (Some(told), Some(wrong)) => Some(Err(format!("{told}; {wrong}"))),
            (None, Some(wrong)) => Some(Err(wrong)),
            (told, None) => told.map(Ok),
        }
    }

    /// Its time has come: the same line may now mean the next day.
    pub fn is_over(&mut self) {
        *self = Self::default();
    }
}

impl Default for Appointment {
    fn default() -> Self {
        Self { due: None, said: Ok(None) }
    }
}

/// The instant that a line names: the next one after `now`, where it names a time of day. Without a Z it is of the same zone.
fn due<Z: TimeZone>(line: &str, now: &DateTime<Z>) -> Result<DateTime<Utc>, &'static str> {
    match line.strip_suffix('Z') {
        Some(line) => in_zone(line, &now.with_timezone(&Utc)),
        None => in_zone(line, now),
    }
}

fn in_zone<Z: TimeZone>(line: &str, now: &DateTime<Z>) -> Result<DateTime<Utc>, &'static str> {
    // What there is twice is meant the first time; what is left out when clocks are set forward is no time.
    let instant = |at: NaiveDateTime| Some(now.timezone().from_local_datetime(&at).earliest()?.to_utc());
    let is_later = |at: &DateTime<Utc>| *at > *now;
    match line.split_once(' ') {
        Some((date, time)) => {
            let (date, time) = (day(date).ok_or(FORM)?, time_of_day(time).ok_or(FORM)?);
            let at = instant(date.and_time(time)).ok_or("there is no such time where this host is")?;
            is_later(&at).then_some(at).ok_or("it is over")
        }
        None => {
            let time = time_of_day(line).ok_or(FORM)?;
            // The day after tomorrow, where tomorrow has no such time.
            let mut days = now.date_naive().iter_days().take(3);
            days.find_map(|day| instant(day.and_time(time)).filter(is_later)).ok_or(FORM)
        }
    }
}

/// `HH:MM:SS`
fn time_of_day(text: &str) -> Option<NaiveTime> {
    let [hour, minute, second] = numbers(text, ':', &[2])?;
    NaiveTime::from_hms_opt(hour, minute, second)
}

/// `YYYY-MM-DD`, or `YY-MM-DD`: from 1969 to 2068, as in C.
fn day(text: &str) -> Option<NaiveDate> {
    let [year, month, day] = numbers(text, '-', &[2, 4])?;
    let year = match year {
        ..=68 => 2000 + year,
        69..=99 => 1900 + year,
        _ => year,
    };
    NaiveDate::from_ymd_opt(year as i32, month, day)
}

/// Three numbers of two digits each, the first of as many as `first` says.
fn numbers(text: &str, separator: char, first: &[usize]) -> Option<[u32; 3]> {
    let parts: Vec<_> = text.split(separator).collect();
    let [a, b, c] = parts[..] else { return None };
    let number = |part: &str, digits: &[usize]| {
        let is_one = digits.contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_digit());
        is_one.then(|| part.parse().ok())?
    };
    Some([number(a, first)?, number(b, &[2])?, number(c, &[2])?])
}

#[cfg(test)]
mod tests;
