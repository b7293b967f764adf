//! A job with the scheduler: submitted, watched to its end, and cancelled when nobody waits for it any more.

use std::sync::Arc;
use std::time::Duration;

use ballista_core::config::BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK;
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    CancelJobParams, CleanJobDataParams, ExecuteQueryParams, GetJobStatusParams, KeyValuePair,
    PartitionLocation, execute_query_result, job_status,
};
use ballista_core::version;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use model::Error;
use model::error::{Context, Result};
use tokio::time::{Instant, sleep, timeout};
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use tracing::debug;

use crate::about::{self, ANSWER_MAX, About};
use crate::codec::TaskCodec;
use crate::exec::TaskExec;
use crate::{MESSAGE_SIZE_MAX, rows};

/// How often the scheduler is asked how far a job is: first soon, then less and less often.
const ASK_FIRST: Duration = Duration::from_millis(20);
const ASK_LAST: Duration = Duration::from_millis(500);

/// How often it is asked whether it has executors.
const LOOK: Duration = Duration::from_secs(2);

/// How long a client waits for the first executor of a scheduler that has just begun.
const FIRST_EXECUTOR_MAX: Duration = Duration::from_secs(3);

type Client = SchedulerGrpcClient<Channel>;

/// Waits for an executor, for a little while.
pub async fn executors(scheduler: &str) -> Result<About> {
    let began = Instant::now();
    loop {
        let about = about::ask(scheduler).await?;
        if about.executors > 0 {
            return Ok(about);
        }
        if began.elapsed() > FIRST_EXECUTOR_MAX {
            return Err(no_executor(scheduler));
        }
        sleep(Duration::from_millis(200)).await;
    }
}

fn no_executor(scheduler: &str) -> Error {
    Error::unavailable(format!(
        "no executor is registered with the scheduler at {scheduler}: start one with `lade executor`"
    ))
}

/// Cancelled when it is dropped before its results were fetched.
pub struct Job {
    client: Client,
    id: String,
    is_over: bool,
}

impl Job {
    /// Hands a job to the scheduler: each task with its number.
    pub async fn submit(scheduler: &str, tasks: &[(u32, &str)]) -> Result<Job> {
        let doing = || format!("submit {} tasks to the scheduler at {scheduler}", tasks.len());
        let mut client = connect(scheduler).await?;
        let mut request = Request::new(question(tasks).map_err(|e| Error::internal(doing()).caused_by(e))?);
        version::insert_version_header(request.metadata_mut());
        // (three times) a plan may be large.
        let answer = timeout(ANSWER_MAX * 3, client.execute_query(request)).await.unavailable(doing)?;
        match answer.unavailable(doing)?.into_inner().result {
            Some(execute_query_result::Result::Success(job)) => {
                debug!(job = job.job_id, tasks = tasks.len(), "tasks submitted");
                Ok(Job { client, id: job.job_id, is_over: false })
            }
            Some(execute_query_result::Result::Failure(why)) => {
                Err(Error::unavailable(doing()).caused_by(format!("{:?}", why.failure)))
            }
            None => Err(Error::unavailable(doing()).caused_by("an empty answer")),
        }
    }

    /// Waits until all tasks are done; where their results are.
    pub async fn ended(&mut self, scheduler: &str) -> Result<Vec<PartitionLocation>> {
        let (mut pause, mut looked) = (ASK_FIRST, Instant::now());
        let mut without_executor = None;
        loop {
            if let Some(locations) = self.ask(scheduler).await? {
                return Ok(locations);
            }
            if looked.elapsed() > LOOK {
                looked = Instant::now();
                watch(scheduler, &mut without_executor).await?;
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(ASK_LAST);
        }
    }

    async fn ask(&mut self, scheduler: &str) -> Result<Option<Vec<PartitionLocation>>> {
        let gone = || format!("the scheduler at {scheduler} ended or lost the job: try again");
        let question = GetJobStatusParams { job_id: self.id.clone() };
        let answer = timeout(ANSWER_MAX, self.client.get_job_status(question)).await.unavailable(gone)?;
        let answer = answer.unavailable(gone)?.into_inner();
        // A scheduler that does not know the job says nothing of it.
        let status = answer.status.ok_or_else(|| Error::unavailable(gone()))?.status;
        match status {
            Some(job_status::Status::Successful(job)) => Ok(Some(job.partition_location)),
            Some(job_status::Status::Failed(job)) => {
                self.is_over = true;
                Err(failed(scheduler, &job.error))
            }
            _ => Ok(None),
        }
    }

    /// Has the results thrown away.
    pub async fn close(mut self) {
        self.is_over = true;
        let job = CleanJobDataParams { job_id: self.id.clone(), remove_stage_ids: Vec::new() };
        // If this is not heard they go by themselves after a while.
        let _ = timeout(ANSWER_MAX, self.client.clean_job_data(job)).await;
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.is_over {
            return;
        }
        let (mut client, job) = (self.client.clone(), CancelJobParams { job_id: self.id.clone() });
        runtime.spawn(async move { timeout(ANSWER_MAX, client.cancel_job(job)).await });
    }
}

// The scheduler fails a job without executors by itself, but not one whose executors were never heard again after it had
// been told to begin.
async fn watch(scheduler: &str, without: &mut Option<Instant>) -> Result<()> {
    let about = about::ask(scheduler).await?;
    if about.executors > 0 {
        *without = None;
        return Ok(());
    }
    match without.get_or_insert_with(Instant::now).elapsed() > about.executor_timeout {
        true => Err(no_executor(scheduler)),
        false => Ok(()),
    }
}

// Ballista tells of causes in text alone.
fn failed(scheduler: &str, why: &str) -> Error {
    if why.contains("panicked") {
        return Error::internal("a task panicked on an executor").caused_by(why.to_owned());
    }
    let text = format!("the scheduler at {scheduler} gave the tasks up: try again");
    Error::unavailable(text).caused_by(why.to_owned())
}

fn question(tasks: &[(u32, &str)]) -> datafusion::error::Result<ExecuteQueryParams> {
    let rows = tasks.iter().map(|(number, task)| Ok(vec![rows::task(*number, task)?]));
    let rows: Vec<_> = rows.collect::<datafusion::error::Result<_>>()?;
    let tasks = MemorySourceConfig::try_new_exec(&rows, rows::task_schema(), None)?;
    let plan = Arc::new(TaskExec::new(tasks, None));
    let plan = PhysicalPlanNode::try_from_physical_plan(plan, &TaskCodec::new(None))?;
    let mut bytes = Vec::new();
    plan.try_encode(&mut bytes)?;
    // An executor's task is one of ours: whoever has room takes the next.
    let one_each =
        KeyValuePair { key: BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK.into(), value: Some("1".into()) };
    Ok(ExecuteQueryParams {
        settings: vec![one_each],
        session_id: "lade".into(),
        operation_id: "lade".into(),
        query: Some(Query::PhysicalPlan(bytes)),
    })
}

async fn connect(scheduler: &str) -> Result<Client> {
    let doing = || format!("reach the scheduler at {scheduler}");
    let endpoint = Endpoint::from_shared(format!("http://{scheduler}")).unavailable(doing)?;
    let channel =
        endpoint.connect_timeout(ANSWER_MAX).tcp_nodelay(true).connect().await.unavailable(doing)?;
    Ok(SchedulerGrpcClient::new(channel)
        .max_decoding_message_size(MESSAGE_SIZE_MAX)
        .max_encoding_message_size(MESSAGE_SIZE_MAX))
}
