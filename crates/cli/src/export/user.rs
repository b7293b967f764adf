//! `lade export --user`: all that a dataset, or all datasets of a group, hold of one user.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use model::error::{Context, Error, Result};
use serde_json::json;

use crate::client::Client;
use crate::client::server::Choice;
use crate::out::Out;
use crate::serve;

/// Types of datasets whose records are of users.
const OF_USERS: [&str; 3] = ["USERS", "INTERACTIONS", "ACTION_INTERACTIONS"];

/// Writes the records to files in `folder`, one for each dataset; to standard output where there is none, with a blank
/// line between two datasets.
pub fn run(server: &Choice, arn: &str, user: &str, folder: Option<&str>) -> ExitCode {
    let folder = folder.filter(|folder| *folder != "-").map(Path::new);
    let done = serve::runtime().and_then(|runtime| runtime.block_on(export(server, arn, user, folder)));
    done.map_or_else(|error| crate::failed(&error), |()| ExitCode::SUCCESS)
}

async fn export(server: &Choice, arn: &str, user: &str, folder: Option<&Path>) -> Result<()> {
    if folder.is_some_and(|folder| folder.to_string_lossy().starts_with("s3://")) {
        return Err(Error::invalid("the records of one user go to a folder of this machine, not to S3"));
    }
    let client = server.client("PERSONALIZE")?;
    let datasets = datasets(&client, arn).await?;
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).unavailable(|| format!("make the folder {}", folder.display()))?;
    }
    for (n, dataset) in datasets.iter().enumerate() {
        let mut out: Box<dyn Write> = match folder {
            Some(folder) => Box::new(create(&path(folder, dataset))?),
            None => Box::new(Out),
        };
        let writing = || format!("write the records of {dataset}");
        if folder.is_none() && n > 0 {
            out.write_all(b"\n").unavailable(writing)?;
        }
        client.user_records(dataset, user, |piece| out.write_all(&piece).unavailable(writing)).await?;
        out.flush().unavailable(writing)?;
        if let Some(folder) = folder {
            eprintln!("{}", path(folder, dataset).display());
        }
    }
    Ok(())
}

async fn datasets(client: &Client, arn: &str) -> Result<Vec<String>> {
    if !arn.contains(":dataset-group/") {
        return Ok(vec![arn.to_owned()]);
    }
    let page = client.personalize("ListDatasets", json!({ "datasetGroupArn": arn })).await?;
    let listed = page["datasets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let arns = listed.iter().filter_map(|dataset| dataset["datasetArn"].as_str());
    let found: Vec<String> = arns.filter(|arn| OF_USERS.contains(&type_of(arn))).map(str::to_owned).collect();
    if found.is_empty() {
        return Err(Error::invalid(format!("no dataset of the group holds records of users: {arn}")));
    }
    Ok(found)
}

// The ARN of a dataset ends with its type.
fn type_of(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

fn path(folder: &Path, dataset: &str) -> PathBuf {
    folder.join(format!("{}.csv", type_of(dataset)))
}

fn create(path: &Path) -> Result<File> {
    File::create(path).unavailable(|| format!("write {}", path.display()))
}
