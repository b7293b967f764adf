//! `lade migrate to-aws`: a folder with all of a dataset group, and a script that imports it into Amazon Personalize.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use csv::Dialect;
use model::dataset::Domain;
use model::error::{Context, Error, Result};
use model::manifest::Manifest;
use model::record::Value;
use model::schema::Schema;
use model::{Clock, DatasetType, Layout};
use proof::{Expected, Reading, plan::form};
use serde_json::json;

use super::bring::allow_actions;
use super::export::Wanted;
use super::from_aws::target;
use super::plan::{self, Dataset};
use super::rows::{self, Rows, Source};
use super::script::{Part, Written, readme, script};
use super::side::Side;
use super::tell::tell;
use crate::client::place::Place;
use crate::client::server::Choice;
use crate::say;

/// Fewer interactions are no import at AWS.
const INTERACTIONS_MIN: u64 = 1_000;
const PIECE_BYTES: usize = 1 << 20;

/// Options of `lade migrate to-aws`.
#[derive(clap::Args)]
#[command(after_help = "Example:
  lade migrate to-aws --group shop --out shop-for-aws
  BUCKET=my-bucket ROLE_ARN=arn:aws:iam::111122223333:role/PersonalizeImport REGION=eu-west-1 shop-for-aws/import.sh")]
pub struct Args {
    /// Dataset group by its name
    #[arg(long, value_name = "NAME")]
    group: String,

    /// Folder to write; it must be empty, or not be there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Where this server exports to on the way [default: a bucket and a role are made for it and removed again, which takes
    /// the rights of the root]
    #[arg(long, value_name = "S3_PATH", requires = "role_arn")]
    staging: Option<String>,

    /// Role that may write there
    #[arg(long, value_name = "ARN", requires = "staging")]
    role_arn: Option<String>,

    #[command(flatten)]
    server: Choice,
}

/// # Errors
/// `Invalid` when the folder is not empty; `Corrupt` when a file is not what its manifest says.
pub async fn run(args: &Args) -> Result<()> {
    let making = || format!("make {}", args.out.display());
    fs::create_dir_all(&args.out).unavailable(making)?;
    if fs::read_dir(&args.out).unavailable(making)?.next().is_some() {
        return Err(Error::invalid(format!("{} is not empty", args.out.display())));
    }
    let side = target(&args.server).await?;
    let making = (&model::clock::SystemClock as &dyn Clock).hex(12);
    let name = format!("lade-migrate-{making}");
    let (place, is_made) = match (&args.staging, &args.role_arn) {
        (Some(path), Some(role_arn)) => (Place::given(path, role_arn)?, false),
        _ => (Place::make(&side.control, &name).await?, true),
    };
    let folder = Folder { out: &args.out, side: &side, place: &place, name: &name, making: &making };
    let written = folder.write(&args.group).await;
    // Before anything is printed: whatever becomes of standard output, nothing stays behind.
    let removed = if is_made { place.remove(&side.control).await } else { Ok(()) };
    if let (Err(_), Err(cause)) = (&written, &removed) {
        tell!("the bucket and the role {name} are still there: {}", cause.message());
    }
    written?.iter().for_each(|line| say!("{line}"));
    removed
}

/// The folder that is written.
struct Folder<'a> {
    out: &'a Path,
    side: &'a Side,
    place: &'a Place,
    /// What the names of all jobs begin with.
    name: &'a str,
    /// No other folder has it.
    making: &'a str,
}

