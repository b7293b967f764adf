//! Every operation on data: one call that succeeds, and one that is refused by an error of the SDK's own type.

use std::time::SystemTime;

use aws_sdk_personalize::error::DisplayErrorContext;
use aws_sdk_personalize::types::Tag;
use aws_sdk_personalizeevents::types::{Action, ActionInteraction, Event, Item, User};

use crate::world::{World, metric};
use crate::{Flow, Result, SCHEMA};

const NOTHING: &str = "arn:aws:personalize:us-east-1:000000000000:";
const NO_TRACKER: &str = "00000000-0000-4000-8000-000000000000";
const NO_TOKEN: &str = "of-my-own-making";

/// Prints `ok NAME`, or `failed NAME: why`, for each operation.
pub async fn run(flow: &Flow) -> Result {
    let world = World::furnished(flow).await?;
    world.upload("items.csv", "ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n").await?;
    world.upload("users.csv", "USER_ID\nnobody\n").await?;
    schemas(&world).await;
    groups(&world).await;
    datasets(&world).await;
    trackers(&world).await;
    import_and_export_jobs(&world).await;
    data_deletion_jobs(&world).await;
    metric_attributions(&world).await;
    tags(&world).await;
    puts(&world).await;
    Ok(())
}

/// Sends both calls; the second has to be refused by the kind of error that is asked for by its name.
macro_rules! call {
    ($name:literal, $good:expr, $bad:expr, $refused:ident) => {
        report($name, async {
            $good.send().await?;
            match $bad.send().await {
                Err(error) if error.as_service_error().is_some_and(|error| error.$refused()) => Ok(()),
                other => Err(format!("what has to be refused is answered with {other:?}").into()),
            }
        })
        .await
    };
}

async fn report(name: &str, called: impl Future<Output = Result>) {
    match called.await {
        Ok(()) => println!("ok {name}"),
        Err(error) => {
            println!("failed {name}: {}", DisplayErrorContext(&*error).to_string().replace('\n', " "))
        }
    }
}

fn nothing(resource: &str) -> String {
    format!("{NOTHING}{resource}")
}

async fn schemas(w: &World<'_>) {
    let (c, nobody) = (w.client(), nothing("schema/nobody"));
    let taken = w.schema.rsplit('/').next().unwrap_or_default();
    let create = |name: &str| c.create_schema().name(name).schema(SCHEMA);
    call!("CreateSchema", create(&w.name()), create(taken), is_resource_already_exists_exception);
    let describe = |arn: &str| c.describe_schema().schema_arn(arn);
    call!("DescribeSchema", describe(&w.schema), describe(&nobody), is_resource_not_found_exception);
    let list = c.list_schemas();
    call!("ListSchemas", list.clone(), list.next_token(NO_TOKEN), is_invalid_next_token_exception);
    let delete = |arn: &str| c.delete_schema().schema_arn(arn);
    call!(
        "DeleteSchema",
        delete(&w.made_schema(SCHEMA).await?),
        delete(&w.schema),
        is_resource_in_use_exception
    );
}

async fn groups(w: &World<'_>) {
    let (c, nobody) = (w.client(), nothing("dataset-group/nobody"));
    let taken = w.group.rsplit('/').next().unwrap_or_default();
    let create = |name: &str| c.create_dataset_group().name(name);
    call!("CreateDatasetGroup", create(&w.name()), create(taken), is_resource_already_exists_exception);
    let describe = |arn: &str| c.describe_dataset_group().dataset_group_arn(arn);
    call!("DescribeDatasetGroup", describe(&w.group), describe(&nobody), is_resource_not_found_exception);
    let list = c.list_dataset_groups();
    call!("ListDatasetGroups", list.clone(), list.next_token(NO_TOKEN), is_invalid_next_token_exception);
    let delete = |arn: &str| c.delete_dataset_group().dataset_group_arn(arn);
    call!(
        "DeleteDatasetGroup",
        delete(&w.made_group().await?),
        delete(&w.group),
        is_resource_in_use_exception
    );
}

