//! Ciphertexts as KMS hands them out: which key made them, and what only that key can open.

use std::collections::BTreeMap;

use model::Clock;

use crate::seal::SealingKey;

/// Pairs that are no secret, and without which a ciphertext can't be opened.
pub type EncryptionContext = BTreeMap<String, String>;

/// Version, then the sixteen bytes of the key's id, then the sealed text.
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 1 + 16;

pub(super) fn seal(
    clock: &dyn Clock,
    key_id: &str,
    material: &SealingKey,
    text: &[u8],
    context: &EncryptionContext,
) -> Vec<u8> {
    let mut ciphertext = vec![VERSION];
    ciphertext.extend_from_slice(&id_bytes(key_id).unwrap_or_default());
    let sealed = material.seal(clock, text, &about(&ciphertext, context));
    ciphertext.extend_from_slice(&sealed);
    ciphertext
}

/// The id of the key that made a ciphertext; `None` for what none made.
pub(super) fn key_id(ciphertext: &[u8]) -> Option<String> {
    let (head, _) = ciphertext.split_at_checked(HEAD_BYTES)?;
    let hex: String = head[1..].iter().map(|byte| format!("{byte:02x}")).collect();
    let id = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    (head[0] == VERSION).then_some(id)
}

pub(super) fn open(material: &SealingKey, ciphertext: &[u8], context: &EncryptionContext) -> Option<Vec<u8>> {
    let (head, sealed) = ciphertext.split_at_checked(HEAD_BYTES)?;
    material.open(sealed, &about(head, context))
}

// Lengths before the texts: no two contexts look alike.
fn about(head: &[u8], context: &EncryptionContext) -> Vec<u8> {
    let mut bytes = head.to_vec();
    for text in context.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

fn id_bytes(id: &str) -> Option<[u8; 16]> {
    let hex: String = id.chars().filter(|c| *c != '-').collect();
    u128::from_str_radix(&hex, 16).ok().map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use model::clock::SystemClock;

    use super::*;

    const ID: &str = "01234567-89ab-4cde-8f01-23456789abcd";

    fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn a_ciphertext_names_its_key_and_opens_in_its_context_alone() {
        let material = SealingKey::random(&SystemClock);
        let made = context(&[("a", "bc"), ("d", "")]);
        let ciphertext = seal(&SystemClock, ID, &material, b"text", &made);
        assert_eq!(key_id(&ciphertext).unwrap(), ID);
        assert_eq!(open(&material, &ciphertext, &made).unwrap(), b"text");
        for other in [&[][..], &[("a", "bc")], &[("ab", "c"), ("d", "")], &[("a", "bc"), ("", "d")]] {
            assert_eq!(open(&material, &ciphertext, &context(other)), None, "{other:?}");
        }
        assert_eq!(key_id(b"short"), None);
    }

    #[test]
    fn a_ciphertext_can_not_be_passed_off_as_another_keys() {
        let material = SealingKey::random(&SystemClock);
        let mut ciphertext = seal(&SystemClock, ID, &material, b"text", &context(&[]));
        ciphertext[3] ^= 1;
        assert_eq!(open(&material, &ciphertext, &context(&[])), None);
    }
}
