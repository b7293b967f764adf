//! Keys that seal, and what they seal with: small texts one by one, long texts chunk by chunk, series of texts by counting.

pub mod cipher;
pub mod key;

pub use cipher::Cipher;
pub use key::{KEY_BYTES, SealingKey};
