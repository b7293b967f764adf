//! Jobs: made, claimed, and worked at, one attempt at a time.

use std::sync::Arc;

use catalog::{DeletionList, ExportRequest, ImportRequest, JobKind, JobRow, Lease, NewJob};
use engine::import::{Rejecting, SourceFile, Target, import};
use engine::{Progress, deletion};
use model::error::{Error, Result};
use model::{Arn, ImportMode, IngestionMode};

use super::super::house::{House, dataset_arn, layout, realm};
use super::row::{Row, sent};
use super::{Story, Task};
use crate::upkeep::flush_before;
use crate::{Outcome, Parts, blocking, data_deletion_job, dataset_import_job};

impl Story {
    fn new_job<R>(&self, arn: impl Fn(&str) -> Arn, subject_arn: Arn, request: R) -> NewJob<R> {
        let mut state = self.state();
        state.jobs += 1;
        let name = format!("j{}", state.jobs);
        NewJob { arn: arn(&name), name, subject_arn, role_arn: String::new(), request, tags: Vec::new() }
    }

    pub(super) async fn create_import(&self, parts: &Parts, dataset: usize) -> Result<()> {
        let is_full = self.pick(2) == 0;
        let request = ImportRequest {
            data_location: "s3://b/in".to_owned(),
            import_mode: if is_full { ImportMode::Full } else { ImportMode::Incremental },
            publish_attribution_metrics_to_s3: None,
            tolerance: 0,
            validate_only: false,
        };
        let new = self.new_job(|name| realm().import_job(name), dataset_arn(dataset), request);
        let rows = self.rows(6);
        parts.catalog.create_import_job(&new).await?;
        self.state().tasks.insert(new.arn, Task::Import { dataset, is_full, rows });
        Ok(())
    }

    pub(super) async fn create_export(
        &self,
        parts: &Parts,
        dataset: usize,
        mode: IngestionMode,
    ) -> Result<Arn> {
        let request = ExportRequest {
            path: "s3://b/out".to_owned(),
            ingestion_mode: mode,
            kms_key_arn: None,
            manifest: true,
            options: Default::default(),
            since: None,
        };
        let new = self.new_job(|name| realm().export_job(name), dataset_arn(dataset), request);
        let log = parts.log.clone();
        parts.catalog.create_export_job(&new, move || log.settled()).await?;
        let mut state = self.state();
        let worlds = state.worlds.clone();
        state.tasks.insert(new.arn.clone(), Task::Export { dataset, mode, worlds });
        Ok(new.arn)
    }

    pub(super) async fn create_deletion(&self, parts: &Parts) -> Result<()> {
        let request = catalog::DeletionRequest { data_location: "s3://b/list".to_owned() };
        let new = self.new_job(|name| realm().data_deletion_job(name), realm().dataset_group("g"), request);
        let ids = (0..1 + self.pick(3)).map(|_| format!("id{}", self.pick(8))).collect();
        parts.catalog.create_data_deletion_job(&new).await?;
        self.state().tasks.insert(new.arn, Task::Deletion { ids, before: None });
        Ok(())
    }

    /// Claims a job and makes one attempt at it; gives it when there was one.
    pub(super) async fn work(&self, house: &House) -> Result<Option<Arn>> {
        let Some((job, lease)) = house.parts.catalog.claim(1000).await? else { return Ok(None) };
        let task = self.state().tasks[&job.arn].clone();
        let done = match (job.kind, task) {
            (JobKind::Import, Task::Import { dataset, is_full, rows }) => {
                self.import(house, &job, &lease, dataset, is_full, &rows).await
            }
            (JobKind::Export, Task::Export { dataset, mode, worlds }) => {
                self.export(house, &job, &lease, dataset, mode, &worlds).await
            }
            (JobKind::Deletion, Task::Deletion { ids, before }) => {
                self.delete(house, &job, &lease, &ids, before).await
            }
            _ => Err(Error::internal("a job of another kind")),
        };
        match done {
            Ok(Outcome::Ended) => {
                self.state().tasks.remove(&job.arn);
            }
            Ok(Outcome::Waiting) => house.parts.catalog.wait_later(&lease, 250).await?,
            Err(cause) => {
                // One that ended in the catalog, and of whose end nobody heard, is no longer held.
                let _ = house.parts.catalog.retry_later(&lease, 0).await;
                return Err(cause);
            }
        }
        Ok(Some(job.arn))
    }

