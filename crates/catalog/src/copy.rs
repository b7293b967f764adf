//! Copies a file of SQLite while others write to it: the state of one moment, for which writers wait an instant only.
//!
//! `prepare` makes the copy's tables, `halt` keeps writers away, `hold` fixes the moment, `release` lets them go on, and
//! `write` copies what was there at that moment, however long it takes. With several files halted at once, all copies are of
//! one moment. The statement `VACUUM INTO` could not tell when its moment is.

use std::path::Path;
use std::time::Duration;

use model::error::{Context, Error, ErrorKind, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

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

/// What a catalog says of files outside of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Of runs that make datasets up or that a job reads, with their sizes.
    pub runs: Vec<(String, u64)>,
    /// Objects that jobs have written, some of which may be gone.
    pub others: Vec<String>,
    /// Runs that nobody needs any more, and whose objects may be gone.
    pub retired: Vec<String>,
    /// What begins the names of objects that somebody may be writing.
    pub attempts: Vec<String>,
    /// How far the log was read into runs.
    pub flushed: u64,
    /// Which number comes next.
    pub sequence: u64,
    /// Where the last node kept its objects: `file`, or a bucket.
    pub objects: String,
    /// The version of the node that works on it.
    pub version: Option<String>,
    /// What the master key has sealed, to be known by it.
    pub master_key_mark: Option<Vec<u8>>,
}

/// Reads these from a catalog of this format that others may have open.
///
/// # Errors
/// `Unavailable` when the file can't be read.
pub async fn named(file: &Path) -> Result<Named> {
    let doing = || format!("read {}", file.display());
    let mut connection = look(file).await.unavailable(doing)?;
    let named = read_named(&mut connection).await.unavailable(doing)?;
    connection.close().await.unavailable(doing)?;
    Ok(named)
}

/// What the master key sealed in a catalog of any format, to be known by it; `None` where there is no such mark.
///
/// # Errors
/// `Unavailable` when the file can't be read.
pub async fn master_key_mark(file: &Path) -> Result<Option<Vec<u8>>> {
    let doing = || format!("read {}", file.display());
    let mut connection = look(file).await.unavailable(doing)?;
    let mark = read_mark(&mut connection).await.unavailable(doing)?;
    connection.close().await.unavailable(doing)?;
    Ok(mark)
}