async fn datasets(w: &World<'_>) {
    let (c, nobody) = (w.client(), nothing("dataset/nobody/ITEMS"));
    let create = |group: &str| w.dataset(group);
    let empty = w.made_group().await.unwrap_or_default();
    call!("CreateDataset", create(&empty), create(&w.group), is_resource_already_exists_exception);
    let describe = |arn: &str| c.describe_dataset().dataset_arn(arn);
    call!("DescribeDataset", describe(&w.items), describe(&nobody), is_resource_not_found_exception);
    let list = c.list_datasets();
    let of_group = list.clone().dataset_group_arn(&w.group);
    call!("ListDatasets", of_group, list.next_token(NO_TOKEN), is_invalid_next_token_exception);
    let wider = SCHEMA
        .replace("], \"version\"", ", {\"name\": \"SIZE\", \"type\": [\"null\", \"int\"]}], \"version\"");
    let update = |dataset: String, schema: String| c.update_dataset().dataset_arn(dataset).schema_arn(schema);
    call!(
        "UpdateDataset",
        update(w.made_items().await?, w.made_schema(&wider).await?),
        update(w.items.clone(), nothing("schema/nobody")),
        is_resource_not_found_exception
    );
    let delete = |arn: &str| c.delete_dataset().dataset_arn(arn);
    call!(
        "DeleteDataset",
        delete(&w.made_items().await?),
        delete(&w.interactions),
        is_resource_in_use_exception
    );
}

async fn trackers(w: &World<'_>) {
    let (c, nobody) = (w.client(), nothing("event-tracker/00000000"));
    let create = |group: &str| c.create_event_tracker().name(w.name()).dataset_group_arn(group);
    let empty = w.made_group().await.unwrap_or_default();
    call!("CreateEventTracker", create(&empty), create(&w.group), is_resource_already_exists_exception);
    let describe = |arn: &str| c.describe_event_tracker().event_tracker_arn(arn);
    call!("DescribeEventTracker", describe(&w.tracker), describe(&nobody), is_resource_not_found_exception);
    let list = c.list_event_trackers();
    let of_group = list.clone().dataset_group_arn(&w.group);
    call!("ListEventTrackers", of_group, list.next_token(NO_TOKEN), is_invalid_next_token_exception);
    let delete = |arn: &str| c.delete_event_tracker().event_tracker_arn(arn);
    call!(
        "DeleteEventTracker",
        delete(&w.made_tracker().await?),
        delete(&nobody),
        is_resource_not_found_exception
    );
}

async fn import_and_export_jobs(w: &World<'_>) {
    let c = w.client();
    call!("CreateDatasetImportJob", w.import("items.csv"), w.import("none.csv"), is_invalid_input_exception);
    let describe = |arn: String| c.describe_dataset_import_job().dataset_import_job_arn(arn);
    let nobody = nothing("dataset-import-job/nobody");
    let job = async || {
        w.import("items.csv").send().await.map(|made| made.dataset_import_job_arn.unwrap_or_default())
    };
    call!(
        "DescribeDatasetImportJob",
        describe(job().await?),
        describe(nobody),
        is_resource_not_found_exception
    );
    let list = c.list_dataset_import_jobs();
    let of_items = list.clone().dataset_arn(&w.items);
    call!("ListDatasetImportJobs", of_items, list.next_token(NO_TOKEN), is_invalid_next_token_exception);

    let nowhere = nothing("dataset/nobody/ITEMS");
    call!(
        "CreateDatasetExportJob",
        w.export(&w.users)?,
        w.export(&nowhere)?,
        is_resource_not_found_exception
    );
    let describe = |arn: String| c.describe_dataset_export_job().dataset_export_job_arn(arn);
    let nobody = nothing("dataset-export-job/nobody");
    call!(
        "DescribeDatasetExportJob",
        describe(w.export(&w.users)?.send().await?.dataset_export_job_arn.unwrap_or_default()),
        describe(nobody),
        is_resource_not_found_exception
    );
    let list = c.list_dataset_export_jobs();
    let of_users = list.clone().dataset_arn(&w.users);
    call!("ListDatasetExportJobs", of_users, list.next_token(NO_TOKEN), is_invalid_next_token_exception);
}

async fn data_deletion_jobs(w: &World<'_>) {
    let c = w.client();
    let nowhere = nothing("dataset-group/nobody");
    let deletion = async || Result::Ok(w.deletion(&w.made_group().await?));
    call!("CreateDataDeletionJob", deletion().await?, w.deletion(&nowhere), is_resource_not_found_exception);
    let describe = |arn: String| c.describe_data_deletion_job().data_deletion_job_arn(arn);
    call!(
        "DescribeDataDeletionJob",
        describe(deletion().await?.send().await?.data_deletion_job_arn.unwrap_or_default()),
        describe(nothing("data-deletion-job/nobody")),
        is_resource_not_found_exception
    );
    let list = c.list_data_deletion_jobs();
    let of_group = list.clone().dataset_group_arn(&w.group);
    call!("ListDataDeletionJobs", of_group, list.next_token(NO_TOKEN), is_invalid_next_token_exception);
}

