//! A session of an executor with a scheduler: as long as every call is answered in time, both know the same tasks.
//!
//! A call that failed may have carried tasks that never arrived, and one that was late finds the executor taken for lost.
//! So the session ends there: its tasks are dropped, the scheduler hears that this executor is gone, and the next session
//! bears another id.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ballista_core::BALLISTA_PROTOCOL_VERSION;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    CleanJobDataParams, ExecutorOperatingSystemSpecification, ExecutorRegistration, ExecutorStoppedParams,
    PollWorkParams, PollWorkResult, TaskStatus,
};
use ballista_core::serde::scheduler::ExecutorSpecification;
use datafusion::execution::runtime_env::RuntimeEnv;
use model::error::{Context, Result};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tracing::debug;

use super::ExecutorSettings;
use super::task::Bench;
use crate::about::ANSWER_MAX;
use crate::{MESSAGE_SIZE_MAX, Work};

/// How long an executor with room for tasks waits before it asks again, and one without.
const IDLE: Duration = Duration::from_millis(100);
const BUSY: Duration = Duration::from_secs(1);

/// How long an executor that was told to stop goes on with what it has.
const DRAIN_MAX: Duration = Duration::from_secs(25);

pub enum End {
    Stopped,
    Lost(String),
}

pub struct Session {
    scheduler: SchedulerGrpcClient<Channel>,
    registration: ExecutorRegistration,
    tasks_concurrent: usize,
    bench: Bench,
    /// An executor whose last call is older than this has to take itself for lost.
    lease: Duration,
    running: JoinSet<TaskStatus>,
    of_jobs: Vec<(String, AbortHandle)>,
    ended: Vec<TaskStatus>,
    /// Jobs whose results may lie here.
    jobs: HashSet<String>,
}

impl Session {
    /// Connects to the scheduler.
    ///
    /// # Errors
    /// `Unavailable` when it does not answer.
    pub async fn begin(
        settings: &ExecutorSettings,
        port: u16,
        work: Work,
        executor_timeout: Duration,
    ) -> Result<Session> {
        let id = settings.clock.hex(16);
        Ok(Session {
            scheduler: connect(&settings.scheduler).await?,
            registration: registration(settings, &id, port),
            tasks_concurrent: settings.tasks_concurrent,
            bench: Bench {
                executor: id,
                work,
                work_dir: settings.work_dir.clone(),
                runtime: Arc::new(RuntimeEnv::default()),
            },
            // (two seconds) the scheduler counts whole ones.
            lease: executor_timeout.saturating_sub(Duration::from_secs(2)).max(Duration::from_secs(1)),
            running: JoinSet::new(),
            of_jobs: Vec::new(),
            ended: Vec::new(),
            jobs: HashSet::new(),
        })
    }

    pub fn id(&self) -> &str {
        &self.registration.id
    }

    /// Asks for tasks and does them until `stop`, or until a call went wrong.
    pub async fn run(mut self, stop: &CancellationToken) -> End {
        let end = self.ask_until(stop).await;
        self.running.shutdown().await;
        let gone =
            ExecutorStoppedParams { executor_id: self.id().into(), reason: "ended its session".into() };
        // If this is not heard the executor is missed soon.
        let _ = tokio::time::timeout(ANSWER_MAX, self.scheduler.executor_stopped(gone)).await;
        end
    }

    async fn ask_until(&mut self, stop: &CancellationToken) -> End {
        let mut last = Instant::now();
        let mut stopping = None;
        loop {
            let asked = Instant::now();
            if asked - last > self.lease {
                return End::Lost(format!("was stopped for {} s", (asked - last).as_secs()));
            }
            let answer = match self.ask(stopping.is_some()).await {
                Ok(answer) => answer,
                Err(why) => return End::Lost(why),
            };
            if asked.elapsed() > self.lease {
                return End::Lost("the scheduler's answer came too late".into());
            }
            last = asked;
            self.take(answer);
            let drained = self.running.is_empty() && self.ended.is_empty() && self.jobs.is_empty();
            if stopping.is_some_and(|since: Instant| drained || since.elapsed() > DRAIN_MAX) {
                return End::Stopped;
            }
            self.wait(stop, &mut stopping).await;
        }
    }

