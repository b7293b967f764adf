//! One task on an executor, from the scheduler's definition to the status it gets back.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ballista_core::error::{BallistaError, Result};
use ballista_core::extension::SessionConfigHelperExt;
use ballista_core::serde::protobuf::{
    FailedTask, ShuffleWritePartition, SuccessfulTask, TaskDefinition, TaskStatus, task_status,
};
use ballista_core::utils::default_config_producer;
use ballista_executor::execution_engine::{DefaultExecutionEngine, ExecutionEngine};
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::Work;
use crate::codec::TaskCodec;
use crate::exec::Worker;

/// What tasks of one session share.
#[derive(Clone)]
pub struct Bench {
    pub executor: String,
    pub work: Work,
    pub work_dir: PathBuf,
    pub runtime: Arc<RuntimeEnv>,
}

impl Bench {
    /// Does a task; what went wrong, a panic too, is in the status. Dropped, it ends the work.
    pub async fn run(self, task: TaskDefinition) -> TaskStatus {
        let start_exec_time = now_ms();
        let gone = CancellationToken::new();
        let worker = Worker { executor: self.executor.clone(), work: self.work.clone(), gone: gone.clone() };
        let _gone = gone.drop_guard();
        let codec = TaskCodec::new(Some(worker));
        let outcome = AssertUnwindSafe(self.execute(&task, &codec)).catch_unwind().await;
        let outcome = outcome.unwrap_or_else(|_| Err(BallistaError::Internal("a task panicked".into())));
        let status = match outcome {
            Ok(partitions) => task_status::Status::Successful(SuccessfulTask {
                executor_id: self.executor,
                partitions,
                ..SuccessfulTask::default()
            }),
            Err(error) => task_status::Status::Failed(FailedTask::from(error)),
        };
        TaskStatus {
            task_id: task.task_id,
            job_id: task.job_id,
            stage_id: task.stage_id,
            stage_attempt_num: task.stage_attempt_num,
            launch_time: task.launch_time,
            start_exec_time,
            end_exec_time: now_ms(),
            metrics: Vec::new(),
            status: Some(status),
        }
    }

    async fn execute(&self, task: &TaskDefinition, codec: &TaskCodec) -> Result<Vec<ShuffleWritePartition>> {
        let context = Arc::new(self.context(task));
        let plan = PhysicalPlanNode::try_decode(&task.plan)?;
        let plan = plan.try_into_physical_plan(&context, codec)?;
        let stage = DefaultExecutionEngine::new().create_query_stage_exec(
            task.job_id.clone().into(),
            task.stage_id as usize,
            task.task_id as usize,
            task.global_output_partition_ids.iter().map(|id| *id as usize).collect(),
            plan,
            &self.work_dir.to_string_lossy(),
            context.session_config(),
        )?;
        Ok(stage.execute_query_stage(task.task_id as usize, context).await?)
    }

    // Our operator calls no functions.
    fn context(&self, task: &TaskDefinition) -> TaskContext {
        let config = default_config_producer().update_from_key_value_pair(&task.props);
        TaskContext::new(
            Some(format!("{}/{}/{}", task.job_id, task.stage_id, task.task_id)),
            task.session_id.clone(),
            config,
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            self.runtime.clone(),
        )
    }
}

// The scheduler's times are of the system's clock; nothing hangs on them.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
