//! Events: a row for each change of a job's state, written by the transaction that changes it, and what became of
//! telling a webhook of it.

use model::Arn;
use model::error::Result;
use model::status::Status;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::JobKind;
use crate::{Catalog, failed, stored_arn, unknown_word};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS job_event (
    number INTEGER PRIMARY KEY AUTOINCREMENT, job_arn TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
    subject_arn TEXT NOT NULL, status TEXT NOT NULL, failure_reason TEXT, rows_done INTEGER NOT NULL,
    bytes_done INTEGER NOT NULL, ledger TEXT, created_ms INTEGER NOT NULL, delivery TEXT,
    attempts INTEGER NOT NULL DEFAULT 0, next_ms INTEGER NOT NULL DEFAULT 0, answer TEXT, delivered_ms INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS job_event_waiting ON job_event (next_ms) WHERE delivery = 'WAITING';
CREATE TABLE IF NOT EXISTS webhook (first_delivery TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
";

// Triggers write the rows, so that no change of a state can be without one. The last 10,000 are kept, whether they were
// delivered or not. An update of a dataset and an analysis are jobs that nobody sees.
pub(crate) const TRIGGERS: &str = "
CREATE TRIGGER IF NOT EXISTS job_created AFTER INSERT ON job WHEN new.kind NOT IN ('UPDATE', 'ANALYSIS') BEGIN
    INSERT INTO job_event (job_arn, name, kind, subject_arn, status, rows_done, bytes_done, created_ms, delivery)
    VALUES (new.arn, new.name, new.kind, new.subject_arn, new.status, 0, 0, new.created_ms,
        (SELECT first_delivery FROM webhook));
    DELETE FROM job_event WHERE number <= (SELECT max(number) FROM job_event) - 10000;
END;
CREATE TRIGGER IF NOT EXISTS job_changed AFTER UPDATE OF status ON job
WHEN new.kind NOT IN ('UPDATE', 'ANALYSIS') AND new.status <> old.status BEGIN
    INSERT INTO job_event (job_arn, name, kind, subject_arn, status, failure_reason, rows_done, bytes_done, ledger,
        created_ms, delivery)
    VALUES (new.arn, new.name, new.kind, new.subject_arn, new.status, new.failure_reason, new.rows_done,
        new.bytes_done, CASE WHEN new.status <> 'ACTIVE' THEN NULL
            WHEN new.kind = 'EXPORT' THEN json_extract(new.report, '$.ledger')
            WHEN new.kind = 'DELETION' THEN json_object('recordsDeleted', new.records_deleted)
            ELSE new.report END,
        new.updated_ms, (SELECT first_delivery FROM webhook));
    DELETE FROM job_event WHERE number <= (SELECT max(number) FROM job_event) - 10000;
END;
";

/// The same for PostgreSQL; of a job that was just made, both times are one.
pub(crate) const POSTGRES_TRIGGERS: &str = "
CREATE OR REPLACE FUNCTION note_job_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO job_event (job_arn, name, kind, subject_arn, status, failure_reason, rows_done, bytes_done, ledger,
        created_ms, delivery)
    VALUES (new.arn, new.name, new.kind, new.subject_arn, new.status, new.failure_reason, new.rows_done,
        new.bytes_done, CASE WHEN new.status <> 'ACTIVE' THEN NULL
            WHEN new.kind = 'EXPORT' THEN json_extract(new.report, '$.ledger')
            WHEN new.kind = 'DELETION' THEN '{\"recordsDeleted\":' || new.records_deleted || '}'
            ELSE new.report END,
        new.updated_ms, (SELECT first_delivery FROM webhook));
    DELETE FROM job_event WHERE number <= (SELECT max(number) FROM job_event) - 10000;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER job_created AFTER INSERT ON job
    FOR EACH ROW WHEN (new.kind NOT IN ('UPDATE', 'ANALYSIS')) EXECUTE FUNCTION note_job_event();
CREATE OR REPLACE TRIGGER job_changed AFTER UPDATE OF status ON job
    FOR EACH ROW WHEN (new.kind NOT IN ('UPDATE', 'ANALYSIS') AND new.status <> old.status)
    EXECUTE FUNCTION note_job_event();
";

/// How it stands with telling a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Waiting,
    Delivered,
    GivenUp,
}

impl Delivery {
    pub fn as_str(self) -> &'static str {
        match self {
            Delivery::Waiting => "WAITING",
            Delivery::Delivered => "DELIVERED",
            Delivery::GivenUp => "GIVEN UP",
        }
    }

    fn parse(text: &str) -> Option<Delivery> {
        [Delivery::Waiting, Delivery::Delivered, Delivery::GivenUp].into_iter().find(|d| d.as_str() == text)
    }
}

