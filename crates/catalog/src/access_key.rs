//! Access keys of users, with their secrets as `access` sealed them.

use model::ErrorKind;
use model::error::{Error, Result};
use sqlx::any::AnyRow;
use sqlx::{Any, Row};

use crate::change::Changed;
use crate::role::Names;
use crate::user::{self, UserRow, user_in};
use crate::{Catalog, Transaction, failed};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS access_key (
    access_key_id TEXT PRIMARY KEY, user_arn TEXT NOT NULL REFERENCES \"user\" (arn), secret_access_key TEXT NOT NULL,
    is_active INTEGER NOT NULL, key_created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS access_key_user ON access_key (user_arn);
CREATE TABLE IF NOT EXISTS access_key_use (
    access_key_id TEXT PRIMARY KEY REFERENCES access_key (access_key_id) ON DELETE CASCADE, used_ms INTEGER NOT NULL,
    service TEXT NOT NULL
) STRICT;
";

/// A key as lists show it: without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKeyRow {
    pub id: String,
    pub is_active: bool,
    pub created_ms: i64,
}

/// Whose a key is, and when and for which service it was last used; `None` when it never was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    pub user: String,
    pub user_arn: String,
    pub last: Option<(i64, String)>,
}

/// An active key with its sealed secret and its user.
pub struct LiveKey {
    pub id: String,
    pub sealed_secret: String,
    pub user: UserRow,
}

/// The secret of a key, as it was stored.
pub struct StoredSecret {
    pub access_key_id: String,
    pub user_id: String,
    pub text: String,
}

impl Catalog {
    /// Makes a key; `seal` is handed its user, and gives back the secret as it is to be stored.
    ///
    /// # Errors
    /// `NotFound` when there is no such user; `LimitExceeded` when it has `most` keys.
    pub async fn create_access_key(
        &self,
        user: &str,
        id: &str,
        seal: impl FnOnce(&UserRow) -> String,
        most: i64,
    ) -> Result<(AccessKeyRow, LiveKey)> {
        let mut tx = self.write().await?;
        let user = user_in(&mut tx, user).await?;
        let held = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM access_key WHERE user_arn = $1");
        if held.bind(user.arn.as_str()).fetch_one(&mut *tx).await.map_err(failed)? >= most {
            let text = format!("Cannot exceed quota for AccessKeysPerUser: {most}");
            return Err(Error::new(ErrorKind::LimitExceeded, text));
        }
        let sealed_secret = seal(&user);
        let row = AccessKeyRow { id: id.to_owned(), is_active: true, created_ms: self.now_ms() };
        let query = sqlx::query("INSERT INTO access_key VALUES ($1, $2, $3, 1, $4)").bind(id);
        let query = query.bind(user.arn.as_str()).bind(&sealed_secret).bind(row.created_ms);
        query.execute(&mut *tx).await.map_err(failed)?;
        self.commit_change(tx, Changed::Identity).await?;
        Ok((row, LiveKey { id: id.to_owned(), sealed_secret, user }))
    }

    /// The keys of a user, by id.
    ///
    /// # Errors
    /// `NotFound` when there is no such user.
    pub async fn access_keys(&self, user: &str, page: Names<'_>) -> Result<Vec<AccessKeyRow>> {
        let mut tx = self.read().await?;
        let user = user_in(&mut tx, user).await?;
        let rows = sqlx::query(
            "SELECT access_key_id, is_active, key_created_ms FROM access_key
             WHERE user_arn = $1 AND access_key_id > $2 ORDER BY access_key_id LIMIT $3",
        )
        .bind(user.arn.as_str())
        .bind(page.after)
        .bind(page.limit)
        .fetch_all(&mut *tx)
        .await
        .map_err(failed)?;
        rows.iter().map(read).collect()
    }

    /// Activates a key, which is returned then, or makes it inactive.
    ///
    /// # Errors
    /// `NotFound` when there is no such user, or it has no such key.
    pub async fn set_access_key_active(
        &self,
        user: &str,
        id: &str,
        is_active: bool,
    ) -> Result<Option<LiveKey>> {
        let mut tx = self.write().await?;
        let user = user_in(&mut tx, user).await?;
        let query =
            sqlx::query("UPDATE access_key SET is_active = $1 WHERE access_key_id = $2 AND user_arn = $3");
        let query = query.bind(i64::from(is_active)).bind(id).bind(user.arn.as_str());
        if query.execute(&mut *tx).await.map_err(failed)?.rows_affected() == 0 {
            return Err(no_key(id));
        }
        let live = if is_active { live_keys(&mut tx, Some(id)).await?.pop() } else { None };
        self.commit_change(tx, Changed::Identity).await?;
        Ok(live)
    }