async fn read_mark(connection: &mut SqliteConnection) -> sqlx::Result<Option<Vec<u8>>> {
    let query = sqlx::query_scalar("SELECT count(*) FROM sqlite_master WHERE name = 'master_key_mark'");
    let tables: i64 = query.fetch_one(&mut *connection).await?;
    if tables == 0 {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT sealed FROM master_key_mark").fetch_optional(connection).await
}

async fn read_named(connection: &mut SqliteConnection) -> sqlx::Result<Named> {
    let runs: Vec<(String, i64)> = sqlx::query_as(
        "SELECT object, size_bytes FROM run WHERE listed = 1 OR id IN (SELECT run_id FROM run_pin) ORDER BY id",
    )
    .fetch_all(&mut *connection)
    .await?;
    let others = sqlx::query_scalar(
        "SELECT object FROM reject_file UNION SELECT json_extract(plan, '$.list.object') FROM job
         WHERE kind = 'DELETION' AND json_extract(plan, '$.list.object') IS NOT NULL",
    )
    .fetch_all(&mut *connection)
    .await?;
    let retired = sqlx::query_scalar(
        "SELECT object FROM run WHERE listed = 0 AND id NOT IN (SELECT run_id FROM run_pin) ORDER BY id",
    )
    .fetch_all(&mut *connection)
    .await?;
    let attempts = sqlx::query_scalar("SELECT id FROM attempt").fetch_all(&mut *connection).await?;
    let (flushed, sequence): (Option<i64>, i64) = sqlx::query_as(
        "SELECT (SELECT max(flushed_position) FROM dataset), (SELECT value FROM counter WHERE name = 'sequence')",
    )
    .fetch_one(&mut *connection)
    .await?;
    let node: Option<(String, String, Option<i64>)> = sqlx::query_as(
        "SELECT objects, version, ended_ms FROM node WHERE objects <> '' AND url <> '' ORDER BY started_ms DESC, ended_ms IS NULL DESC LIMIT 1",
    )
    .fetch_optional(&mut *connection)
    .await?;
    let master_key_mark = read_mark(connection).await?;
    let (objects, version) = match node {
        Some((objects, version, None)) => (objects, Some(version)),
        Some((objects, _, Some(_))) => (objects, None),
        None => (String::new(), None),
    };
    Ok(Named {
        runs: runs.into_iter().map(|(object, size)| (object, size.cast_unsigned())).collect(),
        others,
        retired,
        attempts,
        flushed: flushed.unwrap_or(0).cast_unsigned(),
        sequence: sequence.cast_unsigned(),
        objects,
        version,
        master_key_mark,
    })
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
mod tests {
    use super::*;

    async fn file(folder: &tempfile::TempDir, sql: &str) -> std::path::PathBuf {
        let file = folder.path().join("from.db");
        let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        run(&mut connection, "PRAGMA journal_mode = WAL").await.unwrap();
        run(&mut connection, sql).await.unwrap();
        connection.close().await.unwrap();
        file
    }

    async fn number(file: &Path, sql: &str) -> i64 {
        let mut connection = look(file).await.unwrap();
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap()
    }

    const SHOP: &str = "PRAGMA user_version = 7;
        CREATE TABLE told (n INTEGER) STRICT;
        CREATE TABLE ware (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE) STRICT;
        CREATE TABLE place (ware INTEGER NOT NULL REFERENCES ware (id), shelf TEXT, PRIMARY KEY (ware)) STRICT, WITHOUT ROWID;
        CREATE INDEX place_shelf ON place (shelf);
        CREATE TRIGGER tell AFTER INSERT ON ware BEGIN INSERT INTO told VALUES (new.id); END;
        INSERT INTO ware (name) VALUES ('a'), ('b'), ('c');
        INSERT INTO place VALUES (1, 'x'), (2, NULL);
        DELETE FROM ware WHERE name = 'c';";

    #[tokio::test]
    async fn a_copy_is_of_the_moment_when_writers_were_halted() {
        let folder = tempfile::tempdir().unwrap();
        let from = file(&folder, SHOP).await;
        let to = folder.path().join("to.db");
        let mut writer = open(&from, Duration::from_millis(10)).await.unwrap();
        let mut copy = Copy::prepare(&from, &to).await.unwrap();
        run(&mut writer, "BEGIN IMMEDIATE").await.unwrap();
        assert!(!copy.halt().await.unwrap(), "somebody is writing");
        run(&mut writer, "COMMIT").await.unwrap();
        assert!(copy.halt().await.unwrap());
        run(&mut writer, "INSERT INTO ware (name) VALUES ('early')").await.unwrap_err();
        copy.hold().await.unwrap();
        copy.release().await.unwrap();
        run(&mut writer, "INSERT INTO ware (name) VALUES ('late')").await.unwrap();
        copy.write().await.unwrap();
        assert_eq!(number(&to, "SELECT count(*) FROM ware").await, 2);
        assert_eq!(number(&to, "SELECT count(*) FROM told").await, 3, "no trigger told of the copy");
        assert_eq!(number(&to, "SELECT seq FROM sqlite_sequence WHERE name = 'ware'").await, 3);
        assert_eq!((format(&to).await.unwrap(), integrity(&to).await.unwrap()), (7, None));
        let things = "SELECT count(*) FROM sqlite_master";
        assert_eq!(number(&to, things).await, number(&from, things).await);
    }

    #[tokio::test]
    async fn what_a_crash_left_of_the_first_transaction_is_undone_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let (file, cut) = (folder.path().join("from.db"), folder.path().join("cut.db"));
        let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        run(
            &mut connection,
            "PRAGMA user_version = 3; CREATE TABLE t (text TEXT); INSERT INTO t VALUES ('a')",
        )
        .await
        .unwrap();
        // So few pages in memory that the change reaches the file before its end.
        let change = "PRAGMA cache_size = 1; BEGIN; PRAGMA user_version = 9;
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
            INSERT INTO t SELECT hex(randomblob(2000)) FROM n";
        run(&mut connection, change).await.unwrap();
        std::fs::copy(&file, &cut).unwrap();
        std::fs::copy(file.with_extension("db-journal"), cut.with_extension("db-journal")).unwrap();
        assert!(std::fs::metadata(&cut).unwrap().len() > 100_000, "nothing was written before the cut");
        refuse_newer(&cut).await.unwrap();
        assert_eq!((format(&cut).await.unwrap(), integrity(&cut).await.unwrap()), (3, None));
        assert_eq!(number(&cut, "SELECT count(*) FROM t").await, 1);
    }

    #[tokio::test]
    async fn tables_that_change_meanwhile_are_not_copied() {
        let folder = tempfile::tempdir().unwrap();
        let from = file(&folder, SHOP).await;
        let mut copy = Copy::prepare(&from, &folder.path().join("to.db")).await.unwrap();
        let mut writer = open(&from, Duration::from_secs(1)).await.unwrap();
        run(&mut writer, "ALTER TABLE ware ADD COLUMN price INTEGER").await.unwrap();
        assert!(copy.halt().await.unwrap());
        copy.hold().await.unwrap();
        copy.release().await.unwrap();
        assert_eq!(copy.write().await.unwrap_err().kind, ErrorKind::InUse);
    }

    #[tokio::test]
    async fn another_format_is_told_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let from = file(&folder, "PRAGMA user_version = 99").await;
        let before = std::fs::read(&from).unwrap();
        assert_eq!(refuse_newer(&from).await.unwrap_err().kind, ErrorKind::Corrupt);
        assert_eq!(refuse_other(&from).await.unwrap_err().kind, ErrorKind::Corrupt);
        assert_eq!(std::fs::read(&from).unwrap(), before);
        refuse_newer(&folder.path().join("none.db")).await.unwrap();
    }
}