async fn metric_attributions(w: &World<'_>) {
    let (c, nobody) = (w.client(), nothing("metric-attribution/nobody"));
    let nowhere = nothing("dataset-group/nobody");
    let (made, refused) = (async || w.metrics(&w.clicked().await?), || w.metrics(&nowhere));
    call!("CreateMetricAttribution", made().await?, refused()?, is_resource_not_found_exception);
    let arn = w.made_attribution().await.unwrap_or_default();
    let describe = |arn: &str| c.describe_metric_attribution().metric_attribution_arn(arn);
    call!("DescribeMetricAttribution", describe(&arn), describe(&nobody), is_resource_not_found_exception);
    let list = c.list_metric_attributions();
    let of_group = list.clone().dataset_group_arn(&w.group);
    call!("ListMetricAttributions", of_group, list.next_token(NO_TOKEN), is_invalid_next_token_exception);
    let list = c.list_metric_attribution_metrics().metric_attribution_arn(&arn);
    let broken = list.clone().next_token(NO_TOKEN);
    call!("ListMetricAttributionMetrics", list, broken, is_invalid_next_token_exception);
    let update = |arn: &str| c.update_metric_attribution().metric_attribution_arn(arn);
    let with_views = || Result::Ok(update(&arn).add_metrics(metric("views")?));
    let of_nobody = update(&nobody).remove_metrics("clicks");
    call!("UpdateMetricAttribution", with_views()?, of_nobody, is_resource_not_found_exception);
    let delete = |arn: &str| c.delete_metric_attribution().metric_attribution_arn(arn);
    call!("DeleteMetricAttribution", delete(&arn), delete(&nobody), is_resource_not_found_exception);
}

async fn tags(w: &World<'_>) {
    let (c, nobody) = (w.client(), nothing("dataset-group/nobody"));
    let tags =
        |count: usize| (0..count).map(|n| Tag::builder().tag_key(format!("k{n}")).tag_value("").build());
    let tag = |count: usize| {
        let tags = tags(count).collect::<std::result::Result<Vec<_>, _>>()?;
        Result::Ok(c.tag_resource().resource_arn(&w.group).set_tags(Some(tags)))
    };
    call!("TagResource", tag(2)?, tag(51)?, is_too_many_tags_exception);
    let keys = |count: usize| Some((0..count).map(|n| format!("k{n}")).collect());
    let untag = |count: usize| c.untag_resource().resource_arn(&w.group).set_tag_keys(keys(count));
    call!("UntagResource", untag(2), untag(51), is_too_many_tag_keys_exception);
    let list = |arn: &str| c.list_tags_for_resource().resource_arn(arn);
    call!("ListTagsForResource", list(&w.group), list(&nobody), is_resource_not_found_exception);
}

async fn puts(w: &World<'_>) {
    let (c, nobody, now) = (&w.flow.events, nothing("dataset/nobody/ITEMS"), SystemTime::now());
    let event = |id: &str| {
        let event = Event::builder().event_type("click").item_id("i1").sent_at(now.into()).build()?;
        Result::Ok(c.put_events().tracking_id(id).user_id("u1").session_id("s1").event_list(event))
    };
    call!("PutEvents", event(&w.tracking_id)?, event(NO_TRACKER)?, is_invalid_input_exception);
    let item = |arn: &str| {
        let item = Item::builder().item_id("i1").properties(r#"{"price": 1, "categoryL1": "A"}"#).build()?;
        Result::Ok(c.put_items().dataset_arn(arn).items(item))
    };
    call!("PutItems", item(&w.items)?, item(&nobody)?, is_resource_not_found_exception);
    let user = |arn: &str| {
        let user = User::builder().user_id("u1").properties(r#"{"age": 1}"#).build()?;
        Result::Ok(c.put_users().dataset_arn(arn).users(user))
    };
    call!("PutUsers", user(&w.users)?, user(&nobody)?, is_resource_not_found_exception);
    let action = |arn: &str| {
        let action = Action::builder().action_id("a1").properties(r#"{"color": "red"}"#).build()?;
        Result::Ok(c.put_actions().dataset_arn(arn).actions(action))
    };
    call!("PutActions", action(&w.made_actions().await?)?, action(&nobody)?, is_resource_not_found_exception);
    let interaction = |id: &str| {
        let viewed = ActionInteraction::builder().action_id("a1").session_id("s1").user_id("u1");
        let viewed = viewed.timestamp(now.into()).event_type("Viewed").build()?;
        Result::Ok(c.put_action_interactions().tracking_id(id).action_interactions(viewed))
    };
    call!(
        "PutActionInteractions",
        interaction(&w.made_action_tracker().await?)?,
        interaction(NO_TRACKER)?,
        is_resource_not_found_exception
    );
}