    async fn import(
        &self,
        house: &House,
        job: &JobRow,
        lease: &Lease,
        dataset: usize,
        is_full: bool,
        rows: &[Row],
    ) -> Result<Outcome> {
        let parts = &house.parts;
        let attempt = parts.clock.hex(16);
        parts.catalog.begin_attempt(&attempt).await?;
        let header: Vec<String> = layout(dataset).columns.iter().map(|c| c.name().to_owned()).collect();
        let lines: Vec<String> = sent(dataset, rows).into_iter().map(|row| row.line + "\n").collect();
        let text = format!("{}\n{}", header.join(","), lines.concat());
        let written = {
            let (parts, attempt) = (parts.clone(), attempt.clone());
            blocking(move || {
                let object = format!("{attempt}-0.parquet");
                import(
                    &layout(dataset),
                    [Ok(file(text))],
                    &target(&parts, &attempt, object),
                    None,
                    &Progress::default(),
                )
                .1
            })
        };
        let listed = match written.await {
            Ok(file) => {
                let listed = dataset_import_job::list_run(
                    parts,
                    job,
                    lease,
                    &layout(dataset),
                    (file, 0),
                    &Progress::default(),
                )
                .await;
                // Nothing comes between the commit and the number.
                if listed.is_ok() {
                    let (at, rows) = (self.arrive(), sent(dataset, rows));
                    let mut state = self.state();
                    state.worlds.iter_mut().for_each(|world| world.import(dataset, at, is_full, &rows));
                    // It has ended, whatever becomes of the attempt's end.
                    state.tasks.remove(&job.arn);
                }
                listed
            }
            Err(cause) => Err(cause),
        };
        parts.catalog.end_attempt(&attempt).await?;
        listed.map(|()| Outcome::Ended)
    }

    async fn delete(
        &self,
        house: &House,
        job: &JobRow,
        lease: &Lease,
        ids: &[String],
        before: Option<u64>,
    ) -> Result<Outcome> {
        let parts = &house.parts;
        let plan = match job.deletion_plan()? {
            Some(plan) => plan,
            None => {
                let attempt = parts.clock.hex(16);
                parts.catalog.begin_attempt(&attempt).await?;
                let deleted = self.delete_all(parts, job, lease, &attempt, ids, before).await;
                let planned = match deleted {
                    Ok((position, list)) => {
                        let so_far = catalog::Progress::default();
                        parts.catalog.set_deleted(lease, position, Some(list), vec![], so_far).await
                    }
                    Err(cause) => Err(cause),
                };
                parts.catalog.end_attempt(&attempt).await?;
                planned?
            }
        };
        data_deletion_job::clear_away(parts, job, lease, &plan, &Arc::default()).await
    }

    async fn delete_all(
        &self,
        parts: &Arc<Parts>,
        job: &JobRow,
        lease: &Lease,
        attempt: &str,
        ids: &[String],
        before: Option<u64>,
    ) -> Result<(u64, DeletionList)> {
        let border = parts.catalog.begin_deletion(lease).await?;
        let before = before.unwrap_or_else(|| self.arrive());
        let task = Task::Deletion { ids: ids.to_vec(), before: Some(before) };
        self.state().tasks.insert(job.arn.clone(), task);
        drop(parts.flushing.lock().await);
        let position = parts.log.rotate().await?;
        let list = {
            let (parts, attempt, text) =
                (parts.clone(), attempt.to_owned(), format!("USER_ID\n{}\n", ids.join("\n")));
            blocking(move || {
                let object = format!("{attempt}-list.parquet");
                deletion::read_list([Ok(file(text))], &target(&parts, &attempt, object), &Progress::default())
            })
        };
        let list = list.await?;
        let doomed = deletion::Doomed { list: list.object.clone(), before: border };
        let dataset = parts.catalog.dataset(&dataset_arn(0)).await?.expect("it is there");
        flush_before(parts, dataset.id, position).await?;
        let progress = Arc::new(Progress::default());
        data_deletion_job::delete_from(parts, lease, attempt, dataset.id, &doomed, &progress).await?;
        let mut state = self.state();
        state.worlds.iter_mut().for_each(|world| world.delete(0, ids, before));
        state.is_blurred[0] = true;
        Ok((position, DeletionList { object: list.object, users: list.rows, before: border }))
    }
}

fn file(text: String) -> SourceFile {
    let bytes = Box::new(std::io::Cursor::new(text.into_bytes()));
    SourceFile { key: "in.csv".to_owned(), dialect: csv::Dialect::Rfc4180, bytes }
}

fn target<'a>(parts: &'a Parts, attempt: &str, object: String) -> Target<'a> {
    let memory_bytes = parts.settings.job_memory_bytes;
    let scratch = parts.scratch.join(attempt);
    let (threads, chunk_bytes, rejecting) = (1, 4096, Rejecting::FIRST);
    Target { objects: &parts.objects, object, scratch, memory_bytes, threads, chunk_bytes, rejecting }
}
