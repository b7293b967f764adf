//! Where ranges begin and end: files are cut by bytes, and what was read from a wrong place is found when all are put together.

use access::bucket::ObjectEntry;

use super::{Piece, Range, Read};

/// An import is cut into no more tasks, each of which leaves a run.
pub const TASKS_MAX: u64 = 256;

/// Cuts files into ranges of about this size, in order.
pub fn cut(files: &[ObjectEntry], task_bytes: u64) -> Vec<Vec<Piece>> {
    let total: u64 = files.iter().map(|file| file.size).sum();
    let most = task_bytes.max(total.div_ceil(TASKS_MAX)).max(1);
    let (mut tasks, mut task, mut room) = (Vec::new(), Vec::new(), most);
    for file in files {
        let mut begin = 0;
        loop {
            let end = file.size.min(begin + room);
            let (key, etag, size) = (file.key.clone(), file.etag.clone(), file.size);
            task.push(Piece { key, etag, size, begin, end });
            room -= end - begin;
            if room == 0 {
                tasks.push(std::mem::take(&mut task));
                room = most;
            }
            begin = end;
            if begin >= file.size {
                break;
            }
        }
    }
    tasks.extend((!task.is_empty()).then_some(task));
    tasks
}

/// Whether ranges fit each other.
#[derive(Debug, PartialEq, Eq)]
pub enum Fit {
    All,
    /// A row breaks a rule.
    Wrong,
    /// So many have to be read again, from where the one before ended.
    Again(usize),
}

/// Forgets what was read from a wrong place; what is known of the right one is noted.
pub fn fit(ranges: &mut [Range], reads: &mut [Option<Read>]) -> Fit {
    let mut again = 0;
    let mut end_before = None;
    for (range, read) in ranges.iter_mut().zip(reads) {
        let is_file_start = range.pieces.first().is_none_or(|piece| piece.begin == 0);
        let (begin, mut end) = match read {
            Some(Read::Done { begin, end, .. }) => (Some(*begin), Some(*end)),
            _ => (range.begin, None),
        };
        match end_before {
            // All before it fit, and this is where it begins.
            _ if end.is_none() && (is_file_start || (again == 0 && begin == end_before)) => {
                return Fit::Wrong;
            }
            Some(before) if !is_file_start && begin != end_before => {
                (range.begin, *read) = (end_before, None);
                again += 1;
                // It has no record of its own: it will end where it begins.
                if matches!(&range.pieces[..], [piece] if piece.end <= before) {
                    end = end_before;
                }
            }
            _ => {}
        }
        end_before = end;
    }
    if again == 0 { Fit::All } else { Fit::Again(again) }
}
