//! Brings the records of one dataset to the target: imported ones by an import, put ones by puts, and the newest of each
//! id in the end.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use csv::Dialect;
use model::Layout;
use model::error::{Context, Error, Result};
use serde_json::json;

use super::compare::{Sort, each, sorted};
use super::export::{self, Wanted};
use super::put::{Put, Refused, Target};
use super::rows::{self, Rows, Source};
use super::side::{Side, text};
use super::state::Work;
use super::tell::tell;
use crate::client::place::Place;

/// So many records are put between two notes of how far it is.
const WINDOW: usize = 1_000;
const TELL_EVERY: Duration = Duration::from_secs(2);
/// Where so many are refused and none is taken, it is not the records that are wrong.
const SUSPICIOUS: u64 = 100;

/// A dataset at the target while it is filled.
pub struct Bringing<'a> {
    pub work: &'a mut Work,
    pub target: &'a Side,
    pub place: &'a Place,
    /// `GROUP/TYPE`
    pub key: &'a str,
    pub layout: &'a Layout,
    pub dataset_arn: &'a str,
    pub put: Target,
}

impl Bringing<'_> {
    /// Imports what was imported at the source, in place of what is there.
    ///
    /// # Errors
    /// `Invalid` with the reason when the job fails: the next command makes another one.
    pub async fn import(&mut self) -> Result<()> {
        let sources = export::of_slot(self.work, self.key, "BULK")?;
        let rows = self.work.dataset(self.key).exports.get("BULK").map_or(0, |export| export.rows);
        if !self.work.dataset(self.key).is_imported && rows > 0 {
            let name = match self.work.dataset(self.key).import_job.clone() {
                Some(name) => name,
                None => self.work.job_name()?,
            };
            self.work.dataset(self.key).import_job = Some(name.clone());
            self.work.save()?;
            if let Err(failed) = self.import_files(&name, "FULL", sources).await? {
                self.work.dataset(self.key).import_job = None;
                self.work.save()?;
                return Err(failed);
            }
        }
        self.work.dataset(self.key).is_imported = true;
        self.work.save()
    }

    // The inner error is that of the job.
    async fn import_files(&self, name: &str, mode: &str, sources: Vec<Source>) -> Result<Result<()>> {
        let members = ("datasetImportJobs", "jobName", "datasetImportJobArn");
        let of_dataset = json!({ "datasetArn": self.dataset_arn });
        let arn = match self.target.find("ListDatasetImportJobs", members, of_dataset, name).await? {
            Some(arn) => arn,
            None => {
                let folder = self.place.key(&format!("{name}/"));
                self.upload(&folder, &sources).await?;
                tell!("{}: importing {} files ({mode})", self.key, sources.len());
                let location = format!("s3://{}/{folder}", self.place.bucket);
                let input = json!({ "jobName": name, "datasetArn": self.dataset_arn, "importMode": mode,
                    "roleArn": self.place.role_arn, "dataSource": { "dataLocation": location } });
                text(&self.target.create_job("CreateDatasetImportJob", input).await?, "datasetImportJobArn")?
            }
        };
        let input = json!({ "datasetImportJobArn": arn });
        let over = self.target.until_over("DescribeDatasetImportJob", input, "datasetImportJob").await?;
        Ok(over.map(drop))
    }

    async fn upload(&self, folder: &str, sources: &[Source]) -> Result<()> {
        for source in sources {
            let name = source.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let key = format!("{folder}{name}");
            // The import reads files as their metadata tell; without any, in the documented dialect.
            let headers = match source.dialect {
                Dialect::Rfc4180 => vec![("x-amz-meta-personalize-csv", "rfc4180".to_owned())],
                Dialect::Aws => vec![],
            };
            let write =
                || self.target.objects.s3_write_file(&self.place.bucket, &key, &source.path, headers.clone());
            patiently_long(write).await?;
        }
        Ok(())
    }

    /// Puts what was put at the source, in its order, from where an earlier command came to.
    pub async fn put_all(&mut self) -> Result<()> {
        let sources = export::of_slot(self.work, self.key, "PUT")?;
        let mut rows = Rows::new(self.layout, sources);
        let done = self.work.dataset(self.key).put_rows;
        let mut told = Instant::now();
        for _ in 0..done {
            rows.next(&mut |_| Ok(()))?;
        }
        loop {
            let puts = window(&mut rows, self.layout, &self.put)?;
            if puts.is_empty() {
                break;
            }
            let count = puts.len() as u64;
            let refused = self.put.send(&self.target.control, puts).await?;
            if let Some((_, reason)) =
                refused.first().filter(|_| count >= SUSPICIOUS && refused.len() as u64 == count)
            {
                let key = self.key;
                return Err(Error::invalid(format!(
                    "{key}: the target refuses one record after another: {reason}"
                )));
            }
            self.note_refused(&refused)?;
            self.work.dataset(self.key).put_rows += count;
            self.work.save()?;
            if told.elapsed() > TELL_EVERY {
                told = Instant::now();
                tell!("{}: {} records put so far", self.key, self.work.dataset(self.key).put_rows);
            }
        }
        self.work.dataset(self.key).is_put = true;
        self.work.save()
    }

    /// Where the records lie that the target refused.
    pub fn refused_path(&self) -> PathBuf {
        refused_path(&self.work.folder, self.key)
    }

    // What a command wrote behind the last note is written again.
    fn note_refused(&mut self, refused: &Refused) -> Result<()> {
        if refused.is_empty() {
            return Ok(());
        }
        let path = self.refused_path();
        let writing = || format!("write {}", path.display());
        let (bytes, header) = (self.work.dataset(self.key).refused_bytes, rows::header(self.layout));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).unavailable(writing)?;
        }
        let mut file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).unavailable(writing)?;
        file.set_len(bytes).and_then(|()| file.seek(SeekFrom::End(0)).map(drop)).unavailable(writing)?;
        let mut text = if bytes == 0 { with_column(&header, "_REASON") } else { Vec::new() };
        for (put, reason) in refused {
            text.extend(with_column(&put.line, reason));
        }
        file.write_all(&text).and_then(|()| file.sync_all()).unavailable(writing)?;
        let state = self.work.dataset(self.key);
        state.refused += refused.len() as u64;
        state.refused_bytes = bytes + text.len() as u64;
        Ok(())
    }

    /// Makes the newest record of each id the one that it is at the source; how many it was not.
    ///
    /// A record that is brought once more equals one that is there, so that it changes what is newest and nothing else.
    ///
    /// # Errors
    /// When either side refuses.
    pub async fn order(&mut self) -> Result<u64> {
        let wanted = self.target_export("ALL");
        export::all(self.work, self.target, (self.key, self.layout), &[wanted.wanted()]).await?;
        let found = self.sort_out()?;
        export::forget(self.work, self.key, "TARGET-ALL")?;
        let put_again = self.put_again(found.put_file).await?;
        if found.imported_again > 0 {
            let name = self.work.job_name()?;
            let source = Source { path: found.file.clone(), dialect: Dialect::Rfc4180 };
            self.import_files(&name, "INCREMENTAL", vec![source]).await??;
        }
        let state = self.work.dataset(self.key);
        (state.is_ordered, state.strangers) = (true, found.strangers);
        self.work.save()?;
        Ok(put_again + found.imported_again)
    }

    async fn put_again(&self, path: PathBuf) -> Result<u64> {
        let mut rows = Rows::new(self.layout, vec![Source { path, dialect: Dialect::Rfc4180 }]);
        let mut count = 0;
        loop {
            let puts = window(&mut rows, self.layout, &self.put)?;
            if puts.is_empty() {
                return Ok(count);
            }
            count += puts.len() as u64;
            // What is refused now was refused before, and is told.
            self.put.send(&self.target.control, puts).await?;
        }
    }

    fn sort_out(&mut self) -> Result<Again> {
        let scratch = self.work.folder.join("scratch");
        let layout = self.layout;
        let sort = |sources, name: &str| sorted(layout, sources, &scratch, name);
        let mut source = sort(export::of_slot(self.work, self.key, "ALL")?, "source")?;
        let mut target = sort(export::of_slot(self.work, self.key, "TARGET-ALL")?, "target")?;
        let mut missing = Sort::new(scratch.join("missing"));
        each(&mut source, &mut target, |pair| {
            if pair.left > pair.right { missing.push(pair.line) } else { Ok(()) }
        })?;
        drop((source, target));
        let mut put = sort(export::of_slot(self.work, self.key, "PUT")?, "put")?;
        let mut not_put = Sort::new(scratch.join("not-put"));
        let again_path = self.work.folder.join("data").join(self.key).join("again.csv");
        let mut again_file = create(&again_path, layout)?;
        each(&mut missing.finish()?, &mut put, |pair| match (pair.left, pair.right) {
            (0, _) => Ok(()),
            (_, 0) => not_put.push(pair.line),
            _ => again_file.write_all(pair.line).unavailable(|| "write again.csv".to_owned()),
        })?;
        drop(put);
        let mut bulk = sort(export::of_slot(self.work, self.key, "BULK")?, "bulk")?;
        let path = self.work.folder.join("data").join(self.key).join("newest.csv");
        let mut file = create(&path, layout)?;
        let (mut imported_again, mut strangers) = (0, 0);
        each(&mut not_put.finish()?, &mut bulk, |pair| match (pair.left, pair.right) {
            (0, _) => Ok(()),
            (_, 0) => {
                strangers += 1;
                Ok(())
            }
            _ => {
                imported_again += 1;
                file.write_all(pair.line).unavailable(|| "write newest.csv".to_owned())
            }
        })?;
        file.sync_all().and_then(|()| again_file.sync_all()).unavailable(|| "sync newest.csv".to_owned())?;
        Ok(Again { put_file: again_path, imported_again, file: path, strangers })
    }

    /// An export of the target, to compare.
    pub fn target_export(&self, mode: &'static str) -> TargetExport {
        TargetExport {
            slot: format!("TARGET-{mode}"),
            mode,
            dataset_arn: self.dataset_arn.to_owned(),
            place: self.place.clone(),
            is_exportable: self.layout.dataset_type.is_exportable(),
        }
    }
}

