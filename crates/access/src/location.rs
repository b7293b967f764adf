//! Places in S3: which names a bucket can have, and how `s3://bucket/key` is read.

/// A bucket, and a key or the beginning of keys in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Location {
    pub bucket: String,
    /// Everything behind the slash that follows the bucket; empty for the whole bucket.
    pub key: String,
}

/// The most bytes that a key has.
const KEY_SIZE_MAX: usize = 1024;

impl S3Location {
    /// Reads `s3://bucket`, `s3://bucket/` or `s3://bucket/prefix`; the key is taken as it stands.
    pub fn parse(text: &str) -> Option<S3Location> {
        let rest = text.strip_prefix("s3://")?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        (is_bucket_name(bucket) && key.len() <= KEY_SIZE_MAX)
            .then(|| S3Location { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// What the keys of a folder here begin with: empty, or ending in a slash.
    pub fn prefix(&self) -> String {
        let slash = if self.key.is_empty() || self.key.ends_with('/') { "" } else { "/" };
        format!("{}{slash}", self.key)
    }
}

/// Whether a bucket can have this name.
///
/// Source: "General purpose bucket naming rules" of the S3 guide.
pub fn is_bucket_name(name: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let is_edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes.iter().copied().all(is_inner)
        && is_edge(bytes.first())
        && is_edge(bytes.last())
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
        && !["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|reserved| name.starts_with(reserved))
        && !["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"]
            .iter()
            .any(|reserved| name.ends_with(reserved))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_bucket_and_a_key() {
        for (text, bucket, key) in [
            ("s3://retail-data/in/items.csv", "retail-data", "in/items.csv"),
            ("s3://retail-data", "retail-data", ""),
            ("s3://retail-data/", "retail-data", ""),
            ("s3://b.1//x/", "b.1", "/x/"),
        ] {
            let location = S3Location::parse(text).unwrap();
            assert_eq!((location.bucket.as_str(), location.key.as_str()), (bucket, key));
        }
    }

    #[test]
    fn what_no_bucket_can_be_called_is_no_location() {
        let long = format!("s3://{}/k", "b".repeat(64));
        let deep = format!("s3://bucket/{}", "k".repeat(1025));
        for text in [
            "s3://",
            "s3:///k",
            "s3://ab/k",
            "s3://Bucket/k",
            "s3://-ab/k",
            "s3://ab-/k",
            "s3://a..b/k",
            "s3://10.0.0.1/k",
            "s3://bucket_1/k",
            "http://bucket/k",
            "S3://bucket/k",
            "s3://bu cket/k",
            "s3://xn--abc/k",
            "s3://abc-s3alias/k",
            "s3://abc--x-s3/k",
            "s3://user@host/k",
            &long,
            &deep,
        ] {
            assert_eq!(S3Location::parse(text), None, "{text}");
        }
    }
}
