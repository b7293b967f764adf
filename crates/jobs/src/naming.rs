//! What the objects of an export are called, and what a store is told of them.

use std::collections::HashMap;

use engine::export::FileId;
use model::Layout;
use model::error::Result;
use model::export::{Asked, Compression, CsvDialect, ExportOptions, Format};

pub const CSV: &str = "text/csv; charset=utf-8";

/// The names of an export's objects.
pub struct Naming {
    folder: String,
    /// What the names of data files begin with.
    stem: &'static str,
    suffix: &'static str,
    content_type: &'static str,
    /// Whether they need no backslash escapes when they are imported.
    are_rfc4180: bool,
    /// Whether none of them is written.
    pub are_unwritten: bool,
}

impl Naming {
    /// `folder` ends with a slash.
    pub fn new(folder: &str, layout: &Layout, asked: &Asked) -> Result<Naming> {
        let options = ExportOptions::read(asked, layout)?;
        Ok(Naming {
            folder: folder.to_owned(),
            stem: layout.dataset_type.as_str(),
            suffix: options.suffix(),
            content_type: content_type(&options),
            are_unwritten: options.is_digest,
            are_rfc4180: options.format == Format::Csv && options.dialect == CsvDialect::Rfc4180,
        })
    }

    /// The key, the type and the metadata of a file.
    pub fn object(&self, file: FileId) -> (String, &'static str, HashMap<String, String>) {
        let Naming { folder, stem, suffix, .. } = self;
        let number = file.number;
        if file.are_losers {
            return (format!("{folder}_losers-{number:05}.csv"), CSV, HashMap::new());
        }
        let marked = HashMap::from([("personalize-csv".to_owned(), "rfc4180".to_owned())]);
        let metadata = if self.are_rfc4180 { marked } else { HashMap::new() };
        (format!("{folder}{stem}-{number:05}{suffix}"), self.content_type, metadata)
    }
}

// A compressed file is told as such: an encoding would be undone on the way, and what arrives be another file.
fn content_type(options: &ExportOptions) -> &'static str {
    match (options.format, options.compression) {
        (Format::Parquet, _) => "application/vnd.apache.parquet",
        (_, Compression::Gzip) => "application/gzip",
        (_, Compression::Zstd) => "application/zstd",
        (Format::Csv, Compression::None) => CSV,
        (Format::Jsonl, Compression::None) => "application/x-ndjson",
    }
}
