//! The file that audit lines go to, and the older ones beside it: `audit.log`, `audit.log.1`, `audit.log.2` …

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How many full files are kept beside the one that is written.
const OLD_FILES: u32 = 8;

/// A file that makes room for a new one when it is full.
pub struct AuditFile {
    path: PathBuf,
    size_bytes_max: u64,
    /// `None`: to be opened with the next line.
    file: Option<File>,
    size_bytes: u64,
}

impl AuditFile {
    /// Goes on behind what is there.
    pub fn open(path: &Path, size_bytes_max: u64) -> io::Result<AuditFile> {
        let mut file = AuditFile { path: path.to_owned(), size_bytes_max, file: None, size_bytes: 0 };
        file.opened()?;
        Ok(file)
    }

    /// Opens the path anew with the next line.
    pub fn forget(&mut self) {
        self.file = None;
    }

    /// Writes whole lines; where that fails, what was written of them is cut off again.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        self.opened()?;
        if self.size_bytes > 0 && self.size_bytes + lines.len() as u64 > self.size_bytes_max {
            self.turn()?;
            self.opened()?;
        }
        let before = self.size_bytes;
        let file = self.file.as_mut().expect("it was opened just now");
        if let Err(cause) = file.write_all(lines) {
            // What is torn would spoil the next line.
            let _ = file.set_len(before);
            return Err(cause);
        }
        self.size_bytes += lines.len() as u64;
        Ok(())
    }

    fn opened(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
            self.size_bytes = file.metadata()?.len();
            self.file = Some(file);
        }
        Ok(())
    }

    // The oldest one goes.
    fn turn(&mut self) -> io::Result<()> {
        for number in (1..OLD_FILES).rev() {
            match fs::rename(self.old(number), self.old(number + 1)) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
                _ => {}
            }
        }
        fs::rename(&self.path, self.old(1))?;
        self.forget();
        Ok(())
    }

    fn old(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}
