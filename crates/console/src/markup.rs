//! How values look on pages.

use std::fmt::{self, Display, Formatter};

use serde_json::Value;

/// A status in words: `CREATE IN_PROGRESS` is *Create in progress*.
pub fn status(word: &str) -> String {
    let words = word.replace('_', " ").to_lowercase();
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The class of a status's badge.
pub fn tone(word: &str) -> &'static str {
    match word {
        "ACTIVE" | "COMPLETED" | "Enabled" => "good",
        _ if word.contains("FAILED") => "bad",
        _ if word.contains("PENDING") || word.contains("PROGRESS") || word.contains("STOPPING") => "busy",
        _ => "calm",
    }
}

/// A number with blanks between its thousands.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let first = digits.len() % 3;
    let mut text = digits[..first].to_owned();
    for group in digits.as_bytes()[first..].chunks(3) {
        if !text.is_empty() {
            text.push('\u{202f}');
        }
        text.push_str(&String::from_utf8_lossy(group));
    }
    text
}

/// A size in the largest unit of 1,024 that leaves more than one.
pub fn size(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let unit = (0..units.len() - 1).find(|unit| bytes >> (10 * (unit + 1)) == 0).unwrap_or(units.len() - 1);
    if unit == 0 {
        return if bytes == 1 { "1 byte".to_owned() } else { format!("{} bytes", number(bytes)) };
    }
    let tenths = (u128::from(bytes) * 10) >> (10 * unit);
    format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
}

/// Seconds as a person says them.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// JSON that is one long line in lines, its members in the order in which they were written; other text as its author
/// set it.
pub fn pretty(text: &str) -> String {
    if text.contains('\n') || serde_json::from_str::<Value>(text).is_err() {
        return text.to_owned();
    }
    let (mut lines, mut depth, mut characters) = (String::new(), 0, text.chars().peekable());
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                lines.push('"');
                copy_string(&mut characters, &mut lines);
            }
            '{' | '[' => {
                while characters.next_if(|next| next.is_whitespace()).is_some() {}
                lines.push(character);
                match characters.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => lines.push(end),
                    None => {
                        depth += 1;
                        indent(&mut lines, depth);
                    }
                }
            }
            '}' | ']' => {
                depth -= 1;
                indent(&mut lines, depth);
                lines.push(character);
            }
            ',' => {
                lines.push(',');
                indent(&mut lines, depth);
            }
            ':' => lines.push_str(": "),
            _ if character.is_whitespace() => {}
            _ => lines.push(character),
        }
    }
    lines
}

// To its end, which an escaped quote is not.
fn copy_string(characters: &mut impl Iterator<Item = char>, lines: &mut String) {
    while let Some(character) = characters.next() {
        lines.push(character);
        match character {
            '"' => return,
            '\\' => lines.extend(characters.next()),
            _ => {}
        }
    }
}

fn indent(lines: &mut String, depth: usize) {
    lines.push('\n');
    lines.extend(std::iter::repeat_n("  ", depth));
}

/// A moment: in UTC for whoever has no script, and for machines.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moment {
    pub seconds: f64,
}

impl Moment {
    /// A time as the service gives it, in seconds.
    pub fn of(value: &Value) -> Moment {
        Moment { seconds: value.as_f64().unwrap_or_default() }
    }

    pub fn is_known(self) -> bool {
        self.seconds > 0.0
    }

    /// As ISO 8601 has it.
    pub fn iso(self) -> String {
        let (year, month, day, seconds) = self.parts();
        let (hour, minute, second) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    // Days since 1970 as a date: Howard Hinnant's `civil_from_days`.
    #[expect(clippy::cast_possible_truncation, reason = "moments are of these centuries")]
    fn parts(self) -> (i64, i64, i64, i64) {
        let all = self.seconds as i64;
        let (days, seconds) = (all.div_euclid(86_400) + 719_468, all.rem_euclid(86_400));
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let shifted = (5 * of_year + 2) / 153;
        let (day, month) = (of_year - (153 * shifted + 2) / 5 + 1, (shifted + 2) % 12 + 1);
        (year + era * 400 + i64::from(month <= 2), month, day, seconds)
    }
}

impl Display for Moment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let iso = self.iso();
        write!(f, "{} {} UTC", &iso[..10], &iso[11..19])
    }
}

/// A name that nobody has taken yet, made of what it is and the time.
pub fn fresh_name(what: &str, now_ms: i64) -> String {
    let iso = Moment { seconds: now_ms as f64 / 1000.0 }.iso();
    let digits: String = iso.chars().filter(char::is_ascii_digit).collect();
    format!("{what}-{}-{}", &digits[..8], &digits[8..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sizes_and_statuses_read_well() {
        assert_eq!((number(0).as_str(), number(1_234_567).as_str()), ("0", "1\u{202f}234\u{202f}567"));
        assert_eq!((size(0).as_str(), size(1).as_str()), ("0 bytes", "1 byte"));
        assert_eq!((size(1023).as_str(), size(1536).as_str()), ("1\u{202f}023 bytes", "1.5 KiB"));
        assert_eq!(size(u64::MAX), "16777215.9 TiB");
        assert_eq!(status("CREATE IN_PROGRESS"), "Create in progress");
    }

    #[test]
    fn json_is_put_in_lines_and_keeps_its_order() {
        let text = r#"{"b":[ ] ,"a":{"x":[1, {"":"a, \": {"}],"n":-1.50e3}}"#;
        let lines = "{\n  \"b\": [],\n  \"a\": {\n    \"x\": [\n      1,\n      {\n        \"\": \"a, \\\": {\"\n      }\n    ],\n    \
            \"n\": -1.50e3\n  }\n}";
        assert_eq!(pretty(text), lines);
        assert_eq!(pretty(lines), lines);
        assert_eq!((pretty("{").as_str(), pretty("").as_str(), pretty(" null ").as_str()), ("{", "", "null"));
    }

    #[test]
    fn a_moment_is_written_in_utc() {
        assert_eq!(Moment { seconds: 1_709_210_096.789 }.to_string(), "2024-02-29 12:34:56 UTC");
        assert_eq!(fresh_name("export", 0), "export-19700101-000000");
    }
}
