//! What happened to a dataset of late, as plots: puts per minute, rows over time, and how long jobs took.

use http::Method;
use serde_json::Value;

use super::super::dataset_group::text;
use crate::client::{Answer, segment};
use crate::markup::Moment;
use crate::plot::{Column, Plot, Sample, cell, day, seconds, short};
use crate::visit::Visit;

/// How many minutes back puts are shown.
const MINUTES: u32 = 60;
/// How many jobs are shown.
const JOBS: usize = 30;

pub async fn plots(visit: &Visit<'_>, arn: &str) -> Answer<Vec<Plot>> {
    let place = format!("/datasets/{}/activity?minutes={MINUTES}", segment(arn));
    let told = visit.client().lade(Method::GET, &place).await?;
    let now = visit.console.clock.now_ms() as f64 / 1000.0;
    Ok(vec![puts(&told["puts"], now), rows(&told["rows"], now), jobs(&told["jobs"])])
}

fn all(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

// Minutes in which nothing was put may be left out of what is told.
fn puts(told: &Value, now: f64) -> Plot {
    let last = (now / 60.0).floor() * 60.0;
    let minute = |back: u32| last - f64::from(back) * 60.0;
    let put_at = |at: f64| -> u64 {
        all(told)
            .iter()
            .filter(|put| (Moment::of(&put["minute"]).seconds - at).abs() < 30.0)
            .map(|put| count(&put["records"]))
            .sum()
    };
    let minutes: Vec<(f64, u64)> =
        (0..MINUTES).rev().map(|back| (minute(back), put_at(minute(back)))).collect();
    let (sum, most) = (minutes.iter().map(|(_, n)| n).sum::<u64>(), minutes.iter().map(|(_, n)| *n).max());
    let column = |(at, records): &(f64, u64)| Column {
        value: *records as f64,
        class: "put",
        tip: format!("{}: {}", day(*at), cell(*records)),
    };
    let mut plot = Plot {
        id: "puts",
        title: "Puts per minute, last hour",
        description: format!(
            "{} records in the last hour, at most {} in a minute.",
            cell(sum),
            cell(most.unwrap_or_default())
        ),
        nothing: (sum == 0).then_some("No record was put in the last hour."),
        columns: vec!["Minute (UTC)", "Records"],
        rows: minutes.iter().filter(|(_, n)| *n > 0).map(|(at, n)| vec![day(*at), cell(*n)]).collect(),
        ..Plot::default()
    };
    plot.bars(minutes.iter().map(column).collect(), [day(minute(MINUTES - 1)), day(last)], short);
    plot
}

fn rows(told: &Value, now: f64) -> Plot {
    let sample = |row: &Value| Sample {
        at: Moment::of(&row["at"]).seconds,
        below: count(&row["bulk"]),
        above: count(&row["put"]),
    };
    let mut samples: Vec<Sample> = all(told).iter().map(sample).collect();
    samples.sort_by(|a, b| a.at.total_cmp(&b.at));
    let table = samples.iter().rev().map(|s| vec![day(s.at), cell(s.below), cell(s.above)]).collect();
    // What was last known holds until now.
    if let Some(last) = samples.last().copied().filter(|last| last.at < now) {
        samples.push(Sample { at: now, ..last });
    }
    let last = samples.last().copied().unwrap_or(Sample { at: 0.0, below: 0, above: 0 });
    let mut plot = Plot {
        id: "rows",
        title: "Rows over time",
        description: format!("Now {} bulk and {} put records.", cell(last.below), cell(last.above)),
        nothing: samples
            .iter()
            .all(|s| s.below + s.above == 0)
            .then_some("The dataset has held no rows yet."),
        legend: vec![("bulk", "Bulk"), ("put", "Put")],
        columns: vec!["Time (UTC)", "Bulk", "Put"],
        rows: table,
        ..Plot::default()
    };
    plot.stack(&samples, ["bulk", "put"]);
    plot
}

fn jobs(told: &Value) -> Plot {
    let mut jobs: Vec<&Value> = all(told).iter().filter(|job| job["seconds"].is_number()).collect();
    jobs.sort_by(|a, b| Moment::of(&a["createdAt"]).seconds.total_cmp(&Moment::of(&b["createdAt"]).seconds));
    let jobs = &jobs[jobs.len().saturating_sub(JOBS)..];
    let took = |job: &Value| job["seconds"].as_f64().unwrap_or_default();
    let name = |job: &Value| text(job, "jobArn").rsplit('/').next().unwrap_or_default().to_owned();
    let class = |job: &Value| if job["type"] == "EXPORT" { "put" } else { "bulk" };
    let column = |job: &&Value| Column {
        value: took(job),
        class: class(job),
        tip: format!("{}: {}", name(job), seconds(took(job))),
    };
    let row = |job: &&Value| {
        vec![name(job), text(job, "type").to_lowercase(), seconds(took(job)), cell(count(&job["rows"]))]
    };
    let at =
        |job: Option<&&Value>| job.map(|job| day(Moment::of(&job["createdAt"]).seconds)).unwrap_or_default();
    let longest = jobs.iter().map(|job| took(job)).fold(0.0, f64::max);
    let mut plot = Plot {
        id: "durations",
        title: "Job durations",
        description: format!(
            "The last {} jobs, oldest first; the longest took {}.",
            jobs.len(),
            seconds(longest)
        ),
        nothing: jobs.is_empty().then_some("No job has ended yet."),
        legend: vec![("bulk", "Import"), ("put", "Export")],
        columns: vec!["Job", "Type", "Duration", "Rows"],
        rows: jobs.iter().rev().map(row).collect(),
        ..Plot::default()
    };
    plot.bars(jobs.iter().map(column).collect(), [at(jobs.first()), at(jobs.last())], seconds);
    plot
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn puts_stand_in_their_minute() {
        let now = 1_000_000.0 * 60.0 + 30.0;
        let told = json!([{ "minute": 60_000_000, "records": 7 }, { "minute": 60_000_000 - 59 * 60, "records": 3 },
            { "minute": 60_000_000 - 60 * 60, "records": 99 }]);
        let plot = puts(&told, now);
        assert_eq!((plot.bars.len(), plot.nothing), (2, None));
        assert!(plot.description.starts_with("10 records"), "{}", plot.description);
        assert!(puts(&json!([]), now).nothing.is_some());
    }

    #[test]
    fn the_last_known_rows_hold_until_now() {
        let told = json!([{ "at": 200, "bulk": 5, "put": 1 }, { "at": 100, "bulk": 4, "put": 0 }]);
        let plot = rows(&told, 300.0);
        assert_eq!(plot.description, "Now 5 bulk and 1 put records.");
        assert_eq!((plot.areas.len(), plot.rows.len()), (2, 2));
        assert!(rows(&json!(null), 300.0).nothing.is_some());
    }

    #[test]
    fn jobs_that_have_not_ended_have_no_duration() {
        let told = json!([{ "jobArn": "a/b", "type": "EXPORT", "createdAt": 2, "seconds": 1.5, "rows": 3 },
            { "jobArn": "a/c", "type": "IMPORT", "createdAt": 1, "seconds": null, "rows": 0 }]);
        let plot = jobs(&told);
        assert_eq!(plot.bars.len(), 1);
        assert_eq!(plot.rows, [["b", "export", "1.5 s", "3"]]);
    }
}
