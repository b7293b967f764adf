//! The script and the page of a folder that `lade migrate to-aws` writes.

use serde_json::{Value, json};

use super::plan::{Dataset, Group};

const SCRIPT: &str = include_str!("import.sh");
const README: &str = include_str!("readme.md");
/// What one incremental import takes at AWS is 1 GB; beyond this each file is a job of its own.
const INCREMENTAL_BYTES_MAX: u64 = 900_000_000;

/// A dataset in the folder.
pub struct Written<'a> {
    pub dataset: &'a Dataset,
    pub bulk: Part,
    pub put: Part,
    /// Newest records that putting would hide.
    pub newest: Part,
}

/// The files of one mode.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    pub rows: u64,
    /// Names and sizes in bytes.
    pub files: Vec<(String, u64)>,
    /// Tells these records from others.
    pub mark: String,
}

/// An import job.
#[derive(Debug, PartialEq)]
struct Job {
    name: String,
    mode: &'static str,
    /// Below `data/`.
    path: String,
}

impl Written<'_> {
    // A job adds to what the ones before it left, and a FULL one replaces what all others did. So its name tells of all
    // before it and of the folder, and is found only where this folder's own import was there before.
    fn jobs(&self, making: &str) -> Vec<Job> {
        let kind = self.dataset.kind.as_str();
        let mut jobs = Vec::new();
        let mut hash = blake3::Hasher::new();
        hash.update(making.as_bytes());
        for (part, folder) in [(&self.bulk, "bulk"), (&self.put, "put"), (&self.newest, "newest")] {
            if part.rows == 0 {
                continue;
            }
            let bytes: u64 = part.files.iter().map(|(_, bytes)| bytes).sum();
            hash.update(folder.as_bytes()).update(part.mark.as_bytes());
            let mark = hash.finalize().to_hex()[..8].to_owned();
            let name = format!("lade-{}-{folder}-{mark}", kind.to_lowercase().replace('_', "-"));
            let path = format!("{kind}/{folder}/");
            if folder == "bulk" || bytes <= INCREMENTAL_BYTES_MAX {
                jobs.push(Job { name, mode: "", path });
                continue;
            }
            for (file, _) in &part.files {
                let number = file.trim_end_matches(".csv");
                jobs.push(Job { name: format!("{name}-{number}"), mode: "", path: format!("{path}{file}") });
            }
        }
        // The first import of a dataset has to be a full one.
        for (n, job) in jobs.iter_mut().enumerate() {
            job.mode = if n == 0 { "FULL" } else { "INCREMENTAL" };
        }
        jobs
    }

    fn lines(&self, making: &str) -> String {
        let Dataset { name, kind, schema, tags, .. } = self.dataset;
        let domain = schema.domain.as_ref().map(|domain| format!(" --domain {domain}")).unwrap_or_default();
        let tags = in_quotes(tags);
        let mut lines = format!(
            "schema_arn=$(schema '{schema}' 'schemas/{schema}.json'{domain})\n\
             dataset_arn=$(dataset {kind} '{name}' \"$schema_arn\" '{tags}')\n",
            schema = schema.name,
            kind = kind.as_str(),
        );
        for Job { name, mode, path } in self.jobs(making) {
            lines.push_str(&format!(
                "import \"$dataset_arn\" {name} {mode} \"s3://$BUCKET/$PREFIX/{path}\"\n"
            ));
        }
        lines
    }
}

