//! The one operator of ours: does the work of each row of its input.
//!
//! It has an input because the scheduler gives an executor's task its share of the partitions by narrowing the leaves it
//! knows; an operator of ours that were a leaf would do every task once per partition.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio_util::sync::CancellationToken;

use crate::Work;
use crate::rows::{self, Done};

/// Who does a task: an executor has it, a client and a scheduler only pass plans on.
#[derive(Clone)]
pub struct Worker {
    pub executor: String,
    pub work: Work,
    /// Ends the work: Ballista drives plans by tasks of its own, which go on when whoever waits for them is dropped.
    pub gone: CancellationToken,
}

/// Rows of tasks in, rows of results out, partition by partition.
pub struct TaskExec {
    tasks: Arc<dyn ExecutionPlan>,
    worker: Option<Worker>,
    properties: Arc<PlanProperties>,
}

impl TaskExec {
    pub fn new(tasks: Arc<dyn ExecutionPlan>, worker: Option<Worker>) -> TaskExec {
        let partitions = tasks.properties().output_partitioning().partition_count();
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(rows::done_schema()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        TaskExec { tasks, worker, properties }
    }
}

impl fmt::Debug for TaskExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskExec")
    }
}

impl DisplayAs for TaskExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskExec")
    }
}

impl ExecutionPlan for TaskExec {
    fn name(&self) -> &str {
        "TaskExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.tasks]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.pop()) {
            (Some(tasks), None) => Ok(Arc::new(TaskExec::new(tasks, self.worker.clone()))),
            _ => Err(DataFusionError::Internal("TaskExec has one input".into())),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let no_worker = || DataFusionError::Internal("tasks run on executors alone".into());
        let worker = self.worker.clone().ok_or_else(no_worker)?;
        let tasks = self.tasks.execute(partition, context)?;
        let tasks = tasks.map(|batch| rows::tasks(&batch?)).map_ok(|all| stream::iter(all).map(Ok));
        let results = tasks.try_flatten().and_then(move |(number, task)| {
            let worker = worker.clone();
            async move {
                let result = worker.gone.run_until_cancelled((worker.work)(task)).await;
                let result =
                    result.ok_or_else(|| DataFusionError::Execution("the task was dropped".into()))?;
                Ok(rows::done(&Done { number, executor: worker.executor, result })?)
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(rows::done_schema(), results)))
    }
}
