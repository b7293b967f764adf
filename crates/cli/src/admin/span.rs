//! Spans of time as people write them: `90d`, `24h`, `30m`, `10s`.

use std::str::FromStr;

/// A number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub seconds: u64,
}

const UNITS: [(char, u64); 5] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400), ('w', 7 * 86_400)];
/// A hundred years: what is longer is a slip.
const SECONDS_MAX: u64 = 100 * 365 * 86_400;

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let unit = UNITS.iter().find_map(|(name, seconds)| Some((text.strip_suffix(*name)?, *seconds)));
        let seconds = match unit {
            Some((number, unit)) => number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)),
            // Nothing is nothing in all units.
            None => (text == "0").then_some(0),
        };
        let seconds = seconds.filter(|seconds| *seconds <= SECONDS_MAX);
        seconds
            .map(|seconds| Span { seconds })
            .ok_or_else(|| format!("{text} is no span of time; write one such as 90d, 24h, 30m or 10s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_numbers_with_a_unit() {
        for (text, seconds) in
            [("90d", 7_776_000), ("24h", 86_400), ("30m", 1_800), ("0s", 0), ("0", 0), ("1w", 604_800)]
        {
            assert_eq!(text.parse(), Ok(Span { seconds }), "{text}");
        }
        for text in ["", "5", "d", "-1d", "1.5h", "1y", "99999999d"] {
            assert!(text.parse::<Span>().unwrap_err().contains("24h"), "{text}");
        }
    }
}
