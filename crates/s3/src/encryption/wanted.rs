//! What a request, or a bucket's default, asks for: read from headers, kept as JSON.

use std::collections::BTreeMap;

use access::key::{EncryptionContext, OBJECT_CONTEXT};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use s3s::{S3Error, S3Result};
use serde::{Deserialize, Serialize};

use super::{Algorithm, HEADER, invalid};
use crate::error::{damaged, not_offered};
use crate::integrity::header;

/// What a request, or a bucket's default, asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    pub algorithm: Algorithm,
    /// As it was sent: an id, an ARN or an alias.
    pub key: Option<String>,
    pub bucket_key: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub context: EncryptionContext,
}

impl Wanted {
    /// What the headers of a request ask for.
    ///
    /// # Errors
    /// `InvalidArgument` for what does not fit together; `NotImplemented` without a key of KMS.
    pub fn of_request(headers: &HeaderMap) -> S3Result<Option<Wanted>> {
        let more = |name: &str| header(headers, &format!("{HEADER}-{name}"));
        let (key, context) = (more("aws-kms-key-id"), more("context"));
        let bucket_key = more("bucket-key-enabled").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let Some(name) = header(headers, HEADER) else {
            return match key.or(context) {
                None => Ok(None),
                Some(_) => Err(invalid(&format!("{HEADER}: aws:kms must come with the name of a key."))),
            };
        };
        let algorithm = Algorithm::parse(name).ok_or_else(|| unknown(name))?;
        let context = context.map(read_context).transpose()?.unwrap_or_default();
        Wanted { algorithm, key: key.map(str::to_owned), bucket_key, context }.checked().map(Some)
    }

    /// # Errors
    /// `InvalidArgument` for a key or a context beside AES256; `NotImplemented` without a key of KMS.
    pub fn checked(self) -> S3Result<Wanted> {
        match (self.algorithm, &self.key) {
            (Algorithm::Kms, None) => {
                Err(not_offered("This server has no key of its own in KMS for S3: name the key to use."))
            }
            (Algorithm::Aes256, Some(_)) => Err(invalid("A key of KMS goes with aws:kms, not with AES256.")),
            (Algorithm::Aes256, None) if !self.context.is_empty() => {
                Err(invalid("An encryption context goes with aws:kms, not with AES256."))
            }
            _ => Ok(self),
        }
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings are always JSON")
    }

    pub fn from_json(text: &str) -> S3Result<Wanted> {
        serde_json::from_str(text).map_err(|_| damaged("a bucket's encryption"))
    }
}

fn read_context(text: &str) -> S3Result<EncryptionContext> {
    let bytes = STANDARD.decode(text).ok();
    let context: Option<EncryptionContext> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let context = context.filter(|context| !context.contains_key(OBJECT_CONTEXT));
    context.ok_or_else(|| {
        invalid(&format!(
            "{HEADER}-context must be Base64 of a JSON object of texts, without {OBJECT_CONTEXT}."
        ))
    })
}

fn unknown(name: &str) -> S3Error {
    not_offered(format!("The encryption {name} is not offered by this server: there are aws:kms and AES256."))
}
