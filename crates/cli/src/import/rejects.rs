//! The rows that an import left out, saved to a file of this machine.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use model::error::{Context, Result};

use crate::client::Client;
use crate::job::{Job, State};

/// Saves the rows that a job left out, as they stood in its files: one file for each header, the second one with `.1`
/// behind its name. A job that left out none leaves a file that is there as it is.
pub async fn save(client: &Client, arn: &str, file: &Path) -> Result<()> {
    let job = client.job(arn).await?;
    let files = job.members.rejects.as_ref().map(|rejects| rejects.files.clone()).unwrap_or_default();
    if files.is_empty() {
        eprintln!("{}", none(&job));
    }
    for part in &files {
        let path = path(file, part.part);
        let saving = || format!("write {}", path.display());
        let mut out = File::create(&path).unavailable(saving)?;
        client.rejects(arn, part.part, |piece| out.write_all(&piece).unavailable(saving)).await?;
        eprintln!("{} rows that were left out are in {}", part.rows, path.display());
        if part.dialect == "rfc4180" {
            eprintln!("  they are of an export: upload them with the metadata personalize-csv=rfc4180");
        }
    }
    Ok(())
}

fn none(job: &Job) -> &'static str {
    if job.state() == State::Done {
        "No row was left out."
    } else {
        "The import failed, so it left out no rows."
    }
}

fn path(file: &Path, part: usize) -> PathBuf {
    if part == 0 {
        return file.to_owned();
    }
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{part}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_files_have_numbers_behind_their_name() {
        let paths = [0, 1, 2].map(|part| path(Path::new("a/r.csv"), part));
        assert_eq!(paths, ["a/r.csv", "a/r.csv.1", "a/r.csv.2"].map(PathBuf::from));
    }
}
