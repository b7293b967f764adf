//! Keys as bytes: the order of listings, and where a prefix ends in it.

use std::borrow::Cow;

/// The least byte string behind all that begin with `prefix`; `None` when there is none.
pub fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte < 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// The part of `key` up to and including the first delimiter behind the prefix.
pub fn common_prefix<'k>(key: &'k [u8], prefix: &[u8], delimiter: &[u8]) -> Option<&'k [u8]> {
    if delimiter.is_empty() {
        return None;
    }
    let rest = key.get(prefix.len()..)?;
    let at = rest.windows(delimiter.len()).position(|window| window == delimiter)?;
    Some(&key[..prefix.len() + at + delimiter.len()])
}

/// A stored key as text; keys come in as text, so nothing is lost.
pub fn text(key: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_prefix_no_key_begins_with_it() {
        assert_eq!(behind(b"a/").unwrap(), b"a0");
        assert_eq!(behind(b"a\xff").unwrap(), b"b");
        assert_eq!(behind(b"\xff\xff"), None);
        assert_eq!(behind(b""), None);
    }

    #[test]
    fn a_common_prefix_ends_at_the_first_delimiter_behind_the_prefix() {
        assert_eq!(common_prefix(b"a/b/c", b"", b"/").unwrap(), b"a/");
        assert_eq!(common_prefix(b"a/b/c", b"a/", b"/").unwrap(), b"a/b/");
        assert_eq!(common_prefix(b"a/b", b"a/", b"/"), None);
        assert_eq!(common_prefix(b"a--b--c", b"a", b"--").unwrap(), b"a--");
    }
}
