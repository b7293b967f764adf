//! `lade diff`: what changed between two exports: schema, numbers, files and, where it is asked for, rows.

mod records;
mod rows;

use std::collections::BTreeMap;
use std::process::ExitCode;

use model::error::Result;
use model::manifest::{FileEntry, Manifest};
use serde::Serialize;
use serde_json::{Value, json};

use crate::client::server::Choice;
use crate::job::show::number;
use crate::say;
use crate::serve;
use crate::verify::place::Place;
use proof::plan;
use rows::Rows;

/// Options of `lade diff`.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 nothing differs, 1 something does, 2 it could not be found out. Without --rows the files are not read:
what their manifests say of them is compared.

Examples:
  lade diff s3://my-bucket/out/monday/ s3://my-bucket/out/tuesday/
  lade diff --rows ./monday/ ./tuesday/")]
pub struct Args {
    /// Folder with _manifest.json of the older export: s3://BUCKET/PREFIX/ or a local one
    #[arg(value_name = "OLD")]
    old: String,

    /// That of the newer one
    #[arg(value_name = "NEW")]
    new: String,

    /// Read both, and tell which rows were removed and added
    #[arg(long)]
    rows: bool,

    /// How many removed and how many added rows are shown; all are counted
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,

    /// Print what was found as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Choice,
}

/// What differs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    is_same: bool,
    /// Old and new, where they differ.
    schema: Option<[Value; 2]>,
    columns_removed: Vec<String>,
    columns_added: Vec<String>,
    /// Old and new of all numbers, and of how the exports were made.
    rows: [u64; 2],
    bytes: [u64; 2],
    ledger: [Value; 2],
    form: [String; 2],
    ingestion_mode: [String; 2],
    files_removed: Vec<String>,
    files_added: Vec<String>,
    files_changed: Vec<String>,
    /// Absent where nobody asked.
    row_changes: Option<Rows>,
}

pub fn run(args: &Args) -> ExitCode {
    let done = serve::runtime().and_then(|runtime| runtime.block_on(diff(args)));
    match done {
        Ok(found) => {
            tell(args, &found);
            if found.is_same { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            crate::failed(&error);
            ExitCode::from(2)
        }
    }
}

async fn diff(args: &Args) -> Result<Found> {
    let places = (Place::parse(&args.old, &args.server)?, Place::parse(&args.new, &args.server)?);
    let (old, new) = (places.0.manifest().await?, places.1.manifest().await?);
    let mut found = compare(&old, &new)?;
    if args.rows {
        let rows = rows::compare((&places.0, &old), (&places.1, &new), args.limit).await?;
        // Equal rows may lie in other files.
        let is_like =
            found.schema.is_none() && found.columns_removed.is_empty() && found.columns_added.is_empty();
        found.is_same = is_like && rows.removed + rows.added == 0;
        found.row_changes = Some(rows);
    }
    Ok(found)
}

fn compare(old: &Manifest, new: &Manifest) -> Result<Found> {
    let (old_form, new_form) = (plan::form(old)?, plan::form(new)?);
    let without = |all: &[String], others: &[String]| -> Vec<String> {
        all.iter().filter(|name| !others.contains(name)).cloned().collect()
    };
    let (old_files, new_files) = (files(old), files(new));
    let only = |all: &BTreeMap<&str, &FileEntry>, others: &BTreeMap<&str, &FileEntry>| {
        all.keys().filter(|name| !others.contains_key(*name)).map(|name| (*name).to_owned()).collect()
    };
    let changed = old_files.iter().filter(|(name, file)| {
        new_files.get(*name).is_some_and(|other| (&other.blake3, other.bytes) != (&file.blake3, file.bytes))
    });
    let count =
        |manifest: &Manifest, what: fn(&FileEntry) -> u64| manifest.files.iter().map(what).sum::<u64>();
    let mut found = Found {
        is_same: false,
        schema: (old.schema != new.schema).then(|| [old.schema.clone(), new.schema.clone()]),
        columns_removed: without(&old_form.columns, &new_form.columns),
        columns_added: without(&new_form.columns, &old_form.columns),
        rows: [count(old, |file| file.rows), count(new, |file| file.rows)],
        bytes: [count(old, |file| file.bytes), count(new, |file| file.bytes)],
        ledger: [json!(old.ledger), json!(new.ledger)],
        form: [form(old), form(new)],
        ingestion_mode: [old.ingestion_mode.clone(), new.ingestion_mode.clone()],
        files_removed: only(&old_files, &new_files),
        files_added: only(&new_files, &old_files),
        files_changed: changed.map(|(name, _)| (*name).to_owned()).collect(),
        row_changes: None,
    };
    found.is_same = found.schema.is_none()
        && old_form == new_form
        && [&found.files_removed, &found.files_added, &found.files_changed]
            .iter()
            .all(|files| files.is_empty());
    Ok(found)
}

// By their names: each export has a folder of its own.
fn files(manifest: &Manifest) -> BTreeMap<&str, &FileEntry> {
    let name = |entry: &'_ FileEntry| entry.key.rfind('/').map_or(0, |at| at + 1);
    manifest.files.iter().map(|entry| (&entry.key[name(entry)..], entry)).collect()
}

fn form(manifest: &Manifest) -> String {
    let more = [&manifest.compression, &manifest.csv].into_iter().flatten();
    more.fold(manifest.format.clone(), |form, more| format!("{form} {more}"))
}

fn tell(args: &Args, found: &Found) {
    if args.json {
        say!("{}", json!(found));
        return;
    }
    if found.schema.is_some() {
        say!("schema: differs");
    }
    let list = |what: &str, names: &[String]| names.iter().for_each(|name| say!("{what}: {name}"));
    list("column removed", &found.columns_removed);
    list("column added", &found.columns_added);
    let pair = |what: &str, [old, new]: &[String; 2]| {
        if old != new {
            say!("{what}: {old} -> {new}");
        }
    };
    pair("form", &found.form);
    pair("mode", &found.ingestion_mode);
    pair("rows", &found.rows.map(number));
    pair("bytes", &found.bytes.map(number));
    pair("ledger", &found.ledger.clone().map(|ledger| ledger.to_string()));
    list("file removed", &found.files_removed);
    list("file added", &found.files_added);
    list("file changed", &found.files_changed);
    if let Some(rows) = &found.row_changes {
        rows.removed_rows.iter().for_each(|row| say!("- {row}"));
        rows.added_rows.iter().for_each(|row| say!("+ {row}"));
        say!("{} rows removed, {} added", number(rows.removed), number(rows.added));
    }
    if found.is_same {
        say!("nothing differs");
    }
}
