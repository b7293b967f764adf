//! Lists of jobs, newest first: a page costs what it shows, however many jobs there are.

use model::Arn;
use model::error::Result;
use model::status::Status;
use sqlx::AssertSqlSafe;

use super::{JobKind, JobRow, read};
use crate::database::Dialect;
use crate::{Catalog, Page, failed};

/// Which jobs a list shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Datasets and groups whose jobs are shown; empty: all.
    pub subjects: Vec<Arn>,
    /// `None`: all kinds that operations show.
    pub kind: Option<JobKind>,
    pub status: Option<Status>,
    pub is_open: bool,
}

impl Catalog {
    /// One page of the jobs that operations show.
    pub async fn all_jobs(&self, filter: &JobFilter, page: &Page) -> Result<Vec<JobRow>> {
        if filter.subjects.is_empty() {
            return self.newest(None, filter, page).await;
        }
        let mut rows = Vec::new();
        for subject in &filter.subjects {
            rows.extend(self.newest(Some(subject), filter, page).await?);
        }
        rows.sort_by(|a, b| b.created_ms.cmp(&a.created_ms).then_with(|| a.arn.cmp(&b.arn)));
        rows.truncate(page.limit);
        Ok(rows)
    }

    /// One page of jobs of a kind, of one dataset or of all.
    pub async fn jobs(&self, kind: JobKind, dataset: Option<&Arn>, page: &Page) -> Result<Vec<JobRow>> {
        self.newest(dataset, &JobFilter { kind: Some(kind), ..JobFilter::default() }, page).await
    }

    async fn newest(&self, subject: Option<&Arn>, filter: &JobFilter, page: &Page) -> Result<Vec<JobRow>> {
        let query = sqlx::query(AssertSqlSafe(newest(self.dialect, subject.is_some(), filter)))
            .bind(page.before_ms())
            .bind(page.after_arn())
            .bind(page.rows())
            .bind(filter.kind.map(JobKind::as_str))
            .bind(filter.status.map(Status::as_str))
            .bind(subject.map(Arn::as_str));
        query.fetch_all(self.pool()).await.map_err(failed)?.iter().map(read).collect()
    }
}

// The index is named: without statistics, SQLite would rather sort all jobs of a kind.
fn newest(dialect: Dialect, has_subject: bool, filter: &JobFilter) -> String {
    let index = match (has_subject, filter) {
        _ if dialect == Dialect::Postgres => "",
        (_, JobFilter { is_open: true, .. }) => "",
        (false, _) => "INDEXED BY job_newest",
        (true, JobFilter { status: Some(_), .. }) => "INDEXED BY job_status_of",
        (true, JobFilter { kind: Some(_), .. }) => "INDEXED BY job_kind_of",
        (true, _) => "INDEXED BY job_newest_of",
    };
    let of = if has_subject { "AND subject_arn = $6" } else { "" };
    let status = if filter.status.is_some() { "status = $5" } else { "$5 IS NULL" };
    let open = if filter.is_open { "AND status IN ('CREATE PENDING', 'CREATE IN_PROGRESS')" } else { "" };
    let kinds = match filter.kind {
        Some(_) => "kind = $4",
        None => "kind IN ('IMPORT', 'EXPORT', 'DELETION') AND $4 IS NULL",
    };
    format!(
        "SELECT * FROM job {index} WHERE created_ms <= $1 AND NOT (created_ms = $1 AND arn <= $2) {of} {open}
         AND {kinds} AND {status} ORDER BY created_ms DESC, arn LIMIT $3"
    )
}
