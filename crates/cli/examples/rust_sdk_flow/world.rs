//! What the operations are called about: a group with datasets and jobs, and functions that make more of each.

use std::cell::Cell;

use aws_sdk_personalize::Client;
use aws_sdk_personalize::operation::create_data_deletion_job::builders::CreateDataDeletionJobFluentBuilder;
use aws_sdk_personalize::operation::create_dataset::builders::CreateDatasetFluentBuilder;
use aws_sdk_personalize::operation::create_dataset_export_job::builders::CreateDatasetExportJobFluentBuilder;
use aws_sdk_personalize::operation::create_dataset_import_job::builders::CreateDatasetImportJobFluentBuilder;
use aws_sdk_personalize::operation::create_metric_attribution::builders::CreateMetricAttributionFluentBuilder;
use aws_sdk_personalize::types::{
    DataSource, DatasetExportJobOutput, MetricAttribute, MetricAttributionOutput, S3DataConfig as Destination,
};
use aws_sdk_s3::primitives::ByteStream;

use crate::{EVENTS_SCHEMA, Flow, Result, SCHEMA, ended};

const USERS_SCHEMA: &str = r#"{"type": "record", "name": "Users", "namespace": "com.amazonaws.personalize.schema",
    "fields": [{"name": "USER_ID", "type": "string"}, {"name": "AGE", "type": "int"}], "version": "1.0"}"#;
const ACTIONS_SCHEMA: &str = r#"{"type": "record", "name": "Actions",
    "namespace": "com.amazonaws.personalize.schema", "fields": [{"name": "ACTION_ID", "type": "string"},
    {"name": "COLOR", "type": "string", "categorical": true}], "version": "1.0"}"#;
const ACTION_INTERACTIONS_SCHEMA: &str = r#"{"type": "record", "name": "ActionInteractions",
    "namespace": "com.amazonaws.personalize.schema", "fields": [{"name": "USER_ID", "type": "string"},
    {"name": "ACTION_ID", "type": "string"}, {"name": "EVENT_TYPE", "type": "string"},
    {"name": "TIMESTAMP", "type": "long"}], "version": "1.0"}"#;

pub struct World<'a> {
    pub flow: &'a Flow,
    pub schema: String,
    pub group: String,
    pub items: String,
    pub users: String,
    pub interactions: String,
    pub tracker: String,
    pub tracking_id: String,
    numbers: Cell<u32>,
}

