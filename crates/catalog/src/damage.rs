//! Tells damage of a file from all else that keeps it from being read.

use std::error::Error as StdError;

use model::error::{Error, ErrorKind};
use sqlx::sqlite::SqliteError;

/// The words of SQLite for a file that is no database, or is one no more.
const DAMAGED: [u32; 2] = [11, 26];

/// Whether an error says that what is stored is damaged, be it in words of SQLite.
///
/// A disk without room, a missing permission and a file that somebody else holds are not that.
pub fn is_damage(error: &Error) -> bool {
    error.kind == ErrorKind::Corrupt || {
        let causes = std::iter::successors(error.source(), |&cause| cause.source());
        causes.filter_map(|cause| cause.downcast_ref::<sqlx::Error>()).any(is_said_by_sqlite)
    }
}

fn is_said_by_sqlite(cause: &sqlx::Error) -> bool {
    let cause = cause.as_database_error().and_then(|cause| cause.try_downcast_ref::<SqliteError>());
    let code = cause.and_then(|cause| sqlx::error::DatabaseError::code(cause)?.parse::<u32>().ok());
    // The code's lower byte; the others tell more of it.
    code.is_some_and(|code| DAMAGED.contains(&(code & 0xff)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::format;

    #[tokio::test]
    async fn a_file_that_is_no_database_is_damaged_and_one_that_can_not_be_opened_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("catalog.db");
        std::fs::write(&file, vec![b'x'; 8192]).unwrap();
        let damaged = format(&file).await.unwrap_err();
        assert_eq!(damaged.kind, ErrorKind::Unavailable);
        assert!(is_damage(&damaged), "{}", damaged.chain());
        let nowhere = format(&folder.path().join("none/catalog.db")).await.unwrap_err();
        assert!(!is_damage(&nowhere), "{}", nowhere.chain());
        assert!(is_damage(&Error::corrupt("said")) && !is_damage(&Error::unavailable("said")));
    }
}
