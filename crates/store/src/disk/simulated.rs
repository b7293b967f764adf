//! A disk in memory that fails on demand and loses power: what was not synced may be gone, sector by sector.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::clock::{Clock, SimulatedClock};

use super::{Disk, DiskFile};

const SECTOR: u64 = 512;

/// The operations that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    Names,
    Open,
    Read,
    Create,
    Allocate,
    Write,
    SetLen,
    Sync,
    Rename,
    SyncFolder,
    Remove,
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    Eio,
    Full,
    /// Half of a write succeeds.
    Short,
    /// The power goes at this moment: what was not synced waits for `cut`.
    Dead,
}

/// The calls of an operation that fail, counted from 0 when the fault is set.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub op: Op,
    pub how: Failing,
    pub from: u64,
    pub times: u64,
}

/// Asked before each operation, which fails as it says. It may do anything meanwhile, also with the same disk.
pub type Watch = Arc<dyn Fn(Op) -> Option<Failing> + Send + Sync>;

/// A handle; all clones are one disk.
#[derive(Clone, Default)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
    watch: Option<Watch>,
}

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    /// What a power cut may leave of the names: those of the last sync, and of each change since.
    names_kept: Vec<BTreeMap<String, usize>>,
    faults: Vec<(Fault, u64)>,
    hits: u64,
}

#[derive(Clone, Default)]
struct Inode {
    now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    SetLen(u64),
    Write(u64, Vec<u8>),
}

struct SimulatedFile {
    disk: SimulatedDisk,
    inode: usize,
}

impl SimulatedDisk {
    /// A disk with durable files.
    pub fn with(files: &[(&str, &[u8])]) -> SimulatedDisk {
        let disk = SimulatedDisk::default();
        files.iter().for_each(|(name, bytes)| disk.put(name, bytes));
        disk
    }

    /// Makes or replaces a durable file.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let mut state = lock(&self.state);
        state.inodes.push(Inode { now: bytes.to_vec(), durable: bytes.to_vec(), pending: Vec::new() });
        let inode = state.inodes.len() - 1;
        state.names.insert(name.to_owned(), inode);
        state.names_kept = vec![state.names.clone()];
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let state = lock(&self.state);
        state.inodes[state.names[name]].now.clone()
    }

    /// All files as they are seen now, in the order of their names.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let state = lock(&self.state);
        state.names.iter().map(|(name, inode)| (name.clone(), state.inodes[*inode].now.clone())).collect()
    }

    pub fn fail(&self, fault: Fault) {
        lock(&self.state).faults.push((fault, 0));
    }

    /// Ends all faults; gives how often one struck.
    pub fn heal(&self) -> u64 {
        let mut state = lock(&self.state);
        state.faults.clear();
        std::mem::take(&mut state.hits)
    }

    /// The disk as a power cut at this moment leaves it, for one seed's luck.
    pub fn cut(&self, seed: u64) -> SimulatedDisk {
        let luck = SimulatedClock::new(0, seed);
        let state = lock(&self.state);
        let mut byte = [0];
        luck.fill(&mut byte);
        let disk = SimulatedDisk::default();
        let names = state.names_kept.get(usize::from(byte[0]) % state.names_kept.len().max(1));
        for (name, inode) in names.into_iter().flatten() {
            disk.put(name, &state.inodes[*inode].survive(&luck));
        }
        disk
    }

    /// The same disk for one who is watched, with all files that it opens.
    #[must_use]
    pub fn watched_by(&self, watch: Watch) -> SimulatedDisk {
        SimulatedDisk { state: self.state.clone(), watch: Some(watch) }
    }

    fn strike(&self, op: Op) -> Option<Failing> {
        let mut struck = self.watch.as_ref().and_then(|watch| watch(op));
        let mut state = lock(&self.state);
        for (fault, seen) in state.faults.iter_mut().filter(|(fault, _)| fault.op == op) {
            if (fault.from..fault.from.saturating_add(fault.times)).contains(seen) {
                struck = Some(fault.how);
            }
            *seen += 1;
        }
        state.hits += u64::from(struck.is_some());
        struck
    }

    fn attempt(&self, op: Op) -> io::Result<()> {
        self.strike(op).map_or(Ok(()), |how| Err(error(how)))
    }

    fn file(&self, inode: usize) -> Arc<dyn DiskFile> {
        Arc::new(SimulatedFile { disk: self.clone(), inode })
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn coin(luck: &dyn Clock) -> bool {
    let mut byte = [0];
    luck.fill(&mut byte);
    byte[0] & 1 == 1
}

fn error(how: Failing) -> io::Error {
    match how {
        Failing::Full => ErrorKind::StorageFull.into(),
        Failing::Eio | Failing::Short | Failing::Dead => io::Error::from_raw_os_error(5),
    }
}

impl State {
    // A disk that was never synced has kept no name.
    fn rename(&mut self) {
        if self.names_kept.is_empty() {
            self.names_kept.push(BTreeMap::new());
        }
        self.names_kept.push(self.names.clone());
    }
}

impl Inode {
    fn change(&mut self, change: Change) {
        apply(&mut self.now, &change);
        self.pending.push(change);
    }

    fn survive(&self, luck: &dyn Clock) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in self.pending.iter().flat_map(Change::sectors).filter(|_| coin(luck)) {
            apply(&mut bytes, &change);
        }
        bytes
    }
}

