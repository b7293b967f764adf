//! `lade admin doctor`: looks at everything that a server stands on, changes nothing of it, and tells what to mend.

mod advice;
mod data;
mod disk;
mod finding;
mod master_key;
mod objects;
mod records;
mod services;
mod settings;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use model::error::Result;
use serde_json::json;

use crate::serve::{self, folder};
use crate::settings::{Given, data_dir};
use data::Opened;
use finding::{Findings, Level};

/// Options of `lade admin doctor`: the server's own settings, and what to look at beside them.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lade admin doctor
  lade admin doctor --config /etc/lade.toml --deep --json
  lade admin doctor --config /etc/lade.toml --role-arn arn:aws:iam::111122223333:role/Export --location s3://out/exports/")]
pub struct Args {
    /// File with settings (TOML)
    #[arg(long, env = "LADE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Read all records, where by default the end of each file is read
    #[arg(long)]
    deep: bool,

    /// A role of jobs: whether the server can act as it
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,

    /// A place in a bucket of s3_endpoint: whether that role may read there and write there
    #[arg(long, value_name = "S3_PATH", requires = "role_arn")]
    location: Option<String>,

    /// Print JSON, one finding a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    given: Given,
}

/// Exits with 1 when something fails.
pub fn run(args: Args) -> ExitCode {
    let json = args.json;
    let looked = serve::runtime().and_then(|runtime| runtime.block_on(look(args)));
    let findings = match looked {
        Ok(findings) => findings,
        Err(error) => return crate::failed(&error),
    };
    for finding in findings.all() {
        match json {
            true => crate::say!(
                "{}",
                json!({"check": finding.check, "level": finding.level.word(), "finding": finding.text,
                    "advice": finding.advice})
            ),
            false => crate::say!("{}", finding.line()),
        }
    }
    let count = |level| findings.all().iter().filter(|finding| finding.level == level).count();
    if !json {
        crate::say!(
            "{} ok, {} to look at, {} wrong",
            count(Level::Ok),
            count(Level::Warn),
            count(Level::Fail)
        );
    }
    if count(Level::Fail) > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn look(args: Args) -> Result<Findings> {
    let mut findings = Findings::default();
    let Args { config, deep, role_arn, location, given, .. } = args;
    let settled = given.clone().settle(config.as_deref());
    let folder = match &settled {
        Ok(settings) => settings.data_dir.clone(),
        Err(_) => data_dir(given.data_dir.clone())?,
    };
    let settings = settings::look(settled, &given, &mut findings);
    if !is_data_folder(&folder, &mut findings) {
        return Ok(findings);
    }
    let is_served = folder::is_served(&folder);
    let state = if is_served { "a server runs on it" } else { "no server runs on it" };
    findings.ok("folder", format!("{}: {state}", folder.display()));
    settings::look_at_keys(&folder, settings.as_ref(), &mut findings);
    disk::look(&folder, settings.as_ref(), &mut findings);
    let opened = data::open(&folder, settings.as_ref(), &mut findings).await;
    records::look_at_log(&folder, opened.as_ref(), &mut findings);
    objects::look(&folder, &mut findings).await;
    if let Some(opened) = &opened {
        records::look_at_runs(&folder, opened, deep, &mut findings).await;
    }
    if let Some(settings) = &settings {
        let asked = role_arn.as_deref().map(|role| (role, location.as_deref()));
        services::look(settings, opened.as_ref(), asked, &mut findings).await;
    }
    if let Some(Opened { catalog, .. }) = opened {
        catalog.close().await;
    }
    Ok(findings)
}

fn is_data_folder(folder: &Path, findings: &mut Findings) -> bool {
    if folder::restoring(folder).exists() {
        let advice = "delete the folder, and restore the backup again";
        findings.fail(
            "folder",
            format!("{}: a backup was not restored to its end", folder.display()),
            advice,
        );
        return false;
    }
    match folder::realm_of(folder) {
        Ok(Some(_)) => true,
        Ok(None) => {
            let text = format!("{}: no server was ever started on it", folder.display());
            findings.fail("folder", text, "name the server's folder with --data-dir");
            false
        }
        Err(cause) => {
            findings.fail(
                "folder",
                cause.chain(),
                "let the owner of the folder run this command, or restore a backup",
            );
            false
        }
    }
}
