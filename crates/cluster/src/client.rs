//! The client: has the tasks of a job done by whatever executors the scheduler has, and brings their results in order.

mod fetch;
mod job;

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use model::Error;
use model::error::Result;
use tracing::{debug, warn};

use self::job::Job;

/// How often what was lost on its way here is done again.
const ROUNDS_MAX: usize = 3;

/// Has the tasks done by executors of the scheduler at `host:port`; the results are in the order of the tasks.
///
/// Dropped before its end, it has the scheduler cancel what is left.
///
/// # Errors
/// `Unavailable`, safe to try again: no scheduler answers, it has no executor or lost its last one, it ended, or it is of
/// another build. `Internal` when a task panicked.
pub fn run(scheduler: &str, tasks: Vec<String>) -> BoxFuture<'_, Result<Vec<String>>> {
    // Boxed: async code is compiled where it is polled, and belongs to this crate.
    Box::pin(rounds(scheduler, tasks))
}

async fn rounds(scheduler: &str, tasks: Vec<String>) -> Result<Vec<String>> {
    let mut results = BTreeMap::new();
    for round in 0..ROUNDS_MAX {
        let missing: Vec<(u32, &str)> = (0u32..)
            .zip(&tasks)
            .filter(|(number, _)| !results.contains_key(number))
            .map(|(number, task)| (number, task.as_str()))
            .collect();
        if missing.is_empty() {
            return Ok(results.into_values().collect());
        }
        if round > 0 {
            warn!("results of {} tasks were lost with their executor: they are done again", missing.len());
        }
        one_round(scheduler, &missing, &mut results).await?;
    }
    match results.len() == tasks.len() {
        true => Ok(results.into_values().collect()),
        false => Err(Error::unavailable("results of tasks were lost again and again with their executors")),
    }
}

async fn one_round(
    scheduler: &str,
    tasks: &[(u32, &str)],
    results: &mut BTreeMap<u32, String>,
) -> Result<()> {
    job::executors(scheduler).await?;
    let mut job = Job::submit(scheduler, tasks).await?;
    let locations = job.ended(scheduler).await?;
    let asked = tasks.iter().map(|(number, _)| *number).collect();
    for done in fetch::results(scheduler, locations, &asked).await {
        debug!(number = done.number, executor = done.executor, "task done");
        results.entry(done.number).or_insert(done.result);
    }
    job.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_tasks_need_no_scheduler() {
        assert!(run("127.0.0.1:1", Vec::new()).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_scheduler_that_is_not_there_is_named() {
        let refused = run("127.0.0.1:1", vec!["a".into()]).await.unwrap_err();
        assert!(refused.message().contains("the scheduler at 127.0.0.1:1"), "{}", refused.chain());
    }
}
