//! All that a snapshot holds of one user, as CSV.

use model::Layout;
use model::error::Result;
use model::record::{Value, hash_id};
use store::merge::{Batches, Merge};
use store::{Piece, Rows};

use super::Source;
use crate::Progress;

/// How much is handed on at once.
const PIECE_BYTES: usize = 64 << 10;

/// Writes a header and every distinct record of a user, in record order, those that newer ones supersede among them:
/// the question is what is held of a person. Holds one batch of each run and one piece of output in memory; the number
/// of records.
///
/// The dataset is one that is ordered by USER_ID.
///
/// # Errors
/// `Corrupt` when a run is damaged; those of `emit`.
pub fn export_user(
    layout: &Layout,
    source: &Source,
    user: &str,
    progress: &Progress,
    emit: &mut dyn FnMut(Vec<u8>) -> Result<()>,
) -> Result<u64> {
    let hash = hash_id(user);
    let mut runs: Vec<Batches> = Vec::with_capacity(source.runs.len());
    for source in &source.runs {
        runs.push(Box::new(source.run.read(hash..=hash, true)?));
    }
    let mut merge = Merge::new(layout, runs)?;
    let mut writer = Writer { layout, user, text: Vec::new(), rows: 0 };
    csv::write::write_header(layout.columns.iter().map(|c| c.name()), &mut writer.text);
    while let Some(piece) = merge.next_piece()? {
        progress.check()?;
        match piece {
            Piece::Span { rows, range, .. } => range.for_each(|row| writer.write(&rows, row)),
            Piece::One(merged) => writer.write(&merged.rows, merged.row),
        }
        if writer.text.len() >= PIECE_BYTES {
            emit(std::mem::take(&mut writer.text))?;
        }
    }
    emit(writer.text)?;
    Ok(writer.rows)
}

struct Writer<'a> {
    layout: &'a Layout,
    user: &'a str,
    text: Vec<u8>,
    rows: u64,
}

impl Writer<'_> {
    // Others may have the same hash.
    fn write(&mut self, rows: &Rows, row: usize) {
        let is_user = |id: &Value<'_>| matches!(id, Value::String(id) if id == self.user);
        if is_user(&rows.columns[self.layout.id_column()].get(row)) {
            let values: Vec<Value<'_>> = rows.columns.iter().map(|column| column.get(row)).collect();
            csv::write::write_record(&values, &mut self.text);
            self.rows += 1;
        }
    }
}
