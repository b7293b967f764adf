//! Those who do the tasks of a job, as its lease holder sees them: tasks are handed out until all are done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use catalog::Lease;
use engine::Progress;
use model::error::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use tracing::warn;

use crate::patience::unless_stopped;
use crate::runner::Runner;
use crate::task::{Answer, Task, TaskOutcome, Work};
use crate::{Parts, RETRY_MS_MAX};

/// How often the holder adds up how far the tasks are.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Forgets what earlier attempts at a job handed out.
pub async fn begin(parts: &Parts, lease: &Lease) -> Result<()> {
    parts.catalog.begin_tasks(lease).await
}

/// Has all of this done; gives what came of it, in the order of the numbers.
///
/// What is done is kept: after a passing fault only what is missing is handed out again, which counts as an attempt.
///
/// # Errors
/// The first one, in order of tasks, that does not pass; when no attempts are left, the last one that does. `InUse` when
/// the lease was lost, `Unavailable` when the job is to stop.
pub async fn run<T: DeserializeOwned>(
    parts: &Arc<Parts>,
    lease: &Lease,
    progress: &Progress,
    works: Vec<(i64, Work)>,
) -> Result<Vec<T>> {
    let Some(runner) = &parts.runner else { return Err(Error::internal("nobody does tasks")) };
    let task = |(number, work)| Task { job: lease.arn.to_string(), fence: lease.fence, number, work };
    let mut missing: BTreeMap<i64, Task> = works.into_iter().map(|work| (work.0, task(work))).collect();
    let mut done = BTreeMap::new();
    for round in 0_u32.. {
        let fault = hand_out(parts, &**runner, lease, progress, &mut missing, &mut done).await?;
        if missing.is_empty() {
            break;
        }
        let fault = fault.unwrap_or_else(|| Error::unavailable("some tasks of the job were not done"));
        let attempts = parts.catalog.count_attempt(lease).await?;
        if attempts > parts.settings.attempts_max {
            return Err(fault);
        }
        let delay_ms = (500 << round.min(6)).min(RETRY_MS_MAX).unsigned_abs();
        warn!(job.arn = %lease.arn, tasks = missing.len(), delay_ms, error = %fault.chain(), "tasks are handed out again");
        unless_stopped(progress, async {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            Ok(())
        })
        .await?;
    }
    let sum = parts.catalog.tasks_done(&lease.arn).await?;
    progress.tell(sum.rows, sum.bytes, sum.tasks);
    Ok(done.into_values().collect())
}

/// Hands out what is missing, once; gives the fault that kept some of it from being done.
async fn hand_out<T: DeserializeOwned>(
    parts: &Parts,
    runner: &dyn Runner,
    lease: &Lease,
    progress: &Progress,
    missing: &mut BTreeMap<i64, Task>,
    done: &mut BTreeMap<i64, T>,
) -> Result<Option<Error>> {
    let tasks = missing.values().map(text).collect::<Result<Vec<_>>>()?;
    let answers = tokio::select! {
        answers = runner.run(tasks) => answers,
        stopped = add_up(parts, lease, progress) => return Err(stopped),
    };
    let answers = match answers {
        Ok(answers) => answers,
        Err(cause) if is_passing(cause.kind) => return Ok(Some(cause)),
        Err(cause) => return Err(cause),
    };
    let (mut fault, mut refusal) = (None, BTreeMap::new());
    for answer in answers {
        let Some((number, outcome)) = read(&answer, lease)? else { continue };
        match outcome {
            TaskOutcome::Done(result) => {
                if missing.remove(&number).is_some() {
                    done.insert(number, serde_json::from_value(result).map_err(unread)?);
                }
            }
            TaskOutcome::Failed { kind, message } if is_passing(kind) => {
                fault = Some(Error::new(kind, message))
            }
            TaskOutcome::Failed { kind, message } => _ = refusal.insert(number, Error::new(kind, message)),
        }
    }
    // Of a task that was done twice one may have failed.
    refusal.retain(|number, _| missing.contains_key(number));
    refusal.pop_first().map_or(Ok(fault), |(_, refused)| Err(refused))
}

fn text(task: &Task) -> Result<String> {
    serde_json::to_string(task).map_err(|e| Error::internal("write a task").caused_by(e))
}

// Answers to what an earlier attempt asked for are nobody's.
fn read(answer: &str, lease: &Lease) -> Result<Option<(i64, TaskOutcome)>> {
    let answer: Answer = serde_json::from_str(answer).map_err(unread)?;
    let is_ours = answer.job == lease.arn.as_str() && answer.fence == lease.fence;
    let is_unread = answer.job.is_empty();
    Ok((is_ours || is_unread).then_some((answer.number, answer.outcome)))
}

fn unread(cause: serde_json::Error) -> Error {
    Error::internal("what a task answered can't be read: is this another version?").caused_by(cause)
}

// A task that lost its place to another one says that it is in use.
fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::Throttled | ErrorKind::InUse)
}

/// Brings how far the tasks are into the job's own progress, until it is to stop.
async fn add_up(parts: &Parts, lease: &Lease, progress: &Progress) -> Error {
    loop {
        if let Err(stopped) = progress.check() {
            return stopped;
        }
        match parts.catalog.tasks_done(&lease.arn).await {
            Ok(sum) => progress.tell(sum.rows, sum.bytes, sum.tasks),
            Err(cause) => {
                warn!(job.arn = %lease.arn, error = %cause.chain(), "how far tasks are was not read");
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests;
