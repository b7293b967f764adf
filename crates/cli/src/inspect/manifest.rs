//! A manifest: what it says of an export, whether it agrees with itself, and whether its files lie beside it.

use std::path::Path;

use model::error::{Context, Error, Result};
use model::manifest::{FileEntry, Manifest};
use proof::{Difference, plan};
use serde_json::json;

use super::Found;
use crate::job::AnyLedger;
use crate::job::show::{number, sum};
use crate::verify::place::Place;

pub async fn inspect(path: &Path) -> Result<Found> {
    let text = std::fs::read(path).unavailable(|| format!("read {}", path.display()))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|cause| {
        Error::invalid(format!("{} is no manifest of an export", path.display())).caused_by(cause)
    })?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let listed = Place::Folder(folder.to_owned()).list().await?;
    let (expected, mut differences) = plan::compare(&manifest, &listed)?;
    // One that was copied alone says nothing of files.
    let is_alone = expected.is_empty() && !manifest.files.is_empty();
    if is_alone {
        differences.retain(|difference| difference.what != "file");
    }
    for file in &expected {
        let (size, found) = (file.entry.bytes, listed.get(&file.name).copied().unwrap_or(0));
        if size != found {
            differences.push(Difference::new(&file.name, "bytes", size.to_string(), found.to_string()));
        }
    }
    Ok(found(path, &manifest, is_alone, &differences))
}

fn found(path: &Path, manifest: &Manifest, is_alone: bool, differences: &[Difference]) -> Found {
    let count = |what: fn(&FileEntry) -> u64| manifest.files.iter().map(what).sum::<u64>();
    let (rows, bytes) = (count(|file| file.rows), count(|file| file.bytes));
    let told = json!({
        "kind": "manifest", "path": path.display().to_string(), "rows": rows, "bytes": bytes,
        "ledgerBalances": manifest.ledger.balances(), "filesAreHere": !is_alone, "differences": differences,
        "manifest": manifest,
    });
    let more = [&manifest.compression, &manifest.csv].into_iter().flatten();
    let form = more.fold(manifest.format.clone(), |form, more| format!("{form} {more}"));
    let mut text = format!(
        "{}\n  manifest of {}\n  {} of {}, {form}\n  taken at {}: all sequence numbers below {}\n",
        path.display(),
        manifest.job_arn,
        manifest.ingestion_mode,
        manifest.dataset_arn,
        manifest.snapshot.taken_at,
        manifest.snapshot.sequence
    );
    for (key, value) in &manifest.options {
        text.push_str(&format!("  {key} = {value}\n"));
    }
    text.push_str(&format!(
        "  {} files, {} rows, {} bytes\n",
        manifest.files.len(),
        number(rows),
        number(bytes)
    ));
    for FileEntry { key, rows, bytes, blake3, .. } in &manifest.files {
        text.push_str(&format!(
            "    {key}  {} rows, {} bytes, blake3 {blake3}\n",
            number(*rows),
            number(*bytes)
        ));
    }
    text.push_str(&format!("  {}\n", sum(&AnyLedger::Export(manifest.ledger))));
    text.push_str(match (is_alone, differences.is_empty()) {
        (_, false) => "",
        (true, true) => "  its sums agree; its files are not here\n",
        (false, true) => {
            "  its sums agree, and its files are here with their sizes; lade verify reads them\n"
        }
    });
    differences.iter().for_each(|difference| text.push_str(&format!("  DIFFERS: {difference}\n")));
    Found { told, text, is_damaged: !differences.is_empty() }
}
