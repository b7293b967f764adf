//! Rejects: the rows of an import that break a rule, told in the order of files and rows however many threads read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use csv::Violation;
use model::error::{Error, ErrorKind, Result};
use store::Objects;

use super::chunk::OpenFile;
use super::left_out::{LeftOut, RejectsFile};
use super::violated;

/// What an import does about rows that break a rule.
#[derive(Clone, Copy, Debug)]
pub struct Rejecting {
    /// How many may be left out; with one more the import fails.
    pub tolerated: u64,
    /// How many are told of.
    pub told_max: usize,
}

impl Rejecting {
    /// All rows or none, and the first one that is wrong.
    pub const FIRST: Rejecting = Rejecting { tolerated: 0, told_max: 1 };
}

/// The wrong rows of an import, in the order of files and rows.
#[derive(Debug, Default)]
pub struct Rejects {
    /// How many there are; of an import that failed, how many are told.
    pub count: u64,
    /// Whether all of them are told.
    pub is_complete: bool,
    /// The first of them.
    pub told: Vec<Reject>,
    /// The rows themselves, where they were left out of an import that did not fail.
    pub files: Vec<RejectsFile>,
}

/// One row that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The name that a person knows the file by.
    pub key: String,
    pub violation: Violation,
}

/// What one chunk has of them.
#[derive(Default)]
pub struct Wrong {
    pub count: u64,
    /// Whether nothing behind the last of them can be read.
    pub ends_file: bool,
    pub told: Vec<Violation>,
    /// The rows as they stand in the file, each with its line's end.
    pub rows: Vec<u8>,
    /// The end of the last line that has text behind a closing quote: where it is found, the line has not ended.
    pub skipped_to: u64,
}

/// Gathers what all threads come upon.
pub struct Collector<'a> {
    rejecting: Rejecting,
    /// Chunks behind this one make no difference any more.
    last_chunk: AtomicUsize,
    state: Mutex<State<'a>>,
}

struct State<'a> {
    /// By the number of the chunk; no more than are told, and those of one chunk.
    told: BTreeMap<usize, (Arc<OpenFile>, Vec<Violation>)>,
    count: u64,
    is_failed: bool,
    left_out: LeftOut<'a>,
}

impl<'a> Collector<'a> {
    /// Rows that are left out go to objects whose names begin with `object`.
    pub fn new(rejecting: Rejecting, objects: &'a Objects, object: &str) -> Collector<'a> {
        let left_out = LeftOut::new(objects, object);
        let state = State { told: BTreeMap::new(), count: 0, is_failed: false, left_out };
        Collector { rejecting, last_chunk: AtomicUsize::new(usize::MAX), state: Mutex::new(state) }
    }

    pub fn rejecting(&self) -> Rejecting {
        self.rejecting
    }

    /// Whether the nth chunk makes no difference any more.
    pub fn is_beyond(&self, n: usize) -> bool {
        n > self.last_chunk.load(Ordering::Relaxed)
    }

    /// Whether the import has failed: nothing that is read is wanted but what else is wrong.
    pub fn is_failed(&self) -> bool {
        self.lock().is_failed
    }

    /// Takes what is wrong in the nth chunk.
    ///
    /// # Errors
    /// `Unavailable` when rows that are left out can't be written down.
    pub fn note(&self, n: usize, file: &Arc<OpenFile>, wrong: Wrong) -> Result<()> {
        let mut state = self.lock();
        if wrong.count == 0 || self.is_beyond(n) {
            return Ok(());
        }
        state.count += wrong.count;
        state.told.insert(n, (file.clone(), wrong.told));
        state.is_failed |= wrong.ends_file || state.count > self.rejecting.tolerated;
        if wrong.ends_file {
            self.end_at(n, &mut state);
        }
        self.forget_last(&mut state);
        if state.is_failed {
            state.left_out.forget();
            return Ok(());
        }
        state.left_out.push(n, file, wrong.count, &wrong.rows)
    }

    // Whatever comes behind this chunk can't be told from what might have been read without it.
    fn end_at(&self, n: usize, state: &mut State<'_>) {
        self.last_chunk.fetch_min(n, Ordering::Relaxed);
        state.told.retain(|other, _| *other <= n);
    }

    fn forget_last(&self, state: &mut State<'_>) {
        let mut told = state.told_count();
        while let Some(last) = state.told.last_entry()
            && told - last.get().1.len() >= self.rejecting.told_max
        {
            told -= last.remove().1.len();
        }
        if state.is_failed
            && told >= self.rejecting.told_max
            && let Some((&last, _)) = state.told.last_key_value()
        {
            self.last_chunk.fetch_min(last, Ordering::Relaxed);
        }
    }

    /// What was found, and why the import fails if it does. `failure` is what else went wrong, and in which chunk.
    ///
    /// # Errors
    /// `Unavailable` when the rows that were left out can't be read back.
    pub fn finish(self, failure: Option<(usize, Error)>) -> (Rejects, Result<()>) {
        let last_chunk = self.last_chunk.into_inner();
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let is_passing = |cause: &Error| cause.kind != ErrorKind::Invalid;
        if let Some((n, _)) = &failure {
            state.told.retain(|other, _| other < n);
        }
        let first = state.told.values().find_map(|(file, told)| told.first().map(|v| violated(&file.key, v)));
        match failure {
            Some((_, cause)) if is_passing(&cause) => return (Rejects::default(), Err(cause)),
            Some((_, cause)) => {
                let cause = first.filter(|_| state.is_failed).unwrap_or(cause);
                return (state.told(self.rejecting.told_max, false), Err(cause));
            }
            None => {}
        }
        let told_max = self.rejecting.told_max;
        if state.is_failed {
            let cause = first.unwrap_or_else(|| Error::internal("an import failed for no row"));
            let is_complete = last_chunk == usize::MAX && state.told_count() < told_max;
            return (state.told(told_max, is_complete), Err(cause));
        }
        let left_out = std::mem::replace(&mut state.left_out, LeftOut::none());
        let (count, is_complete) = (state.count, state.count <= told_max as u64);
        match left_out.finish() {
            Ok(files) => (Rejects { count, files, ..state.told(told_max, is_complete) }, Ok(())),
            Err(cause) => (Rejects::default(), Err(cause)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State<'_> {
    fn told_count(&self) -> usize {
        self.told.values().map(|(_, told)| told.len()).sum()
    }

    // The first of them, and nothing that was left out.
    fn told(&mut self, told_max: usize, is_complete: bool) -> Rejects {
        let all = std::mem::take(&mut self.told).into_values().flat_map(|(file, told)| {
            told.into_iter().map(move |violation| Reject { key: file.key.clone(), violation })
        });
        let told: Vec<Reject> = all.take(told_max).collect();
        Rejects { count: told.len() as u64, is_complete, told, files: Vec::new() }
    }
}

#[cfg(test)]
mod tests;
