//! What lines come to, as 2.2.7 was seen to take them, at a time of the test's own.

use chrono::{FixedOffset, Utc};

use super::*;

/// Half past eight in the evening, an hour east of Greenwich.
fn now() -> DateTime<FixedOffset> {
    "2026-11-24T20:30:00+01:00".parse().unwrap()
}

fn at(line: &str) -> Result<String, &'static str> {
    due(line, &now()).map(|at| at.format("%Y-%m-%d %H:%M:%S").to_string())
}

#[test]
fn lines_name_instants() {
    for (line, instant) in [
        ("23:59:58", "2026-11-24 22:59:58"),
        ("23:59:58Z", "2026-11-24 23:59:58"),
        ("20:30:01", "2026-11-24 19:30:01"),
        // Not later than now: tomorrow.
        ("20:30:00", "2026-11-25 19:30:00"),
        ("00:00:01", "2026-11-24 23:00:01"),
        ("19:29:59Z", "2026-11-25 19:29:59"),
        ("2027-02-28 01:02:03", "2027-02-28 00:02:03"),
        ("27-02-28 01:02:03Z", "2027-02-28 01:02:03"),
        ("68-01-01 00:00:00Z", "2068-01-01 00:00:00"),
        ("2199-02-28 01:02:03Z", "2199-02-28 01:02:03"),
    ] {
        assert_eq!(at(line).as_deref(), Ok(instant), "{line}");
    }
}

#[test]
fn what_is_no_time_is_refused() {
    for line in [
        "",
        "x",
        " 23:59:57",
        "23:59:57 ",
        "9:59:57",
        "24:00:00",
        "23:60:00",
        "23:59:60",
        "23:59",
        "2027-02-30 01:02:03",
        "2027-2-3 01:02:03",
        "2027-13-01 01:02:03",
        "2027-00-01 01:02:03",
        "2027-02-28  01:02:03",
        "2027-02-28T01:02:03",
        "2027-02-28 01:02:03z",
        "+7:02:03",
        "027-02-28 01:02:03",
        "23:59:57ZZ",
        "Z",
    ] {
        assert_eq!(at(line), Err(FORM), "{line}");
    }
    for line in ["2020-01-01 01:02:03", "99-02-28 01:02:03", "2026-11-24 20:30:00", "2026-11-24 19:30:00Z"] {
        assert_eq!(at(line), Err("it is over"), "{line}");
    }
}

/// A zone in which half past two is left out on the night to 2027-03-28.
#[derive(Clone, Copy, Debug)]
struct Summer;

impl TimeZone for Summer {
    type Offset = FixedOffset;

    fn from_offset(_: &FixedOffset) -> Self {
        Self
    }

    fn offset_from_local_date(&self, day: &NaiveDate) -> chrono::MappedLocalTime<FixedOffset> {
        self.offset_from_local_datetime(&day.and_time(NaiveTime::MIN))
    }

    fn offset_from_local_datetime(&self, at: &NaiveDateTime) -> chrono::MappedLocalTime<FixedOffset> {
        let change = NaiveDate::from_ymd_opt(2027, 3, 28).unwrap().and_hms_opt(2, 0, 0).unwrap();
        match *at - change {
            since if since < chrono::TimeDelta::zero() => chrono::MappedLocalTime::Single(hours(1)),
            since if since < chrono::TimeDelta::hours(1) => chrono::MappedLocalTime::None,
            _ => chrono::MappedLocalTime::Single(hours(2)),
        }
    }

    fn offset_from_utc_date(&self, _: &NaiveDate) -> FixedOffset {
        hours(1)
    }

    fn offset_from_utc_datetime(&self, _: &NaiveDateTime) -> FixedOffset {
        hours(1)
    }
}

fn hours(east: i32) -> FixedOffset {
    FixedOffset::east_opt(3600 * east).unwrap()
}

#[test]
fn a_time_that_is_left_out_is_none_and_of_the_day_it_is_the_next() {
    let now = Summer.with_ymd_and_hms(2027, 3, 27, 12, 0, 0).unwrap();
    assert_eq!(due("2027-03-28 02:30:00", &now), Err("there is no such time where this host is"));
    assert_eq!(due("2027-03-28 03:00:00", &now).unwrap(), Utc.with_ymd_and_hms(2027, 3, 28, 1, 0, 0).unwrap());
    assert_eq!(due("02:30:00", &now).unwrap(), Utc.with_ymd_and_hms(2027, 3, 29, 0, 30, 0).unwrap());
    // UTC leaves none out.
    assert_eq!(due("2027-03-28 02:30:00Z", &now).unwrap(), Utc.with_ymd_and_hms(2027, 3, 28, 2, 30, 0).unwrap());
}

fn line(text: &str) -> Said {
    Ok(Some(text.to_owned()))
}

#[test]
fn one_line_follows_another() {
    let mut appointment = Appointment::default();
    let mut hear = |line: Option<&str>| appointment.hear(Ok(line.map(str::to_owned)), &now());
    let said = |text: &str| Some(Ok(text.to_owned()));
    assert_eq!(hear(None), None);
    assert_eq!(hear(Some("23:59:59")), said("Scheduling reload for 2026-11-24 23:59:59"));
    assert_eq!(hear(Some("23:59:59")), None);
    let updated = "Reload time updated from 2026-11-24 23:59:59 to 2026-11-25 00:59:58";
    assert_eq!(hear(Some("23:59:58Z")), said(updated));
    assert_eq!(hear(None), said("Cancelling reload scheduled for 2026-11-25 00:59:58"));
    assert_eq!(hear(Some("x")), Some(Err(format!("nothing is scheduled by \"x\": {FORM}"))));
    assert_eq!(appointment.hear(Err("no".into()), &now()), Some(Err("it cannot be read: no".to_owned())));
    assert_eq!(appointment.hear(Err("no".into()), &now()), None);
    let mut hear = |line: Option<&str>| appointment.hear(Ok(line.map(str::to_owned)), &now());
    hear(Some("20:30:01"));
    let over = "Cancelling reload scheduled for 2026-11-24 20:30:01; nothing is scheduled by \"20-01-01 00:00:00\": it is over";
    assert_eq!(hear(Some("20-01-01 00:00:00")), Some(Err(over.to_owned())));
}

#[test]
fn a_time_of_day_comes_again_the_next_day_and_a_date_does_not() {
    let (mut appointment, evening) = (Appointment::default(), now());
    appointment.hear(line("20:30:05"), &evening);
    let due = appointment.due().unwrap();
    assert_eq!(due, evening + chrono::TimeDelta::seconds(5));
    appointment.is_over();
    let later = due.with_timezone(&evening.timezone());
    appointment.hear(line("20:30:05"), &later);
    assert_eq!(appointment.due(), Some(due + chrono::TimeDelta::days(1)));
    appointment.is_over();
    assert!(appointment.hear(line("2026-11-24 20:30:05"), &later).is_some_and(|said| said.is_err()));
    assert_eq!(appointment.due(), None);
}