impl Folder<'_> {
    // What people are told in the end.
    async fn write(&self, group: &str) -> Result<Vec<String>> {
        let groups = plan::read(self.side, &[group.to_owned()]).await?;
        let group =
            groups.first().ok_or_else(|| Error::invalid(format!("there is no dataset group {group}")))?;
        let mut warnings = Vec::new();
        let mut datasets = Vec::new();
        for dataset in &group.datasets {
            datasets.push(self.dataset(dataset, &mut warnings).await?);
            let path = self.out.join("schemas").join(format!("{}.json", dataset.schema.name));
            self.file(&path, format!("{:#}\n", dataset.schema.json).as_bytes())?;
        }
        self.file(&self.out.join("README.md"), readme(group, &datasets, &warnings).as_bytes())?;
        let path = self.out.join("import.sh");
        self.file(&path, script(group, &datasets, self.making).as_bytes())?;
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&path, mode).unavailable(|| format!("let {} be run", path.display()))?;
        let mut told = Vec::new();
        for written in &datasets {
            let (kind, bulk, put) = (written.dataset.kind.as_str(), written.bulk.rows, written.put.rows);
            told.push(format!("{}/{kind}: {bulk} imported, {put} put, checked", group.name));
        }
        told.extend(warnings.iter().map(|warning| format!("look out: {warning}")));
        told.push(format!(
            "next: read {}, then run {}",
            self.out.join("README.md").display(),
            path.display()
        ));
        Ok(told)
    }

    async fn dataset<'d>(&self, dataset: &'d Dataset, warnings: &mut Vec<String>) -> Result<Written<'d>> {
        let bulk = self.part(dataset, "BULK").await?;
        let put = self.part(dataset, "PUT").await?;
        let newest = match dataset.kind.is_keyed() && bulk.rows > 0 && put.rows > 0 {
            true => self.newest(dataset, &put).await?,
            false => Part::default(),
        };
        let kind = dataset.kind;
        let is_interactions = matches!(kind, DatasetType::Interactions | DatasetType::ActionInteractions);
        for (what, part) in [("imported", &bulk), ("put", &put)] {
            if is_interactions && (1..INTERACTIONS_MIN).contains(&part.rows) {
                let (kind, rows) = (kind.as_str(), part.rows);
                warnings.push(format!(
                    "{kind} has {rows} {what} records: AWS imports no fewer than {INTERACTIONS_MIN} at a time."
                ));
            }
            let folder = if what == "put" { "put" } else { "bulk" };
            if let Err(cause) = rows::count(&strict(dataset)?, self.sources(dataset, folder, part)) {
                warnings.push(format!(
                    "{} has {what} records that an import refuses, because a required value is missing: {}",
                    kind.as_str(),
                    cause.message()
                ));
            }
        }
        Ok(Written { dataset, bulk, put, newest })
    }

    fn folder(&self, dataset: &Dataset, folder: &str) -> PathBuf {
        self.out.join("data").join(dataset.kind.as_str()).join(folder)
    }

    fn sources(&self, dataset: &Dataset, folder: &str, part: &Part) -> Vec<Source> {
        let folder = self.folder(dataset, folder);
        part.files.iter().map(|(name, _)| Source { path: folder.join(name), dialect: Dialect::Aws }).collect()
    }

    // Exports in the documented dialect, brings the files and checks them against the manifest.
    async fn part(&self, dataset: &Dataset, mode: &str) -> Result<Part> {
        let mut tags = vec![json!({ "tagKey": "lade:csv", "tagValue": "aws" })];
        if !dataset.kind.is_exportable() {
            tags.push(allow_actions());
        }
        let wanted = Wanted {
            slot: mode,
            dataset_arn: &dataset.arn,
            mode,
            bucket: &self.place.bucket,
            prefix: self.place.prefix.clone(),
            role_arn: &self.place.role_arn,
            kms_key_arn: None,
            tags,
        };
        let kind = dataset.kind.as_str().replace('_', "-");
        let name = format!("{}-{kind}-{mode}", self.name);
        let arn = wanted.begin(self.side, &name).await?;
        let of_job = json!({ "datasetExportJobArn": arn });
        self.side.until_active("DescribeDatasetExportJob", of_job, "datasetExportJob").await?;
        let folder = self.folder(dataset, &mode.to_lowercase());
        let files = wanted.fetch(self.side, &name, &folder).await?;
        let files: Vec<(String, u64)> = files.into_iter().map(|file| (file.name, file.bytes)).collect();
        let manifest = folder.join(proof::plan::MANIFEST);
        let text = fs::read(&manifest).unavailable(|| format!("read {}", manifest.display()))?;
        check(&text, &folder, &files)?;
        let manifest: Manifest = serde_json::from_slice(&text).corrupt(|| "read a manifest".to_owned())?;
        let mut hash = blake3::Hasher::new();
        for file in &manifest.files {
            hash.update(file.blake3.as_bytes());
        }
        let mark = hash.finalize().to_hex()[..8].to_owned();
        Ok(Part { rows: manifest.ledger.written, files, mark })
    }

    // Of ids that were put, the newest records that an import of the put ones would not leave newest.
    async fn newest(&self, dataset: &Dataset, put: &Part) -> Result<Part> {
        let all = self.part(dataset, "ALL").await?;
        let layout = dataset.layout()?;
        let last = last_of_ids(&layout, self.sources(dataset, "put", put))?;
        let mut text = rows::header(&layout);
        let mut count = 0;
        let mut rows = Rows::new(&layout, self.sources(dataset, "all", &all));
        while rows.next(&mut |values| {
            if last.get(id(&layout, values)).is_some_and(|last| *last != digest(values)) {
                write_documented(values, &mut text);
                count += 1;
            }
            Ok(())
        })? {}
        let gone = self.folder(dataset, "all");
        fs::remove_dir_all(&gone).unavailable(|| format!("remove {}", gone.display()))?;
        if count == 0 {
            return Ok(Part::default());
        }
        self.file(&self.folder(dataset, "newest").join("00000.csv"), &text)?;
        let mark = blake3::hash(&text).to_hex()[..8].to_owned();
        Ok(Part { rows: count, files: vec![("00000.csv".to_owned(), text.len() as u64)], mark })
    }

    fn file(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let writing = || format!("write {}", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).unavailable(writing)?;
        }
        let mut file = File::create(path).unavailable(writing)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).unavailable(writing)
    }
}

