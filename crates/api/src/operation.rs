//! The table of all operations: how a request names one, what it may say, who may do it, and what does it.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use model::Realm;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wire::shape::Structure;

use crate::door::Api;
use crate::events::request::{action_interaction, thing};
use crate::permission::Subject;
use crate::reply::{self, Answer};
use crate::{
    data_deletion_job, dataset, dataset_export_job, dataset_group, dataset_import_job, event_tracker, events,
    lade, metric_attribution, schema, shapes, tag,
};

/// One operation of Personalize or of its events service.
pub struct Operation {
    pub name: &'static str,
    /// None for the control plane, whose requests name the operation in `X-Amz-Target`.
    pub path: Option<&'static str>,
    pub input: &'static Structure,
    pub subject: Subject,
    pub handler: Handler,
}

/// What does an operation; gives the body of the answer.
pub enum Handler {
    /// Reads its members from the checked request.
    Json(for<'a> fn(&'a Api, Value) -> Doing<'a>),
    /// PutEvents, which is read straight from the body.
    Events,
}

type Doing<'a> = Pin<Box<dyn Future<Output = Answer<Bytes>> + Send + 'a>>;

impl Operation {
    /// The permission that it asks for.
    pub fn action(&self) -> String {
        format!("personalize:{}", self.name)
    }
}

