//! `lade migrate from-aws`: dataset groups of Amazon Personalize, or of another Lade, brought to this server.

use std::path::PathBuf;

use access::S3Location;
use model::error::{Error, Result};
use model::{Clock, Layout};
use serde::Serialize;
use serde_json::json;

use super::bring::{Bringing, allow_actions, refused_path};
use super::build::{Builder, KeyMap, Keys, Step, key_map};
use super::check::Check;
use super::export::{self, Wanted};
use super::plan::{self, Dataset, Group, Tracker};
use super::put::Target;
use super::side::{Side, text};
use super::source::SourceArgs;
use super::state::{PlaceState, Work};
use crate::client::place::Place;
use crate::client::server::Choice;

/// Options of `lade migrate from-aws`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lade migrate from-aws --all --source-region eu-west-1 --source-profile shop \\
      --staging s3://my-bucket/lade/ --source-role-arn arn:aws:iam::111122223333:role/PersonalizeExport --dry-run
  lade migrate from-aws --group shop --source-endpoint-url http://127.0.0.1:8081 --source-region us-east-1 \\
      --staging s3://my-bucket/lade/ --source-role-arn arn:aws:iam::000000000000:role/Export --verify

The same command again goes on where the last one ended. The source's keys come from SOURCE_AWS_ACCESS_KEY_ID,
SOURCE_AWS_SECRET_ACCESS_KEY and SOURCE_AWS_SESSION_TOKEN, or from --source-profile.
Exit codes: 0 all is there, 1 something is not, 2 the command line can't be read.")]
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
    source_role_arn: String,

    /// Key of the source's KMS to encrypt its exports with
    #[arg(long, value_name = "ARN")]
    source_kms_key_arn: Option<String>,

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
    verify: bool,

    /// Look at both sides, tell what would be made, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Print what was done as JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    server: Choice,
}

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
    pub refused: u64,
    /// File with what the target refused.
    pub refused_file: Option<String>,
    /// How many ids had another newest record than at the source before that was mended.
    pub reordered: u64,
}

/// Where a dataset is at the target.
struct Made {
    dataset_arn: String,
    group_arn: String,
    put: Option<Target>,
}

/// # Errors
/// What is at the target and differs; whatever either side refuses.
pub async fn run(args: &Args) -> Result<Report> {
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
            let brought =
                Moving { args, source: &source, target: &target, place: &place, group, dataset, made };
            brought.bring(work, &mut report).await?;
        }
    }
    report.is_same = report.checks.iter().all(Check::is_same)
        && report.datasets.iter().all(|dataset| dataset.refused == 0);
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

fn key(group: &Group, dataset: &Dataset) -> String {
    format!("{}/{}", group.name, dataset.kind.as_str())
}

async fn build(
    builder: &mut Builder<'_>,
    group: &Group,
    mut work: Option<&mut Work>,
    report: &mut Report,
) -> Result<Vec<Option<Made>>> {
    let group_arn = builder.group(group).await?;
    let mut made = Vec::new();
    for dataset in &group.datasets {
        let key = key(group, dataset);
        let is_claimed = work.as_mut().is_some_and(|work| work.dataset(&key).is_claimed);
        let schema_arn = builder.schema(&dataset.schema).await?;
        let in_group = (group.name.as_str(), group_arn.as_deref());
        let arn = builder.dataset(in_group, schema_arn.as_deref(), dataset, is_claimed).await?;
        let (Some(dataset_arn), Some(group_arn)) = (arn, group_arn.clone()) else {
            made.push(None);
            continue;
        };
        let put = put_target(builder, dataset, &dataset_arn, group, report).await?;
        if let Some(work) = work.as_mut().filter(|_| builder.conflicts.is_empty() && !builder.is_dry()) {
            work.dataset(&key).is_claimed = true;
            work.save()?;
        }
        made.push(Some(Made { dataset_arn, group_arn, put }));
    }
    if let Some(tracker) = &group.tracker
        && let Some(tracking_id) = builder.tracker(group_arn.as_deref(), tracker).await?
    {
        report.trackers.push(NewTracker {
            group: group.name.clone(),
            name: tracker.name.clone(),
            old_tracking_id: tracker.tracking_id.clone(),
            new_tracking_id: tracking_id.clone(),
        });
        for (dataset, made) in group.datasets.iter().zip(&mut made) {
            if let Some(made) = made.as_mut().filter(|_| dataset.kind == model::DatasetType::Interactions) {
                made.put = Some(Target::Events(tracking_id.clone()));
            }
        }
    }
    Ok(made)
}

