//! Where the tasks of a job are done: by threads of this process, or by others that see the same catalog and objects.

use std::pin::Pin;
use std::sync::Arc;

use model::error::{Error, Result};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::{Parts, Settings, task};

/// Answers on their way.
pub type Running<'a> = Pin<Box<dyn Future<Output = Result<Vec<String>>> + Send + 'a>>;

/// Has tasks done, each by one call of [`task::run`] somewhere, and gives what those calls gave.
pub trait Runner: Send + Sync {
    /// Returns when no task is done any more, or can be. Answers come in any order; some may be missing, some be there
    /// twice.
    ///
    /// # Errors
    /// `Unavailable` when nobody does tasks now. What tasks find wrong stands in their answers.
    fn run(&self, tasks: Vec<String>) -> Running<'_>;
}

/// This process: as many tasks at once as it has threads for a job.
pub struct Here {
    parts: Arc<Parts>,
    places: usize,
}

impl Here {
    /// The memory of one job is shared by those of its tasks that are done at once.
    pub fn new(parts: &Parts) -> Here {
        let places = parts.settings.threads.max(1);
        let memory = parts.settings.job_memory_bytes / places;
        let settings = Settings { threads: 1, job_memory_bytes: memory, ..parts.settings };
        Here { parts: Arc::new(Parts { runner: None, settings, ..parts.clone() }), places }
    }
}

impl Runner for Here {
    fn run(&self, tasks: Vec<String>) -> Running<'_> {
        Box::pin(async move {
            let places = Arc::new(Semaphore::new(self.places));
            let mut running = JoinSet::new();
            for task in tasks {
                let (parts, places) = (self.parts.clone(), places.clone());
                running.spawn(access::about::along(async move {
                    let _place = places.acquire().await;
                    task::run(&parts, task).await
                }));
            }
            let mut answers = Vec::new();
            while let Some(answer) = running.join_next().await {
                answers.push(answer.map_err(|e| Error::internal("a task ended unexpectedly").caused_by(e))?);
            }
            Ok(answers)
        })
    }
}
