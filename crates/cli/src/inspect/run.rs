//! A run: whose it is by the catalog, and what it holds by its footer.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use access::seal::DataKeys;
use access::{KeyRing, keys_of_server};
use catalog::look::RunSeen;
use model::Origin;
use model::error::{Context, Error, ErrorKind, Result};
use serde_json::{Value, json};
use store::objects::key_id_of;
use store::run::look::{Looked, look};

use super::Found;
use super::home::Home;
use crate::job::show::number;

/// What is known of a run before it is opened.
struct Outside {
    size_bytes: u64,
    /// Of a sealed run.
    key_id: Option<[u8; 8]>,
    seen: Option<RunSeen>,
    /// The keys from before changes of the master key, sealed under the one of now.
    former_keys: Vec<(i64, Vec<u8>)>,
}

/// What is inside.
enum Inside {
    /// It is sealed, and the reason why it stays so.
    Closed(String),
    Damaged(String),
    Open {
        looked: Box<Looked>,
        arrivals: Option<store::Arrivals>,
        damaged_at: Option<u64>,
    },
}

pub async fn inspect(path: &Path, home: &Home, is_quick: bool) -> Result<Found> {
    let mut head = Vec::new();
    let reading = || format!("read {}", path.display());
    File::open(path).and_then(|file| file.take(64).read_to_end(&mut head)).unavailable(reading)?;
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let (seen, former_keys) = match home.catalog().await? {
        Some(mut catalog) => (catalog.run(&name).await?, catalog.former_keys().await?),
        None => (None, Vec::new()),
    };
    let size_bytes = fs::metadata(path).unavailable(reading)?.len();
    let outside = Outside { size_bytes, key_id: key_id_of(&head), seen, former_keys };
    let inside = open(path, home, &outside, is_quick)?;
    let is_damaged = match &inside {
        Inside::Closed(_) => false,
        Inside::Damaged(_) => true,
        Inside::Open { damaged_at, .. } => damaged_at.is_some(),
    };
    Ok(Found { told: told(path, &outside, &inside), text: text(path, &outside, &inside), is_damaged })
}

fn open(path: &Path, home: &Home, outside: &Outside, is_quick: bool) -> Result<Inside> {
    let keys = match outside.key_id.map(|id| keys(id, home, outside)).transpose()? {
        None => DataKeys::default(),
        Some(Ok(keys)) => keys,
        Some(Err(why)) => return Ok(Inside::Closed(why)),
    };
    let looked = match look(path, &keys) {
        Ok(looked) => looked,
        Err(cause) if cause.kind == ErrorKind::Corrupt => return Ok(Inside::Damaged(cause.chain())),
        Err(cause) => return Err(cause),
    };
    let damaged_at = if is_quick { None } else { looked.first_damaged()? };
    let arrivals = match damaged_at.is_none() && !is_quick {
        true => looked.arrivals().map_err(|cause| Error::corrupt(format!("{}: {cause}", path.display())))?,
        false => None,
    };
    Ok(Inside::Open { looked: Box::new(looked), arrivals, damaged_at })
}

// The keys that open it, or why they are not here.
fn keys(id: [u8; 8], home: &Home, outside: &Outside) -> Result<std::result::Result<DataKeys, String>> {
    let Some(seen) = &outside.seen else {
        return Ok(Err(
            "no catalog in a file says whose run it is: --data-dir names its data folder".to_owned()
        ));
    };
    if seen.has_group_key {
        return Ok(
            Err("the group of its dataset has a key of KMS, which only the server may use".to_owned()),
        );
    }
    let Some(master) = home.master_key()? else {
        return Ok(Err("the master key is not here: --master-key-file names it".to_owned()));
    };
    let other = || "it was sealed under another master key".to_owned();
    let Ok(ring) = KeyRing::unseal(&master, outside.former_keys.clone()) else { return Ok(Err(other())) };
    let keys = keys_of_server(&master, &ring, seen.dataset_id);
    Ok(if keys.find(id).is_some() { Ok(keys) } else { Err(other()) })
}

fn origin(seen: &RunSeen) -> &'static str {
    if seen.origin == Origin::Bulk { "BULK" } else { "PUT" }
}