    /// # Errors
    /// `NotFound` when there is no such user, or it has no such key.
    pub async fn delete_access_key(&self, user: &str, id: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let user = user_in(&mut tx, user).await?;
        let query = sqlx::query("DELETE FROM access_key WHERE access_key_id = $1 AND user_arn = $2");
        let query = query.bind(id).bind(user.arn.as_str());
        if query.execute(&mut *tx).await.map_err(failed)?.rows_affected() == 0 {
            return Err(no_key(id));
        }
        self.commit_change(tx, Changed::Identity).await
    }

    /// What is known of a key's use; `None` when there is no such key.
    pub async fn access_key_use(&self, id: &str) -> Result<Option<KeyUse>> {
        let row: Option<(String, String, Option<i64>, Option<String>)> = sqlx::query_as(
            "SELECT \"user\".name, \"user\".arn, used_ms, service FROM access_key JOIN \"user\" ON \"user\".arn = user_arn
             LEFT JOIN access_key_use USING (access_key_id) WHERE access_key_id = $1",
        )
        .bind(id)
        .fetch_optional(self.pool())
        .await
        .map_err(failed)?;
        Ok(row.map(|(user, user_arn, used_ms, service)| KeyUse {
            user,
            user_arn,
            last: used_ms.zip(service),
        }))
    }

    /// Notes that a key was used; of one that is gone, nothing.
    pub async fn note_access_key_use(&self, id: &str, used_ms: i64, service: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let query = sqlx::query(
            "INSERT INTO access_key_use SELECT access_key_id, $2, $3 FROM access_key WHERE access_key_id = $1
             ON CONFLICT (access_key_id) DO UPDATE SET used_ms = excluded.used_ms, service = excluded.service",
        );
        query.bind(id).bind(used_ms).bind(service).execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// The secrets of all keys, also of those that are inactive.
    pub async fn stored_secrets(&self) -> Result<Vec<StoredSecret>> {
        let query = sqlx::query_as(
            "SELECT access_key_id, \"user\".id, secret_access_key FROM access_key JOIN \"user\" ON \"user\".arn = user_arn",
        );
        let rows: Vec<(String, String, String)> = query.fetch_all(self.pool()).await.map_err(failed)?;
        let secret = |(access_key_id, user_id, text)| StoredSecret { access_key_id, user_id, text };
        Ok(rows.into_iter().map(secret).collect())
    }

    /// Stores secrets in place of those that were there, of which no trace stays in the file.
    pub async fn replace_secrets(&self, secrets: &[StoredSecret]) -> Result<()> {
        let mut tx = self.write().await?;
        for secret in secrets {
            let query = sqlx::query("UPDATE access_key SET secret_access_key = $1 WHERE access_key_id = $2");
            let query = query.bind(&secret.text).bind(&secret.access_key_id);
            query.execute(&mut *tx).await.map_err(failed)?;
        }
        tx.commit().await.map_err(failed)?;
        self.rewrite().await
    }

    /// The key with this id, if it is active.
    pub async fn live_key(&self, id: &str) -> Result<Option<LiveKey>> {
        let mut tx = self.read().await?;
        Ok(live_keys(&mut tx, Some(id)).await?.pop())
    }

    /// The active keys of all users.
    pub async fn live_keys(&self) -> Result<Vec<LiveKey>> {
        let mut tx = self.read().await?;
        live_keys(&mut tx, None).await
    }
}

async fn live_keys(tx: &mut Transaction<'static, Any>, only: Option<&str>) -> Result<Vec<LiveKey>> {
    let rows = sqlx::query(
        "SELECT access_key_id, secret_access_key, \"user\".* FROM access_key JOIN \"user\" ON \"user\".arn = user_arn
         WHERE is_active = 1 AND ($1 IS NULL OR access_key_id = $1)",
    );
    let rows = rows.bind(only).fetch_all(&mut **tx).await.map_err(failed)?;
    let read = |row: &AnyRow| {
        let text = |column: &str| row.try_get::<String, _>(column).map_err(failed);
        let (id, sealed_secret) = (text("access_key_id")?, text("secret_access_key")?);
        Ok(LiveKey { id, sealed_secret, user: user::read(row)? })
    };
    rows.iter().map(read).collect()
}

fn read(row: &AnyRow) -> Result<AccessKeyRow> {
    Ok(AccessKeyRow {
        id: row.try_get("access_key_id").map_err(failed)?,
        is_active: row.try_get::<i64, _>("is_active").map_err(failed)? != 0,
        created_ms: row.try_get("key_created_ms").map_err(failed)?,
    })
}

fn no_key(id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("The Access Key with id {id} cannot be found."))
}
