//! What a certificate says of itself: whether its issuer is its subject, and when it ends.
//!
//! Source: RFC 5280, section 4.1, in the encoding of X.690.

use time::{Date, Month, PrimitiveDateTime, Time};

const SEQUENCE: u8 = 0x30;
/// A time with two digits for the year: 1950 to 2049.
const UTC_TIME: u8 = 0x17;
/// A time with four.
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which stands first where it stands at all.
const VERSION: u8 = 0xa0;

/// False also for what is no certificate.
pub fn is_own(certificate: &[u8]) -> bool {
    fields(certificate).is_some_and(|fields| fields.issuer == fields.subject)
}

/// When a certificate ends, in seconds since the epoch; `None` for what is no certificate.
pub fn end_s(certificate: &[u8]) -> Option<i64> {
    let (_, _, rest) = element(fields(certificate)?.validity)?;
    let (kind, text, _) = element(rest)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match kind {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i32 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let number = |at: usize| rest.get(at..at + 2)?.parse::<u8>().ok();
    let date = Date::from_calendar_date(year, Month::try_from(number(0)?).ok()?, number(2)?).ok()?;
    let time = Time::from_hms(number(4)?, number(6)?, number(8)?).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp())
}

struct Fields<'a> {
    issuer: &'a [u8],
    validity: &'a [u8],
    subject: &'a [u8],
}

fn fields(certificate: &[u8]) -> Option<Fields<'_>> {
    let (SEQUENCE, whole, _) = element(certificate)? else { return None };
    let (SEQUENCE, signed, _) = element(whole)? else { return None };
    let (first, _, behind) = element(signed)?;
    let rest = if first == VERSION { element(behind)?.2 } else { behind };
    let (_, _, rest) = element(rest)?;
    let (_, issuer, rest) = element(rest)?;
    let (_, validity, rest) = element(rest)?;
    let (_, subject, _) = element(rest)?;
    Some(Fields { issuer, validity, subject })
}

/// Tag, content, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(content: &[u8]) -> Vec<u8> {
        [&[SEQUENCE, u8::try_from(content.len()).unwrap()], content].concat()
    }

    /// The beginning of a certificate.
    fn certificate(version: &[u8], issuer: &str, subject: &str) -> Vec<u8> {
        let name = |text: &str| sequence(text.as_bytes());
        let signed =
            [version, &[2, 1, 7], &sequence(b"alg"), &name(issuer), &sequence(b"time"), &name(subject)]
                .concat();
        sequence(&sequence(&signed))
    }

    #[test]
    fn the_issuer_is_told_from_the_subject() {
        for version in [&[][..], &[VERSION, 3, 2, 1, 2]] {
            assert!(is_own(&certificate(version, "me", "me")));
            assert!(!is_own(&certificate(version, "an authority", "me")));
        }
    }

    #[test]
    fn the_end_is_told_in_either_form() {
        let ending = |kind: u8, end: &str| {
            let time = |kind: u8, text: &str| {
                [&[kind, u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat()
            };
            let validity = sequence(&[time(UTC_TIME, "200101000000Z"), time(kind, end)].concat());
            let fields =
                [&[2, 1, 7][..], &sequence(b"alg"), &sequence(b"me"), &validity, &sequence(b"me")].concat();
            end_s(&sequence(&sequence(&fields)))
        };
        assert_eq!(ending(UTC_TIME, "260921141320Z"), Some(1_790_000_000));
        assert_eq!(ending(GENERALIZED_TIME, "20260921141320Z"), Some(1_790_000_000));
        assert_eq!(ending(UTC_TIME, "991231235959Z"), Some(946_684_799));
        for wrong in ["", "Z", "260921141320", "261321141320Z", "26092114132", "ü60921141320Z"] {
            assert_eq!(ending(UTC_TIME, wrong), None, "{wrong}");
        }
        assert_eq!(ending(2, "260921141320Z"), None);
    }

    #[test]
    fn what_is_cut_off_vouches_for_nobody() {
        let whole = certificate(&[], "me", "me");
        for end in 0..whole.len() {
            assert!(!is_own(&whole[..end]), "{end}");
        }
        assert!(!is_own(&[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff]));
    }
}
