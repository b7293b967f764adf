//! What a job will need of S3, tried as its role before the job is made.

use std::collections::HashMap;

use access::Bucket;
use access::bucket::ObjectEntry;
use access::remedy::{self, CLEARING, READING, REPORTING, WRITING};
use access::source::{Depth, MANIFEST, Source};
use csv::{ColumnMap, Dialect, Header, HeaderError, Splitter};
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use model::export::ExportOptions;
use model::{Error, ErrorKind, Layout, Result};
use tracing::warn;

/// The text of the real service for a place where there is nothing to import.
pub fn invalid_location() -> Error {
    Error::invalid("Invalid Data location.")
}

/// Lists the files of a data location and reads the header of each.
///
/// # Errors
/// `Invalid` in the words of the service: no file, no privileges, or a column that is missing; `LimitExceeded`;
/// `Unavailable` when the store does not answer.
pub async fn import_source(
    bucket: &Bucket,
    key: &str,
    layout: &Layout,
    bytes_max: Option<u64>,
) -> Result<()> {
    let matching = Header::match_columns;
    check_files(bucket, key, Wanted { depth: Depth::FirstLevel, layout, matching, bytes_max }).await
}

/// As `import_source` for a list of users: sub-folders count too, and USER_ID is the only column.
pub async fn deletion_source(bucket: &Bucket, key: &str, bytes_max: Option<u64>) -> Result<()> {
    let (layout, matching) = (&Layout::of_user_ids(), Header::match_columns_only);
    check_files(bucket, key, Wanted { depth: Depth::AllLevels, layout, matching, bytes_max }).await
}

/// What the files of a data location have to be like.
struct Wanted<'a> {
    depth: Depth,
    layout: &'a Layout,
    matching: fn(&Header, &Layout) -> Result<ColumnMap, HeaderError>,
    bytes_max: Option<u64>,
}

async fn check_files(bucket: &Bucket, key: &str, wanted: Wanted<'_>) -> Result<()> {
    let Wanted { depth, layout, matching, bytes_max } = wanted;
    let source = Source::find(bucket, key, depth).await.map_err(|e| not_readable(e, bucket))?;
    check_size(source.size_bytes(), bytes_max)?;
    let dialect = if source.is_exported { Dialect::Rfc4180 } else { Dialect::Aws };
    let is_alone = source.files.len() == 1;
    let check = |file| check_file(bucket, file, dialect, layout, matching, is_alone).boxed();
    let checks: Vec<BoxFuture<'_, Result<()>>> = source.files.iter().map(check).collect();
    stream::iter(checks).buffered(FILES_AT_ONCE).try_collect().await
}

/// Source: "Quotas", bulk data per job.
fn check_size(size_bytes: u64, bytes_max: Option<u64>) -> Result<()> {
    match bytes_max.filter(|most| size_bytes > *most) {
        Some(most) => {
            let text = format!("The files hold {size_bytes} bytes, and this job takes at most {most}.");
            Err(Error::new(ErrorKind::LimitExceeded, text))
        }
        None => Ok(()),
    }
}

const FILES_AT_ONCE: usize = 8;

async fn check_file(
    bucket: &Bucket,
    file: &ObjectEntry,
    dialect: Dialect,
    layout: &Layout,
    matching: fn(&Header, &Layout) -> Result<ColumnMap, HeaderError>,
    is_alone: bool,
) -> Result<()> {
    let header = read_header(bucket, file, dialect).await?;
    let place = if is_alone { String::new() } else { format!(" (file {})", file.key) };
    matching(&header, layout).map(drop).map_err(|e| Error::invalid(format!("{e}{place}")))
}

/// How much of a file is read at first; nearly all headers are shorter.
const HEAD_BYTES: u64 = 64 << 10;

async fn read_header(bucket: &Bucket, file: &ObjectEntry, dialect: Dialect) -> Result<Header> {
    let invalid = |violation| Error::invalid(csv::failure_reason(&file.key, &violation));
    let mut splitter = Splitter::new(dialect, csv::Settings::default());
    let mut read = 0;
    while read < file.size {
        let end = file.size.min(read + HEAD_BYTES.max(read));
        let got = bucket.get(&file.key, Some(read..end), Some(&file.etag)).await;
        let (_, mut body) = got.map_err(|e| not_readable(e, bucket))?;
        while let Some(piece) = body.next().await? {
            splitter.push(&piece);
        }
        if end == file.size {
            splitter.finish();
        }
        if let Some(record) = splitter.next_record().map_err(invalid)? {
            return Header::read(&record).map_err(invalid);
        }
        read = end;
    }
    Ok(Header::default())
}

