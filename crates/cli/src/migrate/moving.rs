//! One dataset on its way: made at the target, exported at the source, brought and compared.

use access::S3Location;
use model::error::{Error, Result};
use model::{DatasetType, Layout};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::bring::{Bringing, allow_actions, refused_path, remove_refused};
use super::build::{Builder, Keys};
use super::check::Check;
use super::export::{self, Wanted};
use super::from_aws::Args;
use super::plan::{Dataset, Group, Tracker};
use super::put::Target;
use super::report::{Brought, NewTracker, Report};
use super::side::{Side, text};
use super::state::{DatasetState, Work};
use crate::client::place::Place;

/// Where a dataset is at the target.
pub struct Made {
    dataset_arn: String,
    group_arn: String,
    put: Option<Target>,
}

/// What a dataset is called: `GROUP/TYPE`.
pub fn key(group: &Group, dataset: &Dataset) -> String {
    format!("{}/{}", group.name, dataset.kind.as_str())
}

/// Makes a group and its datasets, or looks whether they could be made.
pub async fn build(
    builder: &mut Builder<'_>,
    group: &Group,
    mut work: Option<&mut Work>,
    report: &mut Report,
) -> Result<Vec<Option<Made>>> {
    let group_arn = builder.group(group).await?;
    let mut made = Vec::new();
    for dataset in &group.datasets {
        let key = key(group, dataset);
        let claimed = work.as_mut().and_then(|work| work.dataset(&key).claimed.clone());
        let schema_arn = builder.schema(&dataset.schema).await?;
        let in_group = (group.name.as_str(), group_arn.as_deref());
        let arn = builder.dataset(in_group, schema_arn.as_deref(), dataset, claimed.as_deref()).await?;
        let (Some(dataset_arn), Some(group_arn)) = (arn, group_arn.clone()) else {
            made.push(None);
            continue;
        };
        let put = put_target(builder, dataset, &dataset_arn, group, report).await?;
        if let Some(work) = work.as_mut().filter(|_| builder.conflicts.is_empty() && !builder.is_dry()) {
            claim(work, &key, dataset, builder.created(&dataset_arn).await?)?;
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
            if let Some(made) = made.as_mut().filter(|_| dataset.kind == DatasetType::Interactions) {
                made.put = Some(Target::Events(tracking_id.clone()));
            }
        }
    }
    Ok(made)
}

// A dataset that was deleted and made again has nothing of what was brought before: all of it begins anew.
fn claim(work: &mut Work, key: &str, dataset: &Dataset, created: String) -> Result<()> {
    let state = work.dataset(key);
    if state.source_arn.as_ref().is_some_and(|arn| *arn != dataset.arn) {
        let (arn, folder) = (&dataset.arn, work.folder.display());
        return Err(Error::invalid(format!(
            "{folder} belongs to another source than {arn}: name another folder"
        )));
    }
    if state.claimed.as_ref().is_some_and(|claimed| *claimed != created) {
        // The source may hold other records by now: those of its earlier exports are not brought once more. A crash before
        // the state is saved comes here again.
        export::remove_files(work, key)?;
        remove_refused(&work.folder, key)?;
        *work.dataset(key) = DatasetState::default();
    }
    let state = work.dataset(key);
    state.source_arn = Some(dataset.arn.clone());
    state.claimed = Some(created);
    work.save()
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
        DatasetType::Interactions => Ok(None),
        DatasetType::ActionInteractions => {
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

/// One dataset on its way.
pub struct Moving<'a> {
    pub args: &'a Args,
    /// Where the source's exports go.
    pub staging: &'a S3Location,
    pub source: &'a Side,
    pub target: &'a Side,
    pub place: &'a Place,
    pub group: &'a Group,
    pub dataset: &'a Dataset,
    pub made: Made,
}

impl Moving<'_> {
    /// Brings the records and compares.
    pub async fn bring(self, work: &mut Work, report: &mut Report) -> Result<()> {
        let key = key(self.group, self.dataset);
        let layout = self.dataset.layout()?;
        self.export(work, &key, &layout).await?;
        let state = work.dataset(&key).clone();
        let rows = |slot: &str| state.exports.get(slot).map_or(0, |export| export.rows);
        let put = match self.made.put.clone() {
            None if !state.is_put && rows("PUT") > 0 => self.temporary_tracker(&work.state.run).await?,
            None => Target::Events(String::new()),
            Some(target) => target,
        };
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
        if self.made.put.is_none() {
            self.end_temporary_tracker(&bringing.work.state.run).await?;
        }
        let is_keyed = self.dataset.kind.is_keyed();
        let reordered = if is_keyed && !state.is_ordered { bringing.order().await? } else { 0 };
        if !state.is_checked || self.args.verify {
            let checks = bringing.check(self.args.verify).await?;
            work.dataset(&key).is_checked = checks.iter().all(Check::is_same);
            work.save()?;
            report.checks.extend(checks);
        }
        let (refused, too_late) = (work.dataset(&key).refused, work.dataset(&key).strangers);
        let refused_file = (refused > 0).then(|| refused_path(&work.folder, &key).display().to_string());
        let (imported, put) = (rows("BULK"), rows("PUT"));
        let exported_at = work.dataset(&key).exported_at_s().and_then(time);
        report.datasets.push(Brought {
            dataset: key,
            imported,
            put,
            exported_at,
            refused,
            refused_file,
            reordered,
            too_late,
        });
        Ok(())
    }

    // ALL is needed where a newer record takes an older one's place, and for comparing.
    async fn export(&self, work: &mut Work, key: &str, layout: &Layout) -> Result<()> {
        let is_all_needed = self.dataset.kind.is_keyed() || self.args.verify;
        let modes: &[&str] = if is_all_needed { &["BULK", "PUT", "ALL"] } else { &["BULK", "PUT"] };
        let (bucket, prefix) = (&self.staging.bucket, self.staging.prefix());
        let wanted = modes.iter().map(|mode| Wanted {
            slot: mode,
            dataset_arn: &self.dataset.arn,
            mode,
            bucket,
            prefix: prefix.clone(),
            role_arn: &self.args.source_role_arn,
            kms_key_arn: self.args.source_kms_key_arn.as_deref(),
            tags: if self.dataset.kind.is_exportable() { vec![] } else { vec![allow_actions()] },
        });
        let wanted: Vec<Wanted<'_>> = wanted.collect();
        export::all(work, self.source, (key, layout), &wanted).await
    }

    // Events were put while there was a tracker; there is none any more.
    async fn temporary_tracker(&self, run: &str) -> Result<Target> {
        let tracker = Tracker { name: temporary(run), tracking_id: String::new(), tags: vec![] };
        let keys = Keys::default();
        let mut builder = Builder::new(self.target, &keys, false);
        let tracking_id = builder.tracker(Some(&self.made.group_arn), &tracker).await?;
        let missing = || Error::unavailable("the target made an event tracker without a tracking id");
        tracking_id.map(Target::Events).ok_or_else(missing)
    }

    async fn end_temporary_tracker(&self, run: &str) -> Result<()> {
        let members = ("eventTrackers", "name", "eventTrackerArn");
        let of_group = json!({ "datasetGroupArn": self.made.group_arn });
        match self.target.find("ListEventTrackers", members, of_group, &temporary(run)).await? {
            Some(arn) => {
                self.target.call("DeleteEventTracker", json!({ "eventTrackerArn": arn })).await.map(drop)
            }
            None => Ok(()),
        }
    }
}

fn time(seconds: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(&Rfc3339).ok()
}

fn temporary(run: &str) -> String {
    format!("lade-migrate-{run}")
}
