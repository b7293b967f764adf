//! What a person is told of a migration.

use super::from_aws::Report;
use crate::job::show::number;

/// Prints a report.
pub fn report(report: &Report) {
    for step in &report.steps {
        let fate = match (step.is_there, report.is_dry_run) {
            (true, _) => "is there",
            (false, true) => "would be made",
            (false, false) => "made",
        };
        println!("{}  {}: {fate}", step.what, step.name);
    }
    for dataset in &report.without_records {
        println!("dataset  {dataset}: the source can't export its records; they are not brought");
    }
    for brought in &report.datasets {
        let (imported, put) = (number(brought.imported), number(brought.put));
        println!("{}: {imported} imported, {put} put", brought.dataset);
        if brought.reordered > 0 {
            println!("  the newest record of {} ids was brought once more", number(brought.reordered));
        }
        if let Some(file) = &brought.refused_file {
            println!(
                "  {} records were refused; with the reasons they are in {file}",
                number(brought.refused)
            );
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
        println!("{} {}: {source} at the source, {target} here: {verdict}", check.dataset, check.mode);
        check.examples.iter().for_each(|example| println!("  {example}"));
    }
    if !report.trackers.is_empty() {
        println!("Tracking ids are new: give them to whoever puts events.");
        for tracker in &report.trackers {
            let (group, name) = (&tracker.group, &tracker.name);
            println!("  {group}/{name}: {} is now {}", tracker.old_tracking_id, tracker.new_tracking_id);
        }
    }
    if !report.copies.is_empty() {
        println!("Copies of records lie in {}: remove them when all is well.", report.copies.join(" and "));
    }
}
