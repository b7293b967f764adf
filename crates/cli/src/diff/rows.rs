//! Which rows two exports do not share: both sorted, in little memory, then gone through side by side.

use std::cmp::Ordering;
use std::fs::File;
use std::path::PathBuf;

use model::Clock;
use model::clock::SystemClock;
use model::error::{Context, Error, Result};
use model::manifest::Manifest;
use model::record::hash_id;
use serde::Serialize;
use store::{Arrivals, Sorted, Sorter};

use super::records;
use crate::verify::place::Place;
use proof::plan;

/// What each of the two sorts may take.
const MEMORY_BYTES: usize = 128 << 20;
/// In front of each record, as records that are sorted have it.
const HASH_BYTES: usize = 8;

/// Rows as often as one has them more than the other.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rows {
    pub removed: u64,
    pub added: u64,
    /// The first of them, as CSV.
    pub removed_rows: Vec<String>,
    pub added_rows: Vec<String>,
}

/// Scratch space that goes with the command.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What can't be removed lies where the system clears up.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Compares all rows, by the columns that both exports have.
///
/// # Errors
/// As `records::read`; `Unavailable` when there is no room for sorting.
pub async fn compare(old: (&Place, &Manifest), new: (&Place, &Manifest), limit: usize) -> Result<Rows> {
    let (old_form, new_form) = (plan::form(old.1)?, plan::form(new.1)?);
    let shared = new_form.columns.iter().filter(|name| old_form.columns.contains(name));
    let shared: Vec<String> = shared.cloned().collect();
    if shared.is_empty() {
        return Err(Error::invalid("the two exports share no column"));
    }
    let scratch =
        Scratch(std::env::temp_dir().join(format!("lade-diff-{}", (&SystemClock as &dyn Clock).hex(16))));
    std::fs::create_dir_all(&scratch.0).unavailable(|| "make a folder for sorting".to_owned())?;
    let mut old = sort(old, &shared, &scratch, "old").await?;
    let mut new = sort(new, &shared, &scratch, "new").await?;
    merge(&mut old, &mut new, limit)
}

async fn sort(
    (place, manifest): (&Place, &Manifest),
    columns: &[String],
    scratch: &Scratch,
    side: &str,
) -> Result<Sorted> {
    let form = plan::form(manifest)?;
    let mut sorter = Sorter::new(scratch.0.join(side), MEMORY_BYTES);
    let mut entry = Vec::new();
    for file in &manifest.files {
        let name = file.key.rsplit('/').next().unwrap_or_default();
        let mut take = |record: &[u8]| {
            entry.clear();
            let hash = hash_id(&String::from_utf8_lossy(record));
            entry.extend_from_slice(&hash.to_be_bytes());
            entry.extend_from_slice(record);
            sorter.push(&entry, Arrivals::once(0))
        };
        let spool = spool(scratch, side)?;
        records::read(place, name, &form, columns, spool, &mut take).await?;
    }
    sorter.finish()
}

// A file that is gone when it is closed.
fn spool(scratch: &Scratch, side: &str) -> Result<File> {
    let path = scratch.0.join(format!("{side}.file"));
    let open = File::options().read(true).write(true).create(true).truncate(true).open(&path);
    open.unavailable(|| "make a file for reading".to_owned())
}

type Entry = Option<(Vec<u8>, u64)>;

fn next(sorted: &mut Sorted) -> Result<Entry> {
    Ok(sorted.next_record()?.map(|(entry, arrivals)| (entry.to_vec(), arrivals.copies)))
}

fn merge(old: &mut Sorted, new: &mut Sorted, limit: usize) -> Result<Rows> {
    let mut rows = Rows::default();
    let (mut left, mut right) = (next(old)?, next(new)?);
    loop {
        let order = match (&left, &right) {
            (None, None) => return Ok(rows),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(b),
        };
        let copies = |entry: &Entry| entry.as_ref().map_or(0, |(_, copies)| *copies);
        let (gone, came) = match order {
            Ordering::Less => (copies(&left), 0),
            Ordering::Greater => (0, copies(&right)),
            Ordering::Equal => {
                (copies(&left).saturating_sub(copies(&right)), copies(&right).saturating_sub(copies(&left)))
            }
        };
        rows.removed += gone;
        rows.added += came;
        note(&mut rows.removed_rows, &left, gone, limit);
        note(&mut rows.added_rows, &right, came, limit);
        if order.is_le() {
            left = next(old)?;
        }
        if order.is_ge() {
            right = next(new)?;
        }
    }
}

fn note(rows: &mut Vec<String>, entry: &Entry, copies: u64, limit: usize) {
    if let Some((entry, _)) = entry.as_ref().filter(|_| copies > 0 && rows.len() < limit) {
        rows.push(String::from_utf8_lossy(&entry[HASH_BYTES..]).trim_end_matches('\n').to_owned());
    }
}