/// What a request asks for.
pub enum Asked {
    Operation(&'static Operation),
    /// The lists of resources that this version has none of: the member that stays empty.
    EmptyList(&'static str, &'static str),
    /// A name that the service has and this version has not.
    NotOffered(&'static str),
    /// What this server offers beyond the service.
    Lade(lade::Asked),
    Unknown,
}

/// The operation behind the name in an `X-Amz-Target`.
pub fn by_target(name: &str) -> Asked {
    if let Some(operation) = OPERATIONS.iter().find(|o| o.path.is_none() && o.name == name) {
        return Asked::Operation(operation);
    }
    if let Some((name, member)) = EMPTY_LISTS.iter().find(|(list, _)| *list == name) {
        return Asked::EmptyList(name, member);
    }
    NOT_OFFERED.iter().find(|n| **n == name).map_or(Asked::Unknown, |name| Asked::NotOffered(name))
}

/// The operation behind a path of the events service.
pub fn by_path(path: &str) -> Asked {
    if let Some(operation) = OPERATIONS.iter().find(|o| o.path == Some(path)) {
        return Asked::Operation(operation);
    }
    let name = NOT_OFFERED_PATHS.iter().find(|(known, _)| *known == path);
    name.map_or(Asked::Unknown, |(_, name)| Asked::NotOffered(name))
}

fn decode<T: DeserializeOwned>(input: Value) -> Answer<T> {
    serde_json::from_value(input).map_err(|e| events::request::not_json(&e).into())
}

macro_rules! answers {
    ($handler:path) => {
        Handler::Json(|api, input| {
            Box::pin(async move { reply::body(&$handler(api, decode(input)?).await?) })
        })
    };
}

macro_rules! empty {
    ($handler:path) => {
        Handler::Json(|api, input| {
            Box::pin(async move { $handler(api, decode(input)?).await.map(|()| Bytes::new()) })
        })
    };
}

const fn control(
    name: &'static str,
    input: &'static Structure,
    subject: Subject,
    handler: Handler,
) -> Operation {
    Operation { name, path: None, input, subject, handler }
}

const fn put(
    name: &'static str,
    path: &'static str,
    input: &'static Structure,
    subject: Subject,
    handler: Handler,
) -> Operation {
    Operation { name, path: Some(path), input, subject, handler }
}

use Subject::{Any, Made, Member, Named};

pub static OPERATIONS: &[Operation] = &[
    control("CreateSchema", &schema::CREATE, Named("name", Realm::schema), answers!(schema::create)),
    control("DescribeSchema", &schema::BY_ARN, Member("schemaArn"), answers!(schema::describe)),
    control("ListSchemas", &shapes::PAGE, Any, answers!(schema::list)),
    control("DeleteSchema", &schema::BY_ARN, Member("schemaArn"), empty!(schema::delete)),
    control(
        "CreateDatasetGroup",
        &dataset_group::CREATE,
        Named("name", Realm::dataset_group),
        answers!(dataset_group::create),
    ),
    control(
        "DescribeDatasetGroup",
        &dataset_group::BY_ARN,
        Member("datasetGroupArn"),
        answers!(dataset_group::describe),
    ),
    control("ListDatasetGroups", &shapes::PAGE, Any, answers!(dataset_group::list)),
    control(
        "DeleteDatasetGroup",
        &dataset_group::BY_ARN,
        Member("datasetGroupArn"),
        empty!(dataset_group::delete),
    ),
    control("CreateDataset", &dataset::CREATE, Made(dataset::arn_to_be), answers!(dataset::create)),
    control("DescribeDataset", &dataset::BY_ARN, Member("datasetArn"), answers!(dataset::describe)),
    control(
        "UpdateDataset",
        &dataset::update::UPDATE,
        Member("datasetArn"),
        answers!(dataset::update::update),
    ),
    control("ListDatasets", &shapes::PAGE_OF_GROUP, Any, answers!(dataset::list)),
    control("DeleteDataset", &dataset::BY_ARN, Member("datasetArn"), empty!(dataset::delete)),
    control(
        "CreateEventTracker",
        &event_tracker::CREATE,
        // Its ARN is drawn when it is made, so a policy can only name all of them.
        Made(|realm, _| realm.event_tracker("*").to_string()),
        answers!(event_tracker::create),
    ),
    control(
        "DescribeEventTracker",
        &event_tracker::BY_ARN,
        Member("eventTrackerArn"),
        answers!(event_tracker::describe),
    ),
    control("ListEventTrackers", &shapes::PAGE_OF_GROUP, Any, answers!(event_tracker::list)),
    control(
        "DeleteEventTracker",
        &event_tracker::BY_ARN,
        Member("eventTrackerArn"),
        empty!(event_tracker::delete),
    ),
    control(
        "CreateDatasetImportJob",
        &dataset_import_job::CREATE,
        Named("jobName", Realm::import_job),
        answers!(dataset_import_job::create),
    ),
    control(
        "DescribeDatasetImportJob",
        &dataset_import_job::BY_ARN,
        Member("datasetImportJobArn"),
        answers!(dataset_import_job::describe),
    ),
    control("ListDatasetImportJobs", &shapes::PAGE_OF_DATASET, Any, answers!(dataset_import_job::list)),
    control(
        "CreateDatasetExportJob",
        &dataset_export_job::CREATE,
        Named("jobName", Realm::export_job),
        answers!(dataset_export_job::create),
    ),
    control(
        "DescribeDatasetExportJob",
        &dataset_export_job::BY_ARN,
        Member("datasetExportJobArn"),
        answers!(dataset_export_job::describe),
    ),
    control("ListDatasetExportJobs", &shapes::PAGE_OF_DATASET, Any, answers!(dataset_export_job::list)),
    control(
        "CreateDataDeletionJob",
        &data_deletion_job::CREATE,
        Named("jobName", Realm::data_deletion_job),
        answers!(data_deletion_job::create),
    ),
    control(
        "DescribeDataDeletionJob",
        &data_deletion_job::BY_ARN,
        Member("dataDeletionJobArn"),
        answers!(data_deletion_job::describe),
    ),
    control("ListDataDeletionJobs", &shapes::PAGE_OF_GROUP, Any, answers!(data_deletion_job::list)),
    control(
        "CreateMetricAttribution",
        &metric_attribution::CREATE,
        Named("name", Realm::metric_attribution),
        answers!(metric_attribution::create),
    ),
    control(
        "DescribeMetricAttribution",
        &metric_attribution::BY_ARN,
        Member("metricAttributionArn"),
        answers!(metric_attribution::describe),
    ),
    control("ListMetricAttributions", &shapes::PAGE_OF_GROUP, Any, answers!(metric_attribution::list)),
    control(
        "ListMetricAttributionMetrics",
        &metric_attribution::METRICS_PAGE,
        Any,
        answers!(metric_attribution::list_metrics),
    ),
    control(
        "UpdateMetricAttribution",
        &metric_attribution::UPDATE,
        Member("metricAttributionArn"),
        answers!(metric_attribution::update),
    ),
    control(
        "DeleteMetricAttribution",
        &metric_attribution::BY_ARN,
        Member("metricAttributionArn"),
        empty!(metric_attribution::delete),
    ),
    control("TagResource", &tag::TAG, Member("resourceArn"), answers!(tag::tag)),
    control("UntagResource", &tag::UNTAG, Member("resourceArn"), answers!(tag::untag)),
    control("ListTagsForResource", &tag::LIST, Member("resourceArn"), answers!(tag::list)),
    put("PutEvents", "/events", &events::request::PUT_EVENTS, Any, Handler::Events),
    put("PutItems", "/items", &thing::PUT_ITEMS, Member("datasetArn"), empty!(events::put_items)),
    put("PutUsers", "/users", &thing::PUT_USERS, Member("datasetArn"), empty!(events::put_users)),
    put("PutActions", "/actions", &thing::PUT_ACTIONS, Member("datasetArn"), empty!(events::put_actions)),
    put(
        "PutActionInteractions",
        "/action-interactions",
        &action_interaction::PUT_ACTION_INTERACTIONS,
        Any,
        empty!(events::put_action_interactions),
    ),
];

/// Operations and the members of their answers.
const EMPTY_LISTS: &[(&str, &str)] = &[
    ("ListBatchInferenceJobs", "batchInferenceJobs"),
    ("ListBatchSegmentJobs", "batchSegmentJobs"),
    ("ListCampaigns", "campaigns"),
    ("ListFilters", "Filters"),
    ("ListRecipes", "recipes"),
    ("ListRecommenders", "recommenders"),
    ("ListSolutionVersions", "solutionVersions"),
    ("ListSolutions", "solutions"),
];

const NOT_OFFERED: &[&str] = &[
    // data side
    // training, recommenders, batch jobs
    "CreateBatchInferenceJob",
    "CreateBatchSegmentJob",
    "CreateCampaign",
    "CreateFilter",
    "CreateRecommender",
    "CreateSolution",
    "CreateSolutionVersion",
    "DeleteCampaign",
    "DeleteFilter",
    "DeleteRecommender",
    "DeleteSolution",
    "DescribeAlgorithm",
    "DescribeBatchInferenceJob",
    "DescribeBatchSegmentJob",
    "DescribeCampaign",
    "DescribeFeatureTransformation",
    "DescribeFilter",
    "DescribeRecipe",
    "DescribeRecommender",
    "DescribeSolution",
    "DescribeSolutionVersion",
    "GetSolutionMetrics",
    "StartRecommender",
    "StopRecommender",
    "StopSolutionVersionCreation",
    "UpdateCampaign",
    "UpdateRecommender",
    "UpdateSolution",
];

const NOT_OFFERED_PATHS: &[(&str, &str)] = &[
    ("/recommendations", "GetRecommendations"),
    ("/personalize-ranking", "GetPersonalizedRanking"),
    ("/action-recommendations", "GetActionRecommendations"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_plane_operation_of_the_service_is_known_once() {
        let control = OPERATIONS.iter().filter(|o| o.path.is_none()).map(|o| o.name);
        let mut names: Vec<&str> = control
            .chain(EMPTY_LISTS.iter().map(|(name, _)| *name))
            .chain(NOT_OFFERED.iter().copied())
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 71);
        let puts = OPERATIONS.iter().filter(|o| o.path.is_some()).count();
        assert_eq!(puts, 5);
        assert_eq!(OPERATIONS.len() - puts + EMPTY_LISTS.len() + NOT_OFFERED.len(), 71);
    }

    #[test]
    fn what_nobody_knows_is_unknown() {
        for name in ["", "PutEvents", "createschema", "CreateSchema ", "ListSchema"] {
            assert!(matches!(by_target(name), Asked::Unknown), "{name}");
        }
        for path in ["", "/", "/event", "/events/", "/Events"] {
            assert!(matches!(by_path(path), Asked::Unknown), "{path}");
        }
    }
}
