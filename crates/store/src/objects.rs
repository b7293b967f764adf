//! The folder of immutable objects: a name appears only when its whole content is on the disk, and stays over a power cut.

pub mod bucket;
mod sealed;

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use model::error::{Context, Result};
use seal::DataKeys;

use crate::disk::{Disk, DiskFile, Folder};
use sealed::{SealedFile, Sealer};

const UNFINISHED: &str = ".unfinished";
const BUFFER_BYTES: usize = 1 << 18;

/// A folder that holds the objects of all runs, flat, by name.
#[derive(Clone)]
pub struct Objects {
    disk: Arc<dyn Disk>,
    keys: DataKeys,
}

impl Objects {
    /// Opens the folder and clears away what a crash left half-written.
    pub fn open(folder: &Path) -> Result<Objects> {
        Objects::open_on(Arc::new(Folder::open(folder).unavailable(opening)?))
    }

    /// As `open`, on any disk.
    pub fn open_on(disk: Arc<dyn Disk>) -> Result<Objects> {
        let objects = Objects { disk, keys: DataKeys::default() };
        for name in objects.all_names()?.iter().filter(|n| n.ends_with(UNFINISHED)) {
            objects.disk.remove(name).unavailable(opening)?;
        }
        objects.disk.sync().unavailable(opening)?;
        Ok(objects)
    }

    /// The same folder, whose objects are sealed and opened with these keys; without keys they are plain.
    #[must_use]
    pub fn with_keys(&self, keys: DataKeys) -> Objects {
        Objects { disk: self.disk.clone(), keys }
    }

    pub fn keys(&self) -> &DataKeys {
        &self.keys
    }

    /// Begins an object; it has no name until it is finished, and goes when it is dropped before.
    pub fn create(&self, name: &str) -> Result<ObjectWriter> {
        let unfinished = format!("{name}{UNFINISHED}");
        let file = self.disk.create(&unfinished).unavailable(|| format!("create run {name}"))?;
        Ok(ObjectWriter {
            disk: self.disk.clone(),
            name: name.to_owned(),
            unfinished,
            file: BufWriter::with_capacity(BUFFER_BYTES, Appending { file, written: 0 }),
            sealer: self.keys.sealing_key().map(|(key, clock)| Sealer::begin(name, key, &**clock)),
            is_finished: false,
        })
    }

    /// Opens an object, sealed or plain: it says for itself.
    ///
    /// # Errors
    /// `Corrupt` when it is missing, or sealed under a key that is not here.
    pub fn open_object(&self, name: &str) -> Result<Object> {
        let opening = || format!("run {name} is missing or can't be opened");
        let file = self.disk.open(name).corrupt(opening)?;
        match SealedFile::open(file.clone(), name, &self.keys).corrupt(opening)? {
            Some(sealed) => Ok(Object::Sealed(Arc::new(sealed))),
            None => Ok(Object::Plain(file)),
        }
    }

    /// Deletes an object; one that is not there is no error.
    pub fn delete(&self, name: &str) -> Result<()> {
        self.disk.remove(name).unavailable(|| format!("delete run {name}"))
    }

    /// The names of all finished objects.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = self.all_names()?;
        names.retain(|name| !name.ends_with(UNFINISHED));
        Ok(names)
    }

    fn all_names(&self) -> Result<Vec<String>> {
        self.disk.names().unavailable(|| "list the folder of runs".to_owned())
    }
}

fn opening() -> String {
    "open the folder of runs".to_owned()
}

/// An object that is read, at offsets in bytes of its content.
#[derive(Clone)]
pub enum Object {
    Plain(Arc<dyn DiskFile>),
    Sealed(Arc<SealedFile>),
}

impl Object {
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
}

/// An object that is being written.
pub struct ObjectWriter {
    disk: Arc<dyn Disk>,
    name: String,
    unfinished: String,
    file: BufWriter<Appending>,
    sealer: Option<Sealer>,
    is_finished: bool,
}

impl ObjectWriter {
    /// Makes the object durable, then gives it its name; returns its size in bytes.
    pub fn finish(mut self) -> Result<u64> {
        let finishing = || format!("finish run {}", self.name);
        if let Some(sealer) = self.sealer.take() {
            sealer.finish(&mut self.file).unavailable(finishing)?;
        }
        self.file.flush().unavailable(finishing)?;
        let Appending { file, written } = self.file.get_ref();
        file.sync().unavailable(finishing)?;
        self.disk.rename(&self.unfinished, &self.name).unavailable(finishing)?;
        self.disk.sync().unavailable(finishing)?;
        let written = *written;
        self.is_finished = true;
        Ok(written)
    }
}

impl Write for ObjectWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sealer {
            Some(sealer) => sealer.write(bytes, &mut self.file),
            None => self.file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        if !self.is_finished {
            // A left-over is cleared away at the next start; there is nobody to tell here.
            let _ = self.disk.remove(&self.unfinished);
        }
    }
}

/// A file that grows at its end.
struct Appending {
    file: Arc<dyn DiskFile>,
    written: u64,
}

impl Write for Appending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write_at(bytes, self.written)?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
