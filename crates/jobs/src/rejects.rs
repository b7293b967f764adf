//! What an import found wrong, brought into the catalog: it holds values of records, so it is sealed as they are.

use catalog::{JobRow, Lease, RejectFile};
use csv::Dialect;
use engine::import::{Reject, Rejects, RejectsFile};
use model::error::{Error, Result};
use serde_json::{Value, json};

use crate::Parts;

/// Keeps a report beside its job, before the job ends; `parts` have the keys of the dataset.
pub async fn keep(parts: &Parts, job: &JobRow, lease: &Lease, rejects: &Rejects) -> Result<()> {
    // An earlier attempt may have left one.
    if rejects.count == 0 && job.attempts <= 1 {
        return Ok(());
    }
    let report: Vec<Value> = rejects.told.iter().map(told).collect();
    let report = serde_json::to_vec(&report)
        .map_err(|e| Error::internal("write the report of an import").caused_by(e))?;
    let row = catalog::Rejects {
        count: rejects.count,
        told: rejects.told.len() as u64,
        is_complete: rejects.is_complete,
        report: Some(parts.objects.keys().keep(&report, job.arn.as_str().as_bytes())),
        files: rejects.files.iter().map(file).collect(),
    };
    parts.catalog.keep_rejects(lease, job.dataset_id, &row).await
}

fn told(reject: &Reject) -> Value {
    let violation = &reject.violation;
    json!({
        "file": reject.key, "line": violation.line, "byte": violation.byte, "column": violation.column,
        "value": violation.value_shortened, "rule": violation.what(),
    })
}

fn file(file: &RejectsFile) -> RejectFile {
    let dialect = match file.dialect {
        Dialect::Aws => "aws",
        Dialect::Rfc4180 => "rfc4180",
    };
    let (object, dialect) = (file.object.clone(), dialect.to_owned());
    RejectFile { object, dialect, rows: file.rows, size_bytes: file.bytes }
}
