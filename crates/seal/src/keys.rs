//! The keys of one dataset's data: what seals from here on, and all that open what was sealed before.

use std::fmt;
use std::sync::Arc;

use model::Clock;

use crate::{KeyId, SealingKey, Series};

/// What seals a dataset's data and what opens it; without a key nothing is sealed, and nothing sealed can be read.
#[derive(Clone, Default)]
pub struct DataKeys {
    sealing: Option<Arc<Sealing>>,
    opening: Arc<[SealingKey]>,
}

struct Sealing {
    key: SealingKey,
    series: Series,
    clock: Arc<dyn Clock>,
}

impl DataKeys {
    /// Seals with `key`, and opens what it sealed.
    pub fn sealing(key: SealingKey, clock: Arc<dyn Clock>) -> DataKeys {
        let series = Series::begin(&key, &*clock);
        let opening = [key.clone()].into();
        DataKeys { sealing: Some(Arc::new(Sealing { key, series, clock })), opening }
    }

    /// Seals nothing, but opens what `key` sealed.
    pub fn opening(key: SealingKey) -> DataKeys {
        DataKeys { sealing: None, opening: [key].into() }
    }

    /// The same keys, and one more that opens.
    #[must_use]
    pub fn and_opening(self, key: SealingKey) -> DataKeys {
        DataKeys { opening: self.opening.iter().cloned().chain([key]).collect(), ..self }
    }

    /// The key that seals, and where its chance comes from; `None` where nothing is sealed.
    pub fn sealing_key(&self) -> Option<(&SealingKey, &Arc<dyn Clock>)> {
        self.sealing.as_ref().map(|sealing| (&sealing.key, &sealing.clock))
    }

    /// What seals small texts; `None` where nothing is sealed.
    pub fn series(&self) -> Option<&Series> {
        self.sealing.as_ref().map(|sealing| &sealing.series)
    }

    /// The key that opens what was sealed under this id.
    pub fn find(&self, id: KeyId) -> Option<&SealingKey> {
        self.opening.iter().find(|key| key.id() == id)
    }
}

impl fmt::Debug for DataKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKeys(seals: {}, opens with {})", self.sealing.is_some(), self.opening.len())
    }
}
