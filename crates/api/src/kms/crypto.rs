//! What keys do: encrypt, decrypt, make data keys.

use access::Asking;
use access::key::EncryptionContext;
use model::{Arn, Error};
use serde::{Deserialize, Serialize};
use wire::shape::{Shape, Structure, optional, required};

use super::shapes::{Blob, algorithm, blob, grant_tokens, key_id};
use super::{Kms, fault};
use crate::reply::Answer;

/// Source: Encrypt, Decrypt; in bytes.
const PLAINTEXT_MAX: usize = 4096;
const CIPHERTEXT_MAX: usize = 6144;
const ALGORITHM: &str = "SYMMETRIC_DEFAULT";

pub static ENCRYPT: Structure = Structure::new(&[
    required("KeyId", key_id()),
    required("Plaintext", blob()),
    algorithm("EncryptionAlgorithm"),
    grant_tokens(),
]);
pub static DECRYPT: Structure = Structure::new(&[
    required("CiphertextBlob", blob()),
    optional("KeyId", key_id()),
    algorithm("EncryptionAlgorithm"),
    grant_tokens(),
]);
pub static RE_ENCRYPT: Structure = Structure::new(&[
    required("CiphertextBlob", blob()),
    optional("SourceKeyId", key_id()),
    required("DestinationKeyId", key_id()),
    algorithm("SourceEncryptionAlgorithm"),
    algorithm("DestinationEncryptionAlgorithm"),
    grant_tokens(),
]);
pub static GENERATE: Structure = Structure::new(&[
    required("KeyId", key_id()),
    optional("NumberOfBytes", Shape::Integer { min: 1, max: 1024 }),
    optional("KeySpec", Shape::Enum(&["AES_256", "AES_128"])),
    grant_tokens(),
]);
pub static RANDOM: Structure =
    Structure::new(&[optional("NumberOfBytes", Shape::Integer { min: 1, max: 1024 })]);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Encrypt {
    key_id: String,
    plaintext: Blob,
    encryption_context: Option<EncryptionContext>,
    encryption_algorithm: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Decrypt {
    ciphertext_blob: Blob,
    key_id: Option<String>,
    encryption_context: Option<EncryptionContext>,
    encryption_algorithm: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReEncrypt {
    ciphertext_blob: Blob,
    source_key_id: Option<String>,
    source_encryption_context: Option<EncryptionContext>,
    source_encryption_algorithm: Option<String>,
    destination_key_id: String,
    destination_encryption_context: Option<EncryptionContext>,
    destination_encryption_algorithm: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Generate {
    key_id: String,
    encryption_context: Option<EncryptionContext>,
    number_of_bytes: Option<usize>,
    key_spec: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Random {
    number_of_bytes: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Encrypted {
    ciphertext_blob: Blob,
    key_id: Arn,
    encryption_algorithm: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Decrypted {
    key_id: Arn,
    plaintext: Blob,
    encryption_algorithm: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReEncrypted {
    ciphertext_blob: Blob,
    source_key_id: Arn,
    key_id: Arn,
    source_encryption_algorithm: &'static str,
    destination_encryption_algorithm: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Generated {
    ciphertext_blob: Blob,
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<Blob>,
    key_id: Arn,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Drawn {
    plaintext: Blob,
}

pub async fn encrypt(kms: &Kms, caller: Asking<'_>, input: Encrypt) -> Answer<Encrypted> {
    check_algorithm(input.encryption_algorithm.as_deref())?;
    let text = input.plaintext.checked("Plaintext", PLAINTEXT_MAX)?;
    let context = input.encryption_context.unwrap_or_default();
    let (ciphertext, key_id) =
        kms.access.encrypt(caller, "kms:Encrypt", &input.key_id, &context, &text).await?;
    Ok(Encrypted { ciphertext_blob: Blob(ciphertext), key_id, encryption_algorithm: ALGORITHM })
}

pub async fn decrypt(kms: &Kms, caller: Asking<'_>, input: Decrypt) -> Answer<Decrypted> {
    check_algorithm(input.encryption_algorithm.as_deref())?;
    let ciphertext = input.ciphertext_blob.checked("CiphertextBlob", CIPHERTEXT_MAX)?;
    let context = input.encryption_context.unwrap_or_default();
    let key = input.key_id.as_deref();
    let opened = kms.access.decrypt(caller, "kms:Decrypt", key, &context, &ciphertext).await?;
    Ok(Decrypted { key_id: opened.key, plaintext: Blob(opened.plaintext), encryption_algorithm: ALGORITHM })
}

pub async fn re_encrypt(kms: &Kms, caller: Asking<'_>, input: ReEncrypt) -> Answer<ReEncrypted> {
    check_algorithm(input.source_encryption_algorithm.as_deref())?;
    check_algorithm(input.destination_encryption_algorithm.as_deref())?;
    let ciphertext = input.ciphertext_blob.checked("CiphertextBlob", CIPHERTEXT_MAX)?;
    let (from, to) = (
        input.source_encryption_context.unwrap_or_default(),
        input.destination_encryption_context.unwrap_or_default(),
    );
    let source = input.source_key_id.as_deref();
    let opened = kms.access.decrypt(caller, "kms:ReEncryptFrom", source, &from, &ciphertext).await?;
    let destination = &input.destination_key_id;
    let made = kms.access.encrypt(caller, "kms:ReEncryptTo", destination, &to, &opened.plaintext).await?;
    Ok(ReEncrypted {
        ciphertext_blob: Blob(made.0),
        source_key_id: opened.key,
        key_id: made.1,
        source_encryption_algorithm: ALGORITHM,
        destination_encryption_algorithm: ALGORITHM,
    })
}

pub async fn generate_data_key(kms: &Kms, caller: Asking<'_>, input: Generate) -> Answer<Generated> {
    generate(kms, caller, "kms:GenerateDataKey", input).await
}

pub async fn generate_data_key_without_plaintext(
    kms: &Kms,
    caller: Asking<'_>,
    input: Generate,
) -> Answer<Generated> {
    let made = generate(kms, caller, "kms:GenerateDataKeyWithoutPlaintext", input).await?;
    Ok(Generated { plaintext: None, ..made })
}

async fn generate(kms: &Kms, caller: Asking<'_>, action: &str, input: Generate) -> Answer<Generated> {
    let size = match (input.number_of_bytes, input.key_spec.as_deref()) {
        (Some(bytes), None) => bytes,
        (None, Some("AES_256")) => 32,
        (None, Some(_)) => 16,
        _ => return Err(Error::invalid("Please specify either number of bytes or key spec.").into()),
    };
    let context = input.encryption_context.unwrap_or_default();
    let made = kms.access.generate_data_key(caller, action, &input.key_id, &context, size).await?;
    Ok(Generated {
        ciphertext_blob: Blob(made.ciphertext),
        plaintext: Some(Blob(made.plaintext)),
        key_id: made.key,
    })
}

pub async fn generate_random(kms: &Kms, caller: Asking<'_>, input: Random) -> Answer<Drawn> {
    kms.permit(caller, "kms:GenerateRandom", "*").await?;
    let size = input.number_of_bytes.ok_or_else(|| Error::invalid("NumberOfBytes is required."))?;
    let mut bytes = vec![0; size];
    kms.clock.fill(&mut bytes);
    Ok(Drawn { plaintext: Blob(bytes) })
}

fn check_algorithm(asked: Option<&str>) -> Answer<()> {
    match asked {
        Some(asked) if asked != ALGORITHM => {
            let text = format!("The algorithm {asked} is not one of a symmetric key: use {ALGORITHM}.");
            Err(fault("InvalidKeyUsageException", text))
        }
        _ => Ok(()),
    }
}
