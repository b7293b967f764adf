//! What a backup has to know of the store's folder: `index.db`, and the blobs that it names.

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::error::{Context, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use store::Hold;

use crate::blob::{HOLD, place_of};
use crate::index::{VERSION, refused};

/// The name of the index in the folder of the store.
pub const INDEX: &str = "index.db";

/// What keeps the blobs of a store's folder while they are copied.
pub fn hold(folder: &Path) -> Hold {
    Hold::on(&folder.join(HOLD))
}

/// The places, below the folder of the store, of all blobs that an index names, each with the least size that it must have.
///
/// # Errors
/// `Unavailable` when the index can't be read.
pub async fn blobs(index: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let doing = || "read the index of objects".to_owned();
    let mut connection = look(index).await.unavailable(doing)?;
    // Of a sealed blob the bytes are more than those of its object.
    let query = sqlx::query_as(
        "SELECT blob, max(size) FROM (SELECT blob, size FROM object_blob UNION ALL SELECT blob, size FROM part)
         GROUP BY blob ORDER BY blob",
    );
    let found: Vec<(String, i64)> = query.fetch_all(&mut connection).await.unavailable(doing)?;
    connection.close().await.unavailable(doing)?;
    Ok(found.into_iter().map(|(id, size)| (place_of(&id), size.cast_unsigned())).collect())
}

/// Refuses an index that a newer program wrote, before anything is written; one that is not there is none.
///
/// # Errors
/// `Invalid` with what to start; `Unavailable` when it can't be read.
pub async fn refuse_newer(index: &Path) -> Result<()> {
    if !index.exists() {
        return Ok(());
    }
    let doing = || "read the index of objects".to_owned();
    let mut connection = look(index).await.unavailable(doing)?;
    let query = sqlx::query_scalar("PRAGMA user_version");
    let version: i64 = query.fetch_one(&mut connection).await.unavailable(doing)?;
    connection.close().await.unavailable(doing)?;
    if version > VERSION { Err(refused(version)) } else { Ok(()) }
}

async fn look(index: &Path) -> sqlx::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(index).busy_timeout(Duration::from_secs(10));
    let mut connection = options.clone().read_only(true).connect().await?;
    match sqlx::query("SELECT count(*) FROM sqlite_master").execute(&mut connection).await {
        // What a crash left of the very first transaction is undone by whoever may write, and keeps others out.
        Err(sqlx::Error::Database(cause)) if is_read_only(cause.code().as_deref()) => options.connect().await,
        read => read.map(|_| connection),
    }
}

// The code's lower byte; the others tell why.
fn is_read_only(code: Option<&str>) -> bool {
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xff == 8)
}
