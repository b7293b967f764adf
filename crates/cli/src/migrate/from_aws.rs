//! `lade migrate from-aws`: dataset groups of Amazon Personalize, or of another Lade, brought to this server.

use std::path::PathBuf;

use access::S3Location;
use model::Clock;
use model::clock::SystemClock;
use model::error::{Error, Result};

use super::build::{Builder, KeyMap, Keys, key_map};
use super::check::Check;
use super::moving::{Moving, build, key};
use super::plan::{self, Group};
use super::report::Report;
use super::side::Side;
use super::source::SourceArgs;
use super::state::{PlaceState, Work};
use crate::client::place::Place;
use crate::client::server::Choice;

/// Options of `lade migrate from-aws`.
#[derive(clap::Args)]
#[command(
    after_help = "The same command again goes on where the last one ended. The source's keys come from \
    SOURCE_AWS_ACCESS_KEY_ID, SOURCE_AWS_SECRET_ACCESS_KEY and SOURCE_AWS_SESSION_TOKEN, or from --source-profile. Exit codes: \
    0 all is there, 1 something is not, 2 the command line can't be read.\n\nExamples:
  lade migrate from-aws --all --source-region eu-west-1 --source-profile shop \\
      --staging s3://my-bucket/lade/ --source-role-arn arn:aws:iam::111122223333:role/PersonalizeExport --dry-run
  lade migrate from-aws --group shop --source-endpoint-url http://127.0.0.1:8081 --source-region us-east-1 \\
      --staging s3://my-bucket/lade/ --source-role-arn arn:aws:iam::000000000000:role/Export --verify"
)]
pub struct Args {
    /// Dataset group by its name; may be given several times
    #[arg(long = "group", value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    groups: Vec<String>,

    /// All dataset groups of the source
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    source: SourceArgs,

    /// Where the source's exports go, in a bucket at the source
    #[arg(long, value_name = "S3_PATH")]
    staging: String,

    /// Role of the source that may write there
    #[arg(long, value_name = "ARN")]
    pub source_role_arn: String,

    /// Key of the source's KMS to encrypt its exports with
    #[arg(long, value_name = "ARN")]
    pub source_kms_key_arn: Option<String>,

    /// Role of this server that may read and write in --target-staging [default: a bucket and a role are made for it and
    /// removed again, which takes the rights of the root]
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,

    /// Where this server imports from and exports to for comparing [default: the path of --staging, in a bucket of this
    /// server]
    #[arg(long, value_name = "S3_PATH", requires = "role_arn")]
    target_staging: Option<String>,

    /// Key and role for groups that are encrypted; may be given several times
    #[arg(long = "kms-key", value_name = "SOURCE_KEY_ARN=KEY_ARN,ROLE_ARN", value_parser = key_map)]
    kms_keys: Vec<KeyMap>,

    /// Make groups that are encrypted at the source without a key of their own
    #[arg(long)]
    without_kms_keys: bool,

    /// Working folder for the records and for how far the migration is; keep it until all is there
    #[arg(long, value_name = "DIR", default_value = "lade-migrate")]
    work: PathBuf,

    /// Compare all records of both sides in the end, not only their numbers
    #[arg(long)]
    pub verify: bool,

    /// Look at both sides, tell what would be made, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Print what was done as JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    server: Choice,
}

