//! Opens the place where the data of datasets lies: a folder, or a bucket that is nobody else's and not in this server.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;

use access::bucket::own_client;
use bytes::Bytes;
use catalog::Catalog;
use http::Uri;
use model::error::{Context, Result};
use model::{Clock, Error, ErrorKind, Realm};
use store::Objects;
use store::objects::bucket::OwnBucket;
use tokio::runtime::Handle;

use super::folder::{self, Folder};
use crate::settings::Settings;
use crate::settings::objects::ObjectsSettings;

/// The place of objects that lie in a node's own folder.
pub const FILE: &str = "file";
/// The object that says whose a prefix is.
const OWNER: &str = "owner";

/// Where objects lie, as the other nodes are told.
pub fn place(settings: &Settings) -> String {
    match &settings.objects {
        Some(objects) => format!("s3://{}/{}", objects.place.bucket, objects.place.prefix),
        None => FILE.to_owned(),
    }
}

/// Whether the store answers.
pub async fn answers(bucket: &OwnBucket) -> bool {
    bucket.get(OWNER).await.is_ok()
}

/// The server's own bucket, proven to work; `None` where its data lies in the data folder.
///
/// `url` is where the server will be listening.
///
/// # Errors
/// `Invalid` when the bucket is one of this server, or can't hold its data; those of the store in words that name the
/// setting to look at.
pub async fn bucket(
    settings: &Settings,
    realm: &Realm,
    url: &str,
    clock: &dyn Clock,
) -> Result<Option<OwnBucket>> {
    let Some(objects) = &settings.objects else { return Ok(None) };
    let region = objects.region.as_deref().unwrap_or(&realm.region);
    let endpoint = objects.endpoint.clone().unwrap_or_else(|| of_aws(region));
    refuse_own(settings, &endpoint, url).await?;
    let (client, signs_bodies) = own_client(&endpoint, region, &objects.keys, objects.certificates.as_ref());
    OwnBucket::open(client, signs_bodies, &objects.place, &clock.hex(16)).await.map(Some)
}

/// Opens the objects of all runs; in a bucket they are this catalog's alone.
///
/// # Errors
/// `Invalid` when the server of another catalog has its objects there, or this one has them at another place;
/// `Unavailable` when the disk refuses.
pub async fn open(
    settings: &Settings,
    folder: &Folder,
    catalog: &Catalog,
    bucket: Option<&OwnBucket>,
) -> Result<Objects> {
    let (cache, runs) = (folder.path().join("cache"), folder.path().join("runs"));
    let (Some(objects), Some(bucket)) = (&settings.objects, bucket) else {
        if !runs.exists() && !catalog.named_objects().await?.is_empty() {
            return Err(if cache.exists() {
                elsewhere("in a bucket", "the data folder, as it does by default")
            } else {
                Error::invalid(
                    "the catalog names data of datasets that this data folder does not hold: name the data folder or the \
                     bucket (setting objects) that holds it, or put its folder runs back from a backup",
                )
            });
        }
        // What an earlier start with a bucket kept of it is of no use.
        if cache.exists() {
            std::fs::remove_dir_all(&cache).unavailable(|| "empty the folder of the cache".to_owned())?;
        }
        return Objects::open(&runs);
    };
    if holds_files(&runs) {
        return Err(elsewhere("in the data folder", "a bucket"));
    }
    own(objects, catalog, bucket).await?;
    Objects::open_bucket(bucket.clone(), &cache, objects.cache_bytes_max, Handle::current())
}

fn holds_files(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some())
}

fn elsewhere(place: &str, now: &str) -> Error {
    Error::invalid(format!(
        "the data of this server's datasets lies {place}, and the setting objects now names {now}: start with what it was, \
         or with another data folder"
    ))
}

fn of_aws(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://s3.{region}.amazonaws.com{suffix}")
}

// What no row of the catalog names is deleted: two catalogs would delete each other's objects.
async fn own(objects: &ObjectsSettings, catalog: &Catalog, bucket: &OwnBucket) -> Result<()> {
    let mark = folder::mark(catalog).await?;
    match bucket.put_new(OWNER, Bytes::from(mark)).await {
        Err(cause) if cause.kind == ErrorKind::AlreadyExists => {
            let place = &objects.place;
            Err(Error::invalid(format!(
                "s3://{}/{} holds the objects of a server with another catalog: name another prefix in the setting \
                 objects, or start with the catalog that belongs to it",
                place.bucket, place.prefix
            )))
        }
        owned => owned,
    }
}

/// Refuses an endpoint that leads to this very server: it can't start before what it needs to start.
async fn refuse_own(settings: &Settings, endpoint: &str, url: &str) -> Result<()> {
    let leads_here = {
        let own = url.strip_prefix("http://").and_then(|address| address.parse::<SocketAddr>().ok());
        let own = own.map(|own| SocketAddr::new(settings.listen.ip(), own.port()));
        let (host, port) = host_and_port(endpoint);
        let is_public = |name: &String| host == *name || host.ends_with(&format!(".{name}"));
        let is_public_url = |url: &String| host_and_port(url) == (host.clone(), port);
        settings.public_hosts.iter().any(is_public)
            || settings.public_url.as_ref().is_some_and(is_public_url)
            || match own {
                Some(own) if own.port() == port => {
                    addresses(&host, port).await.iter().any(|ip| is_at(*ip, own.ip()))
                }
                _ => false,
            }
    };
    match leads_here {
        true => Err(Error::invalid(
            "the setting objects_endpoint leads to this server itself, whose own buckets can't hold its objects: name \
             another store",
        )),
        false => Ok(()),
    }
}

fn host_and_port(endpoint: &str) -> (String, u16) {
    let uri = endpoint.parse::<Uri>().unwrap_or_default();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    (host, uri.port_u16().unwrap_or(usual))
}

async fn addresses(host: &str, port: u16) -> Vec<IpAddr> {
    let found = tokio::net::lookup_host((host, port)).await;
    found.map(|all| all.map(|address| address.ip()).collect()).unwrap_or_default()
}

// Only an address of this machine can be taken.
fn is_at(ip: IpAddr, listening: IpAddr) -> bool {
    ip == listening || (listening.is_unspecified() && UdpSocket::bind((ip, 0)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_a_host_and_a_port() {
        for (url, host, port) in [
            ("https://s3.example.com", "s3.example.com", 443),
            ("http://[::1]:9000", "::1", 9000),
            ("http://127.0.0.1", "127.0.0.1", 80),
        ] {
            assert_eq!(host_and_port(url), (host.to_owned(), port), "{url}");
        }
    }

    #[test]
    fn whoever_listens_everywhere_is_at_each_address_of_the_machine() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(is_at(ip("127.0.0.1"), ip("0.0.0.0")));
        assert!(!is_at(ip("192.0.2.1"), ip("0.0.0.0")));
        assert!(is_at(ip("127.0.0.1"), ip("127.0.0.1")) && !is_at(ip("127.0.0.2"), ip("127.0.0.1")));
    }
}
