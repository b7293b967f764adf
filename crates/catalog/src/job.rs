//! Jobs: rows that say what to do, who is doing it and how it ended. The only road from a door to the work.

pub(crate) mod analysis;
mod cancel;
pub(crate) mod claim;
pub(crate) mod data_deletion_job;
mod dataset_export_job;
mod dataset_import_job;
mod dataset_update;
mod ended;
pub(crate) mod event;
mod list;
pub(crate) mod prune;
pub(crate) mod reject;
mod snapshot;
pub(crate) mod task;
mod upload;

pub use analysis::{AnalysisRow, PinnedDataset};
pub use cancel::cancellation;
pub(crate) use dataset_update::read_note;
pub use dataset_update::{DatasetUpdate, UpdateRequest};
pub use ended::EndedJob;
pub use event::{Delivery, JobEvent};
pub use list::JobFilter;
pub use prune::{Beside, PrunableJob, PruneFilter};
pub use reject::{RejectFile, Rejects};
pub use task::{TaskRow, TaskState, TasksDone};

use model::error::{Error, Result};
use model::export::{Asked, Since};
use model::status::Status;
use model::{Arn, ImportMode, IngestionMode, Layout};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{Any, Row};

use crate::change::{self, Changed};
use crate::{Catalog, Transaction, failed, not_inserted, page, stored_arn, tag, unknown_word, within};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS job (
    number INTEGER PRIMARY KEY AUTOINCREMENT, arn TEXT NOT NULL UNIQUE, name TEXT NOT NULL, kind TEXT NOT NULL,
    subject_arn TEXT NOT NULL, dataset_id INTEGER NOT NULL, role_arn TEXT NOT NULL, request TEXT NOT NULL,
    status TEXT NOT NULL, failure_reason TEXT, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL, fence INTEGER NOT NULL, lease_until_ms INTEGER NOT NULL,
    snapshot TEXT, plan TEXT, report TEXT, rows_done INTEGER NOT NULL, rows_total INTEGER NOT NULL,
    bytes_done INTEGER NOT NULL, records_deleted INTEGER NOT NULL DEFAULT 0,
    bytes_total INTEGER NOT NULL DEFAULT 0, eta_s INTEGER, cancelled_by TEXT, node TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS upload (
    job_arn TEXT NOT NULL, object_key TEXT NOT NULL, upload_id TEXT NOT NULL, PRIMARY KEY (job_arn, upload_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS job_subject ON job (subject_arn, kind);
CREATE INDEX IF NOT EXISTS job_newest ON job (created_ms DESC, arn, kind, status);
CREATE INDEX IF NOT EXISTS job_newest_of ON job (subject_arn, created_ms DESC, arn, kind, status);
CREATE INDEX IF NOT EXISTS job_kind_of ON job (subject_arn, kind, created_ms DESC, arn, status);
CREATE INDEX IF NOT EXISTS job_status_of ON job (subject_arn, status, created_ms DESC, arn, kind);
CREATE INDEX IF NOT EXISTS job_open ON job (status) WHERE status IN ('CREATE PENDING', 'CREATE IN_PROGRESS');
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    Import,
    Export,
    /// The replacement of a dataset's schema. No operation lists or describes it: it shows in its dataset.
    Update,
    Deletion,
    /// The analysis of a group's data. No operation lists or describes it: it shows in its group.
    Analysis,
}

impl JobKind {
    pub fn as_str(self) -> &'static str {
        match self {
            JobKind::Import => "IMPORT",
            JobKind::Export => "EXPORT",
            JobKind::Update => "UPDATE",
            JobKind::Deletion => "DELETION",
            JobKind::Analysis => "ANALYSIS",
        }
    }

    pub fn parse(text: &str) -> Option<JobKind> {
        use JobKind::{Analysis, Deletion, Export, Import, Update};
        [Import, Export, Update, Deletion, Analysis].into_iter().find(|k| k.as_str() == text)
    }
}

/// What an import job was asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImportRequest {
    pub data_location: String,
    pub import_mode: ImportMode,
    pub publish_attribution_metrics_to_s3: Option<bool>,
    /// How many rows may be left out for what is wrong with them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tolerance: u64,
    /// Whether everything is read and checked, and nothing imported.
    #[serde(default, skip_serializing_if = "is_false")]
    pub validate_only: bool,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_false(switch: &bool) -> bool {
    !*switch
}

/// What an export job was asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExportRequest {
    /// Exactly as it was sent.
    pub path: String,
    pub ingestion_mode: IngestionMode,
    /// The key under which the files are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_arn: Option<String>,
    /// Whether a manifest is written; jobs of older versions all write one.
    #[serde(default = "yes")]
    pub manifest: bool,
    /// The options that it was given as tags.
    #[serde(default, skip_serializing_if = "Asked::is_empty")]
    pub options: Asked,
    /// Where the export ended whose end is this one's beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Since>,
}