    // What has ended is told until it was heard.
    async fn ask(&mut self, is_stopping: bool) -> Result<PollWorkResult, String> {
        let room = if is_stopping { 0 } else { self.room() };
        let question = PollWorkParams {
            metadata: Some(self.registration.clone()),
            num_free_vcores: room as u32,
            task_status: self.ended.clone(),
        };
        let limit = ANSWER_MAX.min(self.lease);
        match tokio::time::timeout(limit, self.scheduler.poll_work(question)).await {
            Ok(Ok(answer)) => {
                self.ended.clear();
                Ok(answer.into_inner())
            }
            Ok(Err(status)) => Err(status.to_string()),
            Err(_) => Err("the scheduler does not answer".into()),
        }
    }

    fn room(&self) -> usize {
        self.tasks_concurrent.saturating_sub(self.running.len())
    }

    fn take(&mut self, answer: PollWorkResult) {
        for job in answer.jobs_to_clean {
            self.forget(&job);
        }
        self.of_jobs.retain(|(_, task)| !task.is_finished());
        for task in answer.tasks {
            debug!(job = task.job_id, task = task.task_id, "task begins");
            self.jobs.insert(task.job_id.clone());
            let job = task.job_id.clone();
            let handle = self.running.spawn(self.bench.clone().run(task));
            self.of_jobs.push((job, handle));
        }
    }

    // A job that is over: fetched, failed or cancelled.
    fn forget(&mut self, job: &CleanJobDataParams) {
        if !job.remove_stage_ids.is_empty() || !self.jobs.remove(&job.job_id) {
            return;
        }
        self.of_jobs.iter().filter(|(of, _)| *of == job.job_id).for_each(|(_, task)| task.abort());
        // What comes from another machine is not taken for a path.
        if !job.job_id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return;
        }
        let results = self.bench.work_dir.join(&job.job_id);
        tokio::spawn(async move { tokio::fs::remove_dir_all(results).await });
    }

    async fn wait(&mut self, stop: &CancellationToken, stopping: &mut Option<Instant>) {
        let is_stopping = stopping.is_some();
        let pause = if is_stopping || self.room() > 0 { IDLE } else { BUSY };
        tokio::select! {
            Some(ended) = self.running.join_next() => self.ended.extend(ended.ok()),
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled(), if !is_stopping => *stopping = Some(Instant::now()),
        }
        while let Some(ended) = self.running.try_join_next() {
            self.ended.extend(ended.ok());
        }
    }
}

fn registration(settings: &ExecutorSettings, id: &str, port: u16) -> ExecutorRegistration {
    let specification = ExecutorSpecification::default().with_vcores(settings.tasks_concurrent as u32);
    ExecutorRegistration {
        id: id.to_owned(),
        host: settings.host.clone(),
        port: port.into(),
        // The scheduler calls executors that it pushes tasks to; nothing listens for it here.
        grpc_port: port.into(),
        specification: Some(specification.into()),
        os_info: Some(ExecutorOperatingSystemSpecification::default()),
        ballista_protocol_version: BALLISTA_PROTOCOL_VERSION,
    }
}

async fn connect(scheduler: &str) -> Result<SchedulerGrpcClient<Channel>> {
    let doing = || format!("reach the scheduler at {scheduler}");
    let endpoint = Endpoint::from_shared(format!("http://{scheduler}")).unavailable(doing)?;
    let channel =
        endpoint.connect_timeout(ANSWER_MAX).tcp_nodelay(true).connect().await.unavailable(doing)?;
    Ok(SchedulerGrpcClient::new(channel)
        .max_decoding_message_size(MESSAGE_SIZE_MAX)
        .max_encoding_message_size(MESSAGE_SIZE_MAX))
}
