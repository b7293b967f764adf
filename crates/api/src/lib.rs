//! The operations of Personalize, of IAM/STS and of KMS: verified call → decode → permit → do → encode.

pub mod call;
pub mod data_deletion_job;
pub mod dataset;
pub mod dataset_export_job;
pub mod dataset_group;
pub mod dataset_import_job;
pub mod door;
pub mod event_tracker;
pub mod events;
pub mod iam;
pub mod kms;
pub mod lade;
pub mod measured;
pub mod metric_attribution;
pub mod operation;
pub mod paging;
pub mod permission;
pub mod probe;
pub mod reply;
pub mod schema;
pub mod shapes;
pub mod tag;

pub use call::Call;
pub use door::{Api, ApiParts};

#[cfg(test)]
mod fixture;
