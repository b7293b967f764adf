//! Where puts go: datasets by tracking id and by ARN, kept in memory because every put asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catalog::{Catalog, DatasetRow};
use model::status::Status;
use model::{Arn, DatasetType, Error, Result};

use crate::dataset::check_active;

use super::mapping::Mapping;

/// A dataset that takes puts.
pub struct Target {
    /// The incarnation: what is kept here of a dataset that was deleted since reaches none of its successors.
    pub dataset_id: i64,
    pub dataset_type: DatasetType,
    pub schema_version: u32,
    pub mapping: Mapping,
}

/// The targets known so far; only those that were ACTIVE are kept.
#[derive(Default)]
pub struct Targets {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    by_key: HashMap<String, Arc<Target>>,
    /// Counts how often all was forgotten, so that what was read before is not kept after.
    generation: u64,
}

impl Targets {
    /// The dataset that the events of a tracker go to.
    ///
    /// # Errors
    /// `Invalid` when there is no such tracker, it is not ACTIVE, or its group has no ACTIVE Interactions dataset.
    pub async fn of_tracker(&self, catalog: &Catalog, tracking_id: &str) -> Result<Arc<Target>> {
        if let Some(target) = self.get(tracking_id) {
            return Ok(target);
        }
        let generation = self.lock().generation;
        let tracked = catalog.tracked(tracking_id).await?.filter(|t| t.tracker.status == Status::Active);
        let tracked = tracked
            .ok_or_else(|| Error::invalid(format!("The given tracking ID does not exist: {tracking_id}")))?;
        let none = || Error::invalid("The dataset group of the event tracker has no Interactions dataset.");
        let dataset = tracked.dataset.ok_or_else(none)?;
        check_active(&dataset).map_err(|e| Error::invalid(e.message()))?;
        Ok(self.keep(tracking_id, &dataset, generation))
    }

    /// The dataset itself; `None` when there is none.
    ///
    /// # Errors
    /// `InUse` when it is not ACTIVE.
    pub async fn of_dataset(&self, catalog: &Catalog, arn: &Arn) -> Result<Option<Arc<Target>>> {
        if let Some(target) = self.get(arn.as_str()) {
            return Ok(Some(target));
        }
        let generation = self.lock().generation;
        let Some(dataset) = catalog.dataset(arn).await? else { return Ok(None) };
        check_active(&dataset)?;
        Ok(Some(self.keep(arn.as_str(), &dataset, generation)))
    }

    /// To be called after every change of a dataset or tracker.
    pub fn forget(&self) {
        let mut known = self.lock();
        known.generation += 1;
        known.by_key.clear();
    }

    fn get(&self, key: &str) -> Option<Arc<Target>> {
        self.lock().by_key.get(key).cloned()
    }

    fn keep(&self, key: &str, dataset: &DatasetRow, generation: u64) -> Arc<Target> {
        let target = Arc::new(Target {
            dataset_id: dataset.id,
            dataset_type: dataset.dataset_type,
            schema_version: dataset.layout.schema_version,
            mapping: Mapping::new(&dataset.layout),
        });
        let mut known = self.lock();
        if known.generation == generation {
            known.by_key.insert(key.to_owned(), target.clone());
        }
        target
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
