//! Immutable objects, in a folder or a bucket: a name appears only when its whole content is there to stay.

pub mod bucket;
mod cache;
#[cfg(test)]
mod fake;
mod file;
mod parts;
mod remote;
mod sealed;

use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

use model::error::{Context, Error, Result};
use seal::DataKeys;
use tokio::runtime::Handle;

use crate::disk::{Disk, DiskFile, Folder};
use bucket::{OpenUpload, OwnBucket};
use file::FileWriter;
use parts::PartsWriter;
use remote::{Remote, RemoteFile};
pub use sealed::key_id_of;
use sealed::{SealedFile, Sealer};

const UNFINISHED: &str = ".unfinished";

/// The objects of all runs, flat, by name.
///
/// Where they lie in a bucket, all calls wait for it: they are made on threads that may wait.
#[derive(Clone)]
pub struct Objects {
    store: Store,
    keys: DataKeys,
}

/// An object that somebody writes, or has left half-written.
pub struct Unfinished {
    /// What the object is to be called.
    pub name: String,
    upload: OpenUpload,
}

#[derive(Clone)]
enum Store {
    Folder(Arc<dyn Disk>),
    Bucket(Arc<Remote>),
}

impl Objects {
    /// Opens the folder and clears away what a crash left half-written.
    pub fn open(folder: &Path) -> Result<Objects> {
        Objects::open_on(Arc::new(Folder::open(folder).unavailable(opening)?))
    }

    /// The objects of a folder that somebody else may be writing to: nothing is cleared away.
    ///
    /// # Errors
    /// `Unavailable` when the folder can't be had.
    pub fn beside(folder: &Path) -> Result<Objects> {
        let disk = Arc::new(Folder::open(folder).unavailable(opening)?);
        Ok(Objects { store: Store::Folder(disk), keys: DataKeys::default() })
    }

    /// As `open`, on any disk.
    pub fn open_on(disk: Arc<dyn Disk>) -> Result<Objects> {
        let names = disk.names().unavailable(listing)?;
        for name in names.iter().filter(|n| n.ends_with(UNFINISHED)) {
            disk.remove(name).unavailable(opening)?;
        }
        disk.sync().unavailable(opening)?;
        Ok(Objects { store: Store::Folder(disk), keys: DataKeys::default() })
    }

    /// Opens the objects of a bucket. `cache` is a folder that is emptied now and then holds at most `cache_bytes_max`
    /// bytes of what is read; `runtime` is where the waiting for the bucket is done.
    pub fn open_bucket(
        bucket: OwnBucket,
        cache: &Path,
        cache_bytes_max: u64,
        runtime: Handle,
    ) -> Result<Objects> {
        let remote = Remote::open(bucket, cache, cache_bytes_max, runtime)?;
        Ok(Objects { store: Store::Bucket(Arc::new(remote)), keys: DataKeys::default() })
    }

    /// The same objects, which are sealed and opened with these keys; without keys they are plain.
    #[must_use]
    pub fn with_keys(&self, keys: DataKeys) -> Objects {
        Objects { store: self.store.clone(), keys }
    }

    pub fn keys(&self) -> &DataKeys {
        &self.keys
    }

    /// Whether they lie in a bucket, where each call is a request.
    pub fn are_remote(&self) -> bool {
        matches!(self.store, Store::Bucket(_))
    }

    /// Begins an object; it has no name until it is finished, and goes when it is dropped before.
    pub fn create(&self, name: &str) -> Result<ObjectWriter> {
        let sink = match &self.store {
            Store::Folder(disk) => Sink::File(FileWriter::create(disk, name)?),
            Store::Bucket(remote) => Sink::Parts(PartsWriter::new(remote, name)),
        };
        let sealer = self.keys.sealing_key().map(|(key, clock)| Sealer::begin(name, key, &**clock));
        Ok(ObjectWriter { name: name.to_owned(), sink, sealer })
    }

