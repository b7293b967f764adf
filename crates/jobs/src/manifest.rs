//! The manifest of an export: made when every file is uploaded, written when every file is visible.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use catalog::{JobRow, Snapshot};
use engine::export::{FileSummary, Outcome};
use model::error::{Error, Result};
use model::export::{Compression, CsvDialect, ExportOptions, OutputColumn};
use model::manifest::{FileEntry, Ledger, Losers, Manifest, SinceOf, SnapshotOf};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub fn of_export(
    job: &JobRow,
    snapshot: &Snapshot,
    files: &[(String, FileSummary)],
    outcome: Outcome,
) -> Result<Manifest> {
    let request = job.export_request()?;
    let options = ExportOptions::read(&request.options, &snapshot.layout)?;
    let chosen = |columns: &[OutputColumn]| {
        columns.iter().map(|column| column.name(&snapshot.layout).to_owned()).collect()
    };
    let entries = |are_losers| {
        let files = files.iter().filter(move |(_, summary)| summary.file.are_losers == are_losers);
        files.map(|(key, summary)| entry(key, summary)).collect()
    };
    let Outcome { ledger, earlier } = outcome;
    let Ledger { exact_duplicates, superseded, filtered, .. } = ledger;
    Ok(Manifest {
        version: 1,
        job_arn: job.arn.to_string(),
        dataset_arn: job.subject_arn.to_string(),
        ingestion_mode: request.ingestion_mode.as_str().to_owned(),
        schema: serde_json::from_str(&snapshot.schema)
            .map_err(|e| Error::corrupt("a stored schema is no JSON").caused_by(e))?,
        format: options.format.as_str().to_owned(),
        compression: Some(options.compression)
            .filter(|compression| *compression != Compression::None)
            .map(|compression| compression.as_str().to_owned()),
        csv: (options.dialect == CsvDialect::Aws).then(|| options.dialect.as_str().to_owned()),
        columns: options.columns.as_deref().map(chosen),
        options: request.options,
        since: request.since.map(|since| SinceOf { since, earlier }),
        snapshot: SnapshotOf { sequence: snapshot.sequence, taken_at: rfc3339(snapshot.taken_ms) },
        files: entries(false),
        losers: options.has_losers.then(|| Losers {
            exact_duplicates,
            superseded,
            filtered,
            files: entries(true),
        }),
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
        sha256: summary.sha256.clone(),
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
