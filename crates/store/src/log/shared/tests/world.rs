//! A store and a register in memory, and the sides from which nodes see them: what is asked of them may fail, before it is
//! done or after, or be done late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use model::clock::{Clock, SimulatedClock};
use model::error::{Error, ErrorKind, Result};
use model::segment::{NewSegment, Place, Segment, Segments};

use super::super::{Later, Register, SegmentStore};
use crate::log::queue::lock;

/// What all nodes share.
#[derive(Default)]
pub(super) struct World {
    state: Mutex<State>,
    /// Things that are still to be done late.
    pub(super) late: AtomicU64,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    segments: BTreeMap<String, Row>,
    end: u64,
    sequence: u64,
    sessions: u64,
    ended: BTreeSet<String>,
}

struct Row {
    /// None when it was withdrawn.
    segment: Option<Segment>,
    is_forgotten: bool,
    is_cleared: bool,
}

impl World {
    pub(super) fn objects(&self) -> Vec<String> {
        lock(&self.state).objects.keys().cloned().collect()
    }

    pub(super) fn object(&self, name: &str) -> Vec<u8> {
        lock(&self.state).objects[name].clone()
    }

    pub(super) fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        change(lock(&self.state).objects.get_mut(name).unwrap());
    }

    pub(super) fn remove(&self, name: &str) {
        lock(&self.state).objects.remove(name);
    }

    pub(super) fn end(&self, node: &str) {
        lock(&self.state).ended.insert(node.to_owned());
    }

    /// Objects that nobody will ever delete.
    pub(super) fn left_over(&self) -> Vec<String> {
        let state = lock(&self.state);
        let is_known = |name: &String| state.segments.get(name).is_some_and(|row| !row.is_cleared);
        state.objects.keys().filter(|name| !is_known(name)).cloned().collect()
    }
}

impl State {
    fn add(&mut self, new: &NewSegment) -> Option<Place> {
        if let Some(known) = self.segments.get(&new.object) {
            return known.segment.as_ref().map(|segment| segment.place);
        }
        if self.ended.contains(&new.node) {
            return None;
        }
        let is_again = new.again_from.is_some();
        let sequence_base = if is_again { 0 } else { self.sequence + 1 };
        let place = Place { start: self.end, sequence_base };
        self.end += new.size_bytes;
        self.sequence += new.numbers;
        let (object, holds) = (new.object.clone(), new.holds.clone());
        let segment = Segment { object, place, size_bytes: new.size_bytes, is_again, holds };
        let row = Row { segment: Some(segment), is_forgotten: false, is_cleared: false };
        self.segments.insert(new.object.clone(), row);
        Some(place)
    }

    fn withdraw(&mut self, object: &str) -> Option<Place> {
        let withdrawn = Row { segment: None, is_forgotten: true, is_cleared: true };
        let row = self.segments.entry(object.to_owned()).or_insert(withdrawn);
        row.segment.as_ref().map(|segment| segment.place)
    }

    fn list(&self, from: u64) -> Segments {
        let rows = self.segments.values().filter(|row| !row.is_cleared);
        let mut segments: Vec<Segment> = rows.filter_map(|row| row.segment.clone()).collect();
        segments.sort_by_key(|segment| segment.place.start);
        let start = segments.first().map_or(self.end, |segment| segment.place.start);
        segments.retain(|segment| segment.place.start >= from);
        Segments { start, end: self.end, sequence: self.sequence + 1, segments }
    }

    fn forget(&mut self, position: u64) -> Vec<String> {
        for row in self.segments.values_mut() {
            row.is_forgotten |= row.segment.as_ref().is_some_and(|segment| segment.end() <= position);
        }
        let rows = self.segments.iter().filter(|(_, row)| row.is_forgotten && !row.is_cleared);
        rows.map(|(name, _)| name.clone()).collect()
    }

    fn unplaced(&self, own: &str, objects: &[String]) -> Vec<String> {
        let is_of_others = |name: &String| {
            let node = name.split('/').nth(1).unwrap();
            node != own && !self.ended.contains(node)
        };
        let is_placed = |name: &String| self.segments.get(name).is_some_and(|row| !row.is_cleared);
        objects.iter().filter(|name| !is_of_others(name) && !is_placed(name)).cloned().collect()
    }
}

/// A node's view of the world.
pub(super) struct Side {
    world: Arc<World>,
    node: Mutex<String>,
    is_cut_off: AtomicBool,
    /// What becomes of each request; without it all goes well.
    luck: Option<SimulatedClock>,
}

impl Side {
    pub(super) fn new(world: &Arc<World>) -> Arc<Side> {
        Side::with_luck(world, None)
    }