    /// Opens an object, sealed or plain: it says for itself.
    ///
    /// # Errors
    /// `Corrupt` when it is missing, or sealed under a key that is not here; `Unavailable` when its bucket does not answer.
    pub fn open_object(&self, name: &str) -> Result<Object> {
        let opening = |cause: io::Error| match cause.kind() {
            ErrorKind::TimedOut => {
                Error::unavailable(format!("run {name} can't be read now")).caused_by(cause)
            }
            _ => Error::corrupt(format!("run {name} is missing or can't be opened")).caused_by(cause),
        };
        let content = match &self.store {
            Store::Folder(disk) => disk.open(name).map(Content::File),
            Store::Bucket(remote) => remote.open_file(name).map(|file| Content::Remote(Arc::new(file))),
        };
        let content = content.map_err(opening)?;
        match SealedFile::open(content.clone(), name, &self.keys).map_err(opening)? {
            Some(sealed) => Ok(Object::Sealed(Arc::new(sealed))),
            None => Ok(Object::Plain(content)),
        }
    }

    /// Drops what is kept of an object in a cache, which may be damaged; `false` where there is none.
    pub fn forget(&self, name: &str) -> bool {
        if let Store::Bucket(remote) = &self.store {
            remote.forget(name);
        }
        self.are_remote()
    }

    /// Deletes an object; one that is not there is no error.
    pub fn delete(&self, name: &str) -> Result<()> {
        self.delete_all(&[name.to_owned()])
    }

    /// Deletes objects; those that are not there are no error.
    pub fn delete_all(&self, names: &[String]) -> Result<()> {
        match &self.store {
            Store::Folder(disk) => names
                .iter()
                .try_for_each(|name| disk.remove(name).unavailable(|| format!("delete run {name}"))),
            Store::Bucket(remote) => remote.delete(names),
        }
    }

    /// What is half-written, by anybody. A folder is cleared of it when it is opened.
    pub fn unfinished(&self) -> Result<Vec<Unfinished>> {
        match &self.store {
            Store::Folder(_) => Ok(Vec::new()),
            Store::Bucket(remote) => remote.unfinished(),
        }
    }

    /// Gives up what is half-written; what is gone is no error.
    pub fn give_up(&self, unfinished: &Unfinished) -> Result<()> {
        match &self.store {
            Store::Folder(_) => Ok(()),
            Store::Bucket(remote) => remote.give_up(unfinished),
        }
    }

    /// The names of all finished objects.
    pub fn names(&self) -> Result<Vec<String>> {
        match &self.store {
            Store::Folder(disk) => {
                let mut names = disk.names().unavailable(listing)?;
                names.retain(|name| !name.ends_with(UNFINISHED));
                Ok(names)
            }
            Store::Bucket(remote) => remote.names(),
        }
    }
}

fn opening() -> String {
    "open the folder of runs".to_owned()
}

fn listing() -> String {
    "list the folder of runs".to_owned()
}

/// The bytes of an object as they are stored.
#[derive(Clone)]
pub enum Content {
    File(Arc<dyn DiskFile>),
    Remote(Arc<RemoteFile>),
}

impl Content {
    fn size(&self) -> io::Result<u64> {
        match self {
            Content::File(file) => file.size(),
            Content::Remote(file) => Ok(file.size()),
        }
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Content::File(file) => file.read_at(bytes, offset),
            Content::Remote(file) => file.read_at(bytes, offset),
        }
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Content::File(file) => file.read_exact_at(bytes, offset),
            Content::Remote(file) => file.read_exact_at(bytes, offset),
        }
    }

    /// Drops what may be damaged of it in a cache; `false` where there is none.
    fn forget(&self) -> bool {
        match self {
            Content::File(_) => false,
            Content::Remote(file) => {
                file.forget();
                true
            }
        }
    }
}

/// An object that is read, at offsets in bytes of its content.
#[derive(Clone)]
pub enum Object {
    Plain(Content),
    Sealed(Arc<SealedFile>),
}

