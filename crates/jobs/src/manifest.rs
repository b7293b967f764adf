//! The manifest of an export: made when every file is uploaded, written when every file is visible.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use catalog::{JobRow, Snapshot};
use engine::export::FileSummary;
use model::error::{Error, Result};
use model::manifest::{FileEntry, Ledger, Manifest, SnapshotOf};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub fn of_export(
    job: &JobRow,
    snapshot: &Snapshot,
    files: &[(String, FileSummary)],
    ledger: Ledger,
) -> Result<Manifest> {
    Ok(Manifest {
        version: 1,
        job_arn: job.arn.to_string(),
        dataset_arn: job.subject_arn.to_string(),
        ingestion_mode: job.export_request()?.ingestion_mode.as_str().to_owned(),
        schema: serde_json::from_str(&snapshot.schema)
            .map_err(|e| Error::corrupt("a stored schema is no JSON").caused_by(e))?,
        format: "csv".to_owned(),
        snapshot: SnapshotOf { sequence: snapshot.sequence, taken_at: rfc3339(snapshot.taken_ms) },
        files: files.iter().map(|(key, summary)| entry(key, summary)).collect(),
        ledger,
    })
}

fn entry(key: &str, summary: &FileSummary) -> FileEntry {
    FileEntry {
        key: key.to_owned(),
        rows: summary.rows,
        bytes: summary.bytes,
        crc64nvme: STANDARD.encode(summary.crc64nvme.to_be_bytes()),
        blake3: summary.blake3.clone(),
    }
}

fn rfc3339(ms: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_moment_is_written_in_utc() {
        assert_eq!(super::rfc3339(1_553_631_760_500), "2019-03-26T20:22:40.5Z");
    }
}
