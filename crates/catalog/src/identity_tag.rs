//! The tags of users, roles and managed policies.

use model::ErrorKind;
use model::error::{Error, Result};
use sqlx::Any;

use crate::{Catalog, Transaction, failed};

/// What of IAM bears tags.
#[derive(Clone, Copy, Debug)]
pub enum Tagged<'a> {
    /// The user of this name.
    User(&'a str),
    /// The role of this name.
    Role(&'a str),
    /// The managed policy of this ARN.
    Policy(&'a str),
}

type Tags = Vec<(String, String)>;

impl Catalog {
    /// Sets tags, replacing those whose keys differ in case at most.
    ///
    /// # Errors
    /// `NotFound`; `LimitExceeded` when there would be more than `most`.
    pub async fn set_identity_tags(
        &self,
        of: Tagged<'_>,
        tags: &[(String, String)],
        most: usize,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        let mut all = tags_in(&mut tx, of).await?;
        all.retain(|(key, _)| !tags.iter().any(|(new, _)| same(key, new)));
        all.extend_from_slice(tags);
        if all.len() > most {
            let text = format!("Cannot exceed quota for TagsPerEntity: {most}");
            return Err(Error::new(ErrorKind::LimitExceeded, text));
        }
        put(&mut tx, of, &all).await?;
        self.commit_identity(tx).await
    }

    /// Removes tags; keys that are not there are no error.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_identity_tags(&self, of: Tagged<'_>, keys: &[String]) -> Result<()> {
        let mut tx = self.write().await?;
        let mut all = tags_in(&mut tx, of).await?;
        all.retain(|(key, _)| !keys.iter().any(|gone| same(key, gone)));
        put(&mut tx, of, &all).await?;
        self.commit_identity(tx).await
    }

    /// # Errors
    /// `NotFound`.
    pub async fn identity_tags(&self, of: Tagged<'_>) -> Result<Tags> {
        let mut tx = self.read().await?;
        tags_in(&mut tx, of).await
    }
}

impl Tagged<'_> {
    /// Its table, the column that names it there, and its name.
    fn place(&self) -> (&'static str, &'static str, &str) {
        match self {
            Tagged::User(name) => ("\"user\"", "name", name),
            Tagged::Role(name) => ("role", "name", name),
            Tagged::Policy(arn) => ("policy", "arn", arn),
        }
    }

    fn missing(&self) -> Error {
        let text = match self {
            Tagged::User(name) => format!("The user with name {name} cannot be found."),
            Tagged::Role(name) => format!("The role with name {name} cannot be found."),
            Tagged::Policy(arn) => format!("Policy {arn} was not found."),
        };
        Error::new(ErrorKind::NotFound, text)
    }
}

async fn tags_in(tx: &mut Transaction<'static, Any>, of: Tagged<'_>) -> Result<Tags> {
    let (table, column, name) = of.place();
    let sql = sqlx::AssertSqlSafe(format!("SELECT tags FROM {table} WHERE {column} = $1"));
    let found: Option<String> =
        sqlx::query_scalar(sql).bind(name).fetch_optional(&mut **tx).await.map_err(failed)?;
    let text = found.ok_or_else(|| of.missing())?;
    serde_json::from_str(&text).map_err(|e| Error::corrupt("stored tags can't be read").caused_by(e))
}

async fn put(tx: &mut Transaction<'static, Any>, of: Tagged<'_>, tags: &[(String, String)]) -> Result<()> {
    let (table, column, name) = of.place();
    let text = serde_json::to_string(tags).map_err(|e| Error::internal("write tags").caused_by(e))?;
    let sql = sqlx::AssertSqlSafe(format!("UPDATE {table} SET tags = $1 WHERE {column} = $2"));
    sqlx::query(sql).bind(text).bind(name).execute(&mut **tx).await.map_err(failed).map(drop)
}

// IAM takes no two tags whose keys differ in case only.
fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}
