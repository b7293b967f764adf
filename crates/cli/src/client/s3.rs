//! Objects read as any S3 client reads them: listed, looked at, opened piece by piece.

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use hyper::body::Incoming;
use model::error::{Error, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Client, Plain};

const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
pub(super) const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An object as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub size_bytes: u64,
}

impl Client {
    /// Opens an object; its body is read piece by piece.
    pub async fn s3_open(&self, bucket: &str, key: &str) -> Result<Response<Incoming>> {
        self.open(request(Method::GET, path(bucket, key), vec![])).await
    }

    /// What the store knows of an object, its checksum included.
    pub async fn s3_head(&self, bucket: &str, key: &str) -> Result<HeaderMap> {
        let headers = vec![("x-amz-checksum-mode", "ENABLED".to_owned())];
        let answer = self.open(request(Method::HEAD, path(bucket, key), headers)).await?;
        Ok(answer.headers().clone())
    }

    /// All objects whose keys begin with `prefix`.
    pub async fn s3_list(&self, bucket: &str, prefix: &str) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let value = |text: &str| utf8_percent_encode(text, VALUE).to_string();
            let after =
                token.map(|token| format!("&continuation-token={}", value(&token))).unwrap_or_default();
            let path = format!("/{bucket}?list-type=2{after}&prefix={}", value(prefix));
            let page = self.send(request(Method::GET, path, vec![])).await?;
            let page = String::from_utf8_lossy(&page).into_owned();
            entries.extend(page.split("<Contents>").skip(1).map(entry).collect::<Result<Vec<_>>>()?);
            token = element(&page, "NextContinuationToken");
            if token.is_none() {
                return Ok(entries);
            }
        }
    }
}

pub(super) fn request(method: Method, path: String, headers: Vec<(&'static str, String)>) -> Plain<'static> {
    Plain { service: "s3", method, path, headers, body: Bytes::new() }
}

pub(super) fn path(bucket: &str, key: &str) -> String {
    format!("/{bucket}/{}", utf8_percent_encode(key, KEY))
}

fn entry(xml: &str) -> Result<Entry> {
    let key = element(xml, "Key");
    let size_bytes = element(xml, "Size").and_then(|size| size.parse().ok());
    let (Some(key), Some(size_bytes)) = (key, size_bytes) else {
        return Err(Error::unavailable("the store's list of objects can't be read"));
    };
    Ok(Entry { key, size_bytes })
}

/// The text of the first element of this name.
pub fn element(xml: &str, name: &str) -> Option<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let (_, rest) = xml.split_once(&open)?;
    let (text, _) = rest.split_once(&close)?;
    Some(quick_xml::escape::unescape(text).map_or_else(|_| text.to_owned(), |text| text.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_encoded_but_for_its_slashes() {
        assert_eq!(path("b", "out/a b+c/ü.csv"), "/b/out/a%20b%2Bc/%C3%BC.csv");
    }

    #[test]
    fn an_element_is_read_with_its_escapes() {
        let xml = "<Contents><Key>a&amp;b &lt;c&gt;</Key><Size>12</Size></Contents>";
        assert_eq!(entry(xml).unwrap(), Entry { key: "a&b <c>".into(), size_bytes: 12 });
        assert!(entry("<Key>a</Key>").is_err());
    }
}
