//! The AWS SDK for Rust against a running server: schema to export. `tests/test_rust_sdk.py` starts it.
//!
//! Takes AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and a bucket and a role that may read and
//! write it, FLOW_BUCKET and FLOW_ROLE. Prints each step, at last `flow complete`. With the argument `operations` it
//! calls every operation instead, and prints `ok` or `failed` and its name.

mod operations;
mod world;

use std::error::Error;
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_personalize::operation::describe_dataset::DescribeDatasetError;
use aws_sdk_personalize::types::{
    DataSource, DatasetExportJobOutput, ImportMode, IngestionMode, S3DataConfig as Destination,
};
use aws_sdk_personalizeevents::types::{Event, Item};
use aws_sdk_s3::config::{Credentials, Region};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_http_client::Builder;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const SCHEMA: &str = r#"{"type": "record", "name": "Items", "namespace": "com.amazonaws.personalize.schema",
    "fields": [{"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": "float"},
               {"name": "CATEGORY_L1", "type": "string", "categorical": true}], "version": "1.0"}"#;
const EVENTS_SCHEMA: &str = r#"{"type": "record", "name": "Interactions",
    "namespace": "com.amazonaws.personalize.schema", "fields": [{"name": "USER_ID", "type": "string"},
    {"name": "ITEM_ID", "type": "string"}, {"name": "TIMESTAMP", "type": "long"}], "version": "1.0"}"#;
const JOB_MAX: Duration = Duration::from_secs(60);

/// The three clients and what they work on; names bear the process id, so that one server takes many runs.
struct Flow {
    personalize: aws_sdk_personalize::Client,
    events: aws_sdk_personalizeevents::Client,
    s3: aws_sdk_s3::Client,
    bucket: String,
    role: String,
    name: String,
}

#[tokio::main]
async fn main() -> Result {
    let flow = Flow::from_environment()?;
    if std::env::args().nth(1).as_deref() == Some("operations") {
        return operations::run(&flow).await;
    }
    let group = flow.group().await?;
    let items = flow.dataset(&group, "Items", SCHEMA).await?;
    let interactions = flow.dataset(&group, "Interactions", EVENTS_SCHEMA).await?;
    flow.import(&items, "ITEM_ID,PRICE,CATEGORY_L1\ni1,10,A\ni2,20,B\ni2,20,B\n").await?;
    flow.put_items(&items).await?;
    flow.put_event(&group).await?;
    flow.expect(&items, IngestionMode::Bulk, "ITEMS", &["i1,10.0,A", "i2,20.0,B"]).await?;
    flow.expect(&items, IngestionMode::Put, "ITEMS", &["i1,11.0,A", "i3,30.0,C"]).await?;
    flow.expect(&items, IngestionMode::All, "ITEMS", &["i1,11.0,A", "i2,20.0,B", "i3,30.0,C"]).await?;
    flow.expect(&interactions, IngestionMode::Put, "INTERACTIONS", &["u1,i1,1553631760"]).await?;
    flow.errors_have_their_types().await?;
    println!("flow complete");
    Ok(())
}

impl Flow {
    fn from_environment() -> Result<Flow> {
        let endpoint = std::env::var("AWS_ENDPOINT_URL")?;
        let (key, secret) = (std::env::var("AWS_ACCESS_KEY_ID")?, std::env::var("AWS_SECRET_ACCESS_KEY")?);
        let credentials = Credentials::new(key, secret, None, None, "environment");
        let region = Region::new("us-east-1");
        let http = Builder::new().build_http();
        let personalize = aws_sdk_personalize::Config::builder()
            .endpoint_url(&endpoint)
            .region(region.clone())
            .credentials_provider(credentials.clone())
            .http_client(http.clone())
            .build();
        let events = aws_sdk_personalizeevents::Config::builder()
            .endpoint_url(&endpoint)
            .region(region.clone())
            .credentials_provider(credentials.clone())
            .http_client(http.clone())
            .build();
        let s3 = aws_sdk_s3::Config::builder()
            .endpoint_url(&endpoint)
            .region(region)
            .credentials_provider(credentials)
            .http_client(http)
            .force_path_style(true)
            .build();
        Ok(Flow {
            personalize: aws_sdk_personalize::Client::from_conf(personalize),
            events: aws_sdk_personalizeevents::Client::from_conf(events),
            s3: aws_sdk_s3::Client::from_conf(s3),
            bucket: std::env::var("FLOW_BUCKET")?,
            role: std::env::var("FLOW_ROLE")?,
            name: format!("rust-{}", std::process::id()),
        })
    }

    async fn group(&self) -> Result<String> {
        let created = self.personalize.create_dataset_group().name(&self.name).send().await?;
        let arn = created.dataset_group_arn().ok_or("no group ARN")?.to_string();
        let described = self.personalize.describe_dataset_group().dataset_group_arn(&arn);
        ended(|| async {
            let group = described.clone().send().await?;
            let group = group.dataset_group().ok_or("no group")?;
            Ok((group.status().unwrap_or_default().into(), group.failure_reason().unwrap_or_default().into()))
        })
        .await?;
        println!("group {arn}");
        Ok(arn)
    }

