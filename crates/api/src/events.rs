//! Records put one by one: PutEvents, PutItems, PutUsers, PutActions, PutActionInteractions. A call is in completely or
//! not at all.

pub mod count;
pub mod mapping;
mod object;
pub mod properties;
pub mod rate;
pub mod request;
pub mod targets;

use std::sync::Arc;

use bytes::Bytes;
use model::{Arn, DatasetType, Error, Result};
use store::log::Batch;

use crate::door::Api;
use crate::measured;
use crate::reply::{Answer, not_found};
use request::PutEvents;
use request::action_interaction::PutActionInteractions;
use request::thing::{PutActions, PutItems, PutUsers};
use targets::Target;

/// Source: "Recording item interaction events".
///
/// # Errors
/// Only `Invalid`, whatever the request did wrong: the service knows no other answer here.
pub async fn put_events(api: &Api, body: &Bytes, input: PutEvents<'_>) -> Answer<()> {
    request::check_sizes(body)?;
    let target = api.targets.of_tracker(&api.catalog, &input.tracking_id).await?;
    let mut batch = target.batch();
    for (n, event) in (1..).zip(&input.event_list) {
        let row =
            target.mapping.event(&input, event).map_err(|e| place(&e, &format!("eventList.{n}.member")))?;
        batch.push_with(|out| target.mapping.encode(&row, out))?;
    }
    append(api, &target, batch).await
}

/// Source: "Importing items individually".
pub async fn put_items(api: &Api, input: PutItems) -> Answer<()> {
    let target = target(api, &input.dataset_arn, DatasetType::Items).await?;
    let items = input.items.iter().map(|item| (item.item_id.as_str(), item.properties.as_deref()));
    append(api, &target, things(&target, "items", items)?).await
}

/// Source: "Importing users individually".
pub async fn put_users(api: &Api, input: PutUsers) -> Answer<()> {
    let target = target(api, &input.dataset_arn, DatasetType::Users).await?;
    let users = input.users.iter().map(|user| (user.user_id.as_str(), user.properties.as_deref()));
    append(api, &target, things(&target, "users", users)?).await
}

/// Source: "Importing actions individually".
pub async fn put_actions(api: &Api, input: PutActions) -> Answer<()> {
    let target = target(api, &input.dataset_arn, DatasetType::Actions).await?;
    let actions =
        input.actions.iter().map(|action| (action.action_id.as_str(), action.properties.as_deref()));
    append(api, &target, things(&target, "actions", actions)?).await
}

/// Source: "Recording action interaction events".
pub async fn put_action_interactions(api: &Api, input: PutActionInteractions) -> Answer<()> {
    let target = api.targets.of_action_interactions(&api.catalog, &input.tracking_id).await?;
    let mut batch = target.batch();
    for (n, interaction) in (1..).zip(&input.action_interactions) {
        let row = target
            .mapping
            .action_interaction(interaction)
            .map_err(|e| place(&e, &format!("actionInteractions.{n}.member")))?;
        batch.push_with(|out| target.mapping.encode(&row, out))?;
    }
    append(api, &target, batch).await
}

async fn target(api: &Api, arn: &Arn, wanted: DatasetType) -> Answer<Arc<Target>> {
    let target = api.targets.of_dataset(&api.catalog, arn).await?.ok_or_else(|| not_found("dataset", arn))?;
    if target.dataset_type != wanted {
        let (is, takes) = (target.dataset_type.as_str(), wanted.as_str());
        return Err(Error::invalid(format!(
            "The dataset is of type {is}, this operation takes {takes}: {arn}"
        ))
        .into());
    }
    Ok(target)
}

fn things<'a>(
    target: &Target,
    list: &str,
    things: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<Batch> {
    let mut batch = target.batch();
    for (n, (id, properties)) in (1..).zip(things) {
        let row =
            target.mapping.thing(id, properties).map_err(|e| place(&e, &format!("{list}.{n}.member")))?;
        batch.push_with(|out| target.mapping.encode(&row, out))?;
    }
    Ok(batch)
}

// Answered only when durable.
async fn append(api: &Api, target: &Target, batch: Batch) -> Answer<()> {
    let quotas = api.catalog.quotas();
    let calls_per_s =
        if target.dataset_type.is_keyed() { quotas.thing_calls_per_s } else { quotas.event_calls_per_s };
    let (now_ms, records) = (api.clock.now_ms(), batch.count());
    api.rates.take(target.dataset_id, calls_per_s, now_ms).inspect_err(|_| measured::rate_refused())?;
    let keys = api.access.data_keys(target.dataset_id, &target.group_arn).await?;
    let batch = match keys.series() {
        Some(series) => batch.sealed(series),
        None => batch,
    };
    api.log.append(batch).await.inspect_err(measured::queue_refused)?;
    target.counter.add(records, now_ms);
    measured::put(target.dataset_type, records);
    Ok(())
}

impl Target {
    fn batch(&self) -> Batch {
        Batch::new(self.dataset_id.cast_unsigned(), self.schema_version)
    }
}

// Clients know the text about properties word for word; all others are told which record it was.
fn place(error: &Error, member: &str) -> Error {
    let text = error.message();
    if text == properties::NOT_JSON {
        Error::invalid(text)
    } else {
        Error::invalid(format!("{text} (at {member})"))
    }
}

#[cfg(test)]
mod tests;
