//! `lade admin rotate-master-key`: another master key for a server that does not run.

use std::path::PathBuf;
use std::process::ExitCode;

use model::error::Result;
use serde_json::json;

use crate::logs;
use crate::serve;
use crate::serve::master_key::{self, Change, Done};
use crate::settings::Given;

/// Options of `lade admin rotate-master-key`.
#[derive(clap::Args)]
#[command(
    after_help = "Stop the server first; with a catalog in PostgreSQL, all nodes and executors. Give the settings that it is \
    started with. No data is rewritten: the keys that sealed it are sealed under the new key. Whatever breaks off, the folder \
    opens with the old key or with the new one, and the next start finds out which. Backups from before need the old \
    key.\n\nExamples:
  lade admin rotate-master-key --data-dir /srv/lade
  lade admin rotate-master-key --data-dir /srv/lade --keep-old-key /root/lade-master-key.old"
)]
pub struct Args {
    /// File with settings (TOML)
    #[arg(long, env = "LADE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// File with the 32 bytes of the new key [default: random ones]
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<PathBuf>,

    /// Keep the old key in a new file, for backups from before
    #[arg(long, value_name = "FILE")]
    keep_old_key: Option<PathBuf>,

    /// Print what was done as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    given: Given,
}

pub fn run(args: Args) -> ExitCode {
    let done = serve::runtime().and_then(|runtime| runtime.block_on(rotate(args)));
    done.map_or_else(|error| crate::failed(&error), |()| ExitCode::SUCCESS)
}

async fn rotate(args: Args) -> Result<()> {
    let settings = args.given.settle(args.config.as_deref())?;
    logs::start(&settings.logs);
    let wanted = Change { new_key_file: args.new_key_file, old_key_file: args.keep_old_key };
    let done = master_key::change(&settings, &wanted).await?;
    if let Some(cause) = &done.left {
        eprintln!(
            "lade: the master key was changed, but the catalog's database was not written anew, and may hold what the old key \
             sealed in pages that are not used any more: {cause}"
        );
    }
    if args.json {
        crate::say!("{}", as_json(&done, &wanted));
    } else {
        print!("{}", shown(&done, &wanted, settings.catalog.is_some()));
    }
    Ok(())
}

fn as_json(done: &Done, wanted: &Change) -> serde_json::Value {
    json!({
        "masterKeyFile": done.file,
        "oldKeyFile": wanted.old_key_file,
        "kmsKeys": done.changed.keys,
        "accessKeys": done.changed.secrets,
        "formerKeys": done.changed.former,
    })
}

fn shown(done: &Done, wanted: &Change, has_nodes: bool) -> String {
    let access::master_key::Changed { keys, secrets, former } = done.changed;
    let file = done.file.display();
    let old = match &wanted.old_key_file {
        Some(kept) => format!("kept in {}; it opens backups from before, and nothing here", kept.display()),
        None => "gone; backups from before need a copy of it".to_owned(),
    };
    let nodes = if has_nodes {
        format!("Nodes        start with the new key only: copy {file} to all of them, and to executors\n")
    } else {
        String::new()
    };
    format!(
        "Master key   changed in {file}\n\
         Sealed anew  {keys} keys of KMS, {secrets} secrets of access keys, {former} former keys for data from before\n\
         Old key      {old}\n{nodes}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_the_old_key_and_who_needs_the_new_one_is_told() {
        let changed = access::master_key::Changed { keys: 1, secrets: 2, former: 3 };
        let done = Done { file: "/d/master_key".into(), changed, left: None };
        let alone = shown(&done, &Change::default(), false);
        assert!(
            alone.contains("1 keys of KMS, 2 secrets of access keys, 3 former keys")
                && alone.contains("gone;")
        );
        let wanted = Change { old_key_file: Some("/k".into()), ..Change::default() };
        let nodes = shown(&done, &wanted, true);
        assert!(nodes.contains("kept in /k") && nodes.contains("copy /d/master_key to all of them"));
        assert_eq!(as_json(&done, &wanted)["formerKeys"], 3);
    }
}
