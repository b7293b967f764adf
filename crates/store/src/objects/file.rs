//! An object on its way into a folder.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use model::error::{Context, Result};

use super::UNFINISHED;
use crate::disk::{Disk, DiskFile};

const BUFFER_BYTES: usize = 1 << 18;

/// A file that gets its name at its end.
pub(super) struct FileWriter {
    disk: Arc<dyn Disk>,
    unfinished: String,
    file: BufWriter<Appending>,
    is_finished: bool,
}

impl FileWriter {
    pub fn create(disk: &Arc<dyn Disk>, name: &str) -> Result<FileWriter> {
        let unfinished = format!("{name}{UNFINISHED}");
        let file = disk.create(&unfinished).unavailable(|| format!("create run {name}"))?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, Appending { file, written: 0 });
        Ok(FileWriter { disk: disk.clone(), unfinished, file, is_finished: false })
    }

    pub fn writer(&mut self) -> &mut dyn Write {
        &mut self.file
    }

    /// Makes the object durable, then gives it its name; returns its size in bytes.
    pub fn finish(mut self, name: &str) -> Result<u64> {
        let finishing = || format!("finish run {name}");
        self.file.flush().unavailable(finishing)?;
        let Appending { file, written } = self.file.get_ref();
        file.sync().unavailable(finishing)?;
        self.disk.rename(&self.unfinished, name).unavailable(finishing)?;
        self.disk.sync().unavailable(finishing)?;
        let written = *written;
        self.is_finished = true;
        Ok(written)
    }
}

impl Drop for FileWriter {
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
