//! Pruning: jobs that ended long ago are removed, a bounded number by each call; a dry run tells what would go.

use access::trail;
use catalog::{Beside, JobKind, PrunableJob, PruneFilter};
use model::{Arn, Error, Result};
use serde::{Deserialize, Serialize};

use super::event::rfc3339;
use crate::call::Call;
use crate::door::Api;
use crate::permission::{authorize_any, authorize_on};
use crate::reply::Answer;

const ACTION: &str = "personalize:PruneJobs";
/// The most jobs that one call removes, or counts at once.
const CALL: u32 = 2_000;
/// So many go in one transaction, which others that write wait for.
const TRANSACTION: usize = 200;
/// A hundred years.
const OLDER_S_MAX: i64 = 100 * 366 * 86_400;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    older_than_seconds: i64,
    dataset_group_arn: Option<Arn>,
    #[serde(default)]
    free_names: bool,
    #[serde(default)]
    dry_run: bool,
}

/// What went, or would.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pruned {
    dry_run: bool,
    /// Jobs that ended before.
    ended_before: String,
    jobs: Jobs,
    events: u64,
    reject_reports: u64,
    reject_files: u64,
    analysis_results: u64,
    tags: u64,
    /// Names of jobs that had been removed before, which are free from now on.
    names_freed: u64,
    /// Whether nothing is left to remove; the same call goes on otherwise.
    is_complete: bool,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Jobs {
    import: u64,
    export: u64,
    deletion: u64,
    update: u64,
    analysis: u64,
}

/// Removes jobs, or tells what would go; permission is `personalize:PruneJobs`, on the group where one is named.
///
/// # Errors
/// `Invalid` for a wrong body; `Denied`.
pub async fn prune(api: &Api, call: &Call) -> Answer<Pruned> {
    let input = read(&call.body)?;
    match &input.dataset_group_arn {
        Some(group) => {
            trail::resource(group.as_str());
            authorize_on(api, call, ACTION, group).await?;
        }
        None => authorize_any(api, call, ACTION).await?,
    }
    let ended_before_ms = api.clock.now_ms() - 1000 * input.older_than_seconds;
    let filter = PruneFilter { ended_before_ms, group: input.dataset_group_arn };
    let mut pruned =
        Pruned { dry_run: input.dry_run, ended_before: rfc3339(ended_before_ms), ..Pruned::default() };
    match input.dry_run {
        true => count(api, &filter, &mut pruned).await?,
        false => remove(api, &filter, input.free_names, &mut pruned).await?,
    }
    if input.free_names && pruned.is_complete {
        pruned.names_freed = match input.dry_run {
            true => api.catalog.taken_names(&filter).await?,
            false => api.catalog.free_names(&filter).await?,
        };
    }
    Ok(pruned)
}

fn read(body: &[u8]) -> Result<Input> {
    let input: Input = serde_json::from_slice(body).map_err(|_| {
        Error::invalid(
            "The body must be JSON with the member olderThanSeconds, and may have datasetGroupArn, freeNames and dryRun.",
        )
    })?;
    if !(0..=OLDER_S_MAX).contains(&input.older_than_seconds) {
        return Err(Error::invalid(format!("olderThanSeconds must be from 0 to {OLDER_S_MAX}.")));
    }
    if let Some(group) = input.dataset_group_arn.as_ref().filter(|arn| arn.resource_type() != "dataset-group")
    {
        return Err(Error::invalid(format!("This is not the ARN of a dataset group: {group}")));
    }
    Ok(input)
}

async fn count(api: &Api, filter: &PruneFilter, pruned: &mut Pruned) -> Result<()> {
    let mut after = 0;
    loop {
        let jobs = api.catalog.prunable_jobs(filter, after, CALL).await?;
        let Some(last) = jobs.last() else { break };
        after = last.number;
        pruned.add(&jobs, api.catalog.beside_jobs(&jobs).await?);
    }
    pruned.is_complete = true;
    Ok(())
}

async fn remove(api: &Api, filter: &PruneFilter, frees_names: bool, pruned: &mut Pruned) -> Result<()> {
    let jobs = api.catalog.prunable_jobs(filter, 0, CALL).await?;
    for some in jobs.chunks(TRANSACTION) {
        pruned.add(some, api.catalog.prune_jobs(some, frees_names).await?);
    }
    pruned.is_complete = jobs.len() < CALL as usize;
    Ok(())
}

impl Pruned {
    fn add(&mut self, jobs: &[PrunableJob], beside: Beside) {
        for job in jobs {
            *self.jobs.of(job.kind) += 1;
        }
        self.events += beside.events;
        self.reject_reports += beside.reject_reports;
        self.reject_files += beside.reject_files;
        self.analysis_results += beside.analysis_results;
        self.tags += beside.tags;
    }
}

impl Jobs {
    fn of(&mut self, kind: JobKind) -> &mut u64 {
        match kind {
            JobKind::Import => &mut self.import,
            JobKind::Export => &mut self.export,
            JobKind::Deletion => &mut self.deletion,
            JobKind::Update => &mut self.update,
            JobKind::Analysis => &mut self.analysis,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_says_how_old_and_names_a_group_at_most() {
        let group = "arn:aws:personalize:us-east-1:000000000000:dataset-group/g";
        let whole = format!(
            "{{\"olderThanSeconds\": 5, \"datasetGroupArn\": \"{group}\", \"freeNames\": true, \"dryRun\": true}}"
        );
        let input = read(whole.as_bytes()).unwrap();
        assert!(input.older_than_seconds == 5 && input.free_names && input.dry_run);
        assert_eq!(input.dataset_group_arn.unwrap().as_str(), group);
        let plain = read(b"{\"olderThanSeconds\": 0}").unwrap();
        assert!(!plain.free_names && !plain.dry_run && plain.dataset_group_arn.is_none());
        let dataset = whole.replace("dataset-group/g", "dataset/g/ITEMS");
        for wrong in
            ["", "{}", "{\"olderThanSeconds\": -1}", "{\"olderThanSeconds\": 1, \"all\": 1}", &dataset]
        {
            assert_eq!(read(wrong.as_bytes()).err().unwrap().kind, model::ErrorKind::Invalid, "{wrong}");
        }
    }
}
