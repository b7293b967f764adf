//! `lade admin backup`: a data folder as it was at one moment, also while its server runs.
//!
//! It needs nothing of the server but the locks that it deletes files under (`store::hold`): from before the moment until all
//! is copied, no segment of the log, no run and no blob goes. The moment is fixed while writers of both databases wait, for
//! an instant: how far the log goes is looked at in between. So what the catalog says was read of the log is in the log, no
//! record of the log has a number or a dataset that the catalog does not know, and each call that was acknowledged before is
//! there. Everything is copied afterwards. The manifest comes last.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use access::{SealingKey, master_key};
use catalog::copy::{Copy, named, refuse_other};
use model::error::{Context, Result};
use model::{Clock, Error, ErrorKind, clock::SystemClock};
use serde_json::json;
use store::hold::Guard;
use store::log::copy::Survey;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::copying::Target;
use super::manifest::{FORMAT, Manifest};
use crate::serve;
use crate::serve::folder;
use crate::settings::{data_dir, variable};

/// How long those who delete may take, and another backup.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often writers are asked to wait; each time takes up to 0.2 s where somebody holds one of the databases.
const HALTS: usize = 100;

/// Options of `lade admin backup`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lade admin backup /backups/monday
  lade admin backup /backups/monday --data-dir /srv/lade --copy --json")]
pub struct Args {
    /// Folder to make, or an empty one
    #[arg(value_name = "DIR")]
    to: PathBuf,

    /// Data folder to back up [default: lade in the user's data folder]
    #[arg(long, env = "LADE_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Put the master key into the backup, which whoever has it can then read
    #[arg(long)]
    with_master_key: bool,

    /// Where the master key lies that is put into it [default: master_key in the data folder]
    #[arg(long, env = "LADE_MASTER_KEY_FILE", value_name = "FILE")]
    master_key_file: Option<PathBuf>,

    /// Copy all files, where by default those that never change are linked if both folders are on one file system
    #[arg(long)]
    copy: bool,

    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> ExitCode {
    let done = serve::runtime().and_then(|runtime| runtime.block_on(back_up(args)));
    match done {
        Ok(told) => {
            crate::say!("{told}");
            ExitCode::SUCCESS
        }
        Err(error) => crate::failed(&error),
    }
}

async fn back_up(args: &Args) -> Result<String> {
    let begun = Instant::now();
    let from = data_dir(args.data_dir.clone())?;
    let master_key = args.with_master_key.then(|| {
        args.master_key_file
            .clone()
            .filter(|file| !file.as_os_str().is_empty())
            .unwrap_or_else(|| from.join("master_key"))
    });
    refuse(&from).await?;
    // Read once: what is packed is what was looked at.
    let master_key = master_key.map(|file| read_key(&file)).transpose()?;
    let mut target = Target::begin(&args.to, !args.copy)?;
    let (manifest, halted) = match gather(&from, &mut target, master_key.as_ref()).await {
        Ok(gathered) => gathered,
        Err(cause) => {
            target.give_up();
            return Err(cause);
        }
    };
    let (files, linked) = (manifest.files.len(), target.linked);
    if args.json {
        let told = json!({
            "path": args.to.display().to_string(), "takenAt": manifest.taken_at, "files": files, "filesLinked": linked,
            "sizeBytes": manifest.size_bytes, "logEnd": manifest.log_end, "hasMasterKey": manifest.has_master_key,
            "writersWaitedMs": halted.as_secs_f64() * 1000.0, "seconds": begun.elapsed().as_secs_f64(),
        });
        return Ok(told.to_string());
    }
    let key = match manifest.has_master_key {
        true => "The master key is in it: whoever has the backup can read it.",
        false => "The master key is not in it: keep that apart, for without it the backup can't be read.",
    };
    Ok(format!(
        "Backup      {}\nTaken at    {}\nFiles       {files}, {linked} of them linked, {:.1} MiB, in {:.1} s\n{key}",
        args.to.display(),
        manifest.taken_at,
        manifest.size_bytes as f64 / f64::from(1 << 20),
        begun.elapsed().as_secs_f64()
    ))
}

// Whatever would make the backup less than it says it is.
async fn refuse(from: &Path) -> Result<()> {
    folder::refuse_half_restored(from)?;
    let catalog = from.join("catalog.db");
    let is_elsewhere = variable("LADE_CATALOG").is_some_and(|place| place != "sqlite");
    if is_elsewhere || folder::has_catalog_elsewhere(from) || !catalog.exists() {
        return Err(Error::invalid(format!(
            "there is no catalog in the data folder {}: this command backs up servers that keep all they have in their \
             data folder. Where the catalog is in PostgreSQL, take pg_dump and see docs/backup.md",
            from.display()
        )));
    }
    refuse_read_only(&catalog)?;
    refuse_other(&catalog).await?;
    let said = named(&catalog).await?;
    if said.objects.starts_with("s3://") {
        return Err(Error::invalid(format!(
            "the records of this server lie in {}: this command backs up servers that keep all they have in their data \
             folder. See docs/backup.md for versions of a bucket",
            said.objects
        )));
    }
    let version = env!("CARGO_PKG_VERSION");
    if let Some(other) = said.version.filter(|other| folder::is_served(from) && other != version) {
        return Err(Error::invalid(format!(
            "the server that runs is of version {other}, and this command of version {version}: take that one's"
        )));
    }
    Ok(())
}

// Locks keep what is copied, and they are files: where nothing can be written, nothing can change either.
fn refuse_read_only(catalog: &Path) -> Result<()> {
    match std::fs::OpenOptions::new().append(true).open(catalog) {
        Err(cause) if cause.kind() == std::io::ErrorKind::ReadOnlyFilesystem => Err(Error::invalid(format!(
            "the file system of {} is read-only: once no server runs on the data folder, copy the folder whole with \
             cp -a, which is a backup, too",
            catalog.display()
        ))),
        _ => Ok(()),
    }
}

fn read_key(file: &Path) -> Result<SealingKey> {
    if !file.is_file() {
        let text =
            format!("there is no master key at {}: name its file with --master-key-file", file.display());
        return Err(Error::invalid(text));
    }
    folder::read_master_key(file)
}

async fn gather(
    from: &Path,
    target: &mut Target,
    master_key: Option<&SealingKey>,
) -> Result<(Manifest, Duration)> {
    let realm = folder::realm_of(from)?;
    let none = || Error::invalid(format!("no server was ever started on the data folder {}", from.display()));
    let realm = realm.ok_or_else(none)?;
    let (log, s3) = (from.join("log"), from.join("s3"));
    let holds = folder::holds(from);
    let _blobs = s3.exists().then(|| s3::backup::hold(&s3).keep(PATIENCE)).transpose()?;
    let runs = holds.objects.keep(PATIENCE)?;
    let segments = holds.log.keep(PATIENCE)?;
    // Read up to its end before writers wait for what is left to read.
    let mut survey = Survey::begin(&log)?;
    let (catalog, index) = (Path::new("catalog.db"), Path::new("s3").join(s3::backup::INDEX));
    let mut copies = Vec::new();
    if from.join(&index).exists() {
        copies.push(Copy::prepare(&from.join(&index), &target.place(&index)?).await?);
    }
    copies.push(Copy::prepare(&from.join(catalog), &target.place(catalog)?).await?);
    let halted = fix_moment(&mut copies, &mut survey).await?;
    let taken_at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(SystemClock.now_ms()) * 1_000_000);
    for copy in copies {
        copy.write().await?;
    }
    copy_log(&survey, &log, target, segments)?;
    target.adopt(catalog)?;
    let mark = named(&target.place(catalog)?).await?.master_key_mark;
    if let (Some(mark), Some(key)) = (mark, master_key)
        && !master_key::made(&mark, key)
    {
        return Err(Error::invalid(
            "the master key that was named is not the one that the catalog is sealed under, so the backup could not be read \
             with it: name that one's file with --master-key-file; after a lade admin rotate-master-key that broke off, start the \
             server once",
        ));
    }
    copy_runs(from, target, survey.end()).await?;
    drop(runs);
    if from.join(&index).exists() {
        target.adopt(&index)?;
        for (blob, size_bytes) in s3::backup::blobs(&target.place(&index)?).await? {
            target.bring(&s3.join(&blob), &Path::new("s3").join(&blob), size_bytes)?;
        }
    }
    for name in ["realm.json", "root_key.json"].map(Path::new) {
        if from.join(name).exists() {
            target.copy(&from.join(name), name)?;
        }
    }
    if let Some(key) = master_key {
        target.write(Path::new("master_key"), key.as_bytes())?;
    }
    target.settle()?;
    let manifest = Manifest {
        format: FORMAT,
        lade_version: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at: taken_at.ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default(),
        region: realm.region,
        account: realm.account,
        log_end: survey.end(),
        has_master_key: master_key.is_some(),
        size_bytes: target.size_bytes(),
        files: target.files.clone(),
    };
    manifest.write(&target.place(Path::new(""))?)?;
    Ok((manifest, halted))
}

