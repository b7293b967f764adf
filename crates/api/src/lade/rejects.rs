//! What an import found wrong: the report beside its job, and the rows that it left out.

use std::io;

use bytes::Bytes;
use catalog::{JobRow, RejectFile, Rejects};
use model::{Arn, Error, ErrorKind, Result};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::Value;
use store::objects::Object;

use super::Pieces;
use crate::door::Api;
use crate::reply::Answer;

/// How much of a file is in memory at once.
const PIECE_BYTES: usize = 1 << 20;

/// The wrong rows of a job, as it shows them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// How many rows; of a job that failed, how many of them the report tells.
    count: u64,
    /// Whether the report tells all of them.
    is_complete: bool,
    /// The report, row by row; left out of lists, and null once it can't be read any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Value>,
    /// The files of `rejects.csv`, which has one for each header.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<ShownFile>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownFile {
    part: usize,
    dialect: String,
    rows: u64,
    bytes: u64,
}

impl From<&Rejects> for Shown {
    fn from(rejects: &Rejects) -> Shown {
        Shown { count: rejects.count, is_complete: rejects.is_complete, rows: None, files: None }
    }
}

/// All that is kept of what a job found wrong; `None` when that is nothing.
///
/// A report whose key can't be used is null: the job is shown all the same.
pub async fn of_job(api: &Api, job: &JobRow) -> Result<Option<Shown>> {
    let Some(rejects) = api.catalog.rejects(&job.arn).await? else { return Ok(None) };
    let rows = match read(api, job, &rejects).await {
        Ok(rows) => rows,
        Err(cause) => {
            tracing::warn!(job.arn = %job.arn, error = %cause.chain(), "the report of an import was not read");
            Value::Null
        }
    };
    let file = |(part, file): (usize, &RejectFile)| {
        let (dialect, rows, bytes) = (file.dialect.clone(), file.rows, file.size_bytes);
        ShownFile { part, dialect, rows, bytes }
    };
    let files = rejects.files.iter().enumerate().map(file).collect();
    Ok(Some(Shown { rows: Some(rows), files: Some(files), ..Shown::from(&rejects) }))
}

async fn read(api: &Api, job: &JobRow, rejects: &Rejects) -> Result<Value> {
    let Some(kept) = &rejects.report else { return Ok(Value::Null) };
    let damaged = || Error::corrupt("a report of an import can't be read");
    let keys = keys(api, job).await?;
    let text = keys.read(kept, job.arn.as_str().as_bytes()).map_err(|_| damaged())?;
    serde_json::from_slice(&text).map_err(|cause| damaged().caused_by(cause))
}

async fn keys(api: &Api, job: &JobRow) -> Result<seal::DataKeys> {
    let gone = || Error::new(ErrorKind::NotFound, format!("The dataset is gone: {}", job.subject_arn));
    let dataset = api.catalog.dataset_by_id(job.dataset_id).await?.ok_or_else(gone)?;
    api.access.data_keys(dataset.id, &dataset.group_arn).await
}

/// Opens a file of rows that a job left out; `query` may name its part.
///
/// # Errors
/// `NotFound` when there is none; `Invalid` for a query that there is not.
pub async fn open(api: &Api, arn: &Arn, query: Option<&str>) -> Answer<Pieces> {
    let part = part(query)?;
    let job = super::job::find(api, arn).await?;
    let rejects = api.catalog.rejects(arn).await?.unwrap_or_default();
    let none = || {
        let text = format!("There are no rows that this job left out, or none any more: {arn}");
        Error::new(ErrorKind::NotFound, text)
    };
    let file = rejects.files.get(part).ok_or_else(none)?;
    let objects = api.objects.with_keys(keys(api, &job).await?);
    let name = file.object.clone();
    let opened = tokio::task::spawn_blocking(move || objects.open_object(&name)).await;
    let object = opened.map_err(|cause| Error::internal("open the rows").caused_by(cause))??;
    Ok(Box::pin(futures_util::stream::unfold((object, 0), next_piece)))
}

fn part(query: Option<&str>) -> Result<usize> {
    let Some(query) = query.filter(|query| !query.is_empty()) else { return Ok(0) };
    let number =
        query.strip_prefix("part=").and_then(|n| percent_decode_str(n).decode_utf8().ok()?.parse().ok());
    number.ok_or_else(|| Error::invalid("The only parameter is part, a number from 0."))
}

type Place = (Object, u64);

async fn next_piece((object, at): Place) -> Option<(io::Result<Bytes>, Place)> {
    let read = tokio::task::spawn_blocking(move || {
        let mut piece = vec![0; PIECE_BYTES];
        let read = object.read_at(&mut piece, at);
        (object, read.map(|bytes| piece[..bytes].to_vec()))
    });
    let (object, piece) = read.await.ok()?;
    match piece {
        Ok(piece) if piece.is_empty() => None,
        Ok(piece) => {
            let next = at + piece.len() as u64;
            Some((Ok(piece.into()), (object, next)))
        }
        Err(cause) => Some((Err(cause), (object, at))),
    }
}
