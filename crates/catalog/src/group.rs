//! Groups of users, and who is in them.

use model::error::{Error, Result};
use model::{Arn, ErrorKind};
use sqlx::any::AnyRow;
use sqlx::{Any, Row};

use crate::database::Dialect;
use crate::role::{Names, taken};
use crate::user::{self, UserRow, user_in};
use crate::{Catalog, Transaction, failed, in_use, stored_arn};

// As with roles, two names that differ only in case are one name when a group is made.
pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS user_group (
    arn TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, path TEXT NOT NULL, created_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS user_group_name ON user_group (name COLLATE NOCASE);
CREATE TABLE IF NOT EXISTS group_member (
    group_arn TEXT NOT NULL REFERENCES user_group (arn), user_arn TEXT NOT NULL REFERENCES \"user\" (arn),
    PRIMARY KEY (group_arn, user_arn)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS group_member_user ON group_member (user_arn);
";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    pub arn: Arn,
    /// `AGPA…`, never given twice.
    pub id: String,
    pub name: String,
    pub path: String,
    pub created_ms: i64,
}

impl Catalog {
    /// # Errors
    /// `AlreadyExists` when the name is taken, in whatever case.
    pub async fn create_group(&self, group: &GroupRow) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("INSERT INTO user_group VALUES ($1, $2, $3, $4, $5)")
            .bind(group.arn.as_str())
            .bind(&group.id)
            .bind(&group.name)
            .bind(&group.path)
            .bind(group.created_ms)
            .execute(&mut *tx)
            .await
            .map_err(taken(|| format!("Group with name {} already exists.", group.name)))?;
        self.commit_identity(tx).await
    }

    pub async fn group(&self, name: &str) -> Result<Option<GroupRow>> {
        let query = sqlx::query("SELECT * FROM user_group WHERE name = $1").bind(name);
        query.fetch_optional(self.pool()).await.map_err(failed)?.as_ref().map(read).transpose()
    }

    pub async fn groups(&self, page: Names<'_>) -> Result<Vec<GroupRow>> {
        let query = sqlx::query(
            "SELECT * FROM user_group WHERE name > $1 AND substr(path, 1, length($2)) = $2 ORDER BY name LIMIT $3",
        );
        let query = query.bind(page.after).bind(page.path_prefix).bind(page.limit);
        query.fetch_all(self.pool()).await.map_err(failed)?.iter().map(read).collect()
    }

    /// Gives a group another name and path, and so the ARN `arn`.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` when the name is taken, in whatever case.
    pub async fn rename_group(&self, name: &str, new_name: &str, new_path: &str, arn: &Arn) -> Result<()> {
        let mut tx = self.write().await?;
        let old = group_in(&mut tx, name).await?.arn;
        let text = || format!("Group with name {new_name} already exists.");
        defer_references(&mut tx).await?;
        let query = sqlx::query("UPDATE user_group SET arn = $1, name = $2, path = $3 WHERE arn = $4");
        let query = query.bind(arn.as_str()).bind(new_name).bind(new_path).bind(old.as_str());
        query.execute(&mut *tx).await.map_err(taken(text))?;
        follow(&mut tx, "group_arn", &["group_member", "group_policy", "group_attachment"], &old, arn)
            .await?;
        self.commit_identity(tx).await
    }

    /// # Errors
    /// `NotFound`; `InUse` while it has members or policies, written into it or attached.
    pub async fn delete_group(&self, name: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let arn = group_in(&mut tx, name).await?.arn;
        for (table, text) in [
            ("group_member", "Cannot delete entity, must remove users from group first."),
            ("group_policy", "Cannot delete entity, must delete policies first."),
            ("group_attachment", "Cannot delete entity, must detach all policies first."),
        ] {
            let query = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table} WHERE group_arn = $1"));
            let query = sqlx::query_scalar(query).bind(arn.as_str());
            let held: i64 = query.fetch_one(&mut *tx).await.map_err(failed)?;
            if held > 0 {
                return Err(in_use(text));
            }
        }
        let query = sqlx::query("DELETE FROM user_group WHERE arn = $1").bind(arn.as_str());
        query.execute(&mut *tx).await.map_err(failed)?;
        self.commit_identity(tx).await
    }

    /// Lets a user into a group, if it is not in it.
    ///
    /// # Errors
    /// `NotFound` when there is no such user or group.
    pub async fn add_group_member(&self, group: &str, user: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let group = group_in(&mut tx, group).await?.arn;
        let user = user_in(&mut tx, user).await?.arn;
        let query = sqlx::query("INSERT INTO group_member VALUES ($1, $2) ON CONFLICT DO NOTHING");
        query.bind(group.as_str()).bind(user.as_str()).execute(&mut *tx).await.map_err(failed)?;
        self.commit_identity(tx).await
    }

    /// # Errors
    /// `NotFound` when there is no such user or group, or the user is not in it.
    pub async fn remove_group_member(&self, group: &str, user: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let (group_arn, user_arn) = (group_in(&mut tx, group).await?.arn, user_in(&mut tx, user).await?.arn);
        let query = sqlx::query("DELETE FROM group_member WHERE group_arn = $1 AND user_arn = $2");
        let query = query.bind(group_arn.as_str()).bind(user_arn.as_str());
        if query.execute(&mut *tx).await.map_err(failed)?.rows_affected() == 0 {
            let text = format!("User {user} not in group {group}");
            return Err(Error::new(ErrorKind::NotFound, text));
        }
        self.commit_identity(tx).await
    }

    /// # Errors
    /// `NotFound`.
    pub async fn group_members(&self, group: &str, page: Names<'_>) -> Result<Vec<UserRow>> {
        let mut tx = self.read().await?;
        let group = group_in(&mut tx, group).await?.arn;
        let query = sqlx::query(
            "SELECT \"user\".* FROM \"user\" JOIN group_member ON user_arn = arn
             WHERE group_arn = $1 AND name > $2 ORDER BY name LIMIT $3",
        );
        let query = query.bind(group.as_str()).bind(page.after).bind(page.limit);
        query.fetch_all(&mut *tx).await.map_err(failed)?.iter().map(user::read).collect()
    }

    /// # Errors
    /// `NotFound` when there is no such user.
    pub async fn groups_of_user(&self, user: &str, page: Names<'_>) -> Result<Vec<GroupRow>> {
        let mut tx = self.read().await?;
        let user = user_in(&mut tx, user).await?.arn;
        let query = sqlx::query(
            "SELECT user_group.* FROM user_group JOIN group_member ON group_arn = arn
             WHERE user_arn = $1 AND name > $2 ORDER BY name LIMIT $3",
        );
        let query = query.bind(user.as_str()).bind(page.after).bind(page.limit);
        query.fetch_all(&mut *tx).await.map_err(failed)?.iter().map(read).collect()
    }
}

