//! When something happens again and again: the five fields of cron, read on the clocks of a time zone.
//!
//! Each time that a clock on the wall could show comes once. One that it leaps over comes at the instant of the leap, and
//! one that it shows twice comes the first time.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::error::{Error, Result};

/// Within so many days anything comes that ever does: a 29 February may be eight years away.
const DAYS_MAX: usize = 9 * 366;

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Which minutes are meant, and on whose clocks.
#[derive(Clone, Debug)]
pub struct Schedule {
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
    zone: TimeZone,
}

/// The numbers that a field names, as bits.
#[derive(Clone, Copy, Debug)]
struct Field {
    bits: u64,
    /// Whether it begins with `*`, and so leaves the choice of days to its sibling.
    is_any: bool,
}

/// What a field may hold.
struct Form {
    name: &'static str,
    from: u32,
    to: u32,
    words: &'static [&'static str],
    /// What the first word stands for.
    words_from: u32,
}

const MINUTE: Form = Form { name: "minute", from: 0, to: 59, words: &[], words_from: 0 };
const HOUR: Form = Form { name: "hour", from: 0, to: 23, words: &[], words_from: 0 };
const DAY: Form = Form { name: "day of month", from: 1, to: 31, words: &[], words_from: 0 };
const MONTH: Form = Form { name: "month", from: 1, to: 12, words: &MONTHS, words_from: 1 };
// 7 is Sunday, too.
const WEEKDAY: Form = Form { name: "day of week", from: 0, to: 7, words: &WEEKDAYS, words_from: 0 };

