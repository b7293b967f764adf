//! The database behind the catalog, a file of SQLite: how it is connected to.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::str::FromStr;

use model::error::{Context, Result};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use sqlx::Connection;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};

/// What every connection to a file is told: a commit is on the disk when it returns.
const SQLITE: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON";

/// The connections of a catalog.
pub(crate) struct Connections {
    pub(crate) writer: sqlx::AnyPool,
    pub(crate) readers: sqlx::AnyPool,
}

/// Connects to a file, making it where there is none.
pub(crate) async fn open_file(file: &Path) -> Result<Connections> {
    let opening = || "open the catalog".to_owned();
    sqlx::any::install_default_drivers();
    keep_private(file).unavailable(opening)?;
    let file = std::path::absolute(file).unavailable(opening)?;
    let path = percent_encode(file.as_os_str().as_encoded_bytes(), NON_ALPHANUMERIC);
    let options = AnyConnectOptions::from_str(&format!("sqlite:{path}")).unavailable(opening)?;
    // One writer: SQLite has one at a time anyway, and waiting in the pool is fair where waiting on the file is not.
    let writer = sqlite(1).connect_with(options.clone()).await.unavailable(opening)?;
    let readers = sqlite(4).connect_with(options).await.unavailable(opening)?;
    Ok(Connections { writer, readers })
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

// The file holds the sealed secrets of access keys; SQLite gives the files beside it the same permissions.
fn keep_private(file: &Path) -> std::io::Result<()> {
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(file)?;
    opened.set_permissions(Permissions::from_mode(0o600))
}
