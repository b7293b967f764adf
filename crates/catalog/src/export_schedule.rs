//! Export schedules: exports that are made again and again, and which of them were.
//!
//! One transaction moves a schedule to its next instant and inserts the job of this one. So each instant has its job once,
//! whichever of the nodes comes first and whenever one of them dies.

use model::error::{Error, ErrorKind, Result};
use model::export::{Asked, ExportOptions};
use model::schedule::{self, Schedule};
use model::{Arn, Durable, IngestionMode, Layout, Realm};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{Any, Row};

use crate::{Catalog, ExportRequest, NewJob, Transaction, failed, stored_arn};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS export_schedule (
    name TEXT PRIMARY KEY, spec TEXT NOT NULL, version INTEGER NOT NULL, enabled INTEGER NOT NULL, next_ms INTEGER,
    created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, created_by TEXT NOT NULL, updated_by TEXT NOT NULL,
    last_job_arn TEXT, trouble TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS scheduled_export (
    job_arn TEXT PRIMARY KEY, schedule TEXT NOT NULL, instant_ms INTEGER NOT NULL, is_kept INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS scheduled_export_of ON scheduled_export (schedule, is_kept);
";

/// What a schedule has exported, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportPlan {
    pub dataset_arn: Arn,
    pub ingestion_mode: IngestionMode,
    pub role_arn: String,
    /// Exactly as it was sent; each job has its folder below.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_arn: Option<String>,
    /// Of each job; those that begin with `lade:` are its options.
    pub tags: Vec<(String, String)>,
    pub cron: String,
    pub time_zone: String,
    pub keep: Keep,
    pub missed: Missed,
}

/// How long what was exported stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keep {
    All,
    /// So many of the newest.
    Exports(u32),
    /// Those that are not older; the newest one always.
    Days(u32),
}

/// What becomes of instants at which no server ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Missed {
    /// All of them together bring one export, named after the first.
    RunOnce,
    Skip,
}

#[derive(Clone, Debug)]
pub struct ExportScheduleRow {
    pub name: String,
    pub plan: ExportPlan,
    /// Counts what was changed by its users.
    version: i64,
    pub is_enabled: bool,
    /// `None` while it is paused.
    pub next_ms: Option<i64>,
    pub created_ms: i64,
    pub updated_ms: i64,
    pub created_by: String,
    pub updated_by: String,
    pub last_job_arn: Option<Arn>,
    /// Why the last instant brought no job, or why older exports could not be deleted.
    pub trouble: Option<String>,
}

/// A job that a schedule made, and that ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledExport {
    pub job_arn: Arn,
    pub instant_ms: i64,
}

impl ExportScheduleRow {
    /// What the job of an instant is called.
    pub fn job_name(&self, instant_ms: i64) -> String {
        job_name(&self.name, instant_ms)
    }

    /// The first instant behind another one.
    ///
    /// # Errors
    /// `Invalid` when what was stored is no schedule to this version.
    pub fn next_after(&self, after_ms: i64) -> Result<Option<i64>> {
        let schedule = Schedule::parse(&self.plan.cron, &self.plan.time_zone)?;
        Ok(schedule.next_after(after_ms))
    }

    /// The job of an instant, for a dataset whose columns are those of `layout`.
    ///
    /// # Errors
    /// `Invalid` when the options do not fit the dataset any more.
    pub fn job(&self, realm: &Realm, layout: &Layout, instant_ms: i64) -> Result<NewJob<ExportRequest>> {
        let ExportPlan { dataset_arn, ingestion_mode, role_arn, path, kms_key_arn, tags, .. } =
            self.plan.clone();
        let options: Asked = tags.iter().filter(|(key, _)| key.starts_with("lade:")).cloned().collect();
        let manifest = !ExportOptions::read(&options, layout)?.has_no_manifest;
        let name = self.job_name(instant_ms);
        let (arn, subject_arn) = (realm.export_job(&name), dataset_arn);
        let request = ExportRequest { path, ingestion_mode, kms_key_arn, manifest, options, since: None };
        Ok(NewJob { arn, name, subject_arn, role_arn, request, tags })
    }
}

/// What the job of an instant is called.
pub fn job_name(schedule: &str, instant_ms: i64) -> String {
    format!("{schedule}-{}", schedule::stamp(instant_ms))
}

