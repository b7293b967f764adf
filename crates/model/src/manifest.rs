//! What an export says about itself: the files it wrote and the ledger that balances what went in and came out.

use serde::{Deserialize, Serialize};

use crate::export::{Asked, Since};

/// The contents of `_manifest.json`, written last into an export's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub version: u32,
    pub job_arn: String,
    pub dataset_arn: String,
    pub ingestion_mode: String,
    pub schema: serde_json::Value,
    /// `csv`, `jsonl` or `parquet`.
    pub format: String,
    /// `gzip` or `zstd`, where the files are compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<String>,
    /// The dialect of CSV, where it is not RFC 4180.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<String>,
    /// The columns, where these are not those of the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// What the job was asked for beyond the service: its tags that begin with `lade:`.
    #[serde(default, skip_serializing_if = "Asked::is_empty")]
    pub options: Asked,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<SinceOf>,
    pub snapshot: SnapshotOf,
    pub files: Vec<FileEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub losers: Option<Losers>,
    pub ledger: Ledger,
}

/// Where an export begins that another one ended before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SinceOf {
    /// The sequence is that of the snapshot in the manifest of that job.
    #[serde(flatten)]
    pub since: Since,
    /// How many of the filtered records that job had.
    pub earlier: u64,
}

/// What was left out, as files: each row with the rule, and how many records it stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Losers {
    pub exact_duplicates: u64,
    pub superseded: u64,
    pub filtered: u64,
    pub files: Vec<FileEntry>,
}

/// Which state of the dataset was exported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotOf {
    /// Every record in the export has a smaller sequence number.
    pub sequence: u64,
    /// RFC 3339, UTC.
    pub taken_at: String,
}

/// One data file of an export.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileEntry {
    pub key: String,
    /// Records, the header not counted.
    pub rows: u64,
    pub bytes: u64,
    /// CRC-64/NVME of the whole object, base64: S3's own full-object checksum.
    pub crc64nvme: String,
    /// BLAKE3 of the whole object, lower-case hex.
    pub blake3: String,
    /// SHA-256 of the whole object, lower-case hex, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Where every record that was read went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// Bulk records as they arrived.
    pub read_bulk: u64,
    /// Put records as they arrived.
    pub read_put: u64,
    /// Records left out because another equals them in all fields.
    pub exact_duplicates: u64,
    /// Records left out because a newer one has their id.
    pub superseded: u64,
    pub filtered: u64,
    pub written: u64,
}

impl Ledger {
    /// Whether every record that was read is accounted for.
    pub fn balances(&self) -> bool {
        self.read_bulk + self.read_put
            == self.exact_duplicates + self.superseded + self.filtered + self.written
    }
}
