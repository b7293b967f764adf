//! `lade inspect`: what a run, a segment of the log or a manifest on the disk holds; read, and never written.

mod home;
mod manifest;
mod run;
mod segment;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use model::error::{Context, Error, Result};
use proof::plan::MANIFEST;
use serde_json::Value;

use crate::{out, say, say_text, serve};
use home::Home;

/// Options of `lade inspect`.
#[derive(clap::Args)]
#[command(after_help = "\
Nothing is written, and no server is asked: it may run meanwhile. Runs are checked page by page, segments frame by frame. What is
sealed is opened by the master key of its data folder; of a group with a key of KMS only what lies open is shown. Exits with 1
where something is damaged.

Examples:
  lade inspect ~/.local/share/lade/runs/0a1b2c3d4e5f-0.parquet
  lade inspect ~/.local/share/lade/log/00000000000000000000.log --json
  lade inspect ./nightly/_manifest.json
  lade inspect --quick ~/.local/share/lade")]
pub struct Args {
    /// A run, a segment or a manifest, or a folder of them; of a data folder, all of its segments and runs
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Look at the footers of runs, and read no pages
    #[arg(long)]
    quick: bool,

    /// Data folder that it belongs to [default: the one that it lies in]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// File with the master key [default: master_key in the data folder]
    #[arg(long, env = "LADE_MASTER_KEY_FILE", value_name = "FILE")]
    master_key_file: Option<PathBuf>,

    /// Print JSON, one file a line
    #[arg(long)]
    json: bool,
}

/// What was found in a file.
struct Found {
    told: Value,
    text: String,
    is_damaged: bool,
}

pub fn run(args: &Args) -> ExitCode {
    let done = serve::runtime().and_then(|runtime| runtime.block_on(inspect(args)));
    done.unwrap_or_else(|error| crate::failed(&error))
}

async fn inspect(args: &Args) -> Result<ExitCode> {
    let mut damaged = 0;
    for path in args.paths.iter().map(|path| files(path)).collect::<Result<Vec<_>>>()?.iter().flatten() {
        let home = Home::of(path, args.data_dir.as_deref(), args.master_key_file.as_deref());
        let found = match look(path, &home, args.quick).await {
            // A server that works on the folder writes runs anew and drops segments.
            Err(_) if !args.paths.contains(path) && !path.exists() => continue,
            found => found?,
        };
        damaged += usize::from(found.is_damaged);
        if args.json {
            say!("{}", found.told);
        } else {
            say_text!("{}", found.text);
        }
        if out::is_closed() {
            break;
        }
    }
    if damaged == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("lade: {damaged} damaged");
    Ok(ExitCode::FAILURE)
}

async fn look(path: &Path, home: &Home, is_quick: bool) -> Result<Found> {
    match kind(path)? {
        Kind::Run => run::inspect(path, home, is_quick).await,
        Kind::Segment => segment::inspect(path, home).await,
        Kind::Manifest => manifest::inspect(path).await,
    }
}

// Of a folder, what it holds that can be inspected; of a data folder, what lies in its log and runs.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let manifest = path.join(MANIFEST);
    if manifest.is_file() {
        return Ok(vec![manifest]);
    }
    let mut found = Vec::new();
    for folder in
        [path.to_owned(), path.join("log"), path.join("runs")].iter().filter(|folder| folder.is_dir())
    {
        let listing = || format!("list {}", folder.display());
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).unavailable(listing)? {
            let path = entry.unavailable(listing)?.path();
            let is_one = path.extension().is_some_and(|end| end == "parquet" || end == "log");
            // audit.log, beside the two folders, is neither.
            if path.is_file() && is_one && matches!(kind(&path), Ok(Kind::Run | Kind::Segment)) {
                names.push(path);
            }
        }
        names.sort();
        found.extend(names);
    }
    match found.is_empty() {
        true => Err(Error::invalid(format!("{} holds no run, no segment and no manifest", path.display()))),
        false => Ok(found),
    }
}

enum Kind {
    Run,
    Segment,
    Manifest,
}

fn kind(path: &Path) -> Result<Kind> {
    let mut head = Vec::new();
    let opened = File::open(path).and_then(|file| file.take(64).read_to_end(&mut head));
    opened.unavailable(|| format!("read {}", path.display()))?;
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let is_named =
        |end: &str| name.strip_suffix(end).is_some_and(|stem| stem.bytes().all(|b| b.is_ascii_digit()));
    if head.starts_with(b"PAR1") || store::objects::key_id_of(&head).is_some() {
        Ok(Kind::Run)
    } else if store::log::look::is_segment(&head) || is_named(".log") {
        Ok(Kind::Segment)
    } else if head.trim_ascii_start().starts_with(b"{") {
        Ok(Kind::Manifest)
    } else {
        Err(Error::invalid(format!("{} is no run, no segment of the log and no manifest", path.display())))
    }
}
