//! What the demonstration does, step by step, through the same doors that every client uses.

use std::time::{Duration, Instant};

use model::error::{Error, Result};
use model::manifest::Manifest;
use serde_json::{Value, json};

use super::data::{self, Shop};
use super::show;
use crate::client::Client;
use crate::client::place::Place;
use crate::say;
use crate::serve::Server;

const BUCKET: &str = "demo-personalize";
const EVENT_CALLS: usize = 400;
const ITEM_CALLS: usize = 20;
const USER_CALLS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);

struct Dataset {
    name: &'static str,
    arn: String,
}

struct Story {
    client: Client,
    role_arn: String,
    datasets: Vec<Dataset>,
    tracking_id: String,
}

pub async fn tell(server: &Server) -> Result<()> {
    let shop = Shop::open();
    let story = Story::prepare(server).await?;
    story.import(&shop).await?;
    story.put_live(&shop).await?;
    story.export_all().await
}

impl Story {
    async fn prepare(server: &Server) -> Result<Story> {
        let realm = &server.realm;
        let key = &server.root;
        let client =
            Client::new(server.url(), realm.region.clone(), &key.access_key_id, &key.secret_access_key);
        let place = Place::make(&client, BUCKET).await?;
        let group = client.personalize("CreateDatasetGroup", json!({ "name": "demo-shop" })).await?;
        let group = text(&group, "datasetGroupArn")?;
        let mut datasets = Vec::new();
        for (name, schema) in [
            ("Interactions", data::INTERACTIONS_SCHEMA),
            ("Items", data::ITEMS_SCHEMA),
            ("Users", data::USERS_SCHEMA),
        ] {
            datasets.push(create_dataset(&client, &group, name, schema).await?);
        }
        let tracker = json!({ "name": "demo-tracker", "datasetGroupArn": group });
        let tracking_id = text(&client.personalize("CreateEventTracker", tracker).await?, "trackingId")?;
        Ok(Story { client, role_arn: place.role_arn, datasets, tracking_id })
    }

    async fn import(&self, shop: &Shop) -> Result<()> {
        say!("Bulk import from s3://{BUCKET}/in/");
        let files = [shop.interactions_csv(), shop.items_csv(), shop.users_csv()];
        for (dataset, csv) in self.datasets.iter().zip(files) {
            let (rows, key) = (csv.lines().count() - 1, format!("in/{}.csv", dataset.name));
            self.client.s3_put(&format!("/{BUCKET}/{key}"), csv).await?;
            let job = json!({
                "jobName": format!("import-{}", dataset.name), "datasetArn": dataset.arn, "roleArn": self.role_arn,
                "dataSource": { "dataLocation": format!("s3://{BUCKET}/{key}") },
            });
            let arn =
                text(&self.client.personalize("CreateDatasetImportJob", job).await?, "datasetImportJobArn")?;
            let label = format!("{} ({rows} rows)", dataset.name);
            self.wait(&label, "DatasetImportJob", "datasetImportJob", &arn).await?;
        }
        Ok(())
    }

    async fn put_live(&self, shop: &Shop) -> Result<()> {
        say!("\nLive records, each call answered when its records are on the disk");
        let begun = Instant::now();
        let bar = show::bar("PutEvents, PutItems, PutUsers", EVENT_CALLS + ITEM_CALLS + USER_CALLS);
        for _ in 0..EVENT_CALLS {
            self.client.put_records("/events", shop.events(&self.tracking_id)).await?;
            bar.inc(1);
        }
        for _ in 0..ITEM_CALLS {
            self.client.put_records("/items", shop.price_changes(&self.datasets[1].arn)).await?;
            bar.inc(1);
        }
        for _ in 0..USER_CALLS {
            self.client.put_records("/users", shop.sign_ups(&self.datasets[2].arn)).await?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        let records = 10 * (EVENT_CALLS + ITEM_CALLS + USER_CALLS);
        say!("  {records} records in {:.2} s", begun.elapsed().as_secs_f64());
        Ok(())
    }

    async fn export_all(&self) -> Result<()> {
        say!("\nExports to s3://{BUCKET}/out/");
        let mut ledgers = Vec::new();
        for dataset in &self.datasets {
            for mode in ["BULK", "PUT", "ALL"] {
                let manifest = self.export(dataset, mode).await?;
                ledgers.push((dataset.name, mode, manifest.ledger));
            }
        }
        show::ledgers(&ledgers);
        Ok(())
    }

    async fn export(&self, dataset: &Dataset, mode: &str) -> Result<Manifest> {
        let name = format!("{}-{mode}", dataset.name);
        let job = json!({
            "jobName": name, "datasetArn": dataset.arn, "roleArn": self.role_arn, "ingestionMode": mode,
            "jobOutput": { "s3DataDestination": { "path": format!("s3://{BUCKET}/out/") } },
        });
        let arn =
            text(&self.client.personalize("CreateDatasetExportJob", job).await?, "datasetExportJobArn")?;
        self.wait(&format!("{} {mode}", dataset.name), "DatasetExportJob", "datasetExportJob", &arn).await?;
        let manifest = self.client.s3_get(&format!("/{BUCKET}/out/{name}/_manifest.json")).await?;
        let manifest: Manifest = serde_json::from_slice(&manifest)
            .map_err(|e| Error::corrupt("the manifest can't be read").caused_by(e))?;
        for file in &manifest.files {
            let bytes = self.client.s3_get(&format!("/{BUCKET}/{}", file.key)).await?;
            show::check_file(file, &bytes)?;
            show::first_lines(&file.key, &bytes);
        }
        Ok(manifest)
    }

    /// Waits for a job as any client does: by asking.
    async fn wait(&self, label: &str, operation: &str, member: &str, arn: &str) -> Result<()> {
        let begun = Instant::now();
        let spinner = show::spinner(label);
        let input = json!({ format!("{member}Arn"): arn });
        while begun.elapsed() < PATIENCE {
            let answer = self.client.personalize(&format!("Describe{operation}"), input.clone()).await?;
            let job = &answer[member];
            match job["status"].as_str().unwrap_or_default() {
                "ACTIVE" => {
                    spinner.finish_and_clear();
                    say!("  {label}: ACTIVE after {} ms", begun.elapsed().as_millis());
                    return Ok(());
                }
                "CREATE FAILED" => {
                    return Err(Error::invalid(format!("{label} failed: {}", job["failureReason"])));
                }
                status => spinner.set_message(format!("{label}: {status}")),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(Error::unavailable(format!("{label} took too long")))
    }
}

async fn create_dataset(
    client: &Client,
    group: &str,
    name: &'static str,
    schema: &'static str,
) -> Result<Dataset> {
    let input = json!({ "name": format!("demo-{name}"), "schema": schema });
    let schema_arn = text(&client.personalize("CreateSchema", input).await?, "schemaArn")?;
    let input = json!({
        "name": format!("demo-{name}"), "datasetGroupArn": group, "datasetType": name, "schemaArn": schema_arn,
    });
    let arn = text(&client.personalize("CreateDataset", input).await?, "datasetArn")?;
    Ok(Dataset { name, arn })
}

fn text(answer: &Value, member: &str) -> Result<String> {
    let found = answer[member].as_str().map(str::to_owned);
    found.ok_or_else(|| Error::internal(format!("an answer has no {member}")))
}