fn yes() -> bool {
    true
}

/// What a data deletion job was asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeletionRequest {
    pub data_location: String,
}

/// A job to be created.
pub struct NewJob<R> {
    pub arn: Arn,
    pub name: String,
    /// The dataset that it works on; of a data deletion job and an analysis the dataset group.
    pub subject_arn: Arn,
    pub role_arn: String,
    pub request: R,
    pub tags: Vec<(String, String)>,
}

/// The state of a dataset that a job reads; its runs are pinned beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    pub layout: Layout,
    /// The schema's document, for the manifest.
    pub schema: String,
    /// Put records from here to `log_to` are read from the log.
    pub log_from: u64,
    pub log_to: u64,
    /// Every record of the snapshot has a smaller sequence number.
    pub sequence: u64,
    /// Put records are in the snapshot when, and only when, they have a smaller number than this; those of calls that
    /// were under way have numbers between the two. Snapshots of older versions don't tell.
    #[serde(default)]
    pub put_sequence: Option<u64>,
    pub taken_ms: i64,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub rows_done: u64,
    /// 0 while nobody knows.
    pub rows_total: u64,
    pub bytes_done: u64,
    /// 0 while nobody knows.
    pub bytes_total: u64,
    /// How long the rest will take, as far as one can tell.
    pub eta_s: Option<u64>,
}

/// The right to work on a job: every change asks for the fence, so that a worker that lost its lease changes nothing.
#[derive(Clone, Debug)]
pub struct Lease {
    pub arn: Arn,
    pub fence: i64,
}

#[derive(Clone, Debug)]
pub struct JobRow {
    pub arn: Arn,
    pub name: String,
    pub kind: JobKind,
    /// The dataset that it works on; of a data deletion job the dataset group.
    pub subject_arn: Arn,
    /// 0 where the job works on a whole group.
    pub dataset_id: i64,
    pub role_arn: String,
    request: String,
    pub status: Status,
    pub failure_reason: Option<String>,
    pub created_ms: i64,
    pub updated_ms: i64,
    /// How many times work on it was begun.
    pub attempts: i64,
    snapshot: Option<String>,
    /// What an export that is completing has to complete, or what a data deletion job still waits for; its presence
    /// means: only forward from here.
    pub plan: Option<String>,
    /// What a finished job tells of itself, as JSON.
    pub report: Option<String>,
    /// How many records a data deletion job has taken away so far.
    pub records_deleted: u64,
    pub progress: Progress,
    /// Who wished that it end; it does as soon as its worker has let go.
    pub cancelled_by: Option<String>,
}

impl JobRow {
    pub fn import_request(&self) -> Result<ImportRequest> {
        parse(&self.request)
    }

    pub fn export_request(&self) -> Result<ExportRequest> {
        parse(&self.request)
    }

    pub fn update_request(&self) -> Result<UpdateRequest> {
        parse(&self.request)
    }

    pub fn deletion_request(&self) -> Result<DeletionRequest> {
        parse(&self.request)
    }

    pub fn snapshot(&self) -> Result<Snapshot> {
        parse(self.snapshot.as_deref().unwrap_or_default())
    }
}

impl Catalog {
    pub async fn job(&self, arn: &Arn) -> Result<Option<JobRow>> {
        let query = sqlx::query("SELECT * FROM job WHERE arn = $1").bind(arn.as_str());
        query.fetch_optional(self.pool()).await.map_err(failed)?.as_ref().map(read).transpose()
    }
}

