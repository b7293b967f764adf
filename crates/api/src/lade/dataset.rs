//! Datasets as they can be watched: what they hold, and what is put to them.

use catalog::put_count::DAY;
use catalog::{ContentsRow, Held};
use model::{Arn, DatasetType, Error, Result};
use serde::Serialize;

use super::query::parameters;
use crate::call::Call;
use crate::door::Api;
use crate::events::count::Unwritten;
use crate::paging::{PageInput, Pager};
use crate::permission::{authorize_any, authorize_on};
use crate::reply::{Answer, Seconds, not_found};

const PAGE_MAX: usize = 1000;
pub(super) const MINUTE_MS: i64 = 60_000;

/// A dataset and what it holds now.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dataset {
    dataset_arn: Arn,
    name: String,
    dataset_group_arn: Arn,
    dataset_type: DatasetType,
    status: &'static str,
    rows: Rows,
    /// Of those in runs, how many differ from all others of their run.
    distinct: Distinct,
    /// The size of its runs.
    bytes_at_rest: u64,
    /// The number of its runs.
    files: u64,
    /// Since midnight, UTC.
    puts_today: u64,
    last_put_at: Option<Seconds>,
    /// Every record that it holds has a smaller sequence number.
    sequence: u64,
    creation_date_time: Seconds,
}

/// Records as they arrived, duplicates counted.
#[derive(Serialize)]
struct Rows {
    bulk: u64,
    put: u64,
    /// Put records that are in the log and in no run yet.
    waiting: u64,
}

#[derive(Serialize)]
struct Distinct {
    bulk: u64,
    put: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    datasets: Vec<Dataset>,
    next_token: Option<String>,
}

/// Which datasets a list is to show.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query {
    group_arn: Option<Arn>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

/// Shows one dataset; permission is that to describe it.
pub async fn describe(api: &Api, call: &Call, arn: &Arn) -> Answer<Dataset> {
    authorize_on(api, call, "personalize:DescribeDataset", arn).await?;
    let unwritten = api.targets.counts.unwritten().await;
    let row = api.catalog.contents(arn).await?.ok_or_else(|| not_found("dataset", arn))?;
    let sequence = newest(api).await?;
    Ok(show(api, row, &unwritten, sequence))
}

/// Shows the datasets of a group, or all of them; permission is that to list datasets.
///
/// # Errors
/// `NotFound` for a group that there is not.
pub async fn list(api: &Api, call: &Call, query: Query) -> Answer<Listed> {
    authorize_any(api, call, "personalize:ListDatasets").await?;
    let Query { group_arn, max_results, next_token } = query;
    if let Some(arn) = &group_arn {
        api.catalog.dataset_group(arn).await?.ok_or_else(|| not_found("dataset group", arn))?;
    }
    let page = PageInput { next_token, max_results };
    let pager = Pager::open(&api.paging, "lade:ListDatasets", group_arn.as_ref(), page)?;
    let unwritten = api.targets.counts.unwritten().await;
    let rows = api.catalog.all_contents(group_arn.as_ref(), &pager.page).await?;
    let (rows, next_token) = pager.cut(rows, |row| (row.created_ms, &row.arn));
    let sequence = newest(api).await?;
    let datasets = rows.into_iter().map(|row| show(api, row, &unwritten, sequence)).collect();
    Ok(Listed { datasets, next_token })
}

/// Reads the query of a list.
///
/// # Errors
/// `Invalid` for a parameter that there is not, and for a value that it can't have.
pub fn read_query(text: Option<&str>) -> Result<Query> {
    let mut query = Query::default();
    for (name, value) in parameters(text) {
        let wrong = |must| Error::invalid(format!("The parameter {name} must be {must}, and is {value}."));
        match name {
            "datasetGroupArn" => {
                query.group_arn =
                    Some(Arn::parse(&value).ok_or_else(|| wrong("the ARN of a dataset group"))?);
            }
            "maxResults" => {
                let most = value.parse().ok().filter(|most| (1..=PAGE_MAX).contains(most));
                query.max_results = Some(most.ok_or_else(|| wrong("a number from 1 to 1000"))?);
            }
            "nextToken" => query.next_token = Some(value),
            _ => {
                let known = "datasetGroupArn, maxResults and nextToken";
                return Err(Error::invalid(format!("There is no parameter {name}; there are {known}.")));
            }
        }
    }
    Ok(query)
}

// Asked after the rows: brings the log up to now, and tells the number that the next record gets.
async fn newest(api: &Api) -> Result<u64> {
    api.log.refresh().await?;
    api.catalog.next_sequence().await
}

// The row was read before the log is asked: what is flushed in between counts as waiting, and nothing counts twice.
fn show(api: &Api, row: ContentsRow, unwritten: &Unwritten<'_>, sequence: u64) -> Dataset {
    let waiting = api.log.pending(row.id.cast_unsigned(), row.flushed_position).records;
    let (puts_today, last_put_ms) = puts(&row, unwritten, api.clock.now_ms());
    let Held { records: bulk, rows: distinct_bulk } = row.bulk;
    let Held { records: put, rows: distinct_put } = row.put;
    Dataset {
        dataset_arn: row.arn,
        name: row.name,
        dataset_group_arn: row.group_arn,
        dataset_type: row.dataset_type,
        status: row.status.as_str(),
        rows: Rows { bulk, put, waiting },
        distinct: Distinct { bulk: distinct_bulk, put: distinct_put },
        bytes_at_rest: row.size_bytes,
        files: row.runs,
        puts_today,
        last_put_at: last_put_ms.map(Seconds),
        sequence,
        creation_date_time: Seconds(row.created_ms),
    }
}

fn puts(row: &ContentsRow, unwritten: &Unwritten<'_>, now_ms: i64) -> (u64, Option<i64>) {
    let today = now_ms.div_euclid(DAY * MINUTE_MS);
    let counts = unwritten.of(row.id);
    let of_today = counts.iter().filter(|count| count.minute.div_euclid(DAY) == today);
    let written = row.last_puts.filter(|puts| puts.day == today).map_or(0, |puts| puts.records);
    let last = counts.iter().map(|count| count.last_ms).chain(row.last_puts.map(|puts| puts.last_ms)).max();
    (written + of_today.map(|count| count.records).sum::<u64>(), last)
}

#[cfg(test)]
mod tests;