fn told(path: &Path, outside: &Outside, inside: &Inside) -> Value {
    let seen = outside.seen.as_ref();
    let mut told = json!({
        "kind": "run", "path": path.display().to_string(), "sizeBytes": outside.size_bytes,
        "isSealed": outside.key_id.is_some(), "keyId": outside.key_id.map(hex::encode),
        "datasetArn": seen.and_then(|seen| seen.dataset_arn.clone()), "datasetId": seen.map(|seen| seen.dataset_id),
        "origin": seen.map(origin), "isListed": seen.map(|seen| seen.is_listed),
        "sequenceBase": seen.map(|seen| seen.sequence_base), "closed": null, "damage": null,
    });
    match inside {
        Inside::Closed(why) => told["closed"] = json!(why),
        Inside::Damaged(why) => told["damage"] = json!({ "byte": null, "what": why }),
        Inside::Open { looked, arrivals, damaged_at } => {
            let (run, base) = (&looked.run, seen.map_or(0, |seen| seen.sequence_base));
            let columns = run.columns.iter().map(|column| {
                json!({ "name": column.name, "type": column.kind, "fieldId": column.field_id,
                    "encodings": column.encodings, "bytes": column.bytes, "plainBytes": column.plain_bytes })
            });
            let groups = run.groups.iter().map(
                |group| json!({ "rows": group.rows, "bytes": group.bytes, "border": group.border.map(hash) }),
            );
            let more = json!({
                "format": run.format, "schemaVersion": run.schema_version, "rows": run.rows,
                "records": arrivals.map(|arrivals| arrivals.copies), "contentBytes": run.size_bytes,
                "csvBytes": run.csv_bytes, "pages": run.pages,
                "sequenceMin": arrivals.map(|arrivals| arrivals.sequence_min.saturating_add(base)),
                "sequenceMax": arrivals.map(|arrivals| arrivals.sequence_max.saturating_add(base)),
                "rowGroups": groups.collect::<Vec<_>>(), "columns": columns.collect::<Vec<_>>(),
            });
            for (name, value) in more.as_object().into_iter().flatten() {
                told[name] = value.clone();
            }
            if let Some(byte) = damaged_at {
                told["damage"] = json!({ "byte": byte, "what": "a page is not what was written" });
            }
        }
    }
    told
}

fn hash(border: u64) -> String {
    format!("{border:016x}")
}

fn text(path: &Path, outside: &Outside, inside: &Inside) -> String {
    let sealed = match outside.key_id {
        Some(id) => format!("sealed under the key {}", hex::encode(id)),
        None => "not sealed".to_owned(),
    };
    let mut text = format!("{}\n  run, {} bytes, {sealed}\n", path.display(), number(outside.size_bytes));
    match &outside.seen {
        Some(seen) => {
            let arn = seen.dataset_arn.as_deref().unwrap_or("a dataset that is gone");
            let listed = if seen.is_listed { "" } else { ", not listed any more" };
            text.push_str(&format!("  {} of {arn}{listed}\n", origin(seen)));
        }
        None => text.push_str("  of which dataset and origin is not known here\n"),
    }
    match inside {
        Inside::Closed(why) => text.push_str(&format!("  not opened: {why}\n")),
        Inside::Damaged(why) => text.push_str(&format!("  DAMAGED: {why}\n")),
        Inside::Open { looked, arrivals, damaged_at } => {
            open_text(outside, looked, *arrivals, &mut text);
            if let Some(byte) = damaged_at {
                text.push_str(&format!(
                    "  DAMAGED: the page at byte {byte} of the content is not what was written\n"
                ));
            }
        }
    }
    text
}

fn open_text(outside: &Outside, looked: &Looked, arrivals: Option<store::Arrivals>, text: &mut String) {
    let run = &looked.run;
    let version = run.schema_version.map_or("-".to_owned(), |version| version.to_string());
    text.push_str(&format!(
        "  format {}, schema version {version}, {} rows in {} row groups, {} pages, {} bytes as CSV\n",
        run.format,
        number(run.rows),
        run.groups.len(),
        number(run.pages as u64),
        run.csv_bytes.map_or("-".to_owned(), number)
    ));
    if let Some(arrivals) = arrivals {
        let base = outside.seen.as_ref().map(|seen| seen.sequence_base);
        let unknown = if base.is_none() { ", counted from a base that is not known here" } else { "" };
        let (base, copies) = (base.unwrap_or(0), number(arrivals.copies));
        let first = arrivals.sequence_min.saturating_add(base);
        let last = arrivals.sequence_max.saturating_add(base);
        text.push_str(&format!("  {copies} records as they arrived, numbers {first} to {last}{unknown}\n"));
    }
    for (n, group) in run.groups.iter().enumerate() {
        let border = group.border.map_or("-".to_owned(), hash);
        let (rows, bytes) = (number(group.rows), number(group.bytes));
        text.push_str(&format!("  row group {n}: {rows} rows, {bytes} bytes, from hash {border}\n"));
    }
    let width = |of: fn(&store::run::look::Column) -> usize| run.columns.iter().map(of).max().unwrap_or(0);
    let (name_width, bytes_width) = (width(|c| c.name.len()), width(|c| number(c.bytes).len()));
    for column in &run.columns {
        text.push_str(&format!(
            "    {:name_width$}  {:7}  {:>bytes_width$} bytes  {}\n",
            column.name,
            column.kind,
            number(column.bytes),
            column.encodings.join(", ")
        ));
    }
}
