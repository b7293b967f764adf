//! `lade verify`: an export's files are read again and compared with its manifest; every difference is named.

mod dataset;
pub mod place;

use std::process::ExitCode;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use indicatif::{ProgressBar, ProgressStyle};
use model::error::{Error, Result};
use model::manifest::{FileEntry, Manifest};
use serde_json::json;

use crate::client::server::Choice;
use crate::job::AnyLedger;
use crate::job::show::{number, sum};
use crate::say;
use crate::serve;
use dataset::Compared;
use place::Place;
use proof::{Difference, Expected, plan};

/// How many files are read at once.
const AT_ONCE: usize = 2;

/// Options of `lade verify`.
#[derive(clap::Args)]
#[command(after_help = "\
The address, key and region of the store are those that the AWS CLI uses: AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL,
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_REGION.

Examples:
  lade verify s3://my-bucket/out/nightly/
  lade verify --quick s3://my-bucket/out/nightly/
  lade verify ./nightly/
  lade verify --against-dataset s3://my-bucket/out/nightly/")]
pub struct Args {
    /// Folder with _manifest.json: s3://BUCKET/PREFIX/ or a local one
    #[arg(value_name = "FOLDER")]
    folder: String,

    /// Compare sizes and the checksums that S3 keeps, and read no file
    #[arg(long)]
    quick: bool,

    /// Ask the server whether the dataset still holds what was exported; it makes an export job that writes nothing
    #[arg(long)]
    against_dataset: bool,

    /// Print what was found as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Choice,
}

/// Exits with 1 when anything differs.
pub fn run(args: Args) -> ExitCode {
    let done = serve::runtime().and_then(|runtime| runtime.block_on(verify(&args)));
    match done {
        Ok(differences) if differences.is_empty() => ExitCode::SUCCESS,
        Ok(differences) => {
            eprintln!("lade: {} differences from the manifest", differences.len());
            ExitCode::FAILURE
        }
        Err(error) => crate::failed(&error),
    }
}

async fn verify(args: &Args) -> Result<Vec<Difference>> {
    let place = Arc::new(Place::parse(&args.folder, &args.server)?);
    if args.quick && matches!(*place, Place::Folder(_)) {
        return Err(Error::invalid("--quick compares the checksums that S3 keeps; a local folder has none"));
    }
    let manifest = place.manifest().await?;
    let listed = place.list().await?;
    let (expected, mut differences) = plan::compare(&manifest, &listed)?;
    differences.extend(check_files(&place, expected, args.quick).await?);
    let dataset = if args.against_dataset { Some(ask_dataset(args, &manifest).await?) } else { None };
    let told = match dataset {
        Some(Compared::Different(more)) => {
            differences.extend(more);
            Some("differs".to_owned())
        }
        Some(Compared::Changed(why)) => {
            let expected = "the dataset as it was exported";
            differences.push(Difference::new(plan::MANIFEST, "dataset", expected, format!("unknown: {why}")));
            Some(format!("changed: {why}"))
        }
        Some(Compared::Same) => Some("same".to_owned()),
        None => None,
    };
    report(args, &manifest, &differences, told.as_deref());
    Ok(differences)
}

async fn ask_dataset(args: &Args, manifest: &Manifest) -> Result<Compared> {
    dataset::compare(&args.server.client("PERSONALIZE")?, manifest).await
}

async fn check_files(place: &Arc<Place>, expected: Vec<Expected>, is_quick: bool) -> Result<Vec<Difference>> {
    let bar = Arc::new(bar(expected.iter().map(|file| file.entry.bytes).sum()));
    let checks = expected.into_iter().map(|file| {
        let (place, bar) = (place.clone(), bar.clone());
        tokio::spawn(async move {
            if is_quick { place.glance(&file).await } else { place.read(&file, |bytes| bar.inc(bytes)).await }
        })
    });
    let mut checks = stream::iter(checks).buffered(AT_ONCE);
    let mut differences = Vec::new();
    while let Some(checked) = checks.next().await {
        let ended = |cause| Error::internal("a check ended unexpectedly").caused_by(cause);
        differences.extend(checked.map_err(ended)??);
    }
    bar.finish_and_clear();
    Ok(differences)
}

/// A bar over bytes, drawn on a terminal only.
pub fn bar(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent} %, {eta} left") {
        bar.set_style(style);
    }
    bar
}

fn report(args: &Args, manifest: &Manifest, differences: &[Difference], dataset: Option<&str>) {
    let count = |what: fn(&FileEntry) -> u64| manifest.files.iter().map(what).sum::<u64>();
    let (files, rows, bytes) = (manifest.files.len(), count(|file| file.rows), count(|file| file.bytes));
    let (folder, is_verified) = (&args.folder, differences.is_empty());
    if args.json {
        let found = json!({
            "folder": folder, "isVerified": is_verified, "isQuick": args.quick, "jobArn": manifest.job_arn,
            "files": files, "rows": rows, "bytes": bytes, "ledger": manifest.ledger, "differences": differences,
            "dataset": dataset,
        });
        say!("{found}");
        return;
    }
    differences.iter().for_each(|difference| say!("{difference}"));
    if is_verified {
        let how = if args.quick {
            "sizes and checksums are"
        } else {
            "sizes, checksums, hashes, headers and rows are"
        };
        say!(
            "{folder}: {} files, {} rows, {} bytes: {how} those of the manifest",
            files,
            number(rows),
            number(bytes)
        );
        say!("  {}", sum(&AnyLedger::Export(manifest.ledger)));
        if dataset.is_some() {
            say!("  the dataset holds the same records now");
        }
    }
}
