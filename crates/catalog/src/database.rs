//! The database behind the catalog, a file of SQLite or a server of PostgreSQL: how it is connected to.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::error::{Context, Error, Result};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyConnection, AnyPool, Connection};
use tokio::time::timeout;

use crate::patience::{Transaction, silence, within};

/// What every connection to a file is told: a commit is on the disk when it returns.
const SQLITE: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON";

/// What every connection to a server is told: a commit is on the disk when it returns, and nobody holds a lock for long,
/// not even a process that was stopped in the middle of a transaction.
const POSTGRES: &str = "SET application_name = 'lade'; SET client_min_messages = warning; SET jit = off;
    SET statement_timeout = '20s'; SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '10s';
    SET default_transaction_isolation = 'read committed';
    SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')
        WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)";

/// Taken by every transaction that writes, on whatever machine: they follow each other as they do on a file.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1279345733)";

/// How long a caller waits for a server that does not answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// A connection that lay idle for longer is asked whether it is still there before it is used.
const FRESH: Duration = Duration::from_secs(1);

/// What an address may say beside the server's name, for the rest would be passed over.
const PARAMETERS: [&str; 11] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "options",
];

/// When a connection was last found to be cut, or the tables to have changed since a statement was prepared.
static CHANGED: Mutex<Option<Instant>> = Mutex::new(None);

/// Whose SQL is spoken, where the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    pub(crate) fn of(connection: &AnyConnection) -> Dialect {
        if connection.backend_name() == "PostgreSQL" { Dialect::Postgres } else { Dialect::Sqlite }
    }
}

/// The connections of a catalog.
pub(crate) struct Connections {
    pub(crate) writer: AnyPool,
    pub(crate) readers: AnyPool,
    /// Of a file: open as long as the catalog is. What SQLite keeps beside the file goes with its last connection, and
    /// can't be made again on a disk that is full; then none of those that were closed could be replaced.
    pub(crate) keeper: Option<AnyPool>,
}

/// Connects to a file, making it where there is none, and gives its tables their shape.
pub(crate) async fn open_file(file: &Path) -> Result<Connections> {
    sqlx::any::install_default_drivers();
    keep_private(file).unavailable(opening)?;
    let file = std::path::absolute(file).unavailable(opening)?;
    let path = percent_encode(file.as_os_str().as_encoded_bytes(), NON_ALPHANUMERIC);
    let options = AnyConnectOptions::from_str(&format!("sqlite:{path}")).unavailable(opening)?;
    // A pool would try again and again on a disk that fails, and then tell of the time alone.
    let mut first = AnyConnection::connect_with(&options).await.unavailable(opening)?;
    sqlx::raw_sql(SQLITE).execute(&mut first).await.unavailable(opening)?;
    let kept = sqlite(1).idle_timeout(None).max_lifetime(None);
    let keeper = kept.connect_with(options.clone()).await.unavailable(opening)?;
    // One writer: SQLite has one at a time anyway, and waiting in the pool is fair where waiting on the file is not.
    let writer = sqlite(1).connect_with(options.clone()).await.unavailable(opening)?;
    // Before anybody reads: a statement that was prepared earlier would count columns wrongly.
    crate::format::settle(Dialect::Sqlite, &writer).await?;
    let readers = sqlite(4).connect_with(options).await.unavailable(opening)?;
    first.close().await.unavailable(opening)?;
    Ok(Connections { writer, readers, keeper: Some(keeper) })
}

/// Connects to the server at a URL, and gives the tables there their shape.
pub(crate) async fn open_server(url: &str) -> Result<Connections> {
    sqlx::any::install_default_drivers();
    let options = address(url)?;
    // Writers wait for each other at the server; the next one is there when a lock is let go.
    let writer = postgres(4).connect_with(options.clone()).await.map_err(unreachable)?;
    crate::format::settle(Dialect::Postgres, &writer).await?;
    let readers = postgres(8).connect_with(options).await.map_err(unreachable)?;
    Ok(Connections { writer, readers, keeper: None })
}

/// Begins a transaction that writes, when all that write are over.
pub(crate) async fn write(dialect: Dialect, pool: &AnyPool) -> sqlx::Result<Transaction<'static, Any>> {
    if dialect == Dialect::Sqlite {
        return pool.begin_with("BEGIN IMMEDIATE").await.map(Transaction::from);
    }
    let mut tx = begin(pool, "BEGIN").await?;
    sqlx::raw_sql(LOCK).execute(&mut *tx).await?;
    Ok(tx)
}

