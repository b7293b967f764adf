//! Sizes as people write them: `256MiB`, `1GB`, `4096`.

use std::str::FromStr;

use serde::Deserialize;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Size {
    pub bytes: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Bytes(u64),
    Text(String),
}

const UNITS: [(&str, u64); 8] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("b", 1),
];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let lower = text.trim().to_ascii_lowercase();
        let unit = UNITS.iter().find_map(|(name, bytes)| Some((lower.strip_suffix(name)?, *bytes)));
        let (number, unit) = unit.unwrap_or((&lower, 1));
        let bytes = number.trim().parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
        bytes
            .map(|bytes| Size { bytes })
            .ok_or_else(|| format!("{text} is no size; write one such as 256MiB"))
    }
}

impl TryFrom<Written> for Size {
    type Error = String;

    fn try_from(written: Written) -> Result<Size, String> {
        match written {
            Written::Bytes(bytes) => Ok(Size { bytes }),
            Written::Text(text) => text.parse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in
            [("4096", 4096), ("256MiB", 256 << 20), ("1 gb", 1_000_000_000), ("2KiB", 2048), ("7B", 7)]
        {
            assert_eq!(text.parse(), Ok(Size { bytes }), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5GiB", "1PB", "99999999TiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