impl World<'_> {
    pub async fn furnished(flow: &Flow) -> Result<World<'_>> {
        let blank = String::new;
        let mut world = World {
            flow,
            schema: blank(),
            group: blank(),
            items: blank(),
            users: blank(),
            interactions: blank(),
            tracker: blank(),
            tracking_id: blank(),
            numbers: Cell::new(0),
        };
        world.group = world.made_group().await?;
        world.schema = world.made_schema(SCHEMA).await?;
        world.items = world.made("Items", &world.schema, &world.group).await?;
        let users = world.made_schema(USERS_SCHEMA).await?;
        world.users = world.made("Users", &users, &world.group).await?;
        world.interactions = world.interactions_of(&world.group).await?;
        let create = world.client().create_event_tracker().name(world.name());
        let tracker = create.dataset_group_arn(&world.group).send().await?;
        world.tracker = tracker.event_tracker_arn.ok_or("no tracker ARN")?;
        world.tracking_id = tracker.tracking_id.ok_or("no tracking id")?;
        Ok(world)
    }

    pub fn client(&self) -> &Client {
        &self.flow.personalize
    }

    pub fn name(&self) -> String {
        self.numbers.set(self.numbers.get() + 1);
        format!("{}-{}", self.flow.name, self.numbers.get())
    }

    // Calls to be sent

    pub fn dataset(&self, group: &str) -> CreateDatasetFluentBuilder {
        let create = self.client().create_dataset().name(self.name()).dataset_type("Items");
        create.schema_arn(&self.schema).dataset_group_arn(group)
    }

    /// Imports the object of this key.
    pub fn import(&self, key: &str) -> CreateDatasetImportJobFluentBuilder {
        let create = self.client().create_dataset_import_job().job_name(self.name()).dataset_arn(&self.items);
        create.data_source(self.source(key)).role_arn(&self.flow.role)
    }

    pub fn export(&self, dataset: &str) -> Result<CreateDatasetExportJobFluentBuilder> {
        let path = Destination::builder().path(format!("s3://{}/out", self.flow.bucket)).build()?;
        let output = DatasetExportJobOutput::builder().s3_data_destination(path).build();
        let create = self.client().create_dataset_export_job().job_name(self.name()).dataset_arn(dataset);
        Ok(create.job_output(output).role_arn(&self.flow.role))
    }

    pub fn deletion(&self, group: &str) -> CreateDataDeletionJobFluentBuilder {
        let create = self.client().create_data_deletion_job().job_name(self.name()).dataset_group_arn(group);
        create.data_source(self.source("users.csv")).role_arn(&self.flow.role)
    }

    pub fn metrics(&self, group: &str) -> Result<CreateMetricAttributionFluentBuilder> {
        let output = MetricAttributionOutput::builder().role_arn(&self.flow.role).build()?;
        let create = self.client().create_metric_attribution().name(self.name()).dataset_group_arn(group);
        Ok(create.metrics(metric("clicks")?).metrics_output_config(output))
    }

    fn source(&self, key: &str) -> DataSource {
        DataSource::builder()
            .data_location(format!("s3://{}/{}/{key}", self.flow.bucket, self.flow.name))
            .build()
    }

    // Things

    pub async fn upload(&self, key: &str, csv: &'static str) -> Result {
        let (key, body) = (format!("{}/{key}", self.flow.name), ByteStream::from_static(csv.as_bytes()));
        self.flow.s3.put_object().bucket(&self.flow.bucket).key(key).body(body).send().await?;
        Ok(())
    }

    pub async fn made_schema(&self, schema: &str) -> Result<String> {
        let created = self.client().create_schema().name(self.name()).schema(schema).send().await?;
        Ok(created.schema_arn.ok_or("no schema ARN")?)
    }

    pub async fn made_group(&self) -> Result<String> {
        let created = self.client().create_dataset_group().name(self.name()).send().await?;
        let arn = created.dataset_group_arn.ok_or("no group ARN")?;
        let described = self.client().describe_dataset_group().dataset_group_arn(&arn);
        ended(|| async {
            let group = described.clone().send().await?;
            let group = group.dataset_group().ok_or("no group")?;
            Ok((group.status().unwrap_or_default().into(), String::new()))
        })
        .await?;
        Ok(arn)
    }

    async fn made(&self, kind: &str, schema: &str, group: &str) -> Result<String> {
        let create = self.client().create_dataset().name(self.name()).dataset_type(kind).schema_arn(schema);
        let arn = create.dataset_group_arn(group).send().await?.dataset_arn.ok_or("no dataset ARN")?;
        let described = self.client().describe_dataset().dataset_arn(&arn);
        ended(|| async {
            let dataset = described.clone().send().await?;
            let dataset = dataset.dataset().ok_or("no dataset")?;
            Ok((dataset.status().unwrap_or_default().into(), String::new()))
        })
        .await?;
        Ok(arn)
    }

    /// An Items dataset in a group of its own.
    pub async fn made_items(&self) -> Result<String> {
        self.made("Items", &self.schema, &self.made_group().await?).await
    }

    async fn interactions_of(&self, group: &str) -> Result<String> {
        let schema = self.made_schema(&with_event_type()).await?;
        self.made("Interactions", &schema, group).await
    }

    pub async fn made_actions(&self) -> Result<String> {
        let schema = self.made_schema(ACTIONS_SCHEMA).await?;
        self.made("Actions", &schema, &self.made_group().await?).await
    }

    /// The tracking id that an Action interactions dataset brings with it.
    pub async fn made_action_tracker(&self) -> Result<String> {
        let schema = self.made_schema(ACTION_INTERACTIONS_SCHEMA).await?;
        let arn = self.made("Action_Interactions", &schema, &self.made_group().await?).await?;
        let described = self.client().describe_dataset().dataset_arn(arn).send().await?;
        Ok(described.dataset.and_then(|dataset| dataset.tracking_id).ok_or("no tracking id")?)
    }

    pub async fn made_tracker(&self) -> Result<String> {
        let create = self.client().create_event_tracker().name(self.name());
        let created = create.dataset_group_arn(self.made_group().await?).send().await?;
        Ok(created.event_tracker_arn.ok_or("no tracker ARN")?)
    }

    /// A group with interactions to count.
    pub async fn clicked(&self) -> Result<String> {
        let group = self.made_group().await?;
        self.interactions_of(&group).await?;
        Ok(group)
    }

    pub async fn made_attribution(&self) -> Result<String> {
        let created = self.metrics(&self.clicked().await?)?.send().await?;
        let arn = created.metric_attribution_arn.ok_or("no attribution ARN")?;
        let described = self.client().describe_metric_attribution().metric_attribution_arn(&arn);
        ended(|| async {
            let found = described.clone().send().await?;
            let found = found.metric_attribution().ok_or("no attribution")?;
            let reason = found.failure_reason().unwrap_or_default().into();
            Ok((found.status().unwrap_or_default().into(), reason))
        })
        .await?;
        Ok(arn)
    }
}

fn with_event_type() -> String {
    EVENTS_SCHEMA.replace(
        r#"{"name": "TIMESTAMP""#,
        r#"{"name": "EVENT_TYPE", "type": "string"}, {"name": "TIMESTAMP""#,
    )
}

pub fn metric(name: &str) -> Result<MetricAttribute> {
    let metric = MetricAttribute::builder().event_type("click").metric_name(name);
    Ok(metric.expression("SAMPLECOUNT()").build()?)
}
