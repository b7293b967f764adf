//! The steps that resources and jobs go through, in the service's own words.

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
