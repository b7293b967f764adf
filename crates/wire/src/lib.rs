//! Bytes and requests: signatures, protocols and errors on the wire; it has never heard of a dataset.

pub mod error;
pub mod protocol;
pub mod query;
pub mod shape;
pub mod sigv4;