impl Change {
    fn sectors(&self) -> Vec<Change> {
        let Change::Write(offset, bytes) = self else { return vec![self.clone()] };
        let (mut parts, mut offset, mut rest) = (Vec::new(), *offset, &bytes[..]);
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(rest.len().min((SECTOR - offset % SECTOR) as usize));
            parts.push(Change::Write(offset, part.to_vec()));
            offset += part.len() as u64;
            rest = behind;
        }
        parts
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::SetLen(len) => bytes.resize(*len as usize, 0),
        Change::Write(offset, written) => {
            let (from, to) = (*offset as usize, *offset as usize + written.len());
            bytes.resize(bytes.len().max(to), 0);
            bytes[from..to].copy_from_slice(written);
        }
    }
}

impl Disk for SimulatedDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        self.attempt(Op::Names)?;
        Ok(lock(&self.state).names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.attempt(Op::Open)?;
        let inode = lock(&self.state).names.get(name).copied();
        inode.map(|inode| self.file(inode)).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.attempt(Op::Create)?;
        let mut state = lock(&self.state);
        state.inodes.push(Inode::default());
        let inode = state.inodes.len() - 1;
        state.names.insert(name.to_owned(), inode);
        state.rename();
        Ok(self.file(inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.attempt(Op::Rename)?;
        let mut state = lock(&self.state);
        let inode = state.names.remove(from).ok_or(ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), inode);
        state.rename();
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.attempt(Op::Remove)?;
        let mut state = lock(&self.state);
        state.names.remove(name);
        state.rename();
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.attempt(Op::SyncFolder)?;
        let mut state = lock(&self.state);
        state.names_kept = vec![state.names.clone()];
        Ok(())
    }
}

impl SimulatedFile {
    fn change(&self, change: Change) {
        lock(&self.disk.state).inodes[self.inode].change(change);
    }
}

impl DiskFile for SimulatedFile {
    fn size(&self) -> io::Result<u64> {
        Ok(lock(&self.disk.state).inodes[self.inode].now.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.attempt(Op::Read)?;
        let state = lock(&self.disk.state);
        let now = &state.inodes[self.inode].now;
        let rest = now.get(offset as usize..).unwrap_or_default();
        let n = rest.len().min(bytes.len());
        bytes[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let written = match self.disk.strike(Op::Write) {
            None => bytes,
            Some(Failing::Short) => &bytes[..bytes.len().div_ceil(2)],
            Some(how) => return Err(error(how)),
        };
        self.change(Change::Write(offset, written.to_vec()));
        Ok(written.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.attempt(Op::SetLen)?;
        self.change(Change::SetLen(len));
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.disk.attempt(Op::Allocate)?;
        let len = len.max(self.size()?);
        self.change(Change::SetLen(len));
        Ok(())
    }

    // As Linux does: after a failed sync the pages count as written, are still seen, and are on no disk.
    fn sync(&self) -> io::Result<()> {
        let failing = self.disk.strike(Op::Sync);
        if failing == Some(Failing::Dead) {
            return Err(error(Failing::Dead));
        }
        let mut state = lock(&self.disk.state);
        let inode = &mut state.inodes[self.inode];
        for change in std::mem::take(&mut inode.pending) {
            if failing.is_none() {
                apply(&mut inode.durable, &change);
            }
        }
        failing.map_or(Ok(()), |how| Err(error(how)))
    }
}
