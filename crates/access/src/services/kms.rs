//! Data keys of dataset groups from a real KMS, asked for as the group's role.

use std::sync::Arc;

use aws_sdk_s3::config::Credentials;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{Arn, Clock, Error, Result};
use serde_json::{Value, json};

use super::ServiceSettings;
use super::acting::Acting;
use super::remote::{Post, Remote, Reply};
use crate::key::EncryptionContext;
use crate::remedy::insufficient;
use crate::{Access, session_name};

/// Refusals of the keys that a request was signed with, whatever it asks for.
const OWN_KEYS: [&str; 6] = [
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
];

/// A real KMS.
pub(crate) struct Kms {
    remote: Remote,
    credentials: Credentials,
    acting: Acting,
}

/// One key of a real KMS, used as one role on behalf of one group.
pub(crate) struct RealKey<'a> {
    kms: &'a Kms,
    credentials: Credentials,
    acting: Acting,
    key: &'a Arn,
}

impl Kms {
    pub fn new(url: &str, settings: &ServiceSettings, acting: Acting, clock: &Arc<dyn Clock>) -> Kms {
        let remote = Remote::new("kms", url, settings.certificates.as_ref(), clock);
        Kms { remote, credentials: settings.keys.credentials(), acting }
    }
}

impl Access {
    /// A key of the real KMS; `None` where it is one of the embedded KMS, which keeps those that it has made.
    pub(crate) async fn real_key<'a>(
        &'a self,
        role: &str,
        source: &Arn,
        key: &'a Arn,
    ) -> Result<Option<RealKey<'a>>> {
        let Some(kms) = self.kms_of(key).await? else { return Ok(None) };
        let (credentials, acting) = match &self.services.sts {
            Some(sts) => {
                let role = self.role_of_account(role)?;
                let session = sts.assume(&role, &session_name(source), &session_policy(key)).await?;
                (session.credentials, kms.acting.session(session.arn))
            }
            None => {
                self.trusting_role(role, source).await?;
                (kms.credentials.clone(), kms.acting.clone())
            }
        };
        Ok(Some(RealKey { kms, credentials, acting, key }))
    }

    /// Whether a key is one of the real KMS.
    pub(crate) async fn is_real_key(&self, key: &Arn) -> Result<bool> {
        self.kms_of(key).await.map(|kms| kms.is_some())
    }

    async fn kms_of(&self, key: &Arn) -> Result<Option<&Kms>> {
        let Some(kms) = &self.services.kms else { return Ok(None) };
        let id = key.resource_name();
        Ok(match self.catalog.key(catalog::KeyName::Id(id)).await? {
            Some(row) if row.arn == *key => None,
            _ => Some(kms),
        })
    }
}

fn session_policy(key: &Arn) -> String {
    let actions = ["kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt"];
    let statement = json!({ "Effect": "Allow", "Action": actions, "Resource": [key] });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

impl RealKey<'_> {
    /// A new key for data of 32 bytes, encrypted under this one.
    ///
    /// # Errors
    /// `Invalid` when KMS refuses it, with what mends that; `Unavailable` when KMS does not answer.
    pub async fn generate_without_plaintext(&self, context: &EncryptionContext) -> Result<Vec<u8>> {
        let input = json!({ "KeyId": self.key, "KeySpec": "AES_256", "EncryptionContext": context });
        let output = self.call("GenerateDataKeyWithoutPlaintext", &input).await?;
        bytes(&output, "CiphertextBlob")
    }

    /// Opens what `generate_without_plaintext` made.
    ///
    /// # Errors
    /// As `generate_without_plaintext`.
    pub async fn decrypt(&self, ciphertext: &[u8], context: &EncryptionContext) -> Result<Vec<u8>> {
        let blob = STANDARD.encode(ciphertext);
        let input = json!({ "KeyId": self.key, "CiphertextBlob": blob, "EncryptionContext": context });
        let output = self.call("Decrypt", &input).await?;
        bytes(&output, "Plaintext")
    }

    async fn call(&self, operation: &str, input: &Value) -> Result<Value> {
        let post = Post {
            region: self.key.region(),
            credentials: &self.credentials,
            headers: &[
                ("content-type", "application/x-amz-json-1.1"),
                ("x-amz-target", &format!("TrentService.{operation}")),
            ],
            body: &input.to_string(),
        };
        let reply = self.kms.remote.post(&post).await?;
        let output = serde_json::from_slice(&reply.body).unwrap_or_default();
        match reply.status {
            200..300 => Ok(output),
            _ => Err(self.refusal(operation, &reply, &output)),
        }
    }

    fn refusal(&self, operation: &str, reply: &Reply, output: &Value) -> Error {
        let text = |name: &str| output.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let code = text("__type").and_then(|code| code.rsplit('#').next());
        let code = code.map_or_else(|| format!("status {}", reply.status), str::to_owned);
        let said = text("message").or_else(|| text("Message")).unwrap_or(&code);
        if OWN_KEYS.contains(&code.as_str()) {
            let text = "The KMS of this server's settings does not take the keys of the session.";
            return Error::unavailable(text).caused_by(format!("{code}: {said}"));
        }
        let is_explained = code != "AccessDeniedException" || said.contains("is not authorized to perform");
        let why = match is_explained {
            true => said.to_owned(),
            false => self.acting.denial(&format!("kms:{operation}"), self.key.as_str(), said),
        };
        Error::invalid(insufficient(self.key.as_str(), &why))
    }
}

fn bytes(output: &Value, name: &str) -> Result<Vec<u8>> {
    let text = output.get(name).and_then(Value::as_str).unwrap_or_default();
    let found = STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty());
    found.ok_or_else(|| Error::unavailable(format!("The KMS of this server's settings gave no {name}.")))
}
