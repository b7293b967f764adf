//! How the values of options are read and refused.

use crate::error::Error;

pub fn wrong(key: &str, value: &str, allowed: &str) -> Error {
    Error::invalid(format!("The option {key} must be {allowed}, and is \"{value}\"."))
}

const UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// A size in bytes, or with a unit: `64MiB`.
pub fn size(text: &str) -> Option<u64> {
    let unit = UNITS.iter().find_map(|(name, bytes)| Some((text.strip_suffix(name)?, *bytes)));
    let (number, unit) = unit.unwrap_or((text, 1));
    number.trim().parse::<u64>().ok()?.checked_mul(unit)
}
