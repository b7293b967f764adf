//! The hashes of a column of ids; equal neighbours, of which there are many, are hashed once.

use arrow_array::{Array, StringArray};
use model::record::hash_id;

use super::{Coded, Values};

/// None when the column holds no strings.
pub(crate) fn hash_ids(ids: &Values) -> Option<Vec<u64>> {
    match ids {
        Values::Strings(ids) => Some(of_strings(ids)),
        Values::Coded(ids) => Some(of_codes(ids)),
        _ => None,
    }
}

// Where there is no id, canonical bytes begin with a hash of 0, too.
fn of_strings(ids: &StringArray) -> Vec<u64> {
    let mut hashes: Vec<u64> = Vec::with_capacity(ids.len());
    for row in 0..ids.len() {
        let hash = match hashes.last() {
            _ if ids.is_null(row) => 0,
            Some(&last) if ids.is_valid(row - 1) && ids.value(row) == ids.value(row - 1) => last,
            _ => hash_id(ids.value(row)),
        };
        hashes.push(hash);
    }
    hashes
}

fn of_codes(ids: &Coded) -> Vec<u64> {
    let (mut code, mut hash) = (-1, 0);
    let mut hash_of = |next: i32| {
        if next != code {
            (code, hash) = (next, hash_id(ids.dictionary().value(next as usize)));
        }
        hash
    };
    match ids.codes().null_count() {
        0 => ids.codes().values().iter().map(|&code| hash_of(code)).collect(),
        _ => ids.codes().iter().map(|code| code.map_or(0, &mut hash_of)).collect(),
    }
}
