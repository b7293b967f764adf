//! What a migration did, as people and programs are told.

use serde::Serialize;

use super::build::Step;
use super::check::Check;
use crate::job::show::number;
use crate::say;

/// What was done.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub is_dry_run: bool,
    pub is_same: bool,
    pub steps: Vec<Step>,
    pub trackers: Vec<NewTracker>,
    pub datasets: Vec<Brought>,
    pub checks: Vec<Check>,
    /// Datasets whose records can't be exported at the source.
    pub without_records: Vec<String>,
    /// Folders that hold copies of records.
    pub copies: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewTracker {
    pub group: String,
    pub name: String,
    pub old_tracking_id: String,
    pub new_tracking_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Brought {
    pub dataset: String,
    pub imported: u64,
    pub put: u64,
    /// When the first of the source's exports was made: what came to the source later is not here.
    pub exported_at: Option<String>,
    pub refused: u64,
    /// File with what the target refused.
    pub refused_file: Option<String>,
    /// How many ids had another newest record than at the source before that was mended.
    pub reordered: u64,
    /// Records that came to the source after the exports of its imported and put records: they are not here.
    pub too_late: u64,
}

/// Prints a report.
pub fn show(report: &Report) {
    for step in &report.steps {
        let fate = match (step.is_there, report.is_dry_run) {
            (true, _) => "is there",
            (false, true) => "would be made",
            (false, false) => "made",
        };
        say!("{}  {}: {fate}", step.what, step.name);
    }
    for dataset in &report.without_records {
        say!("dataset  {dataset}: the source can't export its records; they are not brought");
    }
    for brought in &report.datasets {
        let (imported, put) = (number(brought.imported), number(brought.put));
        let taken =
            brought.exported_at.as_ref().map(|at| format!(", as exported at {at}")).unwrap_or_default();
        say!("{}: {imported} imported, {put} put{taken}", brought.dataset);
        if brought.reordered > 0 {
            say!("  the newest record of {} ids was brought once more", number(brought.reordered));
        }
        if brought.too_late > 0 {
            say!(
                "  {} records came after the source was exported: they are not here",
                number(brought.too_late)
            );
        }
        if let Some(file) = &brought.refused_file {
            say!("  {} records were refused; with the reasons they are in {file}", number(brought.refused));
        }
    }
    for check in &report.checks {
        let (source, target) = (number(check.source_rows), number(check.target_rows));
        let verdict = match (check.is_same(), check.differences) {
            (true, Some(_)) => "all records are the same".to_owned(),
            (true, None) => "the numbers are the same".to_owned(),
            (false, Some(differences)) => format!("{} records differ", number(differences)),
            (false, None) => "the numbers differ".to_owned(),
        };
        say!("{} {}: {source} at the source, {target} here: {verdict}", check.dataset, check.mode);
        check.examples.iter().for_each(|example| say!("  {example}"));
    }
    if !report.trackers.is_empty() {
        say!("Tracking ids are new: give them to whoever puts events.");
        for tracker in &report.trackers {
            let (group, name) = (&tracker.group, &tracker.name);
            say!("  {group}/{name}: {} is now {}", tracker.old_tracking_id, tracker.new_tracking_id);
        }
    }
    if !report.copies.is_empty() {
        say!("Copies of records lie in {}: remove them when all is well.", report.copies.join(" and "));
    }
}
