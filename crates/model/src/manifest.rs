//! What an export says about itself: the files it wrote and the ledger that balances what went in and came out.

use serde::{Deserialize, Serialize};

/// The contents of `_manifest.json`, written last into an export's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub version: u32,
    pub job_arn: String,
    pub dataset_arn: String,
    pub ingestion_mode: String,
    pub schema: serde_json::Value,
    pub format: String,
    pub snapshot: SnapshotOf,
    pub files: Vec<FileEntry>,
    pub ledger: Ledger,
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
