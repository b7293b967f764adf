//! Deletion: files of ids → one sorted list; a run → what is left of it without the records of the listed users.

use std::sync::Arc;

use csv::Header;
use model::Layout;
use model::error::{Error, Result};
use model::record::Value;
use store::compact::Input;
use store::{Arrivals, Objects, Rows, RunFile, RunReader, RunWriter};

use crate::Progress;
use crate::import::{SourceFile, Target, write_run};

/// Whose records go, and which of them.
#[derive(Clone, Debug)]
pub struct Doomed {
    /// The object that `read_list` wrote.
    pub list: String,
    /// Records with a smaller sequence number go; later ones are new data.
    pub before: u64,
}

/// What is left of a run.
#[derive(Debug)]
pub struct Remainder {
    /// May hold no record at all.
    pub file: RunFile,
    /// How many records went, duplicates counted.
    pub deleted: u64,
}

const CHECK_EVERY_ROWS: u64 = 8192;

/// Reads the files of a data deletion job into a run of distinct user ids, so that a list of any length can be merged
/// with the runs of a dataset.
///
/// # Errors
/// As `import`, and `Invalid` for a file with columns beside USER_ID.
pub fn read_list(
    files: impl IntoIterator<Item = Result<SourceFile>>,
    target: &Target<'_>,
    progress: &Progress,
) -> Result<RunFile> {
    write_run(&Layout::of_user_ids(), Header::match_columns_only, files, target, None, progress).1
}

/// Writes what is left of a run to `object`; `None`, and no object, when nothing of it goes.
///
/// The run is one of a dataset that is ordered by USER_ID. Holds a batch of it and a batch of the list in memory.
/// Of equal records that arrived before and after the border, the last one stays.
///
/// Source: "Deleting users and their data".
///
/// # Errors
/// `Corrupt` when a run is damaged; `Unavailable` when a read or write fails, or the work was stopped.
pub fn remove(
    objects: &Objects,
    object: &str,
    layout: &Layout,
    run: &Input,
    doomed: &Doomed,
    progress: &Progress,
) -> Result<Option<Remainder>> {
    // Most runs of a large dataset hold none of a few users: a first look writes nothing, and ends at the first match.
    let mut filter = Filter::open(objects, layout, run, doomed, progress)?;
    while let Some(seen) = filter.next()? {
        if seen.deleted > 0 {
            let again =
                Filter { counted: filter.counted, ..Filter::open(objects, layout, run, doomed, progress)? };
            return write_rest(objects, object, layout, again).map(Some);
        }
    }
    Ok(None)
}

/// How many records of a run would have to go.
///
/// # Errors
/// As `remove`.
pub fn count(
    objects: &Objects,
    layout: &Layout,
    run: &Input,
    doomed: &Doomed,
    progress: &Progress,
) -> Result<u64> {
    let mut filter = Filter::open(objects, layout, run, doomed, progress)?;
    let mut found = 0;
    while let Some(seen) = filter.next()? {
        found += seen.deleted;
    }
    Ok(found)
}

fn write_rest(objects: &Objects, object: &str, layout: &Layout, mut filter: Filter<'_>) -> Result<Remainder> {
    let mut writer = RunWriter::create(objects, object, layout)?;
    let mut deleted = 0;
    while let Some(seen) = filter.next()? {
        deleted += seen.deleted;
        if let Some(arrivals) = seen.kept {
            writer.push_row(&seen.rows, seen.row, arrivals)?;
        }
    }
    Ok(Remainder { file: writer.finish()?, deleted })
}

/// One record of a run, judged.
struct Judged {
    rows: Arc<Rows>,
    row: usize,
    kept: Option<Arrivals>,
    deleted: u64,
}

/// Goes through a run and the list side by side.
struct Filter<'a> {
    run: Cursor,
    list: Cursor,
    id_column: usize,
    before: u64,
    progress: &'a Progress,
    seen: u64,
    /// How many records are in `progress`; of a run that is gone through again, those of the first time too.
    counted: u64,
}

