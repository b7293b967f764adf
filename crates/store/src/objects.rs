//! The folder of immutable objects: a name appears only when its whole content is on the disk, and stays over a power cut.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use model::error::{Context, Result};

const UNFINISHED: &str = ".unfinished";

/// A folder that holds the objects of all runs, flat, by name.
#[derive(Clone, Debug)]
pub struct Objects {
    folder: PathBuf,
}

impl Objects {
    /// Opens the folder and clears away what a crash left half-written.
    pub fn open(folder: &Path) -> Result<Objects> {
        let opening = || "open the folder of runs".to_owned();
        fs::create_dir_all(folder).unavailable(opening)?;
        let objects = Objects { folder: folder.to_owned() };
        for name in objects.all_names()?.iter().filter(|n| n.ends_with(UNFINISHED)) {
            fs::remove_file(objects.folder.join(name)).unavailable(opening)?;
        }
        objects.sync_folder().unavailable(opening)?;
        Ok(objects)
    }

    /// Begins an object; it has no name until it is finished, and goes when it is dropped before.
    pub fn create(&self, name: &str) -> Result<ObjectWriter> {
        let unfinished = self.folder.join(format!("{name}{UNFINISHED}"));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&unfinished)
            .unavailable(|| format!("create run {name}"))?;
        Ok(ObjectWriter {
            objects: self.clone(),
            name: name.to_owned(),
            file: BufWriter::with_capacity(1 << 18, file),
            written: 0,
            is_finished: false,
        })
    }

    pub fn open_object(&self, name: &str) -> Result<File> {
        File::open(self.folder.join(name)).corrupt(|| format!("run {name} is missing or can't be opened"))
    }

    /// Deletes an object; one that is not there is no error.
    pub fn delete(&self, name: &str) -> Result<()> {
        match fs::remove_file(self.folder.join(name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(e).unavailable(|| format!("delete run {name}"))
            }
            _ => Ok(()),
        }
    }

    /// The names of all finished objects.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = self.all_names()?;
        names.retain(|name| !name.ends_with(UNFINISHED));
        Ok(names)
    }

    fn all_names(&self) -> Result<Vec<String>> {
        let listing = || "list the folder of runs".to_owned();
        let entries = fs::read_dir(&self.folder).unavailable(listing)?;
        entries.map(|e| Ok(e.unavailable(listing)?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

/// An object that is being written.
pub struct ObjectWriter {
    objects: Objects,
    name: String,
    file: BufWriter<File>,
    written: u64,
    is_finished: bool,
}

impl ObjectWriter {
    /// Makes the object durable, then gives it its name; returns its size in bytes.
    pub fn finish(mut self) -> Result<u64> {
        let finishing = || format!("finish run {}", self.name);
        self.file.flush().unavailable(finishing)?;
        self.file.get_ref().sync_all().unavailable(finishing)?;
        fs::rename(self.unfinished(), self.objects.folder.join(&self.name)).unavailable(finishing)?;
        self.objects.sync_folder().unavailable(finishing)?;
        self.is_finished = true;
        Ok(self.written)
    }

    fn unfinished(&self) -> PathBuf {
        self.objects.folder.join(format!("{}{UNFINISHED}", self.name))
    }
}

impl Write for ObjectWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        if !self.is_finished {
            // A left-over is cleared away at the next start; there is nobody to tell here.
            let _ = fs::remove_file(self.unfinished());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("c.unfinished"), b"x").unwrap();
        Objects::open(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