/// Refuses a job of a kind while as many are open as the quota lets be, of one subject or of all; to be asked when the
/// new one is inserted.
async fn within_open(
    tx: &mut Transaction<'static, Any>,
    kind: JobKind,
    subject: Option<&Arn>,
    quota: Option<u64>,
) -> Result<()> {
    let query = sqlx::query_scalar(
        "SELECT count(*) - 1 FROM job WHERE status IN ('CREATE PENDING', 'CREATE IN_PROGRESS') AND kind = $1
         AND ($2 IS NULL OR subject_arn = $2)",
    );
    let query = query.bind(kind.as_str()).bind(page::filter(subject));
    let open: i64 = query.fetch_one(&mut **tx).await.map_err(failed)?;
    within(quota, open, |most| format!("More than {most} resources with PENDING or IN_PROGRESS status."))
}

/// Inserts a job that waits, with the snapshot it pinned.
async fn insert<R: Serialize>(
    tx: &mut Transaction<'static, Any>,
    kind: JobKind,
    new: &NewJob<R>,
    dataset_id: i64,
    snapshot: Option<&Snapshot>,
    now_ms: i64,
) -> Result<()> {
    if prune::is_taken(tx, &new.arn).await? {
        return Err(crate::already_exists(&new.arn));
    }
    sqlx::query(
        "INSERT INTO job (arn, name, kind, subject_arn, dataset_id, role_arn, request, status, created_ms, updated_ms,
         attempts, fence, lease_until_ms, snapshot, rows_done, rows_total, bytes_done)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'CREATE PENDING', $8, $9, 0, 0, 0, $10, 0, 0, 0)",
    )
    .bind(new.arn.as_str())
    .bind(&new.name)
    .bind(kind.as_str())
    .bind(new.subject_arn.as_str())
    .bind(dataset_id)
    .bind(&new.role_arn)
    .bind(text(&new.request)?)
    .bind(now_ms)
    .bind(now_ms)
    .bind(snapshot.map(text).transpose()?)
    .execute(&mut **tx)
    .await
    .map_err(not_inserted(&new.arn))?;
    change::note(tx, Changed::Job).await?;
    tag::insert(tx, &new.arn, &new.tags).await
}

fn text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal("write a job's row").caused_by(e))
}

fn parse<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| Error::corrupt("a job's row can't be read").caused_by(e))
}

fn read(row: &AnyRow) -> Result<JobRow> {
    let number = |column: &str| row.try_get::<i64, _>(column).map(i64::cast_unsigned).map_err(failed);
    Ok(JobRow {
        arn: stored_arn(row.try_get("arn").map_err(failed)?)?,
        name: row.try_get("name").map_err(failed)?,
        kind: JobKind::parse(row.try_get("kind").map_err(failed)?).ok_or_else(|| unknown_word("kind"))?,
        subject_arn: stored_arn(row.try_get("subject_arn").map_err(failed)?)?,
        dataset_id: row.try_get("dataset_id").map_err(failed)?,
        role_arn: row.try_get("role_arn").map_err(failed)?,
        request: row.try_get("request").map_err(failed)?,
        status: Status::parse(row.try_get("status").map_err(failed)?)
            .ok_or_else(|| unknown_word("status"))?,
        failure_reason: row.try_get("failure_reason").map_err(failed)?,
        created_ms: row.try_get("created_ms").map_err(failed)?,
        updated_ms: row.try_get("updated_ms").map_err(failed)?,
        attempts: row.try_get("attempts").map_err(failed)?,
        snapshot: row.try_get("snapshot").map_err(failed)?,
        plan: row.try_get("plan").map_err(failed)?,
        report: row.try_get("report").map_err(failed)?,
        records_deleted: number("records_deleted")?,
        progress: Progress {
            rows_done: number("rows_done")?,
            rows_total: number("rows_total")?,
            bytes_done: number("bytes_done")?,
            bytes_total: number("bytes_total")?,
            eta_s: row.try_get::<Option<i64>, _>("eta_s").map_err(failed)?.map(i64::cast_unsigned),
        },
        cancelled_by: row.try_get("cancelled_by").map_err(failed)?,
    })
}

/// The dataset that a new job works on, read inside the job's transaction.
async fn dataset_of(tx: &mut Transaction<'static, Any>, arn: &Arn) -> Result<crate::DatasetRow> {
    let query = sqlx::query("SELECT * FROM dataset WHERE arn = $1").bind(arn.as_str());
    let row = query.fetch_optional(&mut **tx).await.map_err(failed)?;
    let dataset = crate::dataset::read(&row.ok_or_else(|| crate::not_found("dataset", arn))?)?;
    dataset_import_job::usable(dataset.status, arn)?;
    dataset.check_settled()?;
    Ok(dataset)
}