impl Catalog {
    /// Makes a schedule, or gives one of this name another plan; what it is to do next is at `next_ms`.
    pub async fn put_export_schedule(
        &self,
        name: &str,
        plan: &ExportPlan,
        next_ms: Option<i64>,
        by: &Arn,
    ) -> Result<()> {
        let now_ms = self.now_ms();
        let spec =
            serde_json::to_string(plan).map_err(|e| Error::internal("write a schedule").caused_by(e))?;
        let mut tx = self.write().await?;
        let query = sqlx::query(
            "INSERT INTO export_schedule
                 (name, spec, version, enabled, next_ms, created_ms, updated_ms, created_by, updated_by)
             VALUES ($1, $2, 1, $3, $4, $5, $5, $6, $6)
             ON CONFLICT (name) DO UPDATE SET spec = excluded.spec, version = export_schedule.version + 1,
                 enabled = excluded.enabled, next_ms = excluded.next_ms, updated_ms = excluded.updated_ms,
                 updated_by = excluded.updated_by, trouble = NULL",
        );
        let query = query.bind(name).bind(spec).bind(i64::from(next_ms.is_some())).bind(next_ms);
        query.bind(now_ms).bind(by.as_str()).execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// Pauses a schedule, or lets it go on at `next_ms`.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn pause_export_schedule(&self, name: &str, next_ms: Option<i64>, by: &Arn) -> Result<()> {
        let now_ms = self.now_ms();
        let mut tx = self.write().await?;
        let query = sqlx::query(
            "UPDATE export_schedule SET enabled = $1, next_ms = $2, version = version + 1, updated_ms = $3,
                 updated_by = $4 WHERE name = $5",
        );
        let query = query.bind(i64::from(next_ms.is_some())).bind(next_ms).bind(now_ms);
        let done = query.bind(by.as_str()).bind(name).execute(&mut *tx).await.map_err(failed)?;
        there(name, done.rows_affected())?;
        tx.commit().await.map_err(failed)
    }

    /// Forgets a schedule and which exports were its own; their jobs and files stay.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_export_schedule(&self, name: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let query = sqlx::query("DELETE FROM export_schedule WHERE name = $1").bind(name);
        there(name, query.execute(&mut *tx).await.map_err(failed)?.rows_affected())?;
        let query = sqlx::query("DELETE FROM scheduled_export WHERE schedule = $1").bind(name);
        query.execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    pub async fn export_schedule(&self, name: &str) -> Result<Option<ExportScheduleRow>> {
        let query = sqlx::query("SELECT * FROM export_schedule WHERE name = $1").bind(name);
        query.fetch_optional(self.pool()).await.map_err(failed)?.as_ref().map(read).transpose()
    }

    /// All schedules, by name.
    pub async fn export_schedules(&self) -> Result<Vec<ExportScheduleRow>> {
        let query = sqlx::query("SELECT * FROM export_schedule ORDER BY name");
        query.fetch_all(self.pool()).await.map_err(failed)?.iter().map(read).collect()
    }

