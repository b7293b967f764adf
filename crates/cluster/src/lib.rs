//! Tasks on other machines: a client, a scheduler and executors made of Apache Ballista.
//!
//! A task and its result are text that this crate does not read. Tasks go in as the rows of an in-memory table, one
//! partition each, under one operator of ours; results come out as rows of another.
//!
//! What becomes of a task:
//! - It runs once when nothing fails. An executor that ends hands its tasks back; one that was not heard of for
//!   [`SchedulerSettings::executor_timeout_s`] is taken for lost. Both ways its tasks are done again elsewhere, the
//!   finished ones whose results it still held included, so a task must bear to run twice.
//! - An executor that was stopped (SIGSTOP, a machine asleep) and goes on later finds out by the clock that it was taken
//!   for lost: it drops what it was doing, results included, and comes back under another name. One result counts.
//! - The scheduler keeps its jobs in memory: when it ends, its clients get `Unavailable` and submit again what they miss.
//! - Nothing hangs: a scheduler that does not answer and a job without executors end in an error within seconds.
//!
//! Neither scheduler nor executors ask who calls, and what they send is not encrypted: they belong on a private network.
#![cfg(feature = "ballista")]

mod about;
pub mod client;
mod codec;
mod exec;
pub mod executor;
mod rows;
pub mod scheduler;

use std::sync::Arc;

use futures_util::future::BoxFuture;

pub use self::executor::ExecutorSettings;
pub use self::scheduler::SchedulerSettings;

/// What an executor does with a task; errors travel inside the result.
pub type Work = Arc<dyn Fn(String) -> BoxFuture<'static, String> + Send + Sync>;

/// Client, scheduler and executors must be of one build: plans and tasks are read by the code that wrote them.
const BUILD: &str = concat!("lade ", env!("CARGO_PKG_VERSION"));

/// The largest message; a plan holds all tasks of a job.
const MESSAGE_SIZE_MAX: usize = 256 << 20;