// Interactions get theirs with the tracker.
async fn put_target(
    builder: &Builder<'_>,
    dataset: &Dataset,
    arn: &str,
    group: &Group,
    report: &mut Report,
) -> Result<Option<Target>> {
    match dataset.kind {
        model::DatasetType::Interactions => Ok(None),
        model::DatasetType::ActionInteractions => {
            let tracking_id = text(&builder.active_dataset(arn).await?, "trackingId")?;
            if let Some(old) = &dataset.tracking_id {
                report.trackers.push(NewTracker {
                    group: group.name.clone(),
                    name: dataset.name.clone(),
                    old_tracking_id: old.clone(),
                    new_tracking_id: tracking_id.clone(),
                });
            }
            Ok(Some(Target::ActionInteractions(tracking_id)))
        }
        kind => Ok(Some(Target::Things(kind, arn.to_owned()))),
    }
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
    let name = format!("lade-migrate-{}", (&model::clock::SystemClock as &dyn Clock).hex(12));
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

/// One dataset on its way.
struct Moving<'a> {
    args: &'a Args,
    source: &'a Side,
    target: &'a Side,
    place: &'a Place,
    group: &'a Group,
    dataset: &'a Dataset,
    made: Made,
}

impl Moving<'_> {
    async fn bring(self, work: &mut Work, report: &mut Report) -> Result<()> {
        let key = key(self.group, self.dataset);
        let layout = self.dataset.layout()?;
        self.export(work, &key, &layout).await?;
        let state = work.dataset(&key).clone();
        let rows = |slot: &str| state.exports.get(slot).map_or(0, |export| export.rows);
        let temporary = match &self.made.put {
            None if !state.is_put && rows("PUT") > 0 => Some(self.temporary_tracker(&work.state.run).await?),
            _ => None,
        };
        let of_tracker = temporary.as_ref().map(|(_, tracking_id)| Target::Events(tracking_id.clone()));
        let put = self.made.put.clone().or(of_tracker).unwrap_or(Target::Events(String::new()));
        let mut bringing = Bringing {
            work,
            target: self.target,
            place: self.place,
            key: &key,
            layout: &layout,
            dataset_arn: &self.made.dataset_arn,
            put,
        };
        bringing.import().await?;
        if !state.is_put {
            bringing.put_all().await?;
        }
        if let Some((arn, _)) = temporary {
            self.target.call("DeleteEventTracker", json!({ "eventTrackerArn": arn })).await?;
        }
        let is_keyed = self.dataset.kind.is_keyed();
        let reordered = if is_keyed && !state.is_ordered { bringing.order().await? } else { 0 };
        if !state.is_checked || self.args.verify {
            let checks = bringing.check(self.args.verify).await?;
            work.dataset(&key).is_checked = checks.iter().all(Check::is_same);
            work.save()?;
            report.checks.extend(checks);
        }
        let refused = work.dataset(&key).refused;
        let refused_file = (refused > 0).then(|| refused_path(&work.folder, &key).display().to_string());
        let (imported, put) = (rows("BULK"), rows("PUT"));
        report.datasets.push(Brought { dataset: key, imported, put, refused, refused_file, reordered });
        Ok(())
    }

    // ALL is needed where a newer record takes an older one's place, and for comparing.
    async fn export(&self, work: &mut Work, key: &str, layout: &Layout) -> Result<()> {
        let staging = S3Location::parse(&self.args.staging).ok_or_else(|| {
            Error::invalid(format!("{} is not of the form s3://BUCKET/PREFIX/", self.args.staging))
        })?;
        let is_all_needed = self.dataset.kind.is_keyed() || self.args.verify;
        let modes: &[&str] = if is_all_needed { &["BULK", "PUT", "ALL"] } else { &["BULK", "PUT"] };
        let prefix = staging.prefix();
        let wanted = modes.iter().map(|mode| Wanted {
            slot: mode,
            dataset_arn: &self.dataset.arn,
            mode,
            bucket: &staging.bucket,
            prefix: prefix.clone(),
            role_arn: &self.args.source_role_arn,
            kms_key_arn: self.args.source_kms_key_arn.as_deref(),
            tags: if self.dataset.kind.is_exportable() { vec![] } else { vec![allow_actions()] },
        });
        let wanted: Vec<Wanted<'_>> = wanted.collect();
        export::all(work, self.source, (key, layout), &wanted).await
    }

    // Events were put while there was a tracker; there is none any more.
    async fn temporary_tracker(&self, run: &str) -> Result<(String, String)> {
        let name = format!("lade-migrate-{run}");
        let tracker = Tracker { name: name.clone(), tracking_id: String::new(), tags: vec![] };
        let keys = Keys::default();
        let mut builder = Builder::new(self.target, &keys, false);
        let group_arn = self.made.group_arn.as_str();
        let tracking_id = builder.tracker(Some(group_arn), &tracker).await?;
        let members = ("eventTrackers", "name", "eventTrackerArn");
        let of_group = json!({ "datasetGroupArn": group_arn });
        let arn = self.target.find("ListEventTrackers", members, of_group, &name).await?;
        let missing = || Error::unavailable("the target made an event tracker and does not list it");
        Ok((arn.ok_or_else(missing)?, tracking_id.ok_or_else(missing)?))
    }
}