    /// Makes the job of a schedule's instant, and moves the schedule to what comes behind it; false when it is no longer
    /// as it was read, since another node came first or somebody changed it.
    ///
    /// # Errors
    /// As `create_export_job`.
    pub async fn run_export_schedule(
        &self,
        schedule: &ExportScheduleRow,
        job: &NewJob<ExportRequest>,
        behind_ms: Option<i64>,
        durable: impl Fn() -> Durable + Send,
    ) -> Result<bool> {
        let mut tx = self.write().await?;
        if !move_on(&mut tx, schedule, behind_ms, Some(&job.arn), None).await? {
            return Ok(false);
        }
        self.insert_scheduled(&mut tx, schedule, job, schedule.next_ms.unwrap_or_default(), durable).await?;
        tx.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// Makes a job of a schedule at once; its next instant stays.
    ///
    /// # Errors
    /// As `create_export_job`; `NotFound` when the schedule is gone.
    pub async fn run_export_schedule_now(
        &self,
        schedule: &ExportScheduleRow,
        job: &NewJob<ExportRequest>,
        now_ms: i64,
        durable: impl Fn() -> Durable + Send,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        let query =
            sqlx::query("UPDATE export_schedule SET last_job_arn = $1, trouble = NULL WHERE name = $2");
        let done =
            query.bind(job.arn.as_str()).bind(&schedule.name).execute(&mut *tx).await.map_err(failed)?;
        there(&schedule.name, done.rows_affected())?;
        self.insert_scheduled(&mut tx, schedule, job, now_ms, durable).await?;
        tx.commit().await.map_err(failed)
    }

    async fn insert_scheduled(
        &self,
        tx: &mut Transaction<'static, Any>,
        schedule: &ExportScheduleRow,
        job: &NewJob<ExportRequest>,
        instant_ms: i64,
        durable: impl Fn() -> Durable + Send,
    ) -> Result<()> {
        self.insert_export(tx, job, durable).await?;
        let query = sqlx::query("INSERT INTO scheduled_export VALUES ($1, $2, $3, 1)");
        let query = query.bind(job.arn.as_str()).bind(&schedule.name).bind(instant_ms);
        query.execute(&mut **tx).await.map_err(failed).map(drop)
    }

    /// Moves a schedule on without a job, and notes why; nothing happens to one that is no longer as it was read.
    pub async fn pass_export_schedule(
        &self,
        schedule: &ExportScheduleRow,
        behind_ms: Option<i64>,
        trouble: Option<&str>,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        move_on(&mut tx, schedule, behind_ms, None, trouble).await?;
        tx.commit().await.map_err(failed)
    }

    /// Notes what is wrong with a schedule, or that nothing is any more.
    pub async fn note_export_schedule(&self, name: &str, trouble: Option<&str>) -> Result<()> {
        let mut tx = self.write().await?;
        let query = sqlx::query("UPDATE export_schedule SET trouble = $1 WHERE name = $2");
        query.bind(trouble).bind(name).execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// The exports of a dataset that a schedule made, that ended well and whose files were not deleted, newest first.
    pub async fn kept_exports(&self, schedule: &str, dataset: &Arn) -> Result<Vec<ScheduledExport>> {
        let query = sqlx::query(
            "SELECT s.job_arn, s.instant_ms FROM scheduled_export s JOIN job j ON j.arn = s.job_arn
             WHERE s.schedule = $1 AND s.is_kept = 1 AND j.status = 'ACTIVE' AND j.subject_arn = $2
             ORDER BY j.number DESC",
        );
        let rows =
            query.bind(schedule).bind(dataset.as_str()).fetch_all(self.pool()).await.map_err(failed)?;
        let read = |row: &AnyRow| {
            let job_arn = stored_arn(row.try_get(0).map_err(failed)?)?;
            Ok(ScheduledExport { job_arn, instant_ms: row.try_get(1).map_err(failed)? })
        };
        rows.iter().map(read).collect()
    }

    /// Whether an instant of a schedule has had its job.
    pub async fn has_scheduled_export(&self, schedule: &str, instant_ms: i64) -> Result<bool> {
        let query = sqlx::query("SELECT 1 FROM scheduled_export WHERE schedule = $1 AND instant_ms = $2");
        let query = query.bind(schedule).bind(instant_ms).fetch_optional(self.pool());
        Ok(query.await.map_err(failed)?.is_some())
    }

    /// Notes that the files of a scheduled export are deleted.
    pub async fn forget_export(&self, job: &Arn) -> Result<()> {
        let mut tx = self.write().await?;
        let query = sqlx::query("UPDATE scheduled_export SET is_kept = 0 WHERE job_arn = $1");
        query.bind(job.as_str()).execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }
}

async fn move_on(
    tx: &mut Transaction<'static, Any>,
    schedule: &ExportScheduleRow,
    behind_ms: Option<i64>,
    job: Option<&Arn>,
    trouble: Option<&str>,
) -> Result<bool> {
    let query = sqlx::query(
        "UPDATE export_schedule SET next_ms = $1, last_job_arn = coalesce($2, last_job_arn), trouble = $3
         WHERE name = $4 AND version = $5 AND next_ms = $6 AND enabled = 1",
    );
    let query = query.bind(behind_ms).bind(job.map(Arn::as_str)).bind(trouble);
    let query = query.bind(&schedule.name).bind(schedule.version).bind(schedule.next_ms);
    Ok(query.execute(&mut **tx).await.map_err(failed)?.rows_affected() == 1)
}

fn there(name: &str, rows: u64) -> Result<()> {
    let gone = || Error::new(ErrorKind::NotFound, format!("There is no export schedule {name}."));
    if rows == 0 { Err(gone()) } else { Ok(()) }
}

fn read(row: &AnyRow) -> Result<ExportScheduleRow> {
    let text = |column: &str| row.try_get::<String, _>(column).map_err(failed);
    let spec = text("spec")?;
    let last: Option<String> = row.try_get("last_job_arn").map_err(failed)?;
    Ok(ExportScheduleRow {
        name: text("name")?,
        plan: serde_json::from_str(&spec)
            .map_err(|e| Error::corrupt("an export schedule can't be read").caused_by(e))?,
        version: row.try_get("version").map_err(failed)?,
        is_enabled: row.try_get::<i64, _>("enabled").map_err(failed)? == 1,
        next_ms: row.try_get("next_ms").map_err(failed)?,
        created_ms: row.try_get("created_ms").map_err(failed)?,
        updated_ms: row.try_get("updated_ms").map_err(failed)?,
        created_by: text("created_by")?,
        updated_by: text("updated_by")?,
        last_job_arn: last.as_deref().map(stored_arn).transpose()?,
        trouble: row.try_get("trouble").map_err(failed)?,
    })
}
