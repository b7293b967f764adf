//! Where an export lies: in a bucket or in a local folder; both are listed and read alike.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use access::S3Location;
use http_body_util::BodyExt;
use model::error::{Context, Error, ErrorKind, Result};
use model::manifest::Manifest;

use crate::client::Client;
use crate::client::server::Choice;
use proof::plan::{Expected, MANIFEST};
use proof::{Difference, Differences, Reading};

/// A manifest of a million files has about this size.
const MANIFEST_BYTES_MAX: usize = 256 << 20;
const PIECE_BYTES: usize = 1 << 20;
/// How long a store may send nothing.
const SILENCE: Duration = Duration::from_secs(60);
const CHECKSUM: &str = "x-amz-checksum-crc64nvme";

pub enum Place {
    Bucket {
        client: Box<Client>,
        bucket: String,
        /// Empty, or ending in a slash.
        prefix: String,
    },
    Folder(PathBuf),
}

impl Place {
    /// # Errors
    /// `Invalid` for what is neither `s3://…` nor a folder; those of `Choice::client`.
    pub fn parse(text: &str, server: &Choice) -> Result<Place> {
        if !text.starts_with("s3://") {
            let folder = PathBuf::from(text);
            if folder.is_dir() {
                return Ok(Place::Folder(folder));
            }
            return Err(Error::invalid(format!("{text} is neither s3://BUCKET/PREFIX/ nor a folder here")));
        }
        let wrong = || Error::invalid(format!("{text} is not of the form s3://BUCKET/PREFIX/"));
        let location = S3Location::parse(text).ok_or_else(wrong)?;
        let (prefix, bucket) = (location.prefix(), location.bucket);
        Ok(Place::Bucket { client: Box::new(server.client("S3")?), bucket, prefix })
    }

    /// Reads the manifest.
    ///
    /// # Errors
    /// `NotFound` when there is none; `Invalid` when it can't be read.
    pub async fn manifest(&self) -> Result<Manifest> {
        self.manifest_and_text().await.map(|(manifest, _)| manifest)
    }

    /// As `manifest`, with its bytes as they lie there.
    pub async fn manifest_and_text(&self) -> Result<(Manifest, Vec<u8>)> {
        let mut text = Vec::new();
        self.read_pieces(MANIFEST, |piece| {
            if text.len() + piece.len() > MANIFEST_BYTES_MAX {
                return Err(Error::invalid(format!("{MANIFEST} is larger than any manifest")));
            }
            text.extend_from_slice(piece);
            Ok(())
        })
        .await
        .map_err(without_manifest)?;
        let manifest = serde_json::from_slice(&text)
            .map_err(|e| Error::invalid(format!("{MANIFEST} is no manifest of an export")).caused_by(e))?;
        Ok((manifest, text))
    }

    /// The files that are there, with their sizes in bytes; those of folders in it too.
    pub async fn list(&self) -> Result<BTreeMap<String, u64>> {
        match self {
            Place::Bucket { client, bucket, prefix } => {
                let entries = client.s3_list(bucket, prefix).await?;
                let name = |key: &str| key.strip_prefix(prefix.as_str()).unwrap_or(key).to_owned();
                Ok(entries.iter().map(|entry| (name(&entry.key), entry.size_bytes)).collect())
            }
            Place::Folder(folder) => {
                let mut listed = BTreeMap::new();
                list_folder(folder, "", &mut listed).unavailable(|| format!("list {}", folder.display()))?;
                Ok(listed)
            }
        }
    }

    /// Reads a file and tells what differs; `seen` is told how many bytes came.
    pub async fn read(&self, expected: &Expected, seen: impl Fn(u64)) -> Result<Vec<Difference>> {
        let mut reading = Reading::new(expected);
        self.read_pieces(&expected.name, |piece| {
            reading.push(piece);
            seen(piece.len() as u64);
            Ok(())
        })
        .await?;
        Ok(reading.end())
    }

    /// Compares what the store says of a file, and reads none of it.
    pub async fn glance(&self, expected: &Expected) -> Result<Vec<Difference>> {
        let Place::Bucket { client, bucket, prefix } = self else {
            return Err(Error::internal("a local folder keeps no checksums"));
        };
        let head = client.s3_head(bucket, &format!("{prefix}{}", expected.name)).await?;
        let text = |name: &str| head.get(name).and_then(|value| value.to_str().ok()).unwrap_or("none");
        let mut differences = Differences::of(&expected.name);
        differences.compare("bytes", expected.entry.bytes.to_string().as_str(), text("content-length"));
        differences.compare("crc64nvme", expected.entry.crc64nvme.as_str(), text(CHECKSUM));
        Ok(differences.into_vec())
    }

    /// Reads a file piece by piece.
    pub async fn read_pieces(&self, name: &str, take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        match self {
            Place::Bucket { client, bucket, prefix } => {
                read_object(client, bucket, &format!("{prefix}{name}"), take).await
            }
            Place::Folder(folder) => read_file(&folder.join(name), take),
        }
    }
}

fn without_manifest(cause: Error) -> Error {
    match cause.kind {
        ErrorKind::NotFound => {
            let text = format!("there is no {MANIFEST} in this folder: {}", cause.message());
            Error::new(ErrorKind::NotFound, text)
        }
        _ => cause,
    }
}

async fn read_object(
    client: &Client,
    bucket: &str,
    key: &str,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let reading = || format!("read s3://{bucket}/{key}");
    let mut body = client.s3_open(bucket, key).await?.into_body();
    loop {
        let frame = tokio::time::timeout(SILENCE, body.frame()).await.unavailable(reading)?;
        let Some(frame) = frame else { return Ok(()) };
        if let Ok(piece) = frame.unavailable(reading)?.into_data() {
            take(&piece)?;
        }
    }
}

// Two files are read at once, each in a task of its own: that the disk makes one wait holds up nobody else.
fn read_file(path: &Path, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let reading = || format!("read {}", path.display());
    let mut file = File::open(path).unavailable(reading)?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece).unavailable(reading)? {
            0 => return Ok(()),
            read => take(&piece[..read])?,
        }
    }
}

fn list_folder(folder: &Path, prefix: &str, listed: &mut BTreeMap<String, u64>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        // What a link points to counts, but no folder is gone through twice.
        if entry.file_type()?.is_dir() {
            list_folder(&entry.path(), &format!("{name}/"), listed)?;
        } else {
            listed.insert(name, fs::metadata(entry.path()).map_or(0, |metadata| metadata.len()));
        }
    }
    Ok(())
}