/// Begins a transaction that reads one state.
pub(crate) async fn read(dialect: Dialect, pool: &AnyPool) -> sqlx::Result<Transaction<'static, Any>> {
    match dialect {
        Dialect::Sqlite => pool.begin().await.map(Transaction::from),
        Dialect::Postgres => begin(pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await,
    }
}

/// Begins a transaction that writes, and waits for none but those whose rows it changes.
pub(crate) async fn write_beside(
    dialect: Dialect,
    writer: &AnyPool,
    readers: &AnyPool,
) -> sqlx::Result<Transaction<'static, Any>> {
    match dialect {
        Dialect::Sqlite => writer.begin_with("BEGIN IMMEDIATE").await.map(Transaction::from),
        // Those who write one at a time may hold all connections of their own while they wait.
        Dialect::Postgres => begin(readers, "BEGIN").await,
    }
}

// The driver for PostgreSQL does not know of a transaction whose beginning its caller stopped waiting for, and would
// never end it: so whoever begins one waits.
async fn begin(pool: &AnyPool, statement: &'static str) -> sqlx::Result<Transaction<'static, Any>> {
    let pool = pool.clone();
    let begin = async move { within(Dialect::Postgres, pool.begin_with(statement)).await };
    tokio::spawn(begin).await.map_err(|_| sqlx::Error::WorkerCrashed)?.map(Transaction::from)
}

/// Lets no connection from before now be used again.
pub(crate) fn renew_connections() {
    *CHANGED.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
}

fn opening() -> String {
    "open the catalog".to_owned()
}

// The cause names user and database at most, never the password.
fn unreachable(cause: sqlx::Error) -> Error {
    Error::unavailable("the database of the catalog could not be connected to").caused_by(cause)
}

fn address(url: &str) -> Result<AnyConnectOptions> {
    let wrong =
        || Error::invalid("the catalog's address must be such as postgres://user:password@host/database");
    let mut options = AnyConnectOptions::from_str(url).map_err(|_| wrong())?;
    let address = &mut options.database_url;
    if !["postgres", "postgresql"].contains(&address.scheme()) {
        return Err(wrong());
    }
    let unknown = address.query_pairs().find(|(name, _)| !PARAMETERS.contains(&name.as_ref()));
    if let Some((name, _)) = unknown {
        return Err(Error::invalid(format!(
            "the catalog's address has a parameter that nobody knows: {name}"
        )));
    }
    // As many as there are, so that each is prepared once.
    address.query_pairs_mut().append_pair("statement-cache-capacity", "1000");
    Ok(options)
}

// SQLite ends a transaction by itself when the disk is full or fails. The driver does not notice and would never begin
// another one: such a connection is replaced.
fn sqlite(most: u32) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(most)
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(SQLITE).execute(connection).await.map(drop) })
        })
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
}

fn postgres(most: u32) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(POSTGRES).execute(connection).await.map(drop) })
        })
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                let changed = *CHANGED.lock().unwrap_or_else(PoisonError::into_inner);
                if changed.is_some_and(|at| meta.age > at.elapsed()) {
                    return Ok(false);
                }
                if meta.idle_for > FRESH {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        // The driver itself would wait without end to be told that a connection is free again.
        .after_release(|connection, _| {
            Box::pin(async move {
                let answer = timeout(PATIENCE, connection.ping()).await;
                answer.unwrap_or_else(|_| Err(silence())).map(|()| true)
            })
        })
}

// The file holds the sealed secrets of access keys; SQLite gives the files beside it the same permissions.
fn keep_private(file: &Path) -> std::io::Result<()> {
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(file)?;
    opened.set_permissions(Permissions::from_mode(0o600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_postgresql_and_says_nothing_unknown() {
        address("postgres://u:p@localhost/lade?sslmode=verify-full&sslrootcert=/ca.pem").unwrap();
        for wrong in ["mysql://u:secret@h/d", "secret", "sqlite:secret", "postgres://h/d?passwrod=secret"] {
            let refused = address(wrong).err().unwrap();
            assert!(!refused.chain().contains("secret"), "{}", refused.chain());
        }
    }
}