/// Lists the destination's bucket and begins, then gives up, the uploads of some of an export's objects.
///
/// # Errors
/// `Invalid` with the words of the service when the role lacks a privilege; `Unavailable` when the store does not
/// answer.
pub async fn export_destination(bucket: &Bucket, keys: &[String]) -> Result<()> {
    bucket.probe_list().await.map_err(|e| no_privileges(e, bucket, WRITING))?;
    for key in keys {
        try_upload(bucket, key, "application/json", WRITING).await?;
    }
    Ok(())
}

/// Begins, then gives up, the upload of a report; the role needs no right to list.
///
/// # Errors
/// As `export_destination`.
pub async fn report_destination(bucket: &Bucket, key: &str) -> Result<()> {
    try_upload(bucket, key, "text/csv; charset=utf-8", REPORTING).await
}

/// Deletes an object that is not there, as older exports of a schedule will be.
///
/// # Errors
/// As `export_destination`.
pub async fn deletion(bucket: &Bucket, key: &str) -> Result<()> {
    bucket.delete(key).await.map_err(|e| no_privileges(e, bucket, CLEARING))
}

async fn try_upload(bucket: &Bucket, key: &str, content_type: &str, needs: &[&str]) -> Result<()> {
    let begun = bucket.create_multipart(key, content_type, HashMap::new()).await;
    let upload_id = begun.map_err(|e| no_privileges(e, bucket, needs))?;
    // The documented role may not abort; what is left behind then is an upload without a part.
    if let Err(e) = bucket.abort(key, &upload_id).await {
        warn!(
            bucket = bucket.name(),
            cause = e.chain(),
            "could not abort the upload that tried the privileges"
        );
    }
    Ok(())
}

/// The keys whose uploads try an export's privileges, one of each kind that a policy may not admit: files that are not
/// called `.csv`, what was left out, and last the manifest.
pub fn last_keys(prefix: &str, job_name: &str, options: &ExportOptions) -> Vec<String> {
    let file = format!("probe{}", options.suffix());
    let is_unusual = options.suffix() != ".csv" || options.has_no_manifest;
    let names = [
        is_unusual.then_some(file.as_str()),
        options.has_losers.then_some("_losers-00000.csv"),
        (!options.has_no_manifest).then_some(MANIFEST),
    ];
    let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
    names.into_iter().flatten().map(|name| format!("{prefix}{slash}{job_name}/{name}")).collect()
}

fn not_readable(error: Error, bucket: &Bucket) -> Error {
    match error.kind {
        ErrorKind::NotFound => invalid_location().caused_by(error),
        _ => no_privileges(error, bucket, READING),
    }
}

// A bucket that is not there is told like one that may not be seen, as stores do.
fn no_privileges(error: Error, bucket: &Bucket, needs: &[&str]) -> Error {
    match error.kind {
        ErrorKind::Denied | ErrorKind::NotFound => {
            Error::invalid(remedy::no_privileges(bucket.name(), &error, needs)).caused_by(error)
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use model::export::Format;

    use super::*;

    #[test]
    fn the_manifest_lies_in_the_folder_of_the_job() {
        for (prefix, key) in
            [("", "j/_manifest.json"), ("out", "out/j/_manifest.json"), ("a/b/", "a/b/j/_manifest.json")]
        {
            assert_eq!(last_keys(prefix, "j", &ExportOptions::default()), [key]);
        }
    }

    #[test]
    fn each_kind_of_object_is_tried() {
        let options = ExportOptions { has_losers: true, format: Format::Parquet, ..ExportOptions::default() };
        let keys = ["j/probe.parquet", "j/_losers-00000.csv", "j/_manifest.json"];
        assert_eq!(last_keys("", "j", &options), keys);
        let options = ExportOptions { has_no_manifest: true, ..ExportOptions::default() };
        assert_eq!(last_keys("", "j", &options), ["j/probe.csv"]);
    }
}
