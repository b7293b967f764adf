//! The embedded S3: a durable store of objects behind S3's own protocol.
//!
//! A request comes in verified and with its principal; s3s reads and writes the protocol, this crate decides
//! permissions and keeps buckets, objects and uploads on disk.

mod answer;
mod assembly;
mod backend;
pub mod backup;
mod blob;
mod body;
mod caller;
mod checksum;
mod cors;
mod digest;
mod door;
mod encryption;
mod error;
mod headers;
mod host;
mod index;
mod integrity;
mod offer;
mod ops;
mod permission;

pub use door::Door;
