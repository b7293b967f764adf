//! The keys of one dataset's data: what seals from here on, and all that open what was sealed before.

use std::fmt;
use std::sync::Arc;

use model::Clock;

use crate::{Closed, KeyId, Opener, SealingKey, Series};

/// What a kept text begins with.
const PLAIN: u8 = 0;
const SEALED: u8 = 1;

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

    /// The same keys, and all that open what others sealed.
    #[must_use]
    pub fn and_opening_all(self, others: &DataKeys) -> DataKeys {
        DataKeys { opening: self.opening.iter().chain(&*others.opening).cloned().collect(), ..self }
    }

    /// The key that seals, and where its chance comes from; `None` where nothing is sealed.
    pub fn sealing_key(&self) -> Option<(&SealingKey, &Arc<dyn Clock>)> {
        self.sealing.as_ref().map(|sealing| (&sealing.key, &sealing.clock))
    }

    /// What seals small texts; `None` where nothing is sealed.
    pub fn series(&self) -> Option<&Series> {
        self.sealing.as_ref().map(|sealing| &sealing.series)
    }

    /// A text as it is kept: sealed together with `about` where there is a key that seals. It says for itself which.
    pub fn keep(&self, text: &[u8], about: &[u8]) -> Vec<u8> {
        match self.series() {
            None => [&[PLAIN], text].concat(),
            Some(series) => {
                let mut kept = vec![SEALED];
                series.seal(text, about, &mut kept);
                kept
            }
        }
    }

    /// Reads a text that was kept.
    ///
    /// # Errors
    /// `OtherKey`; `Damaged`, also where it was kept about something else.
    pub fn read(&self, kept: &[u8], about: &[u8]) -> Result<Vec<u8>, Closed> {
        match kept.split_first() {
            Some((&PLAIN, text)) => Ok(text.to_vec()),
            Some((&SEALED, sealed)) => {
                Opener::new(self).open(&mut sealed.to_vec(), about).map(|text| text.to_vec())
            }
            _ => Err(Closed::Damaged),
        }
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

#[cfg(test)]
mod tests {
    use model::clock::SystemClock;

    use super::*;

    #[test]
    fn a_kept_text_is_read_by_its_key_whether_it_was_sealed_or_not() {
        let key = SealingKey::random(&SystemClock);
        let sealing = DataKeys::sealing(key.clone(), Arc::new(SystemClock));
        let kept = sealing.keep(b"text", b"about");
        assert!(!kept.windows(4).any(|part| part == b"text"));
        assert_eq!(DataKeys::opening(key).read(&kept, b"about").unwrap(), b"text");
        assert_eq!(DataKeys::default().read(&kept, b"about"), Err(Closed::OtherKey));
        assert_eq!(sealing.read(&kept, b"other"), Err(Closed::Damaged));
        let plain = DataKeys::default().keep(b"text", b"about");
        assert_eq!(sealing.read(&plain, b"about").unwrap(), b"text");
    }
}