/// Fixes one moment for all of it; tells for how long writers waited.
async fn fix_moment(copies: &mut [Copy], survey: &mut Survey) -> Result<Duration> {
    for _ in 0..HALTS {
        let begun = Instant::now();
        let mut halted = 0;
        while halted < copies.len() && copies[halted].halt().await? {
            halted += 1;
        }
        let fixed =
            if halted == copies.len() { hold(copies, survey).await.map(|()| true) } else { Ok(false) };
        for copy in copies[..halted].iter_mut().rev() {
            copy.release().await?;
        }
        if fixed? {
            return Ok(begun.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(Error::new(
        ErrorKind::InUse,
        "the catalog was written to without a pause: try again when less is going on",
    ))
}

async fn hold(copies: &mut [Copy], survey: &mut Survey) -> Result<()> {
    survey.advance()?;
    for copy in copies {
        copy.hold().await?;
    }
    Ok(())
}

// The log comes first, and may be cut from then on.
fn copy_log(survey: &Survey, log: &Path, target: &mut Target, kept: Guard) -> Result<()> {
    for stretch in survey.stretches() {
        let file = log.join(&stretch.name);
        let bytes =
            read_start(&file, stretch.size_bytes).unavailable(|| format!("read {}", file.display()))?;
        stretch.check(&bytes)?;
        target.write(&Path::new("log").join(&stretch.name), &bytes)?;
    }
    drop(kept);
    Ok(())
}

fn read_start(file: &Path, size_bytes: u64) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(size_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

async fn copy_runs(from: &Path, target: &mut Target, log_end: u64) -> Result<()> {
    let named = named(&target.place(Path::new("catalog.db"))?).await?;
    if named.flushed > log_end {
        return Err(Error::corrupt(
            "the log ends before what the catalog says was read of it: a part of it is missing",
        ));
    }
    let runs = from.join("runs");
    for (object, size_bytes) in &named.runs {
        target.bring(&runs.join(object), &Path::new("runs").join(object), *size_bytes)?;
    }
    // What jobs have written goes when they say so, and may be gone.
    for object in named.others.iter().filter(|object| runs.join(object).exists()) {
        target.bring(&runs.join(object), &Path::new("runs").join(object), 0)?;
    }
    Ok(())
}
