//! The time of day, as people and JSON read it.

use std::time::SystemTime;

use time::OffsetDateTime;

/// RFC 3339 in UTC with milliseconds: `2026-02-03T04:05:06.789Z`.
pub fn rfc3339(time: SystemTime) -> String {
    let t = OffsetDateTime::from(time);
    let (year, month, day) = (t.year(), u8::from(t.month()), t.day());
    let (hour, minute, second, milli) = (t.hour(), t.minute(), t.second(), t.millisecond());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn against_literals() {
        assert_eq!(rfc3339(SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
        // date -u -d @1709210096.007
        let leap_day = SystemTime::UNIX_EPOCH + Duration::from_millis(1_709_210_096_007);
        assert_eq!(rfc3339(leap_day), "2024-02-29T12:34:56.007Z");
    }
}
