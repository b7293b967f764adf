//! Strings by their places in a dictionary: what a run keeps of a column whose values repeat.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, Int32Array, StringArray};

/// The distinct values of a column in one row group; batches share it.
#[derive(Debug)]
pub struct Dictionary {
    values: StringArray,
}

/// A column of strings: for each record the code of its value, null where it has none.
#[derive(Clone, Debug)]
pub struct Coded {
    codes: Int32Array,
    dictionary: Arc<Dictionary>,
}

impl Dictionary {
    pub fn new(values: StringArray) -> Dictionary {
        Dictionary { values }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    #[inline]
    pub fn value(&self, code: usize) -> &str {
        self.values.value(code)
    }

    // Whoever holds a dictionary keeps its bytes where they are, so equal places mean equal values.
    fn is_made_of(&self, values: &StringArray) -> bool {
        std::ptr::eq(self.values.value_data(), values.value_data())
            && std::ptr::eq(&raw const *self.values.value_offsets(), &raw const *values.value_offsets())
    }
}

impl Coded {
    /// Strings that were read with their dictionary, which is `last` when it is still the same; none when they are
    /// anything else.
    pub(crate) fn read(array: &ArrayRef, last: Option<&Arc<Dictionary>>) -> Option<Coded> {
        let array = array.as_dictionary_opt::<Int32Type>()?;
        let values = array.values().as_string_opt::<i32>()?;
        let dictionary = match last {
            Some(last) if last.is_made_of(values) => last.clone(),
            _ => Arc::new(Dictionary::new(values.clone())),
        };
        // Codes were checked when they were read, but for those of a dictionary of nothing.
        let is_sound = !dictionary.is_empty() || array.keys().null_count() == array.len();
        is_sound.then(|| Coded { codes: array.keys().clone(), dictionary })
    }

    /// # Panics
    /// When a code is not one of the dictionary's.
    pub fn new(codes: Int32Array, dictionary: Arc<Dictionary>) -> Coded {
        let is_known = |code: i32| usize::try_from(code).is_ok_and(|code| code < dictionary.len());
        assert!(codes.iter().flatten().all(is_known), "a code is not one of the dictionary's");
        Coded { codes, dictionary }
    }

    pub fn dictionary(&self) -> &Arc<Dictionary> {
        &self.dictionary
    }

    pub fn codes(&self) -> &Int32Array {
        &self.codes
    }

    pub fn is_null(&self, row: usize) -> bool {
        self.codes.is_null(row)
    }

    /// The value of a record that has one.
    #[inline]
    pub fn value(&self, row: usize) -> &str {
        self.dictionary.value(self.codes.value(row) as usize)
    }

    /// Whether two records have one code of one dictionary: their values are equal then, and may be equal otherwise.
    pub(crate) fn is_same(&self, row: usize, other: &Coded, other_row: usize) -> bool {
        Arc::ptr_eq(&self.dictionary, &other.dictionary)
            && self.codes.value(row) == other.codes.value(other_row)
    }
}
