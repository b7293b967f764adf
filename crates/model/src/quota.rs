//! The quotas of the service: how many resources there may be, and how much one job or one second may bring.
//!
//! The limits of single requests (records per call, sizes, tags) hold always and are not among these.

/// The limits that hold; `None` is no limit. Source: "Quotas".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    pub schemas: Option<u64>,
    pub dataset_groups: Option<u64>,
    /// Import jobs that are pending or in progress.
    pub open_import_jobs: Option<u64>,
    /// Export jobs that are pending or in progress; the service publishes no number, so it has that of imports.
    pub open_export_jobs: Option<u64>,
    /// Data deletion jobs of one group that are pending or in progress.
    pub open_deletion_jobs: Option<u64>,
    /// Distinct interactions that an import job has to bring at least.
    pub interactions_min: u64,
    pub full_import_bytes: Option<u64>,
    pub incremental_import_bytes: Option<u64>,
    pub deletion_list_bytes: Option<u64>,
    /// Calls of PutEvents, and of PutActionInteractions, that a dataset takes in a second.
    pub event_calls_per_s: Option<u32>,
    /// Calls of PutItems, PutUsers and PutActions that a dataset takes in a second.
    pub thing_calls_per_s: Option<u32>,
    /// Sources that one metric attribution tells apart.
    pub attribution_sources: Option<u64>,
}

impl Quotas {
    /// No limits: whoever runs the server owns its disks.
    pub const OPEN: Quotas = Quotas {
        schemas: None,
        dataset_groups: None,
        open_import_jobs: None,
        open_export_jobs: None,
        open_deletion_jobs: None,
        interactions_min: 0,
        full_import_bytes: None,
        incremental_import_bytes: None,
        deletion_list_bytes: None,
        event_calls_per_s: None,
        thing_calls_per_s: None,
        attribution_sources: None,
    };

    /// The limits that an account of AWS has before any is raised.
    pub const AWS: Quotas = Quotas {
        schemas: Some(500),
        dataset_groups: Some(5),
        open_import_jobs: Some(5),
        open_export_jobs: Some(5),
        open_deletion_jobs: Some(5),
        interactions_min: 1000,
        full_import_bytes: Some(100 << 30),
        incremental_import_bytes: Some(1 << 30),
        deletion_list_bytes: Some(100 << 20),
        event_calls_per_s: Some(1000),
        thing_calls_per_s: Some(10),
        attribution_sources: Some(100),
    };

    pub fn parse(text: &str) -> Option<Quotas> {
        match text {
            "open" => Some(Quotas::OPEN),
            "aws" => Some(Quotas::AWS),
            _ => None,
        }
    }
}