struct Again {
    put_file: PathBuf,
    imported_again: u64,
    file: PathBuf,
    strangers: u64,
}

/// What `Wanted` borrows from.
pub struct TargetExport {
    slot: String,
    mode: &'static str,
    dataset_arn: String,
    place: Place,
    is_exportable: bool,
}

impl TargetExport {
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted {
            slot: &self.slot,
            dataset_arn: &self.dataset_arn,
            mode: self.mode,
            bucket: &self.place.bucket,
            prefix: self.place.prefix.clone(),
            role_arn: &self.place.role_arn,
            kms_key_arn: None,
            tags: if self.is_exportable { vec![] } else { vec![allow_actions()] },
        }
    }
}

/// Lets a Lade export what the service does not.
pub fn allow_actions() -> serde_json::Value {
    json!({ "tagKey": "lade:allow", "tagValue": "actions" })
}

/// Where the records of a dataset lie that the target refused.
pub fn refused_path(work: &Path, key: &str) -> PathBuf {
    work.join("refused").join(format!("{}.csv", key.replace('/', "-")))
}

/// Forgets them.
///
/// # Errors
/// `Unavailable` when their file can't be removed.
pub fn remove_refused(work: &Path, key: &str) -> Result<()> {
    let path = refused_path(work, key);
    match std::fs::remove_file(&path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(cause).unavailable(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn create(path: &Path, layout: &Layout) -> Result<File> {
    let writing = || format!("write {}", path.display());
    let mut file = File::create(path).unavailable(writing)?;
    file.write_all(&rows::header(layout)).unavailable(writing)?;
    Ok(file)
}

fn window(rows: &mut Rows<'_>, layout: &Layout, target: &Target) -> Result<Vec<Put>> {
    let mut puts = Vec::new();
    while puts.len() < WINDOW
        && rows.next(&mut |values| {
            puts.push(target.put(layout, values));
            Ok(())
        })?
    {}
    Ok(puts)
}

fn with_column(line: &[u8], text: &str) -> Vec<u8> {
    let mut line = line.strip_suffix(b"\n").unwrap_or(line).to_vec();
    line.push(b',');
    csv::write::write_string(text, &mut line);
    line.push(b'\n');
    line
}

// A large file takes longer than any answer; each of its parts is short.
async fn patiently_long<F: Future<Output = Result<()>>>(mut call: impl FnMut() -> F) -> Result<()> {
    for _ in 0..3 {
        match call().await {
            Err(cause) if cause.kind == model::ErrorKind::Unavailable => {
                tell!("writing again: {}", cause.message());
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            answer => return answer,
        }
    }
    call().await
}
