//! Removes what a crash left: blobs that no row names.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use model::error::{Context, Result};
use tokio::task::spawn_blocking;

use super::Blobs;
use crate::index::Index;

impl Blobs {
    /// Compares each shelf with the index, one after the other, and gives the number of blobs removed.
    ///
    /// To be called before anything is written.
    ///
    /// # Errors
    /// `Unavailable` when a folder or the index cannot be read.
    pub async fn sweep(&self, index: &Index) -> Result<usize> {
        let mut removed = 0;
        for n in 0..=255u8 {
            let shelf = format!("{n:02x}");
            let found = self.list_shelf(shelf.clone()).await?;
            if found.is_empty() {
                continue;
            }
            let named: HashSet<String> = index.blobs_of_shelf(&shelf).await?.into_iter().collect();
            let unnamed: Vec<String> = found.into_iter().filter(|id| !named.contains(id)).collect();
            removed += unnamed.len();
            let blobs = self.clone();
            spawn_blocking(move || blobs.remove(&unnamed)).await.unavailable(doing)?;
        }
        Ok(removed)
    }

    /// Whether there is no blob at all.
    pub async fn is_empty(&self) -> Result<bool> {
        for n in 0..=255u8 {
            if !self.list_shelf(format!("{n:02x}")).await?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn list_shelf(&self, shelf: String) -> Result<Vec<String>> {
        let folder = self.inner.blobs.join(shelf);
        spawn_blocking(move || names_in(folder))
            .await
            .map_err(std::io::Error::other)
            .flatten()
            .unavailable(doing)
    }
}

fn names_in(folder: PathBuf) -> std::io::Result<Vec<String>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn doing() -> String {
    "look for blobs that nothing names".to_owned()
}
