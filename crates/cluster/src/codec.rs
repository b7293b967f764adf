//! How our operator travels: as a mark and the build that wrote it; every other operator is Ballista's to encode.

use std::fmt;
use std::sync::Arc;

use ballista_core::serde::BallistaPhysicalExtensionCodec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};

use crate::BUILD;
use crate::exec::{TaskExec, Worker};

/// Ballista's own bytes are protobuf, whose first byte is a field's tag and never 0.
const MARK: &[u8] = b"\0lade task\0";

/// Encodes plans, and decodes them into operators that work when there is a worker.
pub struct TaskCodec {
    worker: Option<Worker>,
    others: BallistaPhysicalExtensionCodec,
}

impl TaskCodec {
    pub fn new(worker: Option<Worker>) -> TaskCodec {
        TaskCodec { worker, others: BallistaPhysicalExtensionCodec::default() }
    }
}

impl fmt::Debug for TaskCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskCodec")
    }
}

impl PhysicalExtensionCodec for TaskCodec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        ctx: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(build) = buf.strip_prefix(MARK) else {
            return self.others.try_decode(buf, inputs, ctx, converter);
        };
        if build != BUILD.as_bytes() {
            return Err(other_build(&String::from_utf8_lossy(build)));
        }
        match inputs {
            [tasks] => Ok(Arc::new(TaskExec::new(tasks.clone(), self.worker.clone()))),
            _ => Err(DataFusionError::Plan("TaskExec has one input".into())),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        if node.is::<TaskExec>() {
            buf.extend_from_slice(MARK);
            buf.extend_from_slice(BUILD.as_bytes());
            return Ok(());
        }
        self.others.try_encode(node, buf, converter)
    }
}

fn other_build(theirs: &str) -> DataFusionError {
    DataFusionError::Plan(format!(
        "the tasks come from {theirs}, and this is {BUILD}: run one build everywhere"
    ))
}

#[cfg(test)]
mod tests {
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion_proto::physical_plan::DefaultPhysicalProtoConverter;

    use super::*;
    use crate::rows;

    fn decode(bytes: &[u8]) -> Result<Arc<dyn ExecutionPlan>> {
        let batch = rows::task(0, "a").unwrap();
        let tasks = MemorySourceConfig::try_new_exec(&[vec![batch]], rows::task_schema(), None).unwrap();
        let (context, converter) = (TaskContext::default(), DefaultPhysicalProtoConverter {});
        TaskCodec::new(None).try_decode(bytes, &[tasks], &context, &converter)
    }

    #[test]
    fn plans_of_another_build_are_refused_with_both_names() {
        let ours = [MARK, BUILD.as_bytes()].concat();
        assert!(decode(&ours).unwrap().is::<TaskExec>());
        let refused = decode(&[MARK, b"lade 99.0.0"].concat()).unwrap_err().to_string();
        assert!(refused.contains("come from lade 99.0.0, and this is lade"), "{refused}");
    }
}