    pub(super) fn with_luck(world: &Arc<World>, luck: Option<u64>) -> Arc<Side> {
        let luck = luck.map(|seed| SimulatedClock::new(0, seed));
        let side = Side { world: world.clone(), node: Mutex::default(), is_cut_off: false.into(), luck };
        side.begin_anew();
        Arc::new(side)
    }

    pub(super) fn begin_anew(&self) {
        let mut state = lock(&self.world.state);
        state.sessions += 1;
        *lock(&self.node) = format!("node{}", state.sessions);
    }

    /// From here on, or until it is taken back, nothing that is asked happens.
    pub(super) fn cut_off(&self, is_cut_off: bool) {
        self.is_cut_off.store(is_cut_off, Ordering::SeqCst);
    }

    fn pick(&self, below: u64) -> u64 {
        let Some(luck) = &self.luck else { return below - 1 };
        let mut bytes = [0; 8];
        luck.fill(&mut bytes);
        u64::from_le_bytes(bytes) % below
    }

    async fn ask<T>(&self, act: impl Fn(&mut State) -> Result<T> + Send + Sync + 'static) -> Result<T> {
        let unanswered = || Err(Error::unavailable("no answer"));
        if self.pick(3) == 0 {
            tokio::time::sleep(Duration::from_micros(self.pick(3000))).await;
        }
        if self.is_cut_off.load(Ordering::SeqCst) {
            return unanswered();
        }
        match self.pick(30) {
            0 => unanswered(),
            1 | 2 => {
                let _ = act(&mut lock(&self.world.state));
                unanswered()
            }
            3 => {
                let (world, wait) = (self.world.clone(), self.pick(150));
                world.late.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                    let _ = act(&mut lock(&world.state));
                    world.late.fetch_sub(1, Ordering::SeqCst);
                });
                unanswered()
            }
            _ => act(&mut lock(&self.world.state)),
        }
    }
}

impl SegmentStore for Side {
    fn put_new<'a>(&'a self, name: &'a str, bytes: Bytes) -> Later<'a, ()> {
        let name = name.to_owned();
        Box::pin(self.ask(move |state| {
            let there = state.objects.entry(name.clone()).or_insert_with(|| bytes.to_vec());
            assert_eq!(there.as_slice(), &bytes[..], "two objects have one name");
            Ok(())
        }))
    }

    fn get<'a>(&'a self, name: &'a str) -> Later<'a, Bytes> {
        let name = name.to_owned();
        Box::pin(self.ask(move |state| {
            let found = state.objects.get(&name).map(|bytes| Bytes::from(bytes.clone()));
            found.ok_or_else(|| Error::new(ErrorKind::NotFound, "it is not there"))
        }))
    }

    fn delete<'a>(&'a self, names: &'a [String]) -> Later<'a, ()> {
        let names = names.to_owned();
        Box::pin(self.ask(move |state| {
            names.iter().for_each(|name| drop(state.objects.remove(name)));
            Ok(())
        }))
    }

    fn list(&self) -> Later<'_, Vec<String>> {
        Box::pin(self.ask(|state| Ok(state.objects.keys().cloned().collect())))
    }
}

impl Register for Side {
    fn node(&self) -> String {
        lock(&self.node).clone()
    }

    fn add<'a>(&'a self, new: &'a NewSegment) -> Later<'a, Option<Place>> {
        let new = new.clone();
        Box::pin(self.ask(move |state| Ok(state.add(&new))))
    }

    fn withdraw<'a>(&'a self, object: &'a str) -> Later<'a, Option<Place>> {
        let object = object.to_owned();
        Box::pin(self.ask(move |state| Ok(state.withdraw(&object))))
    }

    fn is_placed<'a>(&'a self, object: &'a str) -> Later<'a, bool> {
        let object = object.to_owned();
        Box::pin(self.ask(move |state| {
            let row = state.segments.get(&object);
            Ok(row.is_some_and(|row| row.segment.is_some() && !row.is_forgotten))
        }))
    }

    fn list(&self, from: u64) -> Later<'_, Segments> {
        Box::pin(self.ask(move |state| Ok(state.list(from))))
    }

    fn forget(&self, position: u64) -> Later<'_, Vec<String>> {
        Box::pin(self.ask(move |state| Ok(state.forget(position))))
    }

    fn note_deleted<'a>(&'a self, objects: &'a [String]) -> Later<'a, ()> {
        let objects = objects.to_owned();
        Box::pin(self.ask(move |state| {
            for object in &objects {
                if let Some(row) = state.segments.get_mut(object).filter(|row| row.is_forgotten) {
                    row.is_cleared = true;
                }
            }
            Ok(())
        }))
    }

    fn unplaced<'a>(&'a self, objects: &'a [String]) -> Later<'a, Vec<String>> {
        let (own, objects) = (self.node(), objects.to_owned());
        Box::pin(self.ask(move |state| Ok(state.unplaced(&own, &objects))))
    }
}
