//! The nouns of the service, as plain data: everything here is pure, and nothing waits, reads or writes.

pub mod arn;
pub mod clock;
pub mod dataset;
pub mod durable;
pub mod error;
pub mod export;
pub mod layout;
pub mod lookup;
pub mod manifest;
pub mod metric;
pub mod quota;
pub mod record;
pub mod schedule;
pub mod schema;
pub mod segment;
pub mod status;

pub use arn::{Arn, Realm};
pub use clock::Clock;
pub use dataset::{DatasetType, Domain, ImportMode, IngestionMode, Origin};
pub use durable::Durable;
pub use error::{Error, ErrorKind, Result};
pub use layout::Layout;
pub use quota::Quotas;
pub use schedule::Schedule;
pub use schema::Schema;
