//! The proof: an export of what was put is read back, and each acknowledged record has to be there, once and unchanged.

use std::time::{Duration, Instant};

use model::error::{Error, Result};
use model::manifest::{FileEntry, Manifest};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::json;

use super::load::Outcome;
use super::numbers::Numbers;
use crate::client::Client;
use crate::client::place::Place;
use crate::client::schema::text;

const PIECE_BYTES: u64 = 8 << 20;
const PATIENCE: Duration = Duration::from_secs(3600);
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the export holds of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Proof {
    /// Whether each acknowledged record is there as it was sent, once, and nothing else of this run.
    pub verified: bool,
    /// Rows of the export, those of others included.
    pub rows_exported: u64,
    /// Acknowledged records that are there.
    pub found: u64,
    /// Acknowledged records that are not.
    pub missing: u64,
    /// Records of this run that were never sent, are there twice, or were changed.
    pub unexpected: u64,
    /// Records that are there though nobody was told so: their answer was lost.
    pub unacknowledged: u64,
}

/// Exports the dataset's put records to `place` and compares them with what was acknowledged.
///
/// # Errors
/// When the export can't be made or read; what it lacks is no error, but said in the proof.
pub async fn prove(
    client: &Client,
    dataset_arn: &str,
    run: &str,
    place: &Place,
    outcome: &Outcome,
) -> Result<Proof> {
    let name = format!("bench-{run}");
    let job = json!({
        "jobName": name, "datasetArn": dataset_arn, "roleArn": place.role_arn, "ingestionMode": "PUT",
        "jobOutput": { "s3DataDestination": { "path": place.path() } },
    });
    let created = client.personalize("CreateDatasetExportJob", job).await?;
    wait(client, &text(&created, "datasetExportJobArn")?).await?;
    let manifest =
        client.s3_get(&object(&place.bucket, &place.key(&format!("{name}/_manifest.json")))).await?;
    let manifest: Manifest = serde_json::from_slice(&manifest)
        .map_err(|e| Error::corrupt("the manifest can't be read").caused_by(e))?;
    let mut check = Check::new(outcome);
    for file in &manifest.files {
        check_file(client, &place.bucket, file, &mut check).await?;
    }
    Ok(check.end())
}

async fn wait(client: &Client, arn: &str) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let job =
            client.personalize("DescribeDatasetExportJob", json!({ "datasetExportJobArn": arn })).await?;
        let job = &job["datasetExportJob"];
        match job["status"].as_str().unwrap_or_default() {
            "ACTIVE" => return Ok(()),
            "CREATE FAILED" => {
                return Err(Error::invalid(format!("the export failed: {}", job["failureReason"])));
            }
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    Err(Error::unavailable("the export took too long"))
}

async fn check_file(client: &Client, bucket: &str, file: &FileEntry, check: &mut Check<'_>) -> Result<()> {
    let path = object(bucket, &file.key);
    let mut lines = Lines::default();
    let mut from = 0;
    while from < file.bytes {
        let to = file.bytes.min(from + PIECE_BYTES);
        let piece = client.s3_get_range(&path, from, to).await?;
        lines.take(&piece, |line, is_first| check.line(line, is_first))?;
        from = to;
    }
    Ok(())
}

fn object(bucket: &str, key: &str) -> String {
    format!("/{bucket}/{}", utf8_percent_encode(key, KEY))
}

/// Cuts a file that comes in pieces into its records, header first.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
    is_quoted: bool,
    is_behind_header: bool,
}

impl Lines {
    fn take(&mut self, piece: &[u8], mut see: impl FnMut(&[u8], bool) -> Result<()>) -> Result<()> {
        let mut start = 0;
        for (at, &byte) in piece.iter().enumerate() {
            self.is_quoted ^= byte == b'"';
            if byte != b'\n' || self.is_quoted {
                continue;
            }
            let is_first = !std::mem::replace(&mut self.is_behind_header, true);
            if self.rest.is_empty() {
                see(&piece[start..at], is_first)?;
            } else {
                self.rest.extend_from_slice(&piece[start..at]);
                see(&self.rest, is_first)?;
                self.rest.clear();
            }
            start = at + 1;
        }
        self.rest.extend_from_slice(&piece[start..]);
        Ok(())
    }
}

struct Check<'a> {
    outcome: &'a Outcome,
    seen: Numbers,
    expected: Vec<u8>,
    proof: Proof,
}

