//! The times that signatures carry: `20130524T000000Z`, or the HTTP date that older signers sign instead.

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

const BASIC: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second]");

/// When a request was signed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Timestamp {
    /// As it is signed, `20130524T000000Z`.
    pub text: String,
    /// Milliseconds since the epoch.
    pub ms: i64,
}

impl Timestamp {
    /// Reads the form of X-Amz-Date.
    pub fn basic(text: &str) -> Option<Timestamp> {
        let digits = |range: std::ops::Range<usize>| {
            let digits = text.get(range).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
            digits.parse::<u16>().ok()
        };
        let small = |start: usize| digits(start..start + 2).and_then(|number| u8::try_from(number).ok());
        if text.len() != 16 || text.get(8..9) != Some("T") || !text.ends_with('Z') {
            return None;
        }
        let month = Month::try_from(small(4)?).ok()?;
        let date = Date::from_calendar_date(i32::from(digits(0..4)?), month, small(6)?).ok()?;
        let time = Time::from_hms(small(9)?, small(11)?, small(13)?).ok()?;
        let ms = PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp() * 1000;
        Some(Timestamp { text: text.to_owned(), ms })
    }

    /// Reads the form of the Date header, or that of X-Amz-Date, which signers put there too.
    pub fn date(text: &str) -> Option<Timestamp> {
        let zones = [" GMT", " -0000", " +0000"];
        let http = zones.iter().find_map(|zone| text.strip_suffix(zone));
        match http {
            Some(http) => Timestamp::of(PrimitiveDateTime::parse(http, HTTP_DATE).ok()?),
            None => Timestamp::basic(text),
        }
    }

    /// The day, `20130524`.
    pub fn day(&self) -> &str {
        &self.text[..8]
    }

    fn of(time: PrimitiveDateTime) -> Option<Timestamp> {
        // A five-digit year would move the day out of its eight characters.
        let text = time.format(BASIC).ok().filter(|text| text.len() == 16)?;
        Some(Timestamp { text, ms: time.assume_utc().unix_timestamp() * 1000 })
    }
}

/// The text form of a time in milliseconds since the epoch, for messages.
pub(super) fn text(ms: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.to_offset(UtcOffset::UTC).format(BASIC).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_second() {
        let basic = Timestamp::basic("20130524T000000Z").unwrap();
        assert_eq!(Timestamp::date("Fri, 24 May 2013 00:00:00 GMT"), Some(basic.clone()));
        assert_eq!((basic.ms, basic.day()), (1_369_353_600_000, "20130524"));
        assert_eq!(text(basic.ms), basic.text);
    }

    #[test]
    fn other_texts_are_no_times() {
        for wrong in ["", "20130524", "2013-05-24T00:00:00Z", "20131324T000000Z", "20130524T000000", "é"] {
            assert_eq!(Timestamp::date(wrong), None, "{wrong}");
        }
    }

    // The signer writes with one and the verifier reads with the other.
    #[test]
    fn what_is_written_is_read_and_all_else_refused() {
        for ms in [0, 951_782_400_000, 1_369_353_599_000, 4_102_444_800_000] {
            assert_eq!(Timestamp::basic(&text(ms)), Some(Timestamp { text: text(ms), ms }));
        }
        let good = text(1_369_353_600_000);
        for at in 0..good.len() {
            for other in ["x", "+", "-", " ", "é"] {
                let wrong = format!("{}{other}{}", &good[..at], &good[at + 1..]);
                assert_eq!(Timestamp::basic(&wrong), None, "{wrong}");
            }
        }
        for wrong in ["20130230T000000Z", "20130524T240000Z", "20130524T006000Z", "20130524T000060Z"] {
            assert_eq!(Timestamp::basic(wrong), None, "{wrong}");
        }
    }
}
