//! Updates of datasets: the new schema's layout worked out, then put in the old one's place in one transaction.

use catalog::{DatasetRow, JobRow, Lease};
use model::error::{Error, ErrorKind, Result};
use model::{Arn, Layout, Schema};

use crate::{Parts, dataset_of};

/// Nothing that is stored is rewritten: older records are read as such that have the new columns null.
pub async fn run(parts: &Parts, job: &JobRow, lease: &Lease) -> Result<()> {
    parts.catalog.begin_dataset_update(lease).await?;
    // From here on nobody learns the old layout anew; the door that made the job may have gone before it forgot it.
    (parts.dataset_changed)();
    let dataset = dataset_of(parts, job).await?;
    let schema_arn = job.update_request()?.schema_arn;
    let layout = new_layout(parts, &dataset, &schema_arn).await?;
    parts.catalog.finish_dataset_update(lease, dataset.id, &schema_arn, &layout).await
}

async fn new_layout(parts: &Parts, dataset: &DatasetRow, schema_arn: &Arn) -> Result<Layout> {
    let gone = || Error::new(ErrorKind::NotFound, format!("The given schema does not exist: {schema_arn}"));
    let row = parts.catalog.schema(schema_arn).await?.ok_or_else(gone)?;
    let schema = Schema::parse(&row.document, row.domain)
        .map_err(|problems| Error::corrupt("a stored schema can't be read").caused_by(problems.join(" ")))?;
    dataset.layout.replaced_by(&schema).map_err(|problems| Error::invalid(problems.join(" ")))
}
