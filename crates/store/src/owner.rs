//! To whom files belong that the root of the machine makes in a folder of somebody else, whose server has to open them.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;

/// Gives a file to the owner of something: of the folder that it lies in, or of the file whose place it takes.
///
/// Whoever may not give files away keeps it, which is no error: then it is as if this had not been asked for.
///
/// # Errors
/// What the system says to looking at either, or to the change.
pub fn give(file: &File, to_owner_of: &Path) -> io::Result<()> {
    let (now, wanted) = (file.metadata()?, fs::metadata(to_owner_of)?);
    if (now.uid(), now.gid()) == (wanted.uid(), wanted.gid()) {
        return Ok(());
    }
    match fchown(file, Some(wanted.uid()), Some(wanted.gid())) {
        Err(cause) if cause.kind() == ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}
