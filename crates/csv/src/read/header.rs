//! The first row of a file: names of columns, and what may be wrong with them.

use std::fmt;

use model::Layout;

use super::columns::ColumnMap;
use super::record::Record;
use crate::violation::Violation;

/// The names in a file's first row; none when the file is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    names: Vec<String>,
}

/// Why a file can't be read by its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// Fields of the schema, in its order, that no column bears the name of.
    Missing(Vec<String>),
    /// Names that more than one column bears.
    Repeated(Vec<String>),
    /// Names that are none of the schema's, where only those may be.
    Foreign { known: Vec<String>, foreign: Vec<String> },
}

impl Header {
    /// Reads a file's first record.
    ///
    /// # Errors
    /// `NotUtf8`.
    pub fn read(record: &Record<'_>) -> Result<Header, Violation> {
        Ok(Header { names: record.text()?.fields().map(str::to_owned).collect() })
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Finds each column of `layout` by its exact name; other columns are left out.
    ///
    /// # Errors
    /// `Missing` before `Repeated`. Columns without a name may be many.
    ///
    /// Source: "Error messages" for missing columns.
    pub fn match_columns(&self, layout: &Layout) -> Result<ColumnMap, HeaderError> {
        let found: Vec<_> = layout.columns.iter().map(|c| (c, self.position(c.name()))).collect();
        let missing = found.iter().filter(|(_, position)| position.is_none());
        let missing: Vec<String> = missing.map(|(column, _)| column.name().to_owned()).collect();
        if !missing.is_empty() {
            return Err(HeaderError::Missing(missing));
        }
        let repeated = self.repeated();
        if !repeated.is_empty() {
            return Err(HeaderError::Repeated(repeated));
        }
        let found = found.into_iter().filter_map(|(column, position)| Some((column, position?)));
        Ok(ColumnMap::new(self.names.len(), found, &layout.record_order()))
    }

    /// As `match_columns`, for files that may have no other columns.
    ///
    /// # Errors
    /// `Missing`, `Repeated`, then `Foreign`.
    pub fn match_columns_only(&self, layout: &Layout) -> Result<ColumnMap, HeaderError> {
        let map = self.match_columns(layout)?;
        let is_foreign = |name: &&String| layout.position(name).is_none();
        let foreign: Vec<String> = self.names.iter().filter(is_foreign).cloned().collect();
        if foreign.is_empty() {
            return Ok(map);
        }
        let known = layout.columns.iter().map(|c| c.name().to_owned()).collect();
        Err(HeaderError::Foreign { known, foreign })
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|n| n == name)
    }

    fn repeated(&self) -> Vec<String> {
        let mut sorted: Vec<&String> = self.names.iter().filter(|name| !name.is_empty()).collect();
        sorted.sort();
        let mut repeated: Vec<String> =
            sorted.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone()).collect();
        repeated.dedup();
        repeated
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderError::Missing(names) => {
                write!(f, "Input csv is missing the following columns: [{}]", names.join(", "))
            }
            HeaderError::Repeated(names) => {
                write!(f, "Input csv has the following columns more than once: [{}]", names.join(", "))
            }
            HeaderError::Foreign { known, foreign } => {
                let (known, foreign) = (known.join(", "), foreign.join(", "));
                write!(f, "Input csv may have the columns [{known}] only, and has also: [{foreign}]")
            }
        }
    }
}

impl std::error::Error for HeaderError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{all_records, interactions};

    fn header(line: &str) -> Header {
        let mut header = Header::default();
        all_records(line.as_bytes(), |record| header = Header::read(record).unwrap());
        header
    }

    #[test]
    fn columns_are_found_by_name_in_any_order() {
        let header = header("\u{feff}X,TIMESTAMP,\"USER_ID\",\"EVENT_VALUE\",ITEM_ID,NEW,,\r\n");
        let map = header.match_columns(&interactions()).unwrap();
        assert_eq!(map.field_count(), 8);
        assert_eq!(map.positions().collect::<Vec<_>>(), [2, 4, 1, 3, 5]);
    }

    #[test]
    fn missing_columns_are_named_as_the_service_names_them() {
        let error = header("user_id,ITEM_ID,TIMESTAMP ,NEW,NEW").match_columns(&interactions()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Input csv is missing the following columns: [USER_ID, TIMESTAMP, EVENT_VALUE]"
        );
    }

    #[test]
    fn an_empty_file_misses_all_columns() {
        let Err(HeaderError::Missing(names)) = Header::default().match_columns(&interactions()) else {
            panic!("an empty header is taken");
        };
        assert_eq!(names.len(), 5);
    }

    #[test]
    fn a_column_may_come_once_only() {
        let header = header("NEW,USER_ID,ITEM_ID,TIMESTAMP,EVENT_VALUE,NEW,OLD,OLD,OLD,,");
        let error = header.match_columns(&interactions()).unwrap_err();
        assert_eq!(error.to_string(), "Input csv has the following columns more than once: [NEW, OLD]");
    }

    #[test]
    fn other_columns_are_named_where_none_may_be() {
        let ids = Layout::of_user_ids();
        assert_eq!(header("\"USER_ID\"").match_columns_only(&ids).unwrap().field_count(), 1);
        let told = |line: &str| header(line).match_columns_only(&ids).unwrap_err().to_string();
        assert_eq!(
            told("USER_ID,AGE,"),
            "Input csv may have the columns [USER_ID] only, and has also: [AGE, ]"
        );
        assert_eq!(told("user_id"), "Input csv is missing the following columns: [USER_ID]");
    }
}
