//! The kinds of datasets and groups, and the ways in which records come in and go out.

use serde::{Deserialize, Serialize};

/// The five types of datasets; the service model compares their names without case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DatasetType {
    #[serde(rename = "INTERACTIONS")]
    Interactions,
    #[serde(rename = "ITEMS")]
    Items,
    #[serde(rename = "USERS")]
    Users,
    #[serde(rename = "ACTIONS")]
    Actions,
    #[serde(rename = "ACTION_INTERACTIONS")]
    ActionInteractions,
}

impl DatasetType {
    pub const ALL: [DatasetType; 5] = [
        DatasetType::Interactions,
        DatasetType::Items,
        DatasetType::Users,
        DatasetType::Actions,
        DatasetType::ActionInteractions,
    ];

    pub fn parse(text: &str) -> Option<DatasetType> {
        DatasetType::ALL.into_iter().find(|t| t.as_str().eq_ignore_ascii_case(text))
    }

    /// The canonical spelling, as in ARNs, answers and the names of exported files.
    pub fn as_str(self) -> &'static str {
        match self {
            DatasetType::Interactions => "INTERACTIONS",
            DatasetType::Items => "ITEMS",
            DatasetType::Users => "USERS",
            DatasetType::Actions => "ACTIONS",
            DatasetType::ActionInteractions => "ACTION_INTERACTIONS",
        }
    }

    /// The name that an Avro schema of this type bears.
    pub fn record_name(self) -> &'static str {
        match self {
            DatasetType::Interactions => "Interactions",
            DatasetType::Items => "Items",
            DatasetType::Users => "Users",
            DatasetType::Actions => "Actions",
            DatasetType::ActionInteractions => "ActionInteractions",
        }
    }

    /// The field whose hash orders and partitions the records.
    pub fn id_field(self) -> &'static str {
        match self {
            DatasetType::Items => "ITEM_ID",
            DatasetType::Actions => "ACTION_ID",
            DatasetType::Interactions | DatasetType::Users | DatasetType::ActionInteractions => "USER_ID",
        }
    }

    /// Whether a record describes one thing by its id, so that a newer one takes the older one's place in ALL.
    pub fn is_keyed(self) -> bool {
        matches!(self, DatasetType::Items | DatasetType::Users | DatasetType::Actions)
    }

    /// Whether its records belong to users, and so go with them.
    pub fn is_of_users(self) -> bool {
        self.id_field() == "USER_ID"
    }

    /// Source: "Exporting a dataset"; actions and action interactions can't be exported.
    pub fn is_exportable(self) -> bool {
        matches!(self, DatasetType::Interactions | DatasetType::Items | DatasetType::Users)
    }
}

/// The domain of a dataset group; none means a custom group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Domain {
    #[serde(rename = "ECOMMERCE")]
    Ecommerce,
    #[serde(rename = "VIDEO_ON_DEMAND")]
    VideoOnDemand,
}

impl Domain {
    pub fn parse(text: &str) -> Option<Domain> {
        match text {
            "ECOMMERCE" => Some(Domain::Ecommerce),
            "VIDEO_ON_DEMAND" => Some(Domain::VideoOnDemand),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Domain::Ecommerce => "ECOMMERCE",
            Domain::VideoOnDemand => "VIDEO_ON_DEMAND",
        }
    }
}

/// How a record came in: by an import job, or one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Origin {
    #[serde(rename = "BULK")]
    Bulk,
    #[serde(rename = "PUT")]
    Put,
}

impl Origin {
    pub fn parse(text: &str) -> Option<Origin> {
        match text {
            "BULK" => Some(Origin::Bulk),
            "PUT" => Some(Origin::Put),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Bulk => "BULK",
            Origin::Put => "PUT",
        }
    }
}

/// Which records an export takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IngestionMode {
    #[serde(rename = "BULK")]
    Bulk,
    #[serde(rename = "PUT")]
    Put,
    #[serde(rename = "ALL")]
    All,
}

impl IngestionMode {
    pub fn parse(text: &str) -> Option<IngestionMode> {
        match text {
            "BULK" => Some(IngestionMode::Bulk),
            "PUT" => Some(IngestionMode::Put),
            "ALL" => Some(IngestionMode::All),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            IngestionMode::Bulk => "BULK",
            IngestionMode::Put => "PUT",
            IngestionMode::All => "ALL",
        }
    }

    /// Runs hold records of one origin, so a mode picks runs, never rows.
    pub fn takes(self, origin: Origin) -> bool {
        match self {
            IngestionMode::All => true,
            IngestionMode::Bulk => origin == Origin::Bulk,
            IngestionMode::Put => origin == Origin::Put,
        }
    }
}

/// What an import job does with the bulk records that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImportMode {
    #[serde(rename = "FULL")]
    Full,
    #[serde(rename = "INCREMENTAL")]
    Incremental,
}

impl ImportMode {
    pub fn parse(text: &str) -> Option<ImportMode> {
        match text {
            "FULL" => Some(ImportMode::Full),
            "INCREMENTAL" => Some(ImportMode::Incremental),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            ImportMode::Full => "FULL",
            ImportMode::Incremental => "INCREMENTAL",
        }
    }
}