// The columns as an import reads them.
fn strict(dataset: &Dataset) -> Result<Layout> {
    let domain = dataset.schema.domain.as_deref().and_then(Domain::parse);
    let schema = Schema::parse(&dataset.schema.json.to_string(), domain);
    let schema = schema.map_err(|problems| Error::invalid(problems.join(" ")))?;
    Ok(Layout::new(dataset.kind, &schema))
}

fn check(text: &[u8], folder: &Path, files: &[(String, u64)]) -> Result<()> {
    let manifest: Manifest = serde_json::from_slice(text).corrupt(|| "read a manifest".to_owned())?;
    let form = form(&manifest)?;
    if manifest.files.len() != files.len() || !manifest.ledger.balances() {
        return Err(Error::corrupt(format!("{} does not hold what its manifest lists", folder.display())));
    }
    for (entry, (name, _)) in manifest.files.iter().zip(files) {
        let expected = Expected { name: name.clone(), entry: entry.clone(), form: form.clone() };
        let mut reading = Reading::new(&expected);
        let path = folder.join(name);
        let opening = || format!("read {}", path.display());
        let mut file = File::open(&path).unavailable(opening)?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match file.read(&mut piece).unavailable(opening)? {
                0 => break,
                read => reading.push(&piece[..read]),
            }
        }
        if let Some(difference) = reading.end().first() {
            return Err(Error::corrupt(format!("{}: {difference}", path.display())));
        }
    }
    Ok(())
}

// Records of one id come in the order in which they arrived.
fn last_of_ids(layout: &Layout, sources: Vec<Source>) -> Result<HashMap<String, [u8; 32]>> {
    let mut last = HashMap::new();
    let mut rows = Rows::new(layout, sources);
    while rows.next(&mut |values| {
        last.insert(id(layout, values).to_owned(), digest(values));
        Ok(())
    })? {}
    Ok(last)
}

fn id<'v>(layout: &Layout, values: &'v [Value<'_>]) -> &'v str {
    match &values[layout.id_column()] {
        Value::String(text) => text,
        _ => "",
    }
}

fn digest(values: &[Value<'_>]) -> [u8; 32] {
    let mut line = Vec::new();
    csv::write::write_record(values, &mut line);
    *blake3::hash(&line).as_bytes()
}

fn write_documented(values: &[Value<'_>], out: &mut Vec<u8>) {
    for (n, value) in values.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        match value {
            Value::String(text) => csv::write::write_escaped(text, out),
            value => csv::write::write_value(value, out),
        }
    }
    out.push(b'\n');
}