    async fn dataset(&self, group: &str, kind: &str, schema: &str) -> Result<String> {
        let name = format!("{}-{kind}", self.name);
        let schema = self.personalize.create_schema().name(&name).schema(schema).send().await?;
        let create =
            self.personalize.create_dataset().name(&name).dataset_group_arn(group).dataset_type(kind);
        let created = create.set_schema_arn(schema.schema_arn).send().await?;
        let arn = created.dataset_arn().ok_or("no dataset ARN")?.to_string();
        let described = self.personalize.describe_dataset().dataset_arn(&arn);
        ended(|| async {
            let dataset = described.clone().send().await?;
            let dataset = dataset.dataset().ok_or("no dataset")?;
            Ok((dataset.status().unwrap_or_default().into(), String::new()))
        })
        .await?;
        println!("dataset {arn}");
        Ok(arn)
    }

    async fn import(&self, dataset: &str, csv: &'static str) -> Result {
        let key = format!("{}/in.csv", self.name);
        let body = ByteStream::from_static(csv.as_bytes());
        self.s3.put_object().bucket(&self.bucket).key(&key).body(body).send().await?;
        let source = DataSource::builder().data_location(format!("s3://{}/{key}", self.bucket)).build();
        let create = self.personalize.create_dataset_import_job().job_name(&self.name).dataset_arn(dataset);
        let create = create.data_source(source).role_arn(&self.role).import_mode(ImportMode::Full);
        let arn = create.send().await?.dataset_import_job_arn.ok_or("no import job ARN")?;
        let described = self.personalize.describe_dataset_import_job().dataset_import_job_arn(&arn);
        ended(|| async {
            let job = described.clone().send().await?;
            let job = job.dataset_import_job().ok_or("no import job")?;
            Ok((job.status().unwrap_or_default().into(), job.failure_reason().unwrap_or_default().into()))
        })
        .await?;
        println!("imported {arn}");
        Ok(())
    }

    async fn put_items(&self, dataset: &str) -> Result {
        let item = |id: &str, properties: &str| Item::builder().item_id(id).properties(properties).build();
        let put = self.events.put_items().dataset_arn(dataset);
        let put = put.items(item("i1", r#"{"price": 11, "categoryL1": "A"}"#)?);
        put.items(item("i3", r#"{"price": 30, "categoryL1": "C"}"#)?).send().await?;
        Ok(())
    }

    async fn put_event(&self, group: &str) -> Result {
        let created =
            self.personalize.create_event_tracker().name(&self.name).dataset_group_arn(group).send().await?;
        let tracking_id = created.tracking_id().ok_or("no tracking id")?;
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_553_631_760);
        let event = Event::builder().event_type("click").item_id("i1").sent_at(at.into()).build()?;
        let put = self.events.put_events().tracking_id(tracking_id).user_id("u1").session_id("s1");
        put.event_list(event).send().await?;
        Ok(())
    }

    /// Exports and compares the rows, sorted, with what they have to be.
    async fn expect(&self, dataset: &str, mode: IngestionMode, kind: &str, rows: &[&str]) -> Result {
        let job = format!("{}-{kind}-{}", self.name, mode.as_str());
        let path = Destination::builder().path(format!("s3://{}/out", self.bucket)).build()?;
        let output = DatasetExportJobOutput::builder().s3_data_destination(path).build();
        let create = self.personalize.create_dataset_export_job().job_name(&job).dataset_arn(dataset);
        let create = create.ingestion_mode(mode).role_arn(&self.role).job_output(output);
        let arn = create.send().await?.dataset_export_job_arn.ok_or("no export job ARN")?;
        let described = self.personalize.describe_dataset_export_job().dataset_export_job_arn(&arn);
        ended(|| async {
            let job = described.clone().send().await?;
            let job = job.dataset_export_job().ok_or("no export job")?;
            Ok((job.status().unwrap_or_default().into(), job.failure_reason().unwrap_or_default().into()))
        })
        .await?;
        let key = format!("out/{job}/{kind}-00000.csv");
        let object = self.s3.get_object().bucket(&self.bucket).key(&key).send().await?;
        let body = object.body.collect().await?.to_vec();
        let text = String::from_utf8(body)?;
        let mut found: Vec<&str> = text.lines().skip(1).collect();
        found.sort_unstable();
        if found != rows {
            return Err(format!("{key} holds {found:?}, not {rows:?}").into());
        }
        println!("exported {key}");
        Ok(())
    }

    async fn errors_have_their_types(&self) -> Result {
        let nobody = "arn:aws:personalize:us-east-1:000000000000:dataset/nobody/ITEMS";
        let answer = self.personalize.describe_dataset().dataset_arn(nobody).send().await;
        match answer.map_err(|error| error.into_service_error()) {
            Err(DescribeDatasetError::ResourceNotFoundException(_)) => Ok(()),
            other => Err(format!("an unknown dataset is answered with {other:?}").into()),
        }
    }
}

/// Asks for (status, reason) until it is ACTIVE.
async fn ended<F: Future<Output = Result<(String, String)>>>(describe: impl Fn() -> F) -> Result {
    let begin = Instant::now();
    while begin.elapsed() < JOB_MAX {
        match describe().await? {
            (status, _) if status == "ACTIVE" => return Ok(()),
            (status, reason) if status == "CREATE FAILED" => return Err(reason.into()),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    Err("not ended after 60 s".into())
}
