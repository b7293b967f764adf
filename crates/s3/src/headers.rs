//! What an object carries besides its bytes: standard headers and the user's metadata.

use std::collections::BTreeMap;

use s3s::dto::{Timestamp, TimestampFormat};
use s3s::{S3ErrorCode, S3Result};
use serde::{Deserialize, Serialize};

use crate::error::{damaged, refuse};

/// Headers that are given back with the object as they came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Headers {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    /// An HTTP date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Names without `x-amz-meta-`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// The headers that an s3s input of an object's creation states.
macro_rules! stated_headers {
    ($input:expr) => {
        $crate::headers::Headers {
            content_type: $input.content_type.clone(),
            cache_control: $input.cache_control.clone(),
            content_disposition: $input.content_disposition.clone(),
            content_encoding: $input.content_encoding.clone(),
            content_language: $input.content_language.clone(),
            expires: $input.expires.as_ref().and_then($crate::headers::http_date),
            metadata: $input.metadata.clone().unwrap_or_default().into_iter().collect(),
        }
        .checked()
    };
}
pub(crate) use stated_headers;

/// Writes the headers into the fields that the outputs of GetObject and HeadObject have for them.
macro_rules! show_headers {
    ($output:expr, $headers:expr) => {
        let headers = $headers;
        $output.content_type = Some(headers.content_type.unwrap_or_else(|| "binary/octet-stream".to_owned()));
        $output.cache_control = headers.cache_control;
        $output.content_disposition = headers.content_disposition;
        $output.content_encoding = headers.content_encoding;
        $output.content_language = headers.content_language;
        $output.expires = headers.expires.as_deref().and_then($crate::headers::read_http_date);
        $output.metadata = Some(headers.metadata.into_iter().collect());
    };
}
pub(crate) use show_headers;

/// Source: "Working with object metadata", names and values count together.
const METADATA_BYTES_MAX: usize = 2048;

impl Headers {
    /// # Errors
    /// `MetadataTooLarge` above 2 KB.
    pub fn checked(self) -> S3Result<Headers> {
        let size: usize = self.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > METADATA_BYTES_MAX {
            let text = format!("Your metadata headers have {size} bytes; {METADATA_BYTES_MAX} are allowed.");
            return Err(refuse(S3ErrorCode::MetadataTooLarge, text));
        }
        Ok(self)
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings are always JSON")
    }

    pub fn from_json(text: &str) -> S3Result<Headers> {
        serde_json::from_str(text).map_err(|_| damaged("an object's headers"))
    }
}

pub fn http_date(time: &Timestamp) -> Option<String> {
    let mut text = Vec::new();
    time.format(TimestampFormat::HttpDate, &mut text).ok()?;
    String::from_utf8(text).ok()
}

pub fn read_http_date(text: &str) -> Option<Timestamp> {
    Timestamp::parse(TimestampFormat::HttpDate, text).ok()
}

/// The moment of `ms` milliseconds since the epoch.
pub fn timestamp(ms: i64) -> Timestamp {
    let time = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000);
    time.map(Timestamp::from).unwrap_or_default()
}

/// Whole seconds since the epoch, in milliseconds.
pub fn seconds(time: &Timestamp) -> i64 {
    time::OffsetDateTime::from(time.clone()).unix_timestamp() * 1000
}
