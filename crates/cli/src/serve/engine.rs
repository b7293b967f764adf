//! Where the tasks of jobs are done, as the settings say: by this process, or by the executors of a scheduler.

use std::sync::Arc;

use jobs::{Here, Parts, Runner};

use crate::settings::{Engine, Settings};

/// `None`: jobs are done as a whole.
pub fn runner(settings: &Settings, parts: &Parts) -> Option<Arc<dyn Runner>> {
    match &settings.engine {
        Engine::Local if settings.cuts_jobs => Some(Arc::new(Here::new(parts))),
        Engine::Local => None,
        Engine::Ballista { scheduler } => elsewhere(scheduler),
    }
}

// Settings that name a scheduler are refused before this is asked.
#[cfg(not(feature = "cluster"))]
fn elsewhere(_: &str) -> Option<Arc<dyn Runner>> {
    None
}

#[cfg(feature = "cluster")]
fn elsewhere(scheduler: &str) -> Option<Arc<dyn Runner>> {
    Some(Arc::new(Executors { scheduler: scheduler.to_owned() }))
}

/// The executors of a scheduler.
#[cfg(feature = "cluster")]
struct Executors {
    scheduler: String,
}

#[cfg(feature = "cluster")]
impl Runner for Executors {
    fn run(&self, tasks: Vec<String>) -> jobs::Running<'_> {
        cluster::client::run(&self.scheduler, tasks)
    }
}
