//! The cache on the local disk: pieces of objects, in files of their own, never more bytes than it may have.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use model::error::{Context, Result};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::disk::is_full;

/// A disk that is full is left alone for so long.
const PAUSE: Duration = Duration::from_secs(5);

/// Which piece of which object.
pub(super) type Place = (Arc<str>, u64);

/// A piece in the cache. It is not dropped for others while somebody holds it.
pub(super) struct Extent {
    path: PathBuf,
    _room: Room,
}

impl Extent {
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}

impl Drop for Extent {
    fn drop(&mut self) {
        // What stays behind is emptied at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

/// Bytes of the cache that are taken.
struct Room {
    used: Arc<AtomicU64>,
    bytes: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}

/// What came of fetching a piece.
#[derive(Clone)]
pub(super) enum Landed {
    Here(Arc<Extent>),
    /// The disk did not take it.
    Uncached(Bytes),
    Failed(io::ErrorKind, String),
}

/// Where a piece is.
pub(super) enum Found {
    Here(Arc<Extent>),
    /// Somebody fetches it.
    Coming(watch::Receiver<Option<Landed>>),
    /// The caller has to fetch it.
    Awaited(Landing),
    /// There is no room for it.
    NoRoom,
}

enum Slot {
    Here { extent: Arc<Extent>, used_at: u64 },
    Coming(watch::Receiver<Option<Landed>>),
}

#[derive(Default)]
struct State {
    slots: HashMap<Place, Slot>,
    /// Those that are here, the one that was used longest ago first.
    by_use: BTreeMap<u64, Place>,
    uses: u64,
    files: u64,
    paused_until: Option<Instant>,
}

/// The cache; its folder holds nothing else.
pub(super) struct Cache {
    folder: PathBuf,
    bytes_max: u64,
    used: Arc<AtomicU64>,
    state: Mutex<State>,
}

impl Cache {
    /// Empties the folder: nothing says whether a machine that lost its power wrote what lies there.
    pub fn open(folder: &Path, bytes_max: u64) -> Result<Cache> {
        let emptying = || "empty the folder of the cache".to_owned();
        if folder.exists() {
            fs::remove_dir_all(folder).unavailable(emptying)?;
        }
        fs::create_dir_all(folder).unavailable(emptying)?;
        Ok(Cache { folder: folder.to_owned(), bytes_max, used: Arc::default(), state: Mutex::default() })
    }

    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Finds a piece of so many bytes, or makes room for it.
    pub fn find(self: &Arc<Cache>, place: &Place, bytes: u64) -> Found {
        let mut state = self.lock();
        match state.slots.get(place) {
            Some(Slot::Coming(coming)) => return Found::Coming(coming.clone()),
            Some(Slot::Here { extent, .. }) => {
                let extent = extent.clone();
                state.touch(place);
                return Found::Here(extent);
            }
            None => {}
        }
        let Some(room) = self.room(&mut state, bytes) else { return Found::NoRoom };
        let (landing, coming) = watch::channel(None);
        state.slots.insert(place.clone(), Slot::Coming(coming));
        Found::Awaited(Landing { cache: self.clone(), place: place.clone(), room: Some(room), landing })
    }

    /// Drops all pieces of an object; those that somebody holds go when they are let go.
    pub fn forget(&self, name: &str) {
        let mut state = self.lock();
        let State { slots, by_use, .. } = &mut *state;
        slots.retain(|(of, _), _| **of != *name);
        by_use.retain(|_, (of, _)| **of != *name);
    }

    // None when all that could go is in use, or the disk is full.
    fn room(&self, state: &mut State, bytes: u64) -> Option<Room> {
        if state.paused_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        while self.used.load(Ordering::SeqCst) + bytes > self.bytes_max {
            let State { slots, by_use, .. } = state;
            let is_free = |place: &Place| match slots.get(place) {
                Some(Slot::Here { extent, .. }) => Arc::strong_count(extent) == 1,
                _ => false,
            };
            let (&used_at, _) = by_use.iter().find(|(_, place)| is_free(place))?;
            let place = by_use.remove(&used_at)?;
            slots.remove(&place);
        }
        self.used.fetch_add(bytes, Ordering::SeqCst);
        Some(Room { used: self.used.clone(), bytes })
    }

    fn write(&self, bytes: &[u8], mut room: Room) -> io::Result<Arc<Extent>> {
        let length = bytes.len() as u64;
        if length > room.bytes {
            return Err(io::Error::other("a piece is larger than its room"));
        }
        self.used.fetch_sub(room.bytes - length, Ordering::SeqCst);
        room.bytes = length;
        let number = {
            let mut state = self.lock();
            state.files += 1;
            state.files
        };
        // Dropped on failure, which removes what was written.
        let extent = Extent { path: self.folder.join(number.to_string()), _room: room };
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o600).open(&extent.path)?.write_all(bytes)?;
        Ok(Arc::new(extent))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn touch(&mut self, place: &Place) {
        self.uses += 1;
        if let Some(Slot::Here { used_at, .. }) = self.slots.get_mut(place) {
            self.by_use.remove(used_at);
            *used_at = self.uses;
            self.by_use.insert(self.uses, place.clone());
        }
    }
}

/// Room for a piece that is being fetched; others wait for it. Dropped, it lets them know that nothing comes.
pub(super) struct Landing {
    cache: Arc<Cache>,
    place: Place,
    room: Option<Room>,
    landing: watch::Sender<Option<Landed>>,
}

impl Landing {
    pub fn coming(&self) -> watch::Receiver<Option<Landed>> {
        self.landing.subscribe()
    }

    /// Writes the piece and tells all who wait for it.
    pub fn land(mut self, fetched: Result<Bytes, (io::ErrorKind, String)>) -> Landed {
        let landed = match (fetched, self.room.take()) {
            (Ok(bytes), Some(room)) => match self.cache.write(&bytes, room) {
                Ok(extent) => Landed::Here(extent),
                Err(cause) => {
                    self.complain(&cause);
                    Landed::Uncached(bytes)
                }
            },
            (Ok(bytes), None) => Landed::Uncached(bytes),
            (Err((kind, text)), _) => Landed::Failed(kind, text),
        };
        self.settle(&landed);
        self.landing.send_replace(Some(landed.clone()));
        landed
    }

    fn complain(&self, cause: &io::Error) {
        let what = if is_full(cause) { "the disk is full" } else { "its folder can't be written" };
        tracing::warn!("objects are read without the cache for a while, as {what}: {cause}");
        self.cache.lock().paused_until = Some(Instant::now() + PAUSE);
    }

    fn settle(&self, landed: &Landed) {
        let mut state = self.cache.lock();
        // The object may have been forgotten meanwhile, and even be fetched anew.
        let is_mine = match state.slots.get(&self.place) {
            Some(Slot::Coming(coming)) => coming.same_channel(&self.landing.subscribe()),
            _ => false,
        };
        if !is_mine {
            return;
        }
        match landed {
            Landed::Here(extent) => {
                let here = Slot::Here { extent: extent.clone(), used_at: 0 };
                state.slots.insert(self.place.clone(), here);
                state.touch(&self.place);
            }
            _ => drop(state.slots.remove(&self.place)),
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if self.landing.borrow().is_none() {
            let failed = Landed::Failed(io::ErrorKind::TimedOut, "nobody fetches it any more".to_owned());
            self.settle(&failed);
            self.landing.send_replace(Some(failed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(folder: &tempfile::TempDir, bytes_max: u64) -> Arc<Cache> {
        Arc::new(Cache::open(&folder.path().join("cache"), bytes_max).unwrap())
    }

    fn place(name: &str) -> Place {
        (name.into(), 0)
    }

    fn size_of(folder: &tempfile::TempDir) -> u64 {
        let files = fs::read_dir(folder.path().join("cache")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    }

    fn put(cache: &Arc<Cache>, name: &str) -> Option<Arc<Extent>> {
        match cache.find(&place(name), 10) {
            Found::Awaited(landing) => match landing.land(Ok(Bytes::from_static(&[7; 10]))) {
                Landed::Here(extent) => Some(extent),
                _ => None,
            },
            _ => None,
        }
    }

    fn is_here(cache: &Arc<Cache>, name: &str) -> bool {
        matches!(cache.lock().slots.get(&place(name)), Some(Slot::Here { .. }))
    }

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder, 30);
        for name in ["a", "b", "c"] {
            put(&cache, name).unwrap();
        }
        assert!(matches!(cache.find(&place("a"), 10), Found::Here(_)));
        put(&cache, "d").unwrap();
        assert_eq!(["a", "b", "c", "d"].map(|name| is_here(&cache, name)), [true, false, true, true]);
        assert_eq!(size_of(&folder), 30);
    }

    #[test]
    fn what_is_in_use_stays_and_the_bound_holds() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder, 20);
        let held = [put(&cache, "a").unwrap(), put(&cache, "b").unwrap()];
        assert!(matches!(cache.find(&place("c"), 10), Found::NoRoom));
        cache.forget("a");
        assert!(matches!(cache.find(&place("c"), 10), Found::NoRoom));
        assert_eq!(size_of(&folder), 20);
        drop(held);
        assert_eq!(size_of(&folder), 10);
        assert!(put(&cache, "c").is_some());
    }

    #[test]
    fn a_piece_is_fetched_once_for_all_who_want_it() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder, 20);
        let Found::Awaited(landing) = cache.find(&place("a"), 10) else { panic!("not awaited") };
        let Found::Coming(coming) = cache.find(&place("a"), 10) else { panic!("not coming") };
        landing.land(Ok(Bytes::from_static(b"short")));
        assert!(matches!(*coming.borrow(), Some(Landed::Here(_))));
        assert!(matches!(cache.find(&place("a"), 10), Found::Here(_)));
        assert_eq!(cache.used.load(Ordering::SeqCst), 5);
    }

    #[test]
    fn a_fetch_that_is_given_up_lets_the_next_one_try() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder, 20);
        let Found::Awaited(landing) = cache.find(&place("a"), 10) else { panic!("not awaited") };
        let Found::Coming(coming) = cache.find(&place("a"), 10) else { panic!("not coming") };
        drop(landing);
        assert!(matches!(*coming.borrow(), Some(Landed::Failed(..))));
        assert!(put(&cache, "a").is_some());
    }

    #[test]
    fn a_piece_of_an_object_that_is_deleted_meanwhile_does_not_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder, 20);
        let Found::Awaited(landing) = cache.find(&place("a"), 10) else { panic!("not awaited") };
        cache.forget("a");
        drop(landing.land(Ok(Bytes::from_static(&[7; 10]))));
        assert!(!is_here(&cache, "a"));
        assert_eq!((size_of(&folder), cache.used.load(Ordering::SeqCst)), (0, 0));
    }

    #[test]
    fn a_folder_that_takes_nothing_is_left_alone_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder, 20);
        fs::remove_dir(folder.path().join("cache")).unwrap();
        let Found::Awaited(landing) = cache.find(&place("a"), 10) else { panic!("not awaited") };
        assert!(matches!(landing.land(Ok(Bytes::from_static(b"x"))), Landed::Uncached(_)));
        assert!(matches!(cache.find(&place("b"), 10), Found::NoRoom));
        assert_eq!(cache.used.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn what_an_earlier_process_left_goes_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("cache")).unwrap();
        fs::write(folder.path().join("cache/1"), b"x").unwrap();
        cache(&folder, 20);
        assert_eq!(size_of(&folder), 0);
    }
}
