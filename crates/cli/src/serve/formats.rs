//! The formats of what lies in a data folder: what a newer version wrote is refused before anything is written.

use std::path::Path;

use model::error::Result;

use crate::settings::Settings;

/// Looks at the numbers of the formats of catalog, log and index; older ones are brought forward when they are opened.
///
/// # Errors
/// `Corrupt` or `Invalid` with the part that is newer, and what to start; `Unavailable` when one can't be read.
pub async fn check(settings: &Settings, folder: &Path) -> Result<()> {
    if settings.catalog.is_none() {
        catalog::copy::refuse_newer(&folder.join("catalog.db")).await?;
    }
    store::log::copy::check_formats(&folder.join("log"))?;
    s3::backup::refuse_newer(&folder.join("s3").join(s3::backup::INDEX)).await
}
