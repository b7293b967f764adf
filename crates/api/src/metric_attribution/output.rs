//! Where reports go and as whom they are written: as requests say it, and whether it works.

use access::{Errand, S3Location};
use catalog::{DatasetRow, MetricsOutput};
use model::metric::report_name;
use model::{Arn, DatasetType, Error, ImportMode, Result};
use serde::{Deserialize, Serialize};
use wire::shape::{Shape, Structure, optional, required};

use crate::door::Api;
use crate::{probe, shapes};

static DESTINATION: Structure =
    Structure::new(&[required("path", shapes::s3_location()), optional("kmsKeyArn", shapes::kms_key_arn())]);
pub static SHAPE: Structure = Structure::new(&[
    required("roleArn", shapes::role_arn()),
    optional("s3DataDestination", Shape::Structure(&DESTINATION)),
]);

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_data_destination: Option<Destination>,
    role_arn: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Destination {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_arn: Option<String>,
}

impl OutputConfig {
    pub fn into_stored(self) -> MetricsOutput {
        let (path, kms_key_arn) = match self.s3_data_destination {
            Some(Destination { path, kms_key_arn }) => (Some(path), kms_key_arn),
            None => (None, None),
        };
        MetricsOutput { role_arn: self.role_arn, path, kms_key_arn }
    }

    pub fn from_stored(output: MetricsOutput) -> OutputConfig {
        let s3_data_destination =
            output.path.map(|path| Destination { path, kms_key_arn: output.kms_key_arn });
        OutputConfig { s3_data_destination, role_arn: output.role_arn }
    }
}

/// Checks that the service can act as the role and, where there is a destination, that reports can be written there.
///
/// # Errors
/// `Invalid` for the role, the path, a key, or a privilege that is missing.
pub async fn check(api: &Api, attribution: &Arn, config: &OutputConfig) -> Result<()> {
    let Some(destination) = &config.s3_data_destination else {
        return api.access.check_role(&config.role_arn, attribution).await;
    };
    probe(api, attribution, &config.role_arn, destination, ImportMode::Full).await
}

/// Checks that an import job of this dataset can publish a report.
///
/// # Errors
/// `Invalid` when the group has no metric attribution with a destination, or the report could not be written there.
pub async fn can_publish(api: &Api, job: &Arn, dataset: &DatasetRow, mode: ImportMode) -> Result<()> {
    if dataset.dataset_type != DatasetType::Interactions {
        return Err(Error::invalid(format!(
            "Only imports of interactions publish metrics: {} is of type {}.",
            dataset.arn,
            dataset.dataset_type.as_str()
        )));
    }
    let attribution = api.catalog.metric_attribution_of(&dataset.group_arn).await?;
    let Some(MetricsOutput { role_arn, path: Some(path), kms_key_arn }) = attribution.map(|row| row.output)
    else {
        return Err(Error::invalid(format!(
            "There is nothing to publish: the dataset group has no metric attribution with an S3 destination: {}",
            dataset.group_arn
        )));
    };
    probe(api, job, &role_arn, &Destination { path, kms_key_arn }, mode).await
}

async fn probe(
    api: &Api,
    source: &Arn,
    role: &str,
    destination: &Destination,
    mode: ImportMode,
) -> Result<()> {
    let place =
        S3Location::parse(&destination.path).ok_or_else(|| Error::invalid("Invalid S3 output path"))?;
    let name = report_name(mode, api.clock.now_ms().div_euclid(1000));
    let key = format!("{}{name}", place.prefix());
    let errand = Errand::reporting(&place.bucket, &key).under(destination.kms_key_arn.as_deref());
    let bucket = api.access.open_bucket(role, source, &errand).await?;
    let Some(kms_key_arn) = &destination.kms_key_arn else {
        return probe::report_destination(&bucket, &key).await;
    };
    let object = model::arn::object(&place.bucket, &key);
    let usable = api.access.probe_key(role, source, kms_key_arn, &object).await;
    // A key that can't be used is told behind what is wrong with the bucket.
    let bucket = if usable.is_ok() { bucket.with_key(Some(kms_key_arn.clone())) } else { bucket };
    probe::report_destination(&bucket, &key).await.and(usable)
}