/// # Errors
/// What is at the target and differs; whatever either side refuses.
pub async fn run(args: &Args) -> Result<Report> {
    let wrong = || Error::invalid(format!("{} is not of the form s3://BUCKET/PREFIX/", args.staging));
    let staging = &S3Location::parse(&args.staging).ok_or_else(wrong)?;
    let source = args.source.side().await?;
    let target = target(&args.server).await?;
    if source.name == target.name {
        return Err(Error::invalid(format!("{} is both source and target", source.name)));
    }
    let keys = Keys { maps: args.kms_keys.clone(), are_left_out: args.without_kms_keys };
    let groups = plan::read(&source, &args.groups).await?;
    // Nothing is begun with a schema that can't be taken.
    for dataset in groups.iter().flat_map(|group| &group.datasets) {
        dataset.layout()?;
    }
    let mut report = Report { is_dry_run: args.dry_run, ..Report::default() };
    let mut work = match args.dry_run && !args.work.exists() {
        true => None,
        false => Some(Work::open(&args.work, &source.name, &target.name)?),
    };
    let mut survey = Builder::new(&target, &keys, true);
    for group in &groups {
        build(&mut survey, group, work.as_mut(), &mut Report::default()).await?;
    }
    if !survey.conflicts.is_empty() {
        return Err(Error::invalid(survey.conflicts.join(" ")));
    }
    report.steps = survey.steps;
    report.without_records = without_records(&groups, &source);
    let Some(work) = work.as_mut().filter(|_| !args.dry_run) else {
        report.is_same = true;
        return Ok(report);
    };
    let mut builder = Builder::new(&target, &keys, false);
    let mut made = Vec::new();
    for group in &groups {
        made.push(build(&mut builder, group, Some(work), &mut report).await?);
    }
    if !builder.conflicts.is_empty() {
        return Err(Error::invalid(builder.conflicts.join(" ")));
    }
    let place = place(args, &target, work).await?;
    for (group, made) in groups.iter().zip(made) {
        for (dataset, made) in group.datasets.iter().zip(made) {
            let Some(made) = made.filter(|_| dataset.kind.is_exportable() || source.is_lade) else {
                continue;
            };
            let (source, target, place) = (&source, &target, &place);
            let moving = Moving { args, staging, source, target, place, group, dataset, made };
            moving.bring(work, &mut report).await?;
        }
    }
    report.is_same = report.checks.iter().all(Check::is_same)
        && report.datasets.iter().all(|dataset| dataset.refused + dataset.too_late == 0);
    end(args, &target, work, &place, &mut report).await?;
    Ok(report)
}

/// This server, as a side.
pub async fn target(choice: &Choice) -> Result<Side> {
    let (control, objects) = (choice.client("PERSONALIZE")?, choice.client("S3")?);
    let name = control.address().to_owned();
    let known = control.lade(http::Method::GET, "/caller").await;
    known.map_err(|cause| {
        Error::new(cause.kind, format!("the server at {name} is no Lade that lets these keys in"))
            .caused_by(cause)
    })?;
    Ok(Side { name, control, objects, is_lade: true })
}

fn without_records(groups: &[Group], source: &Side) -> Vec<String> {
    let all = groups.iter().flat_map(|group| group.datasets.iter().map(move |dataset| (group, dataset)));
    let left = all.filter(|(_, dataset)| !dataset.kind.is_exportable() && !source.is_lade);
    left.map(|(group, dataset)| key(group, dataset)).collect()
}

async fn place(args: &Args, target: &Side, work: &mut Work) -> Result<Place> {
    if let Some(role_arn) = &args.role_arn {
        let path = args.target_staging.as_deref().unwrap_or(&args.staging);
        return Place::given(path, role_arn);
    }
    if let Some(known) = &work.state.place {
        let PlaceState { bucket, prefix, role_arn, .. } = known.clone();
        return Ok(Place { bucket, prefix, role_arn });
    }
    let name = format!("lade-migrate-{}", (&SystemClock as &dyn Clock).hex(12));
    let place = Place::make(&target.control, &name).await?;
    let Place { bucket, prefix, role_arn } = place.clone();
    work.state.place = Some(PlaceState { bucket, prefix, role_arn, is_made: true });
    work.save()?;
    Ok(place)
}

async fn end(args: &Args, target: &Side, work: &mut Work, place: &Place, report: &mut Report) -> Result<()> {
    report.copies = vec![args.staging.clone(), work.folder.display().to_string()];
    if !work.state.place.as_ref().is_some_and(|place| place.is_made) {
        report.copies.push(place.path());
    } else if report.is_same {
        place.remove(&target.control).await?;
        work.state.place = None;
        work.save()?;
    }
    Ok(())
}