impl Object {
    /// Opens one file of those that hold objects, wherever it lies, to be read and never written. `name` is what the object
    /// was called when it was written.
    ///
    /// # Errors
    /// `Corrupt` when it is sealed under a key that is not here; `Unavailable` when it can't be read.
    pub fn of_file(path: &Path, name: &str, keys: &DataKeys) -> Result<Object> {
        let reading = || format!("read {}", path.display());
        let file = std::fs::File::open(path).unavailable(reading)?;
        let content = Content::File(Arc::new(file));
        let sealed = SealedFile::open(content.clone(), name, keys).map_err(|cause| match cause.kind() {
            ErrorKind::InvalidData => Error::corrupt(format!("run {name} can't be opened")).caused_by(cause),
            _ => Error::unavailable(reading()).caused_by(cause),
        })?;
        Ok(sealed.map_or(Object::Plain(content), |sealed| Object::Sealed(Arc::new(sealed))))
    }

    /// The size of its content.
    pub fn size(&self) -> io::Result<u64> {
        match self {
            Object::Plain(file) => file.size(),
            Object::Sealed(file) => Ok(file.size()),
        }
    }

    /// Reads at most `bytes.len()` bytes; 0 at its end.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Object::Plain(file) => file.read_at(bytes, offset),
            Object::Sealed(file) => file.read_at(bytes, offset),
        }
    }

    /// Fills `bytes`; the end before that is `UnexpectedEof`.
    pub fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Object::Plain(file) => file.read_exact_at(bytes, offset),
            Object::Sealed(file) => file.read_exact_at(bytes, offset),
        }
    }

    /// Drops what is kept of it in a cache, which may be damaged; `false` where there is none.
    pub fn forget(&self) -> bool {
        match self {
            Object::Plain(file) => file.forget(),
            Object::Sealed(file) => file.forget(),
        }
    }
}

/// An object that is being written.
pub struct ObjectWriter {
    name: String,
    sink: Sink,
    sealer: Option<Sealer>,
}

enum Sink {
    File(FileWriter),
    Parts(PartsWriter),
}

impl Sink {
    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Sink::File(file) => file.writer(),
            Sink::Parts(parts) => parts,
        }
    }
}

impl ObjectWriter {
    /// Makes the object durable, then gives it its name; returns its size in bytes.
    pub fn finish(mut self) -> Result<u64> {
        if let Some(sealer) = self.sealer.take() {
            let finishing = || format!("finish run {}", self.name);
            sealer.finish(&mut self.sink.writer()).unavailable(finishing)?;
        }
        match self.sink {
            Sink::File(file) => file.finish(&self.name),
            Sink::Parts(parts) => parts.finish(),
        }
    }
}

impl Write for ObjectWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sealer {
            Some(sealer) => sealer.write(bytes, &mut self.sink.writer()),
            None => self.sink.writer().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.writer().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::simulated::SimulatedDisk;

    #[test]
    fn an_object_is_there_only_when_finished() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::open(folder.path()).unwrap();
        let mut writer = objects.create("a").unwrap();
        writer.write_all(b"x").unwrap();
        assert!(objects.names().unwrap().is_empty());
        assert_eq!(writer.finish().unwrap(), 1);
        drop(objects.create("b").unwrap());
        assert_eq!(objects.names().unwrap(), ["a"]);
    }

    #[test]
    fn half_written_objects_are_cleared_at_the_next_start() {
        let disk = SimulatedDisk::with(&[("c.unfinished", b"x")]);
        Objects::open_on(Arc::new(disk.clone())).unwrap();
        assert!(disk.files().is_empty());
    }

    #[test]
    fn a_finished_object_outlives_a_power_cut() {
        let disk = SimulatedDisk::default();
        let mut writer = Objects::open_on(Arc::new(disk.clone())).unwrap().create("a").unwrap();
        writer.write_all(&[7; 2000]).unwrap();
        writer.finish().unwrap();
        for seed in 0..20 {
            assert_eq!(disk.cut(seed).files(), [("a".to_owned(), vec![7; 2000])], "power cut {seed}");
        }
    }
}