/// One change of a job's state.
#[derive(Clone, Debug, PartialEq)]
pub struct JobEvent {
    /// Later events have larger numbers.
    pub number: i64,
    pub job_arn: Arn,
    pub name: String,
    pub kind: JobKind,
    /// The dataset that the job works on; of a data deletion job the dataset group.
    pub subject_arn: Arn,
    pub status: Status,
    pub failure_reason: Option<String>,
    pub rows_done: u64,
    pub bytes_done: u64,
    /// Where every row went, as JSON, once the job is done.
    pub ledger: Option<String>,
    pub created_ms: i64,
    /// `None` when there was no webhook.
    pub delivery: Option<Delivery>,
    /// How many times it was sent.
    pub attempts: u64,
    /// When it is sent again.
    pub next_ms: i64,
    /// What came of sending it last.
    pub answer: Option<String>,
    pub delivered_ms: Option<i64>,
}

impl Catalog {
    /// Says whether events from here on are for a webhook; what waits from before goes on waiting.
    pub async fn set_webhook(&self, is_there: bool) -> Result<()> {
        let mut tx = self.write().await?;
        let sql = if is_there {
            "INSERT INTO webhook VALUES ('WAITING') ON CONFLICT DO NOTHING"
        } else {
            "DELETE FROM webhook"
        };
        sqlx::query(sql).execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// The number of the last event; 0 before the first.
    pub async fn last_event(&self) -> Result<i64> {
        let query = sqlx::query_scalar("SELECT coalesce(max(number), 0) FROM job_event");
        query.fetch_one(self.pool()).await.map_err(failed)
    }

    /// The next events behind one, oldest first.
    pub async fn events_after(&self, number: i64, most: u32) -> Result<Vec<JobEvent>> {
        let query = sqlx::query("SELECT * FROM job_event WHERE number > $1 ORDER BY number LIMIT $2");
        let query = query.bind(number).bind(i64::from(most));
        query.fetch_all(self.pool()).await.map_err(failed)?.iter().map(read).collect()
    }

    /// Events for a webhook before one, newest first.
    pub async fn deliveries(&self, before: i64, most: u32) -> Result<Vec<JobEvent>> {
        let query = sqlx::query(
            "SELECT * FROM job_event WHERE number < $1 AND delivery IS NOT NULL ORDER BY number DESC LIMIT $2",
        );
        let query = query.bind(before).bind(i64::from(most));
        query.fetch_all(self.pool()).await.map_err(failed)?.iter().map(read).collect()
    }

    /// The event that is to be sent next, of those whose time has come.
    pub async fn due_delivery(&self) -> Result<Option<JobEvent>> {
        let query = sqlx::query(
            "SELECT * FROM job_event WHERE delivery = 'WAITING' AND next_ms <= $1 ORDER BY next_ms, number LIMIT 1",
        );
        let query = query.bind(self.now_ms());
        query.fetch_optional(self.pool()).await.map_err(failed)?.as_ref().map(read).transpose()
    }

    /// Writes down what came of sending an event; `next_ms` counts where it is still waiting.
    pub async fn note_delivery(
        &self,
        number: i64,
        delivery: Delivery,
        answer: &str,
        next_ms: i64,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        let delivered_ms = (delivery == Delivery::Delivered).then(|| self.now_ms());
        sqlx::query(
            "UPDATE job_event SET delivery = $1, answer = $2, next_ms = $3, delivered_ms = $4, attempts = attempts + 1
             WHERE number = $5",
        )
        .bind(delivery.as_str())
        .bind(answer)
        .bind(next_ms)
        .bind(delivered_ms)
        .bind(number)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        tx.commit().await.map_err(failed)
    }
}

fn read(row: &AnyRow) -> Result<JobEvent> {
    let number = |column: &str| row.try_get::<i64, _>(column).map(i64::cast_unsigned).map_err(failed);
    let delivery: Option<String> = row.try_get("delivery").map_err(failed)?;
    let delivery = delivery.map(|word| Delivery::parse(&word).ok_or_else(|| unknown_word("delivery")));
    Ok(JobEvent {
        number: row.try_get("number").map_err(failed)?,
        job_arn: stored_arn(row.try_get("job_arn").map_err(failed)?)?,
        name: row.try_get("name").map_err(failed)?,
        kind: JobKind::parse(row.try_get("kind").map_err(failed)?).ok_or_else(|| unknown_word("kind"))?,
        subject_arn: stored_arn(row.try_get("subject_arn").map_err(failed)?)?,
        status: Status::parse(row.try_get("status").map_err(failed)?)
            .ok_or_else(|| unknown_word("status"))?,
        failure_reason: row.try_get("failure_reason").map_err(failed)?,
        rows_done: number("rows_done")?,
        bytes_done: number("bytes_done")?,
        ledger: row.try_get("ledger").map_err(failed)?,
        created_ms: row.try_get("created_ms").map_err(failed)?,
        delivery: delivery.transpose()?,
        attempts: number("attempts")?,
        next_ms: row.try_get("next_ms").map_err(failed)?,
        answer: row.try_get("answer").map_err(failed)?,
        delivered_ms: row.try_get("delivered_ms").map_err(failed)?,
    })
}
