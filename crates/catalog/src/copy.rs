//! Copies a file of SQLite while others write to it: the state of one moment, for which writers wait an instant only.
//!
//! `prepare` makes the copy's tables, `halt` keeps writers away, `hold` fixes the moment, `release` lets them go on, and
//! `write` copies what was there at that moment, however long it takes. With several files halted at once, all copies are of
//! one moment. The statement `VACUUM INTO` could not tell when its moment is.

mod named;

use std::path::Path;
use std::time::Duration;

use model::error::{Context, Error, ErrorKind, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

pub use self::named::{Named, master_key_mark, named};
use crate::format::{FORMAT, newer};

/// A copy that is being made.
pub struct Copy {
    /// Of which all is copied.
    reader: SqliteConnection,
    /// Keeps writers away.
    halting: SqliteConnection,
    target: SqliteConnection,
    name: String,
    /// Names and statements of the tables, as the copy has them.
    tables: Vec<(String, String)>,
    /// What makes indexes and triggers, once all rows are there.
    others: Vec<String>,
}

const TABLES: &str =
    "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
const OTHERS: &str =
    "SELECT sql FROM sqlite_master WHERE type <> 'table' AND sql IS NOT NULL ORDER BY type, name";

impl Copy {
    /// Opens both files; `to` must not be there.
    ///
    /// # Errors
    /// `Unavailable` when one of them can't be had.
    pub async fn prepare(from: &Path, to: &Path) -> Result<Copy> {
        let name = from.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let doing = || format!("copy {name}");
        let mut reader = open(from, Duration::from_secs(10)).await.unavailable(doing)?;
        let halting = open(from, Duration::from_millis(200)).await.unavailable(doing)?;
        let options = SqliteConnectOptions::new().filename(to).create_if_missing(true).foreign_keys(false);
        let mut target = options.connect().await.unavailable(doing)?;
        let tables: Vec<(String, String)> =
            sqlx::query_as(TABLES).fetch_all(&mut reader).await.unavailable(doing)?;
        let others = sqlx::query_scalar(OTHERS).fetch_all(&mut reader).await.unavailable(doing)?;
        // What is no whole file at the end is thrown away.
        run(&mut target, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF").await.unavailable(doing)?;
        for (_, sql) in &tables {
            run(&mut target, sql).await.unavailable(doing)?;
        }
        let attach = sqlx::query("ATTACH DATABASE $1 AS copy").bind(to.to_string_lossy().into_owned());
        attach.execute(&mut reader).await.unavailable(doing)?;
        run(&mut reader, "PRAGMA copy.journal_mode = OFF; PRAGMA copy.synchronous = OFF")
            .await
            .unavailable(doing)?;
        Ok(Copy { reader, halting, target, name, tables, others })
    }

    /// Waits for whoever writes, and keeps all others from beginning to; `false` when that takes too long.
    ///
    /// # Errors
    /// `Unavailable` when the file can't be read.
    pub async fn halt(&mut self) -> Result<bool> {
        match run(&mut self.halting, "BEGIN IMMEDIATE").await {
            Err(sqlx::Error::Database(cause)) if is_busy(cause.code().as_deref()) => Ok(false),
            begun => begun.unavailable(|| format!("keep writers from {}", self.name)).map(|()| true),
        }
    }

    /// Fixes the moment that is copied.
    ///
    /// # Errors
    /// `Unavailable` when the file can't be read.
    pub async fn hold(&mut self) -> Result<()> {
        run(&mut self.reader, "BEGIN; SELECT count(*) FROM main.sqlite_master")
            .await
            .unavailable(|| format!("copy {}", self.name))
    }

    /// Lets writers go on.
    ///
    /// # Errors
    /// `Unavailable` when the file can't be had any more.
    pub async fn release(&mut self) -> Result<()> {
        run(&mut self.halting, "ROLLBACK").await.unavailable(|| format!("copy {}", self.name))
    }

    /// Copies what there was at the moment, and checks the copy; it is durable once its file is synced.
    ///
    /// # Errors
    /// `InUse` when the tables were changed since `prepare`; `Corrupt` when the copy is not whole; `Unavailable` when a disk
    /// refuses.
    pub async fn write(mut self) -> Result<()> {
        let name = self.name.clone();
        let doing = || format!("copy {name}");
        let now: Vec<(String, String)> =
            sqlx::query_as(TABLES).fetch_all(&mut self.reader).await.unavailable(doing)?;
        if now != self.tables {
            return Err(Error::new(
                ErrorKind::InUse,
                format!("the tables of {name} were just being changed: try again"),
            ));
        }
        let counted: Vec<String> =
            sqlx::query_scalar("SELECT name FROM main.sqlite_master WHERE name = 'sqlite_sequence'")
                .fetch_all(&mut self.reader)
                .await
                .unavailable(doing)?;
        for (table, _) in &self.tables {
            let sql = format!("INSERT INTO copy.\"{table}\" SELECT * FROM main.\"{table}\"");
            run(&mut self.reader, &sql).await.unavailable(doing)?;
        }
        if !counted.is_empty() {
            // Numbers that rows had which are gone must not be given again.
            let sql = "DELETE FROM copy.sqlite_sequence; INSERT INTO copy.sqlite_sequence SELECT * FROM main.sqlite_sequence";
            run(&mut self.reader, sql).await.unavailable(doing)?;
        }
        let format: i64 = sqlx::query_scalar("PRAGMA main.user_version")
            .fetch_one(&mut self.reader)
            .await
            .unavailable(doing)?;
        run(&mut self.reader, "COMMIT").await.unavailable(doing)?;
        self.reader.close().await.unavailable(doing)?;
        for sql in &self.others {
            run(&mut self.target, sql).await.unavailable(doing)?;
        }
        run(&mut self.target, &format!("PRAGMA user_version = {format}")).await.unavailable(doing)?;
        let found = check(&mut self.target).await.unavailable(doing)?;
        self.target.close().await.unavailable(doing)?;
        match found {
            None => Ok(()),
            Some(damage) => Err(Error::corrupt(format!("{name} is damaged: {damage}"))),
        }
    }
}

/// Refuses the file of a catalog that a newer version wrote, before anything is written; one that is not there is none.
///
/// # Errors
/// `Corrupt` with what to start; `Unavailable` when the file can't be read.
pub async fn refuse_newer(file: &Path) -> Result<()> {
    if !file.exists() {
        return Ok(());
    }
    let found = format(file).await?;
    if found > FORMAT { Err(newer(found)) } else { Ok(()) }
}

/// Refuses a catalog of any other format than this version's, newer or not yet brought forward.
///
/// # Errors
/// `Corrupt` when it is newer; `Invalid` when it is older; `Unavailable` when the file can't be read.
pub async fn refuse_other(file: &Path) -> Result<()> {
    let found = format(file).await?;
    match found {
        found if found > FORMAT => Err(newer(found)),
        FORMAT => Ok(()),
        found => Err(Error::invalid(format!(
            "the catalog has format {found}, and this version works on format {FORMAT}: start this version's server on \
             the data folder once, or take the version that it was written by"
        ))),
    }
}

/// What SQLite finds wrong with a file that others may have open; `None` when it is whole.
///
/// # Errors
/// `Unavailable` when the file can't be read.
pub async fn integrity(file: &Path) -> Result<Option<String>> {
    let doing = || format!("read {}", file.display());
    let mut connection = look(file).await.unavailable(doing)?;
    let found = check(&mut connection).await.unavailable(doing)?;
    connection.close().await.unavailable(doing)?;
    Ok(found)
}

/// The number of the format of a file's tables; 0 of one without tables. Nothing is written.
///
/// # Errors
/// `Unavailable` when the file can't be read.
pub async fn format(file: &Path) -> Result<i64> {
    let doing = || format!("read {}", file.display());
    let mut connection = look(file).await.unavailable(doing)?;
    let query = sqlx::query_scalar("PRAGMA user_version");
    let format = query.fetch_one(&mut connection).await.unavailable(doing)?;
    connection.close().await.unavailable(doing)?;
    Ok(format)
}

async fn check(connection: &mut SqliteConnection) -> sqlx::Result<Option<String>> {
    let lines: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(3)").fetch_all(connection).await?;
    Ok((lines != ["ok"]).then(|| lines.join("; ")))
}

async fn open(file: &Path, patience: Duration) -> sqlx::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(patience);
    options.foreign_keys(false).connect().await
}

async fn look(file: &Path) -> sqlx::Result<SqliteConnection> {
    let options =
        SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(10)).foreign_keys(false);
    let mut connection = options.clone().read_only(true).connect().await?;
    match run(&mut connection, "SELECT count(*) FROM sqlite_master").await {
        // A crash cut the very first transaction off, before there was a log of changes: who may not write can't read
        // beside what is left of it, and who may undoes it first.
        Err(sqlx::Error::Database(cause)) if is_read_only(cause.code().as_deref()) => options.connect().await,
        read => read.map(|()| connection),
    }
}

async fn run(connection: &mut SqliteConnection, sql: &str) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.map(drop)
}

fn is_busy(code: Option<&str>) -> bool {
    primary(code) == Some(5)
}

fn is_read_only(code: Option<&str>) -> bool {
    primary(code) == Some(8)
}

// The code's lower byte; the others tell more of it.
fn primary(code: Option<&str>) -> Option<u32> {
    code.and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff)
}

#[cfg(test)]
mod tests;
