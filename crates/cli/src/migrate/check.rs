//! Whether the target holds what the source does: numbers of records, and the records themselves where it is asked for.

use model::error::{Error, Result};
use serde::Serialize;
use serde_json::json;

use super::bring::{Bringing, allow_actions};
use super::compare::{each, sorted};
use super::export;
use super::side::text;
use crate::job::AnyLedger;

/// So many records that differ are shown.
const SHOWN: usize = 5;

/// One mode of one dataset on both sides.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    pub dataset: String,
    pub mode: &'static str,
    pub source_rows: u64,
    pub target_rows: u64,
    /// Records of one side alone, where they were compared.
    pub differences: Option<u64>,
    /// The first of them: `-` those of the source, `+` those of the target.
    pub examples: Vec<String>,
}

impl Check {
    pub fn is_same(&self) -> bool {
        self.source_rows == self.target_rows && self.differences.unwrap_or(0) == 0
    }
}

impl Bringing<'_> {
    /// Compares the modes that were exported at the source.
    ///
    /// # Errors
    /// When the target can't export.
    pub async fn check(&mut self, is_thorough: bool) -> Result<Vec<Check>> {
        let mut checks = Vec::new();
        for mode in ["BULK", "PUT", "ALL"] {
            let export = self.work.dataset(self.key).exports.get(mode);
            let Some(source_rows) = export.map(|export| export.rows) else { continue };
            checks.push(match is_thorough {
                true => self.compare(mode, source_rows).await?,
                false => self.count(mode, source_rows).await?,
            });
        }
        Ok(checks)
    }

    // The target tells what it would write, and writes nothing.
    async fn count(&mut self, mode: &'static str, source_rows: u64) -> Result<Check> {
        let name = self.work.job_name()?;
        let mut tags = vec![json!({ "tagKey": "lade:output", "tagValue": "digest" })];
        if !self.layout.dataset_type.is_exportable() {
            tags.push(allow_actions());
        }
        let input = json!({ "jobName": name, "datasetArn": self.dataset_arn, "ingestionMode": mode,
            "roleArn": self.place.role_arn, "tags": tags,
            "jobOutput": { "s3DataDestination": { "path": self.place.path() } } });
        let arn =
            text(&self.target.create_job("CreateDatasetExportJob", input).await?, "datasetExportJobArn")?;
        let of_job = json!({ "datasetExportJobArn": arn });
        self.target.until_active("DescribeDatasetExportJob", of_job, "datasetExportJob").await?;
        let job = self.target.control.job(&arn).await?;
        let Some(AnyLedger::Export(ledger)) = job.members.ledger else {
            return Err(Error::unavailable(format!("the target does not tell the ledger of {arn}")));
        };
        let (dataset, examples) = (self.key.to_owned(), vec![]);
        Ok(Check { dataset, mode, source_rows, target_rows: ledger.written, differences: None, examples })
    }

    async fn compare(&mut self, mode: &'static str, source_rows: u64) -> Result<Check> {
        let wanted = self.target_export(mode);
        let slot = format!("TARGET-{mode}");
        export::all(self.work, self.target, (self.key, self.layout), &[wanted.wanted()]).await?;
        let scratch = self.work.folder.join("scratch");
        let target_rows = self.work.dataset(self.key).exports.get(&slot).map_or(0, |export| export.rows);
        let mut source =
            sorted(self.layout, export::of_slot(self.work, self.key, mode)?, &scratch, "source")?;
        let mut target =
            sorted(self.layout, export::of_slot(self.work, self.key, &slot)?, &scratch, "target")?;
        let (mut differences, mut examples) = (0, Vec::new());
        each(&mut source, &mut target, |pair| {
            differences += pair.left.abs_diff(pair.right);
            if pair.left != pair.right && examples.len() < SHOWN {
                let sign = if pair.left > pair.right { '-' } else { '+' };
                examples.push(format!("{sign} {}", String::from_utf8_lossy(pair.line).trim_end()));
            }
            Ok(())
        })?;
        drop((source, target));
        export::forget(self.work, self.key, &slot)?;
        let dataset = self.key.to_owned();
        Ok(Check { dataset, mode, source_rows, target_rows, differences: Some(differences), examples })
    }
}