impl Schedule {
    /// Reads `cron` (minute, hour, day of month, month, day of week) on the clocks of `zone`, a name of IANA's.
    ///
    /// As in cron, a day has to fit only one of its two fields where neither begins with `*`.
    ///
    /// # Errors
    /// `Invalid`, naming the field; also for what never comes.
    pub fn parse(cron: &str, zone: &str) -> Result<Schedule> {
        let fields: Vec<&str> = cron.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(Error::invalid(format!(
                "A cron expression has five fields (minute, hour, day of month, month, day of week), and \"{cron}\" has {}.",
                fields.len()
            )));
        };
        let unknown = |cause| {
            Error::invalid(format!(
                "There is no time zone \"{zone}\"; one of IANA's is such as Europe/Berlin or UTC."
            ))
            .caused_by(cause)
        };
        let mut weekdays = Field::parse(weekday, &WEEKDAY)?;
        weekdays.bits |= weekdays.bits >> 7 & 1;
        let schedule = Schedule {
            minutes: Field::parse(minute, &MINUTE)?,
            hours: Field::parse(hour, &HOUR)?,
            days: Field::parse(day, &DAY)?,
            months: Field::parse(month, &MONTH)?,
            weekdays,
            zone: TimeZone::get(zone).map_err(unknown)?,
        };
        let never = || Error::invalid(format!("No day ever fits the cron expression \"{cron}\"."));
        schedule.next_after(0).ok_or_else(never)?;
        Ok(schedule)
    }

    /// The first instant behind another one, both in milliseconds of the epoch; `None` where none comes that a calendar
    /// knows.
    pub fn next_after(&self, after_ms: i64) -> Option<i64> {
        let after = Timestamp::from_millisecond(after_ms).ok()?;
        // A day earlier: a leap may bring what was due yesterday to today.
        let mut date = self.zone.to_datetime(after).date().yesterday().ok()?;
        for _ in 0..DAYS_MAX {
            if self.has_day(date) {
                let mut times = self.times(date).filter_map(|time| self.instant(time));
                if let Some(next) = times.find(|instant| *instant > after) {
                    return Some(next.as_millisecond());
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn has_day(&self, date: Date) -> bool {
        let in_month = self.days.has(date.day());
        let in_week = self.weekdays.has(date.weekday().to_sunday_zero_offset());
        let is_day =
            if self.days.is_any || self.weekdays.is_any { in_month && in_week } else { in_month || in_week };
        is_day && self.months.has(date.month())
    }

    /// What the clocks show of a day, in order.
    fn times(&self, date: Date) -> impl Iterator<Item = DateTime> {
        let hours = (0..24i8).filter(|hour| self.hours.has(*hour));
        hours.flat_map(move |hour| {
            let minutes = (0..60i8).filter(|minute| self.minutes.has(*minute));
            minutes.map(move |minute| date.at(hour, minute, 0, 0))
        })
    }

    fn instant(&self, time: DateTime) -> Option<Timestamp> {
        let found = self.zone.to_ambiguous_timestamp(time);
        let is_leapt_over = matches!(found.offset(), AmbiguousOffset::Gap { .. });
        let earlier = found.earlier().ok()?;
        if !is_leapt_over {
            return Some(earlier);
        }
        // In a leap the earlier of the two readings lies before it.
        self.zone.following(earlier).next().map(|leap| leap.timestamp())
    }
}

impl Field {
    fn parse(text: &str, form: &Form) -> Result<Field> {
        let wrong = || {
            let Form { name, from, to, .. } = form;
            Error::invalid(format!(
                "The field {name} of a cron expression is *, or numbers from {from} to {to} such as 1, 1-5, */2 or 1,3; \"{text}\" is not."
            ))
        };
        let mut bits = 0;
        for piece in text.split(',') {
            let (range, step) = match piece.split_once('/') {
                Some((range, step)) => (range, step.parse().ok().filter(|n| *n > 0).ok_or_else(wrong)?),
                None => (piece, 1usize),
            };
            let (from, to) = match range.split_once('-') {
                Some((from, to)) => {
                    (form.number(from).ok_or_else(wrong)?, form.number(to).ok_or_else(wrong)?)
                }
                None if range == "*" => (form.from, form.to),
                None => {
                    let from = form.number(range).ok_or_else(wrong)?;
                    (from, if piece.contains('/') { form.to } else { from })
                }
            };
            if from > to {
                return Err(wrong());
            }
            bits = (from..=to).step_by(step).fold(bits, |bits, number| bits | 1 << number);
        }
        Ok(Field { bits, is_any: text.starts_with('*') })
    }

    fn has(self, number: i8) -> bool {
        self.bits >> number & 1 == 1
    }
}

impl Form {
    fn number(&self, text: &str) -> Option<u32> {
        let word = self.words.iter().position(|word| word.eq_ignore_ascii_case(text));
        let number = match word.and_then(|at| u32::try_from(at).ok()) {
            Some(at) => self.words_from + at,
            None if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok()?,
            None => return None,
        };
        (self.from..=self.to).contains(&number).then_some(number)
    }
}

/// An instant in UTC as a part of a name, such as `20261123T020000Z`.
pub fn stamp(instant_ms: i64) -> String {
    let Ok(instant) = Timestamp::from_millisecond(instant_ms) else { return instant_ms.to_string() };
    let t = TimeZone::UTC.to_datetime(instant);
    let (year, month, day) = (t.year(), t.month(), t.day());
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", t.hour(), t.minute(), t.second())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next instants behind a moment, as UTC.
    fn next(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::parse(cron, zone).unwrap();
        let mut at: i64 = after.parse::<Timestamp>().unwrap().as_millisecond();
        let mut found = Vec::new();
        for _ in 0..count {
            at = schedule.next_after(at).unwrap();
            found.push(stamp(at));
        }
        found
    }

    #[test]
    fn fields_name_minutes_hours_and_days() {
        let weekday = next("30 2 * * 1-5", "UTC", "2026-11-20T02:30:00Z", 2);
        assert_eq!(weekday, ["20261123T023000Z", "20261124T023000Z"]);
        let steps = next("*/20,59 0 * * *", "UTC", "2026-11-23T00:00:00Z", 4);
        assert_eq!(steps, ["20261123T002000Z", "20261123T004000Z", "20261123T005900Z", "20261124T000000Z"]);
        assert_eq!(next("0 0 29 feb *", "UTC", "2026-01-01T00:00:00Z", 1), ["20280229T000000Z"]);
        // Sunday has two numbers, and a day that fits either field is meant.
        for sunday in ["0", "7", "SUN"] {
            let found = next(&format!("0 0 13 * {sunday}"), "UTC", "2026-11-08T00:00:00Z", 2);
            assert_eq!(found, ["20261113T000000Z", "20261115T000000Z"]);
        }
        assert_eq!(next("0 0 */2 * 1", "UTC", "2026-11-02T00:00:00Z", 1), ["20261109T000000Z"]);
    }

    #[test]
    fn clocks_are_those_of_the_zone() {
        assert_eq!(next("0 9 * * *", "Asia/Kolkata", "2026-11-23T00:00:00Z", 1), ["20261123T033000Z"]);
        let berlin = next("0 2 * * *", "Europe/Berlin", "2026-07-01T12:00:00Z", 1);
        assert_eq!(berlin, ["20260702T000000Z"]);
    }

    #[test]
    fn what_a_clock_leaps_over_comes_once_at_the_leap() {
        // On 8 March 2026 the clocks of New York leap from 2:00 to 3:00, which is 7:00 UTC.
        let found = next("30 2 * * *", "America/New_York", "2026-03-07T00:00:00Z", 3);
        assert_eq!(found, ["20260307T073000Z", "20260308T070000Z", "20260309T063000Z"]);
        let found = next("*/30 * * * *", "America/New_York", "2026-03-08T06:00:00Z", 3);
        assert_eq!(found, ["20260308T063000Z", "20260308T070000Z", "20260308T073000Z"]);
        // Lord Howe leaps by half an hour only, Samoa once by a whole day.
        let found = next("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", 1);
        assert_eq!(found, ["20261003T153000Z"]);
        assert_eq!(next("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", 1), ["20111230T100000Z"]);
    }

    #[test]
    fn what_a_clock_shows_twice_comes_once() {
        // On 1 November 2026 the clocks of New York go back from 2:00 to 1:00.
        let found = next("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2);
        assert_eq!(found, ["20261101T053000Z", "20261102T063000Z"]);
        let found = next("0 * * * *", "America/New_York", "2026-11-01T04:30:00Z", 3);
        assert_eq!(found, ["20261101T050000Z", "20261101T070000Z", "20261101T080000Z"]);
    }

    #[test]
    fn instants_only_go_forward_in_any_zone() {
        for zone in ["UTC", "Europe/Berlin", "America/St_Johns", "Africa/Casablanca", "Pacific/Chatham"] {
            let schedule = Schedule::parse("*/7 1-3 * * *", zone).unwrap();
            let mut at = 1_767_225_600_000;
            for _ in 0..12_000 {
                let next = schedule.next_after(at).unwrap();
                assert!(next > at, "{zone} {}", stamp(at));
                // From anywhere in between, the next one is the same.
                assert_eq!(schedule.next_after(at + (next - at) / 2), Some(next), "{zone} {}", stamp(at));
                at = next;
            }
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused_by_its_field() {
        for (cron, zone, word) in [
            ("0 0 * *", "UTC", "five fields"),
            ("60 0 * * *", "UTC", "field minute"),
            ("0 24 * * *", "UTC", "field hour"),
            ("0 0 0 * *", "UTC", "field day of month"),
            ("0 0 * 13 *", "UTC", "field month"),
            ("0 0 * * 8", "UTC", "field day of week"),
            ("5-1 0 * * *", "UTC", "field minute"),
            ("*/0 0 * * *", "UTC", "field minute"),
            ("+1 0 * * *", "UTC", "field minute"),
            (", 0 * * *", "UTC", "field minute"),
            ("0 0 30 2 *", "UTC", "No day ever"),
            ("0 0 * * *", "Mars/Olympus", "time zone \"Mars/Olympus\""),
        ] {
            let refused = Schedule::parse(cron, zone).unwrap_err();
            assert!(refused.message().contains(word), "{cron}: {refused}");
        }
    }
}
