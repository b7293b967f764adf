//! Where puts go: datasets by tracking id and by ARN, kept in memory because every put asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catalog::{Catalog, DatasetRow};
use model::status::Status;
use model::{Arn, DatasetType, Error, ErrorKind, Result};

use crate::dataset::check_active;

use super::count::{Counter, PutCounts};
use super::mapping::Mapping;

/// A dataset that takes puts.
pub struct Target {
    /// The incarnation: what is kept here of a dataset that was deleted since reaches none of its successors.
    pub dataset_id: i64,
    pub group_arn: Arn,
    pub dataset_type: DatasetType,
    pub schema_version: u32,
    pub mapping: Mapping,
    pub counter: Arc<Counter>,
}

/// The targets known so far; only those that were ACTIVE, and not being updated, are kept.
#[derive(Default)]
pub struct Targets {
    known: Mutex<Known>,
    /// What was put to them.
    pub counts: PutCounts,
}

/// How a put names its target: what names one thing here may name another there.
#[derive(Clone, Copy)]
enum By {
    /// An event tracker's tracking id.
    Tracker,
    /// The tracking id of a dataset of action interactions.
    ActionInteractions,
    /// A dataset's ARN.
    Dataset,
}

#[derive(Default)]
struct Known {
    /// One map for each way to name a target.
    by: [HashMap<String, Arc<Target>>; 3],
    /// Counts how often all was forgotten, so that what was read before is not kept after.
    generation: u64,
}

impl Targets {
    /// The dataset that the events of a tracker go to.
    ///
    /// # Errors
    /// `Invalid` when there is no such tracker, it is not ACTIVE, or its group has no ACTIVE Interactions dataset.
    pub async fn of_tracker(&self, catalog: &Catalog, tracking_id: &str) -> Result<Arc<Target>> {
        if let Some(target) = self.get(catalog, By::Tracker, tracking_id) {
            return Ok(target);
        }
        let generation = self.lock().generation;
        let tracked = catalog.tracked(tracking_id).await?.filter(|t| t.tracker.status == Status::Active);
        let tracked = tracked.ok_or_else(|| Error::invalid(unknown(tracking_id)))?;
        let none = || Error::invalid("The dataset group of the event tracker has no Interactions dataset.");
        let dataset = tracked.dataset.ok_or_else(none)?;
        check_active(&dataset).map_err(|e| Error::invalid(e.message()))?;
        Ok(self.keep(By::Tracker, tracking_id, &dataset, generation))
    }

    /// The dataset that the action interactions under a tracking id go to.
    ///
    /// # Errors
    /// `NotFound` when no dataset of action interactions has the id; `InUse` when it is not ACTIVE.
    pub async fn of_action_interactions(&self, catalog: &Catalog, tracking_id: &str) -> Result<Arc<Target>> {
        if let Some(target) = self.get(catalog, By::ActionInteractions, tracking_id) {
            return Ok(target);
        }
        let generation = self.lock().generation;
        let none = || Error::new(ErrorKind::NotFound, unknown(tracking_id));
        let dataset = catalog.dataset_tracked(tracking_id).await?.ok_or_else(none)?;
        check_active(&dataset)?;
        Ok(self.keep(By::ActionInteractions, tracking_id, &dataset, generation))
    }

    /// The dataset itself; `None` when there is none.
    ///
    /// # Errors
    /// `InUse` when it is not ACTIVE, or is being updated.
    pub async fn of_dataset(&self, catalog: &Catalog, arn: &Arn) -> Result<Option<Arc<Target>>> {
        if let Some(target) = self.get(catalog, By::Dataset, arn.as_str()) {
            return Ok(Some(target));
        }
        let generation = self.lock().generation;
        let Some(dataset) = catalog.dataset(arn).await? else { return Ok(None) };
        check_active(&dataset)?;
        Ok(Some(self.keep(By::Dataset, arn.as_str(), &dataset, generation)))
    }

    /// To be called after every change of a dataset or tracker.
    pub fn forget(&self) {
        let mut known = self.lock();
        known.generation += 1;
        known.by = Default::default();
    }

    fn get(&self, catalog: &Catalog, by: By, key: &str) -> Option<Arc<Target>> {
        // What another node has changed a while ago must not be missed.
        if catalog.is_behind() {
            return None;
        }
        self.lock().by[by as usize].get(key).cloned()
    }

    fn keep(&self, by: By, key: &str, dataset: &DatasetRow, generation: u64) -> Arc<Target> {
        let target = Arc::new(Target {
            dataset_id: dataset.id,
            group_arn: dataset.group_arn.clone(),
            dataset_type: dataset.dataset_type,
            schema_version: dataset.layout.schema_version,
            mapping: Mapping::new(&dataset.layout),
            counter: self.counts.of(dataset.id),
        });
        let mut known = self.lock();
        if known.generation == generation {
            known.by[by as usize].insert(key.to_owned(), target.clone());
        }
        target
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown(tracking_id: &str) -> String {
    format!("The given tracking ID does not exist: {tracking_id}")
}
