//! Lists of KMS: a page, and the marker of the next one.

use serde::{Deserialize, Serialize};

/// Source: ListKeys, ListAliases; how many are shown unless the request says.
const SHOWN: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PageInput {
    limit: Option<usize>,
    marker: Option<String>,
}

/// What lists answer beside what they list.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct End {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

impl PageInput {
    /// The marker is the last name of the page before.
    pub fn after(&self) -> &str {
        self.marker.as_deref().unwrap_or_default()
    }

    /// One row more than is shown tells whether another page follows.
    pub fn rows(&self) -> i64 {
        i64::try_from(self.limit.unwrap_or(SHOWN) + 1).unwrap_or(i64::MAX)
    }

    /// Takes away the row that is not shown.
    pub fn cut<T>(&self, rows: &mut Vec<T>, name: impl Fn(&T) -> &str) -> End {
        let shown = self.limit.unwrap_or(SHOWN);
        let truncated = rows.len() > shown;
        rows.truncate(shown);
        End { next_marker: rows.last().filter(|_| truncated).map(|row| name(row).to_owned()), truncated }
    }
}
