//! Signing keys: derived from a secret for one day, region and service, and remembered for a while.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::digits::digits;
use super::refusal::AuthError;
use super::scope::Scope;

const KEYS_MAX: usize = 256;

/// A key that signs for one day, region and service.
#[derive(Clone)]
pub(super) struct SigningKey([u8; 32]);

impl SigningKey {
    /// Derives the key, or finds it among those derived of late.
    pub fn of(secret: &str, scope: &Scope) -> SigningKey {
        let name = (scope.access_key_id.clone(), scope.text());
        // Only a digest of the secret is remembered: enough to see that a key id got another secret.
        let digest: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
        match keys.get(&name) {
            Some((of, key)) if of.ct_eq(&digest).into() => key.clone(),
            _ => {
                if keys.len() >= KEYS_MAX {
                    keys.clear();
                }
                let key = derive(secret, scope);
                keys.insert(name, (digest, key.clone()));
                key
            }
        }
    }

    /// The signature of `text`, in hexadecimal digits.
    pub fn sign(&self, text: &str) -> String {
        digits(&hmac(&self.0, text.as_bytes()))
    }

    /// Compares in constant time.
    ///
    /// # Errors
    /// `Mismatch` when `signature` is not that of `text`.
    pub fn check(&self, text: &str, signature: &str) -> Result<(), AuthError> {
        let expected = self.sign(text);
        if expected.as_bytes().ct_eq(signature.as_bytes()).into() {
            Ok(())
        } else {
            Err(AuthError::mismatch())
        }
    }
}

type Keys = HashMap<(String, String), ([u8; 32], SigningKey)>;

static KEYS: LazyLock<Mutex<Keys>> = LazyLock::new(Mutex::default);

fn derive(secret: &str, scope: &Scope) -> SigningKey {
    let day = hmac(format!("AWS4{secret}").as_bytes(), scope.date.as_bytes());
    let region = hmac(&day, scope.region.as_bytes());
    let service = hmac(&region, scope.service.as_bytes());
    SigningKey(hmac(&service, b"aws4_request"))
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        let text = |t: &str| t.to_owned();
        Scope {
            access_key_id: text("A"),
            date: text("20150830"),
            region: text("us-east-1"),
            service: text("iam"),
        }
    }

    // Source: "Deriving a signing key" of the signing guide.
    #[test]
    fn the_published_key_is_derived() {
        let key = derive("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", &scope());
        assert_eq!(hex::encode(key.0), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    }

    #[test]
    fn a_key_id_with_another_secret_gets_another_key() {
        let (old, new) = (SigningKey::of("old", &scope()), SigningKey::of("new", &scope()));
        assert_ne!(old.0, new.0);
        assert_eq!(SigningKey::of("old", &scope()).0, old.0);
    }

    #[test]
    fn keys_do_not_pile_up() {
        for n in 0..2 * KEYS_MAX {
            SigningKey::of("secret", &Scope { region: n.to_string(), ..scope() });
        }
        assert!(KEYS.lock().unwrap().len() <= KEYS_MAX);
    }
}
