//! Waiting for a database: of a server that has fallen silent nothing is heard, not even that it is gone, so nobody waits
//! for an answer without end.

use std::fmt::Debug;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt, unfold};
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyPool, Database, Either, Error, Execute, Executor, SqlStr};
use tokio::time::timeout;

use crate::database::Dialect;
use crate::measured;

/// For a server works no longer than this on any statement.
const ANSWER: Duration = Duration::from_secs(25);

/// A transaction; it is rolled back unless committed.
#[derive(Debug)]
pub(crate) struct Transaction<'c, DB: Database>(Statements<'c, DB>);

/// What the statements of a transaction are run on.
#[derive(Debug)]
pub(crate) struct Statements<'c, DB: Database>(sqlx::Transaction<'c, DB>);

/// Connections for statements on their own.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) connections: AnyPool,
    pub(crate) dialect: Dialect,
}

impl From<sqlx::Transaction<'static, Any>> for Transaction<'static, Any> {
    fn from(begun: sqlx::Transaction<'static, Any>) -> Self {
        Transaction(Statements(begun))
    }
}

impl Transaction<'static, Any> {
    pub(crate) fn dialect(&self) -> Dialect {
        self.0.dialect()
    }

    pub(crate) async fn commit(self) -> Result<(), Error> {
        let began = Instant::now();
        within(self.dialect(), self.0.0.commit()).await?;
        measured::COMMIT.observe(began.elapsed());
        Ok(())
    }
}

impl<'c, DB: Database> Deref for Transaction<'c, DB> {
    type Target = Statements<'c, DB>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<DB: Database> DerefMut for Transaction<'_, DB> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Statements<'static, Any> {
    fn dialect(&self) -> Dialect {
        Dialect::of(&self.0)
    }
}

type Answer = Result<Either<AnyQueryResult, AnyRow>, Error>;

impl<'c> Executor<'c> for &'c mut Statements<'static, Any> {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Answer>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        each_within(self.dialect(), self.0.fetch_many(query))
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(within(self.dialect(), self.0.fetch_optional(query)))
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'c: 'e,
    {
        Box::pin(within(self.dialect(), self.0.prepare_with(sql, parameters)))
    }
}

impl Pool {
    /// One connection, for statements that have to be run on the same.
    pub(crate) async fn acquire(&self) -> Result<PoolConnection<Any>, Error> {
        self.connections.acquire().await
    }
}

impl<'p> Executor<'p> for &'p Pool {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Answer>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        each_within(self.dialect, self.connections.fetch_many(query))
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(within(self.dialect, self.connections.fetch_optional(query)))
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'p: 'e,
    {
        Box::pin(within(self.dialect, self.connections.prepare_with(sql, parameters)))
    }
}

/// Waits for one answer. A file always gives one.
pub(crate) async fn within<T>(
    dialect: Dialect,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match dialect {
        Dialect::Sqlite => answer.await,
        Dialect::Postgres => timeout(ANSWER, answer).await.unwrap_or_else(|_| Err(silence())),
    }
}

fn each_within<'e>(dialect: Dialect, answers: BoxStream<'e, Answer>) -> BoxStream<'e, Answer> {
    if dialect == Dialect::Sqlite {
        return answers;
    }
    let next = |answers: Option<BoxStream<'e, Answer>>| async move {
        let mut answers = answers?;
        match timeout(ANSWER, answers.next()).await {
            Ok(answer) => Some((answer?, Some(answers))),
            Err(_) => Some((Err(silence()), None)),
        }
    };
    unfold(Some(answers), next).boxed()
}

/// What is said of a server that did not answer in time.
pub(crate) fn silence() -> Error {
    Error::Io(std::io::Error::new(
        std::io::ErrorKind::TimedOut,
        "the server of the catalog has fallen silent",
    ))
}
