//! The data folder that a file belongs to: its catalog and its master key, where they are there.

use std::path::{Path, PathBuf};

use access::SealingKey;
use catalog::look::Look;
use model::error::Result;

use crate::serve::folder::read_master_key;

const CATALOG: &str = "catalog.db";
const MASTER_KEY: &str = "master_key";

/// Where the catalog and the key are looked for.
pub struct Home {
    folder: PathBuf,
    master_key_file: PathBuf,
}

impl Home {
    /// The home of a file: what was given, else the folder above the one that it lies in.
    pub fn of(file: &Path, data_dir: Option<&Path>, master_key_file: Option<&Path>) -> Home {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let above = || file.parent().and_then(Path::parent).unwrap_or(Path::new("/")).to_owned();
        let folder = data_dir.map_or_else(above, Path::to_owned);
        let master_key_file = master_key_file.map_or_else(|| folder.join(MASTER_KEY), Path::to_owned);
        Home { folder, master_key_file }
    }

    /// The catalog; `None` where it is elsewhere, or there is none.
    ///
    /// # Errors
    /// `Unavailable` when it can't be opened.
    pub async fn catalog(&self) -> Result<Option<Look>> {
        let file = self.folder.join(CATALOG);
        if file.is_file() { Look::open(&file).await.map(Some) } else { Ok(None) }
    }

    /// The master key; `None` where there is none.
    ///
    /// # Errors
    /// `Unavailable` when it can't be read; `Corrupt` when it is none.
    pub fn master_key(&self) -> Result<Option<SealingKey>> {
        if self.master_key_file.is_file() {
            read_master_key(&self.master_key_file).map(Some)
        } else {
            Ok(None)
        }
    }
}
