//! The parameters behind the question mark of a path.

use percent_encoding::percent_decode_str;

/// Names and values, in their order; values are decoded.
pub fn parameters(text: Option<&str>) -> impl Iterator<Item = (&str, String)> {
    text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name, percent_decode_str(value).decode_utf8_lossy().into_owned())
    })
}
