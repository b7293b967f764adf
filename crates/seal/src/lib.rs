//! Keys that seal, and what they seal with: small texts one by one or in series, long texts chunk by chunk, and scratch.

pub mod cipher;
pub mod key;
mod keys;
mod scratch;
mod series;

pub use cipher::Cipher;
pub use key::{KEY_BYTES, KeyId, SealingKey};
pub use keys::DataKeys;
pub use scratch::ScratchCipher;
pub use series::{Closed, Opener, SERIES_BYTES, SERIES_HEAD_BYTES, Series};
