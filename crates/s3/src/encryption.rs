//! Encryption that a request or its bucket asks for: with a key of KMS, or with the server's own.

mod wanted;

pub use wanted::Wanted;

use std::collections::BTreeMap;

use access::key::{EncryptionContext, OBJECT_CONTEXT};
use access::seal::KEY_BYTES;
use access::{KeyFault, Principal, SealingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode};
use s3s::{S3Error, S3ErrorCode, S3Result};
use serde::{Deserialize, Serialize};

use crate::backend::Backend;
use crate::error::{Doing, damaged, refuse, refuse_as};

/// The header that names the algorithm; all others of encryption begin like it.
pub const HEADER: &str = "x-amz-server-side-encryption";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// Under a key of KMS, as whoever makes the request.
    #[serde(rename = "aws:kms")]
    Kms,
    /// Under the server's key.
    #[serde(rename = "AES256")]
    Aes256,
}

/// How an object is encrypted; its row holds this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Encryption {
    pub algorithm: Algorithm,
    /// The ARN of the key of KMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    pub bucket_key: bool,
    /// The pairs that the request gave; the object's ARN comes beside them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub context: EncryptionContext,
    /// Base64 of the data key, encrypted under the key.
    data_key: String,
}

/// An object that is about to be encrypted.
pub struct Sealing {
    pub encryption: Encryption,
    pub key: SealingKey,
}

impl Algorithm {
    pub fn parse(name: &str) -> Option<Algorithm> {
        [Algorithm::Kms, Algorithm::Aes256].into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Kms => "aws:kms",
            Algorithm::Aes256 => "AES256",
        }
    }
}

impl Encryption {
    fn new(wanted: Wanted, key: Option<String>, data_key: &[u8]) -> Encryption {
        let Wanted { algorithm, bucket_key, context, .. } = wanted;
        Encryption { algorithm, key, bucket_key, context, data_key: STANDARD.encode(data_key) }
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings are always JSON")
    }

    pub fn from_json(text: &str) -> S3Result<Encryption> {
        serde_json::from_str(text).map_err(|_| damaged("an object's encryption"))
    }
}

/// Draws a data key for an object that the request, or else its bucket, wants encrypted.
///
/// # Errors
/// `AccessDenied` for who may not use the key; `KMS.…` for a key that is not there or out of use.
pub async fn begin(
    backend: &Backend,
    principal: &Principal,
    place: (&str, &str),
    headers: &HeaderMap,
) -> S3Result<Option<Sealing>> {
    let wanted = match Wanted::of_request(headers)? {
        Some(wanted) => wanted,
        None => match backend.index.bucket(place.0).await?.encryption {
            Some(text) => Wanted::from_json(&text)?,
            None => return Ok(None),
        },
    };
    let arn = model::arn::object(place.0, place.1);
    match wanted.key.clone() {
        Some(reference) => under_key(backend, principal, wanted, &reference, arn.as_str()).await.map(Some),
        None => {
            let (key, sealed) = backend.access.seal_server_key(arn.as_str());
            Ok(Some(Sealing { encryption: Encryption::new(wanted, None, &sealed), key }))
        }
    }
}

async fn under_key(
    backend: &Backend,
    principal: &Principal,
    wanted: Wanted,
    reference: &str,
    arn: &str,
) -> S3Result<Sealing> {
    let (action, context) = ("kms:GenerateDataKey", with_place(&wanted.context, arn));
    let made = backend.access.generate_data_key(principal, action, reference, &context, KEY_BYTES).await;
    let made = made.map_err(refused)?;
    let key = SealingKey::from_slice(&made.plaintext).ok_or("a data key has another size");
    let encryption = Encryption::new(wanted, Some(made.key.to_string()), &made.ciphertext);
    Ok(Sealing { encryption, key: key.doing("encrypt the object")? })
}

/// The data key of an object, for who may decrypt with the key that it lies under.
///
/// # Errors
/// As `begin`.
pub async fn open(
    backend: &Backend,
    principal: &Principal,
    place: (&str, &str),
    encryption: Option<&Encryption>,
) -> S3Result<Option<SealingKey>> {
    let Some(encryption) = encryption else { return Ok(None) };
    let lost = || damaged("an object's data key");
    let arn = model::arn::object(place.0, place.1);
    let sealed = STANDARD.decode(&encryption.data_key).map_err(|_| lost())?;
    let plaintext = match encryption.algorithm {
        Algorithm::Aes256 => backend.access.open_server_key(&sealed, arn.as_str()),
        Algorithm::Kms => {
            let context = with_place(&encryption.context, arn.as_str());
            let opened = backend.access.decrypt(principal, "kms:Decrypt", None, &context, &sealed).await;
            SealingKey::from_slice(&opened.map_err(refused)?.plaintext)
        }
    };
    plaintext.ok_or_else(lost).map(Some)
}

/// Refuses the headers of encryption where they say nothing, as S3 does.
///
/// # Errors
/// `InvalidArgument`.
pub fn admit(operation: &str, headers: &HeaderMap) -> S3Result<()> {
    if matches!(operation, "PutObject" | "CopyObject" | "CreateMultipartUpload") {
        return Ok(());
    }
    match headers.keys().find(|name| name.as_str().starts_with(HEADER)) {
        Some(name) => Err(invalid(&format!("{name} header is not supported for this operation."))),
        None => Ok(()),
    }
}

/// Writes into an output how its object is encrypted.
macro_rules! show_encryption {
    ($output:expr, $encryption:expr) => {
        if let Some(encryption) = $encryption {
            let encryption: &$crate::encryption::Encryption = encryption;
            $output.server_side_encryption =
                Some(s3s::dto::ServerSideEncryption::from_static(encryption.algorithm.as_str()));
            $output.ssekms_key_id = encryption.key.clone();
            $output.bucket_key_enabled = encryption.bucket_key.then_some(true);
        }
    };
}
pub(crate) use show_encryption;

// The object's ARN is in the context, so that nobody can put one object's data key into another's row.
fn with_place(context: &EncryptionContext, arn: &str) -> EncryptionContext {
    let mut whole = context.clone();
    whole.insert(OBJECT_CONTEXT.to_owned(), arn.to_owned());
    whole
}

fn refused(fault: KeyFault) -> S3Error {
    let message = fault.message();
    let kms = |code: &str| refuse_as(&format!("KMS.{code}"), StatusCode::BAD_REQUEST, &message);
    match fault {
        KeyFault::NotFound(_) | KeyFault::InvalidArn(_) => kms("NotFoundException"),
        KeyFault::Disabled(_) => kms("DisabledException"),
        KeyFault::PendingDeletion(_) => kms("KMSInvalidStateException"),
        KeyFault::Denied(_) => refuse(S3ErrorCode::AccessDenied, message),
        KeyFault::InvalidCiphertext | KeyFault::IncorrectKey => damaged("an object's data key"),
        KeyFault::Failed(error) => Err::<(), _>(error).doing("ask for a key").expect_err("it is an error"),
    }
}

fn invalid(text: &str) -> S3Error {
    refuse(S3ErrorCode::InvalidArgument, text)
}