/// The script of the folder that bears the mark `making`, which no other folder has.
pub fn script(group: &Group, datasets: &[Written<'_>], making: &str) -> String {
    let mut lines: String = datasets.iter().map(|written| format!("{}\n", written.lines(making))).collect();
    if let Some(tracker) = &group.tracker {
        lines.push_str(&format!(
            "tracker=$(found list-event-trackers eventTrackers name '{name}' eventTrackerArn --dataset-group-arn \"$group\")\n\
             if [ -z \"$tracker\" ]; then\n  \
             tracker=$(personalize create-event-tracker --name '{name}' --dataset-group-arn \"$group\" --tags '{tags}' \\\n    \
             --query eventTrackerArn)\nfi\n\
             wait_for describe-event-tracker --event-tracker-arn \"$tracker\" eventTracker\n\
             echo \"the tracking id was {old} and is now $(personalize describe-event-tracker \\\n  \
             --event-tracker-arn \"$tracker\" --query eventTracker.trackingId)\"\n",
            name = tracker.name,
            tags = in_quotes(&tracker.tags),
            old = tracker.tracking_id,
        ));
    }
    let domain = group.domain.as_ref().map(|domain| format!("--domain {domain}")).unwrap_or_default();
    SCRIPT
        .replace("@DATASETS@", &lines)
        .replace("@DOMAIN@", &domain)
        .replace("@TAGS@", &in_quotes(&group.tags))
        .replace("@MAKING@", making)
        .replace("@GROUP@", &group.name)
}

// JSON between two single quotes of the shell.
fn in_quotes(tags: &[Value]) -> String {
    json!(tags).to_string().replace('\'', "'\\''")
}

/// The page: what there is, and what to look out for.
pub fn readme(group: &Group, datasets: &[Written<'_>], warnings: &[String]) -> String {
    let mut table = String::new();
    for Written { dataset, bulk, put, newest } in datasets {
        let kind = dataset.kind.as_str();
        table.push_str(&format!("| {kind} | {} | {} | {} |\n", bulk.rows, put.rows, newest.rows));
    }
    let mut told = String::new();
    for warning in warnings {
        told.push_str(&format!("- {warning}\n"));
    }
    if told.is_empty() {
        told.push_str("Nothing that AWS would refuse was found.\n");
    }
    README.replace("@TABLE@", &table).replace("@WARNINGS@", &told).replace("@GROUP@", &group.name)
}

#[cfg(test)]
mod tests {
    use model::DatasetType;

    use super::super::plan::NamedSchema;
    use super::*;

    fn dataset() -> Dataset {
        let schema = NamedSchema { name: "s".into(), json: json!({}), domain: None };
        let (name, arn) = ("items".into(), "arn".into());
        Dataset { name, arn, kind: DatasetType::Items, schema, tags: vec![], tracking_id: None }
    }

    fn part(rows: u64, bytes: u64) -> Part {
        let files = vec![("00000.csv".to_owned(), bytes), ("00001.csv".to_owned(), bytes)];
        Part { rows, files, mark: "abcd".into() }
    }

    fn told(bulk: Part, put: Part) -> Vec<(String, &'static str)> {
        let dataset = dataset();
        let written = Written { dataset: &dataset, bulk, put, newest: Part::default() };
        written.jobs("m").into_iter().map(|job| (job.path, job.mode)).collect()
    }

    fn names(making: &str, marks: [&str; 3]) -> [String; 3] {
        let dataset = dataset();
        let [bulk, put, newest] = marks.map(|mark| Part { mark: mark.to_owned(), ..part(1, 10) });
        let jobs = Written { dataset: &dataset, bulk, put, newest }.jobs(making);
        jobs.into_iter().map(|job| job.name).collect::<Vec<_>>().try_into().unwrap()
    }

    #[test]
    fn a_job_has_another_name_after_other_records_and_in_another_folder() {
        let names_1 = names("1", ["a", "b", "c"]);
        assert_eq!(names("1", ["a", "b", "c"]), names_1);
        let changed = |making, marks| {
            let names = names(making, marks);
            [0, 1, 2].map(|n| names[n] != names_1[n])
        };
        assert_eq!(changed("1", ["x", "b", "c"]), [true, true, true]);
        assert_eq!(changed("1", ["a", "x", "c"]), [false, true, true]);
        assert_eq!(changed("1", ["a", "b", "x"]), [false, false, true]);
        assert_eq!(changed("2", ["a", "b", "c"]), [true, true, true]);
    }

    #[test]
    fn the_first_import_is_full_and_all_others_add() {
        let both = told(part(3, 10), part(2, 10));
        assert_eq!(both, [("ITEMS/bulk/".into(), "FULL"), ("ITEMS/put/".into(), "INCREMENTAL")]);
        assert_eq!(told(part(0, 0), part(2, 10)), [("ITEMS/put/".into(), "FULL")]);
    }

    #[test]
    fn what_is_too_large_for_one_job_is_imported_file_by_file() {
        let large = told(part(3, INCREMENTAL_BYTES_MAX), part(2, INCREMENTAL_BYTES_MAX));
        let paths: Vec<&str> = large.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["ITEMS/bulk/", "ITEMS/put/00000.csv", "ITEMS/put/00001.csv"]);
    }
}
