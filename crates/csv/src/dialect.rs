//! The two ways to read what stands between double quotes.

/// How quoted text is read. Outside quotes both take every byte as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The documented form of imports: `\"` and `\\` are a quote and a backslash, `""` is a quote, a backslash
    /// before anything else is a backslash.
    ///
    /// Source: "Preparing and importing data", text fields of items.
    Aws,
    /// What exports are written in: `""` is a quote, a backslash is always a backslash.
    Rfc4180,
}

impl Dialect {
    /// What may stand before a quote within quotes so that it closes nothing.
    #[inline]
    pub(crate) fn escape(self) -> u8 {
        if self == Dialect::Aws { b'\\' } else { b'"' }
    }

    /// Appends what `content`, the bytes between two quotes, stands for.
    pub(crate) fn unescape(self, mut content: &[u8], out: &mut Vec<u8>) {
        while let Some(at) = self.find_pair(content) {
            out.extend_from_slice(&content[..at]);
            out.push(content[at + 1]);
            content = &content[at + 2..];
        }
        out.extend_from_slice(content);
    }

    // Where the first two bytes stand that mean the second of them.
    fn find_pair(self, content: &[u8]) -> Option<usize> {
        let mut from = 0;
        loop {
            let at = from + self.find_special(&content[from..])?;
            match content.get(at + 1) {
                Some(b'"') => return Some(at),
                Some(b'\\') if content[at] == b'\\' => return Some(at),
                _ => from = at + 1,
            }
        }
    }

    // The first byte in quoted text that may mean something else than itself.
    fn find_special(self, quoted: &[u8]) -> Option<usize> {
        match self {
            Dialect::Aws => memchr::memchr2(b'"', b'\\', quoted),
            Dialect::Rfc4180 => memchr::memchr(b'"', quoted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unescaped(dialect: Dialect, content: &str) -> String {
        let mut out = Vec::new();
        dialect.unescape(content.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn backslashes_escape_in_one_dialect_only() {
        let content = r#"a\"b""c\\d\e\"#;
        assert_eq!(unescaped(Dialect::Aws, content), r#"a"b"c\d\e\"#);
        assert_eq!(unescaped(Dialect::Rfc4180, r#"b""c\\d\e\"#), r#"b"c\\d\e\"#);
    }

    #[test]
    fn an_escaped_backslash_escapes_nothing() {
        assert_eq!(unescaped(Dialect::Aws, r#"\\\"\\"#), r#"\"\"#);
    }
}