/// A group, within a transaction.
///
/// # Errors
/// `NotFound`.
pub(crate) async fn group_in(tx: &mut Transaction<'static, Any>, name: &str) -> Result<GroupRow> {
    let query = sqlx::query("SELECT * FROM user_group WHERE name = $1").bind(name);
    let row = query.fetch_optional(&mut **tx).await.map_err(failed)?;
    let missing = || Error::new(ErrorKind::NotFound, format!("The group with name {name} cannot be found."));
    read(&row.ok_or_else(missing)?)
}

/// Lets rows name what is renamed in the same transaction.
pub(crate) async fn defer_references(tx: &mut Transaction<'static, Any>) -> Result<()> {
    let query = sqlx::raw_sql(match tx.dialect() {
        Dialect::Sqlite => "PRAGMA defer_foreign_keys = ON",
        Dialect::Postgres => "SET CONSTRAINTS ALL DEFERRED",
    });
    query.execute(&mut **tx).await.map_err(failed).map(drop)
}

/// Lets the rows of `tables` name the new ARN.
pub(crate) async fn follow(
    tx: &mut Transaction<'static, Any>,
    column: &str,
    tables: &[&str],
    old: &Arn,
    new: &Arn,
) -> Result<()> {
    for table in tables {
        let sql = sqlx::AssertSqlSafe(format!("UPDATE {table} SET {column} = $1 WHERE {column} = $2"));
        let query = sqlx::query(sql).bind(new.as_str()).bind(old.as_str());
        query.execute(&mut **tx).await.map_err(failed)?;
    }
    Ok(())
}

fn read(row: &AnyRow) -> Result<GroupRow> {
    Ok(GroupRow {
        arn: stored_arn(row.try_get("arn").map_err(failed)?)?,
        id: row.try_get("id").map_err(failed)?,
        name: row.try_get("name").map_err(failed)?,
        path: row.try_get("path").map_err(failed)?,
        created_ms: row.try_get("created_ms").map_err(failed)?,
    })
}
