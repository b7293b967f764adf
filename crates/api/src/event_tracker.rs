//! Event trackers: CreateEventTracker, DescribeEventTracker, ListEventTrackers, DeleteEventTracker.

use catalog::{EventTrackerRow, NewEventTracker};
use model::{Arn, ErrorKind};
use serde::{Deserialize, Serialize};
use wire::shape::{Structure, optional, required};

use crate::door::Api;
use crate::paging::{PageOfGroup, Pager};
use crate::reply::{Answer, Seconds, not_found};
use crate::shapes;
use crate::tag::{self, Tag};

pub static CREATE: Structure = Structure::new(&[
    required("name", shapes::name()),
    required("datasetGroupArn", shapes::arn()),
    optional("tags", shapes::tags()),
]);
pub static BY_ARN: Structure = Structure::new(&[required("eventTrackerArn", shapes::arn())]);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Create {
    name: String,
    dataset_group_arn: Arn,
    tags: Option<Vec<Tag>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ByArn {
    event_tracker_arn: Arn,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    event_tracker_arn: Arn,
    tracking_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Described {
    event_tracker: Description,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    name: String,
    event_tracker_arn: Arn,
    /// Left out of lists, as are the tracking id and the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_group_arn: Option<Arn>,
    status: &'static str,
    creation_date_time: Seconds,
    last_updated_date_time: Seconds,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    event_trackers: Vec<Description>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// # Errors
/// `NotFound` when the group is gone; `AlreadyExists` when it has a tracker.
pub async fn create(api: &Api, input: Create) -> Answer<Created> {
    let tags = tag::of_new(input.tags)?;
    let (arn, tracking_id) = (api.realm.event_tracker(&api.clock.hex(8)), api.clock.uuid());
    let group_arn = input.dataset_group_arn;
    let new = NewEventTracker { arn: arn.clone(), name: input.name, tracking_id, group_arn, tags };
    api.catalog.create_event_tracker(&new).await.map_err(|e| match e.kind {
        // Taken is the place in the group; the new tracker's own ARN, made a moment ago, would mean nothing to anyone.
        ErrorKind::AlreadyExists => model::Error::new(
            e.kind,
            format!("The dataset group has an event tracker already: {}", new.group_arn),
        ),
        _ => e,
    })?;
    Ok(Created { event_tracker_arn: arn, tracking_id: new.tracking_id })
}

pub async fn describe(api: &Api, input: ByArn) -> Answer<Described> {
    let arn = &input.event_tracker_arn;
    let row = api.catalog.event_tracker(arn).await?.ok_or_else(|| not_found("event tracker", arn))?;
    let (tracking_id, group) = (row.tracking_id.clone(), row.group_arn.clone());
    let whole = Description {
        account_id: Some(api.realm.account.clone()),
        tracking_id: Some(tracking_id),
        dataset_group_arn: Some(group),
        ..summary(row)
    };
    Ok(Described { event_tracker: whole })
}

pub async fn list(api: &Api, input: PageOfGroup) -> Answer<Listed> {
    let group = input.dataset_group_arn;
    let pager = Pager::open(&api.paging, "ListEventTrackers", group.as_ref(), input.page)?;
    let rows = api.catalog.event_trackers(group.as_ref(), &pager.page).await?;
    let (rows, next_token) = pager.cut(rows, |row| (row.created_ms, &row.arn));
    Ok(Listed { event_trackers: rows.into_iter().map(summary).collect(), next_token })
}

pub async fn delete(api: &Api, input: ByArn) -> Answer<()> {
    let deleted = api.catalog.delete_event_tracker(&input.event_tracker_arn).await;
    api.targets.forget();
    Ok(deleted?)
}

fn summary(row: EventTrackerRow) -> Description {
    Description {
        name: row.name,
        event_tracker_arn: row.arn,
        account_id: None,
        tracking_id: None,
        dataset_group_arn: None,
        status: row.status.as_str(),
        creation_date_time: Seconds(row.created_ms),
        last_updated_date_time: Seconds(row.updated_ms),
    }
}
