//! Users: made, shown, deleted.

use model::error::{Error, Result};
use model::{Arn, ErrorKind};
use sqlx::any::AnyRow;
use sqlx::{Any, Row};

use crate::group::{defer_references, follow};
use crate::role::{Names, taken};
use crate::{Catalog, Transaction, failed, in_use, stored_arn};

// As with roles, two names that differ only in case are one name when a user is made.
pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS \"user\" (
    arn TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, path TEXT NOT NULL, tags TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS user_name ON \"user\" (name COLLATE NOCASE);
";

/// A user as it is created and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    pub arn: Arn,
    /// `AIDA…`, never given twice.
    pub id: String,
    pub name: String,
    pub path: String,
    pub tags: Vec<(String, String)>,
    pub created_ms: i64,
}

impl Catalog {
    /// # Errors
    /// `AlreadyExists` when the name is taken, in whatever case.
    pub async fn create_user(&self, user: &UserRow) -> Result<()> {
        let tags =
            serde_json::to_string(&user.tags).map_err(|e| Error::internal("write tags").caused_by(e))?;
        let mut tx = self.write().await?;
        sqlx::query("INSERT INTO \"user\" VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(user.arn.as_str())
            .bind(&user.id)
            .bind(&user.name)
            .bind(&user.path)
            .bind(tags)
            .bind(user.created_ms)
            .execute(&mut *tx)
            .await
            .map_err(taken(|| format!("User with name {} already exists.", user.name)))?;
        self.commit_identity(tx).await
    }

    pub async fn user(&self, name: &str) -> Result<Option<UserRow>> {
        let query = sqlx::query("SELECT * FROM \"user\" WHERE name = $1").bind(name);
        query.fetch_optional(self.pool()).await.map_err(failed)?.as_ref().map(read).transpose()
    }

    /// The user that was given this id, whatever its name is by now.
    pub async fn user_by_id(&self, id: &str) -> Result<Option<UserRow>> {
        let query = sqlx::query("SELECT * FROM \"user\" WHERE id = $1").bind(id);
        query.fetch_optional(self.pool()).await.map_err(failed)?.as_ref().map(read).transpose()
    }

    pub async fn users(&self, page: Names<'_>) -> Result<Vec<UserRow>> {
        let rows = sqlx::query(
            "SELECT * FROM \"user\" WHERE name > $1 AND substr(path, 1, length($2)) = $2 ORDER BY name LIMIT $3",
        )
        .bind(page.after)
        .bind(page.path_prefix)
        .bind(page.limit)
        .fetch_all(self.pool())
        .await
        .map_err(failed)?;
        rows.iter().map(read).collect()
    }

    /// Gives a user another name and path, and so the ARN `arn`; its id, keys and policies stay.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` when the name is taken, in whatever case.
    pub async fn rename_user(&self, name: &str, new_name: &str, new_path: &str, arn: &Arn) -> Result<()> {
        let mut tx = self.write().await?;
        let old = user_in(&mut tx, name).await?.arn;
        let text = || format!("User with name {new_name} already exists.");
        defer_references(&mut tx).await?;
        let query = sqlx::query("UPDATE \"user\" SET arn = $1, name = $2, path = $3 WHERE arn = $4");
        let query = query.bind(arn.as_str()).bind(new_name).bind(new_path).bind(old.as_str());
        query.execute(&mut *tx).await.map_err(taken(text))?;
        let tables = ["access_key", "user_policy", "user_attachment", "group_member"];
        follow(&mut tx, "user_arn", &tables, &old, arn).await?;
        self.commit_identity(tx).await
    }

    /// # Errors
    /// `NotFound`; `InUse` while it has access keys or policies, written into it or attached, or is in a group.
    pub async fn delete_user(&self, name: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let arn = user_in(&mut tx, name).await?.arn;
        for (table, text) in [
            ("access_key", "Cannot delete entity, must delete access keys first."),
            ("user_policy", "Cannot delete entity, must delete policies first."),
            ("user_attachment", "Cannot delete entity, must detach all policies first."),
            ("group_member", "Cannot delete entity, must remove users from group first."),
        ] {
            let query = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table} WHERE user_arn = $1"));
            let query = sqlx::query_scalar(query).bind(arn.as_str());
            let held: i64 = query.fetch_one(&mut *tx).await.map_err(failed)?;
            if held > 0 {
                return Err(in_use(text));
            }
        }
        let query = sqlx::query("DELETE FROM \"user\" WHERE arn = $1").bind(arn.as_str());
        query.execute(&mut *tx).await.map_err(failed)?;
        self.commit_identity(tx).await
    }
}

/// A user, within a transaction.
///
/// # Errors
/// `NotFound`.
pub(crate) async fn user_in(tx: &mut Transaction<'static, Any>, name: &str) -> Result<UserRow> {
    let query = sqlx::query("SELECT * FROM \"user\" WHERE name = $1").bind(name);
    let row = query.fetch_optional(&mut **tx).await.map_err(failed)?;
    read(&row.ok_or_else(|| no_user(name))?)
}

fn no_user(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("The user with name {name} cannot be found."))
}

/// A user in a row that holds all columns of one.
pub(crate) fn read(row: &AnyRow) -> Result<UserRow> {
    let tags: &str = row.try_get("tags").map_err(failed)?;
    Ok(UserRow {
        arn: stored_arn(row.try_get("arn").map_err(failed)?)?,
        id: row.try_get("id").map_err(failed)?,
        name: row.try_get("name").map_err(failed)?,
        path: row.try_get("path").map_err(failed)?,
        tags: serde_json::from_str(tags)
            .map_err(|e| Error::corrupt("a user's tags can't be read").caused_by(e))?,
        created_ms: row.try_get("created_ms").map_err(failed)?,
    })
}
