//! Jobs in words: a line while they run, some lines when they have ended.

use super::{AnyLedger, Job, Members, Rejects, State};

/// One line: what it is, how it stands, how far it is.
pub fn line(job: &Job) -> String {
    let Members { kind, job_name, status, .. } = &job.members;
    format!("{} {job_name}: {status}{}", kind.to_lowercase(), far(job))
}

// Nothing before work has begun; what has ended has its ledger.
fn far(job: &Job) -> String {
    let progress = &job.members.progress;
    if job.members.attempts == 0 || job.state() != State::Open {
        return String::new();
    }
    let mut text = String::new();
    if let Some(permille) = progress.permille() {
        text.push_str(&format!(", {}.{} %", permille / 10, permille % 10));
    }
    text.push_str(&format!(", {} rows", number(progress.rows_done)));
    if let Some(eta_s) = progress.eta_seconds {
        text.push_str(&format!(", {} left", duration(eta_s)));
    }
    text
}

/// All that a person wants to know of a job.
pub fn whole(job: &Job) -> String {
    let m = &job.members;
    let mut text = format!("{}\n  {}\n  {}", line(job), m.job_arn, m.location);
    if let Some(mode) = &m.mode {
        text.push_str(&format!("  {mode}"));
    }
    text.push('\n');
    if let Some(reason) = &m.failure_reason {
        text.push_str(&format!("  {reason}\n"));
    }
    if m.validate_only == Some(true) {
        text.push_str("  checks only: nothing is imported\n");
    }
    if let Some(rejects) = &m.rejects {
        text.push_str(&wrong(rejects));
    }
    if let Some(files) = &m.files {
        let bytes = number(files.iter().map(|file| file.bytes).sum());
        text.push_str(&format!("  {} files, {bytes} bytes\n", files.len()));
        files.iter().for_each(|file| text.push_str(&format!("    {}\n", file.key)));
    }
    if let Some(ledger) = &m.ledger {
        text.push_str(&format!("  {}\n", sum(ledger)));
    }
    text
}

// One line for each row that is wrong.
fn wrong(rejects: &Rejects) -> String {
    let count = number(rejects.count);
    let more = if rejects.is_complete { "" } else { "; not all of them are told" };
    let mut text = format!("  {count} rows are wrong{more}\n");
    for row in rejects.rows.iter().flatten() {
        let column = row.column.as_ref().map(|name| format!(", column {name}")).unwrap_or_default();
        text.push_str(&format!(
            "    {}, line {}, byte {}{column}: {}\n",
            row.file, row.line, row.byte, row.rule
        ));
    }
    text
}

/// Where every row went, as a sum that adds up.
pub fn sum(ledger: &AnyLedger) -> String {
    match ledger {
        AnyLedger::Export(l) => format!(
            "{} bulk + {} put = {} duplicates + {} superseded + {} filtered + {} written",
            number(l.read_bulk),
            number(l.read_put),
            number(l.exact_duplicates),
            number(l.superseded),
            number(l.filtered),
            number(l.written)
        ),
        AnyLedger::Import { rows_read, exact_duplicates, rows_rejected, rows_kept, rows_valid } => {
            let rejected = match rows_rejected {
                0 => String::new(),
                rows => format!("{} rejected + ", number(*rows)),
            };
            let rest = match rows_valid {
                Some(rows) => format!("{} valid", number(*rows)),
                None => format!("{} kept", number(*rows_kept)),
            };
            let (read, duplicates) = (number(*rows_read), number(*exact_duplicates));
            format!("{read} read = {duplicates} duplicates + {rejected}{rest}")
        }
        AnyLedger::Deletion { records_deleted } => format!("{} records deleted", number(*records_deleted)),
    }
}

/// A number in groups of three digits.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn duration(s: u64) -> String {
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min", s.div_ceil(60)),
        _ => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(status: &str, more: Value) -> Job {
        let progress = json!({"rowsDone": 1500, "rowsTotal": 6000, "bytesDone": 0, "bytesTotal": null, "etaSeconds": 75});
        let mut raw = json!({"jobArn": "arn", "jobName": "j", "type": "EXPORT", "status": status, "progress": progress,
            "attempts": 1, "failureReason": null, "location": "s3://b/o/", "mode": "ALL", "files": null, "ledger": null});
        for (name, value) in more.as_object().unwrap() {
            raw[name] = value.clone();
        }
        Job::read(raw).unwrap()
    }

    #[test]
    fn a_running_job_tells_how_far_it_is() {
        let running = job("CREATE IN_PROGRESS", json!({}));
        assert_eq!(line(&running), "export j: CREATE IN_PROGRESS, 25.0 %, 1,500 rows, 2 min left");
        assert_eq!(line(&job("CREATE PENDING", json!({"attempts": 0}))), "export j: CREATE PENDING");
    }

    #[test]
    fn an_ended_job_tells_its_files_and_ledger_or_its_reason() {
        let ledger = json!({"readBulk": 12, "readPut": 3, "exactDuplicates": 4, "superseded": 1, "filtered": 0, "written": 10});
        let files =
            json!([{"key": "o/j/I-00000.csv", "rows": 10, "bytes": 1234, "crc64nvme": "", "blake3": ""}]);
        let text = whole(&job("ACTIVE", json!({"ledger": ledger, "files": files})));
        assert!(
            text.contains("12 bulk + 3 put = 4 duplicates + 1 superseded + 0 filtered + 10 written"),
            "{text}"
        );
        assert!(text.contains("1 files, 1,234 bytes\n    o/j/I-00000.csv"), "{text}");
        let text = whole(&job("CREATE FAILED", json!({"failureReason": "no rights"})));
        assert!(text.starts_with("export j: CREATE FAILED\n") && text.contains("no rights"), "{text}");
    }

    #[test]
    fn wrong_rows_are_told_line_by_line() {
        let row = json!({"file": "in/a.csv", "line": 7, "byte": 90, "column": "PRICE", "value": "x", "rule": "bad"});
        let rejects = json!({"count": 3, "isComplete": false, "rows": [row]});
        let text = whole(&job("CREATE FAILED", json!({ "rejects": rejects })));
        assert!(text.contains("3 rows are wrong; not all of them are told\n    in/a.csv, line 7, byte 90, column PRICE: bad\n"), "{text}");
        let listed = job("ACTIVE", json!({"rejects": {"count": 1, "isComplete": true}}));
        assert!(whole(&listed).contains("1 rows are wrong\n"));
    }

    #[test]
    fn ledgers_are_told_apart_by_their_members() {
        let import = job("ACTIVE", json!({"ledger": {"rowsRead": 5, "exactDuplicates": 2, "rowsKept": 3}}));
        assert!(whole(&import).contains("5 read = 2 duplicates + 3 kept"));
        let ledger =
            json!({"rowsRead": 5, "exactDuplicates": 2, "rowsRejected": 1, "rowsKept": 0, "rowsValid": 2});
        let checked = whole(&job("ACTIVE", json!({"ledger": ledger, "validateOnly": true})));
        assert!(
            checked.contains("checks only") && checked.contains("2 duplicates + 1 rejected + 2 valid"),
            "{checked}"
        );
        let deletion = job("COMPLETED", json!({"ledger": {"recordsDeleted": 1000}}));
        assert!(whole(&deletion).contains("1,000 records deleted"));
    }
}