impl<'a> Filter<'a> {
    fn open(
        objects: &Objects,
        layout: &Layout,
        run: &Input,
        doomed: &Doomed,
        progress: &'a Progress,
    ) -> Result<Filter<'a>> {
        Ok(Filter {
            run: Cursor::open(RunReader::open(objects, &run.object, layout, run.sequence_base)?)?,
            list: Cursor::open(RunReader::open(objects, &doomed.list, &Layout::of_user_ids(), 0)?)?,
            id_column: layout.id_column(),
            before: doomed.before,
            progress,
            seen: 0,
            counted: 0,
        })
    }

    fn next(&mut self) -> Result<Option<Judged>> {
        let Some(rows) = self.run.rows.clone() else {
            self.count();
            return Ok(None);
        };
        let row = self.run.row;
        let is_listed = self.is_listed(&rows, row)?;
        self.run.advance()?;
        self.seen += 1;
        if self.seen.is_multiple_of(CHECK_EVERY_ROWS) {
            self.progress.check()?;
            self.count();
        }
        let arrivals = rows.arrivals[row];
        let (kept, deleted) = if is_listed { judge(arrivals, self.before) } else { (Some(arrivals), 0) };
        Ok(Some(Judged { rows, row, kept, deleted }))
    }

    fn count(&mut self) {
        let more = self.seen.saturating_sub(self.counted);
        self.progress.add(more, 0);
        self.counted += more;
    }

    // Both are in the order of hash and id, so the list only ever moves forward.
    fn is_listed(&mut self, rows: &Rows, row: usize) -> Result<bool> {
        while let Some(list) = &self.list.rows {
            let (listed, hash) = (list.hashes[self.list.row], rows.hashes[row]);
            if listed > hash {
                return Ok(false);
            }
            if listed == hash {
                let (listed, id) =
                    (list.columns[0].get(self.list.row), rows.columns[self.id_column].get(row));
                match text(&listed).cmp(text(&id)) {
                    std::cmp::Ordering::Less => {}
                    order => return Ok(order.is_eq()),
                }
            }
            self.list.advance()?;
        }
        Ok(false)
    }
}

// A listed user's record, or what is left of it: how many of its copies came after the border is not known, but the last did.
fn judge(arrivals: Arrivals, before: u64) -> (Option<Arrivals>, u64) {
    if arrivals.sequence_max < before {
        (None, arrivals.copies)
    } else if arrivals.sequence_min >= before {
        (Some(arrivals), 0)
    } else {
        (Some(Arrivals::once(arrivals.sequence_max)), arrivals.copies - 1)
    }
}

fn text<'a>(id: &'a Value<'_>) -> &'a str {
    match id {
        Value::String(text) => text,
        _ => "",
    }
}

/// A place in a run.
struct Cursor {
    batches: RunReader,
    /// None at the end.
    rows: Option<Arc<Rows>>,
    row: usize,
    /// The hash of the record at this place.
    hash: u64,
}

impl Cursor {
    fn open(batches: RunReader) -> Result<Cursor> {
        let mut cursor = Cursor { batches, rows: None, row: 0, hash: 0 };
        cursor.next_batch()?;
        cursor.check_order()?;
        Ok(cursor)
    }

    fn advance(&mut self) -> Result<()> {
        self.row += 1;
        if self.rows.as_ref().is_none_or(|rows| self.row >= rows.len()) {
            self.next_batch()?;
        }
        self.check_order()
    }

    fn next_batch(&mut self) -> Result<()> {
        self.row = 0;
        loop {
            self.rows = self.batches.next().transpose()?;
            if self.rows.as_ref().is_none_or(|rows| !rows.is_empty()) {
                return Ok(());
            }
        }
    }

    // Out of order, the two would be read past each other, and records would stay that have to go.
    fn check_order(&mut self) -> Result<()> {
        let Some(rows) = &self.rows else { return Ok(()) };
        let last = std::mem::replace(&mut self.hash, rows.hashes[self.row]);
        if self.hash < last { Err(Error::corrupt("a run is out of order")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
