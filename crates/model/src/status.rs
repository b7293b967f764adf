//! The steps that resources and jobs go through, in the service's own words.

use serde::{Deserialize, Serialize};

/// The life of a resource or job, as its description shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    CreatePending,
    CreateInProgress,
    Active,
    CreateFailed,
    DeletePending,
    DeleteInProgress,
}

impl Status {
    pub const ALL: [Status; 6] = [
        Status::CreatePending,
        Status::CreateInProgress,
        Status::Active,
        Status::CreateFailed,
        Status::DeletePending,
        Status::DeleteInProgress,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Status::CreatePending => "CREATE PENDING",
            Status::CreateInProgress => "CREATE IN_PROGRESS",
            Status::Active => "ACTIVE",
            Status::CreateFailed => "CREATE FAILED",
            Status::DeletePending => "DELETE PENDING",
            Status::DeleteInProgress => "DELETE IN_PROGRESS",
        }
    }

    pub fn parse(text: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// Whether a job in this state will never change again.
    pub fn is_terminal(self) -> bool {
        matches!(self, Status::Active | Status::CreateFailed)
    }
}

/// The steps of a dataset's update, which its description shows beside its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpdateStatus {
    #[serde(rename = "UPDATE PENDING")]
    Pending,
    #[serde(rename = "UPDATE IN_PROGRESS")]
    InProgress,
    #[serde(rename = "ACTIVE")]
    Active,
    #[serde(rename = "UPDATE FAILED")]
    Failed,
}

impl UpdateStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            UpdateStatus::Pending => "UPDATE PENDING",
            UpdateStatus::InProgress => "UPDATE IN_PROGRESS",
            UpdateStatus::Active => "ACTIVE",
            UpdateStatus::Failed => "UPDATE FAILED",
        }
    }

    /// Whether the update is still to come to its end.
    pub fn is_open(self) -> bool {
        matches!(self, UpdateStatus::Pending | UpdateStatus::InProgress)
    }
}