impl Check<'_> {
    fn new(outcome: &Outcome) -> Check<'_> {
        Check { outcome, seen: Numbers::default(), expected: Vec::new(), proof: Proof::default() }
    }

    fn line(&mut self, line: &[u8], is_header: bool) -> Result<()> {
        let records = &self.outcome.records;
        if is_header {
            return records.check_header(line);
        }
        self.proof.rows_exported += 1;
        let Some(number) = records.number_of(line) else { return Ok(()) };
        let call = number / records.per_call();
        records.write_line(number, &mut self.expected);
        if call >= self.outcome.calls || line != self.expected || !self.seen.insert(number) {
            self.proof.unexpected += 1;
        } else if self.outcome.acknowledged.contains(call) {
            self.proof.found += 1;
        } else {
            self.proof.unacknowledged += 1;
        }
        Ok(())
    }

    fn end(self) -> Proof {
        let acknowledged = self.outcome.acknowledged.count() * self.outcome.records.per_call();
        let missing = acknowledged - self.proof.found;
        let verified = missing == 0 && self.proof.unexpected == 0;
        Proof { missing, verified, ..self.proof }
    }
}

#[cfg(test)]
mod tests {
    use super::super::latency::Latencies;
    use super::super::records::Records;
    use super::*;
    use crate::client::schema::Dataset;

    const HEADER: &str = "USER_ID,ITEM_ID,TIMESTAMP";

    /// Calls 0 and 1 of two events were acknowledged, call 2 was sent.
    fn outcome() -> Outcome {
        let text = r#"{"type":"record","name":"Interactions","namespace":"n","version":"1.0","fields":[
            {"name":"USER_ID","type":"string"},{"name":"ITEM_ID","type":"string"},{"name":"TIMESTAMP","type":"long"}]}"#;
        let schema = model::Schema::parse(text, None).unwrap();
        let dataset = Dataset { arn: "a".into(), dataset_type: schema.dataset_type, schema };
        let mut acknowledged = Numbers::default();
        (0..2).for_each(|call| assert!(acknowledged.insert(call)));
        Outcome {
            records: Records::events("r", "t", 2, Some(&dataset)),
            calls: 3,
            acknowledged,
            latencies: Latencies::new(),
            throttled: 0,
            failed: 1,
            first_failure: None,
            took: Duration::ZERO,
        }
    }

    fn proof(lines: &[&str]) -> Proof {
        let (outcome, mut cut) = (outcome(), Lines::default());
        let mut check = Check::new(&outcome);
        let text = format!("{HEADER}\n{}\n", lines.join("\n"));
        for piece in text.as_bytes().chunks(5) {
            cut.take(piece, |line, is_first| check.line(line, is_first)).unwrap();
        }
        check.end()
    }

    const ALL: [&str; 4] =
        ["u0,r-0,1700000000", "u0,r-1,1700000001", "u1,r-2,1700000002", "u1,r-3,1700000003"];

    #[test]
    fn what_was_acknowledged_is_there() {
        let proof = proof(&ALL);
        assert!(proof.verified);
        assert_eq!((proof.found, proof.missing, proof.rows_exported), (4, 0, 4));
    }

    #[test]
    fn one_that_is_missing_or_changed_is_told() {
        assert_eq!((proof(&ALL[1..]).verified, proof(&ALL[1..]).missing), (false, 1));
        let mut changed = ALL;
        changed[2] = "u1,r-2,1700000009";
        let proof = proof(&changed);
        assert_eq!((proof.verified, proof.missing, proof.unexpected), (false, 1, 1));
    }

    #[test]
    fn one_that_is_there_twice_or_was_never_sent_is_told() {
        for more in ["u0,r-0,1700000000", "u3,r-6,1700000006"] {
            let proof = proof(&[&ALL[..], &[more]].concat());
            assert_eq!((proof.verified, proof.missing, proof.unexpected), (false, 0, 1), "{more}");
        }
    }

    #[test]
    fn what_nobody_was_told_of_may_be_there_and_so_may_what_others_put() {
        let more = ["u2,r-4,1700000004", "u,\"other,\nr-0\",1"];
        let proof = proof(&[&ALL[..], &more].concat());
        assert!(proof.verified);
        assert_eq!((proof.unacknowledged, proof.rows_exported), (1, 6));
    }
}
