//! The rows that an import found wrong: the first of them as a table, and the files with the rows that it left out.

use serde_json::Value;

use super::super::dataset_group::text;
use super::path;
use crate::client::segment;
use crate::markup::{number, size};
use crate::reply;
use crate::visit::{Shown, Visit};

/// How many rows a page shows.
const SHOWN_MAX: usize = 50;

pub struct Rejects {
    pub count: String,
    pub is_complete: bool,
    pub rows: Vec<Row>,
    /// Whether the report has more rows than are shown.
    pub has_more: bool,
    /// `None`: there is nothing to tell; else why the rows themselves can't be shown.
    pub is_gone: bool,
    pub files: Vec<File>,
}

pub struct Row {
    pub file: String,
    pub line: String,
    pub column: String,
    pub value: String,
    pub rule: String,
}

/// A file with rows that were left out.
pub struct File {
    pub path: String,
    pub rows: String,
    pub size: String,
}

impl Rejects {
    pub fn read(rejects: &Value, name: &str) -> Option<Rejects> {
        let count = rejects["count"].as_u64()?;
        let all = rejects["rows"].as_array();
        let rows: Vec<Row> = all.into_iter().flatten().take(SHOWN_MAX).map(row).collect();
        let files = rejects["files"].as_array().into_iter().flatten().map(|file| File {
            path: format!(
                "{}/rejects.csv?part={}",
                path("import", name),
                file["part"].as_u64().unwrap_or_default()
            ),
            rows: number(file["rows"].as_u64().unwrap_or_default()),
            size: size(file["bytes"].as_u64().unwrap_or_default()),
        });
        Some(Rejects {
            count: number(count),
            is_complete: rejects["isComplete"].as_bool().unwrap_or_default(),
            has_more: all.is_some_and(|all| all.len() > rows.len()),
            is_gone: all.is_none(),
            rows,
            files: files.collect(),
        })
    }
}

fn row(row: &Value) -> Row {
    let number = |member: &str| row[member].as_u64().map(|n| n.to_string()).unwrap_or_default();
    Row {
        file: text(row, "file"),
        line: number("line"),
        column: text(row, "column"),
        value: text(row, "value"),
        rule: text(row, "rule"),
    }
}

/// Gives the rows that were left out, byte by byte as they stood in their file.
pub async fn download(visit: &Visit<'_>, name: &str) -> Shown {
    let part = visit.query.given("part").unwrap_or("0");
    let place =
        format!("/jobs/{}/rejects.csv?part={}", segment(&super::arn(visit, "import", name)), segment(part));
    let answer = visit.client().lade_open(&place).await?;
    Ok(reply::download(answer, &format!("{name}-rejects-{part}.csv")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_is_shown_from_its_first_row() {
        let row = json!({ "file": "in/a.csv", "line": 6, "byte": 90, "column": "PRICE", "value": "dear", "rule": "r" });
        let told = json!({ "count": 60, "isComplete": true, "rows": vec![row; 60], "files": [{ "part": 0, "rows": 60, "bytes": 9 }] });
        let rejects = Rejects::read(&told, "a b").unwrap();
        assert_eq!((rejects.rows.len(), rejects.has_more, rejects.is_gone), (SHOWN_MAX, true, false));
        assert_eq!(rejects.rows[0].line, "6");
        assert_eq!(rejects.files[0].path, "/console/jobs/import/a%20b/rejects.csv?part=0");
        assert!(Rejects::read(&json!({ "count": 1, "rows": null }), "j").unwrap().is_gone);
        assert!(Rejects::read(&json!(null), "j").is_none());
    }
}
