//! Where the data of datasets lies when it is not in the data folder: a bucket, and what is kept of it here.

use access::services::{Certificates, ServiceKeys};
use model::{Error, Result};
use store::objects::bucket::BucketPlace;

use super::services::{certificates, secret};
use super::{Given, Secret};

/// With less the readers of one job would take what others need.
pub const CACHE_BYTES_MIN: u64 = 8 << 20;
const CACHE_BYTES: u64 = 4 << 30;

/// The bucket that holds the data of datasets.
#[derive(Clone, Debug)]
pub struct ObjectsSettings {
    pub place: BucketPlace,
    /// `None`: that of AWS for the region.
    pub endpoint: Option<String>,
    /// `None`: the server's own.
    pub region: Option<String>,
    pub keys: ServiceKeys,
    pub certificates: Option<Certificates>,
    pub cache_bytes_max: u64,
}

impl Given {
    /// The bucket for the data of datasets; `None` where it lies in the data folder.
    ///
    /// # Errors
    /// `Invalid` when it is no bucket, its endpoint would get secrets in the clear, or keys are missing.
    pub(super) fn objects(&self) -> Result<Option<ObjectsSettings>> {
        let place = match self.objects.as_deref() {
            None | Some("file") => return self.without_bucket(),
            Some(text) => place(text)?,
        };
        let endpoint = self.objects_endpoint.as_deref();
        Ok(Some(ObjectsSettings {
            place,
            endpoint: endpoint.map(|url| self.endpoint("objects_endpoint", url)).transpose()?,
            region: self.objects_region.clone(),
            keys: self.objects_keys()?,
            certificates: self.ca_file.as_deref().map(certificates).transpose()?,
            cache_bytes_max: self.cache_size.map_or(CACHE_BYTES, |size| size.bytes),
        }))
    }

    // Whoever names an endpoint and keys alone believes that they are in use.
    fn without_bucket(&self) -> Result<Option<ObjectsSettings>> {
        match (&self.objects_endpoint, &self.objects_access_key_id) {
            (None, None) => Ok(None),
            _ => Err(Error::invalid(
                "objects_endpoint and objects_access_key_id are for a bucket: give objects = s3://BUCKET/PREFIX too",
            )),
        }
    }

    fn objects_keys(&self) -> Result<ServiceKeys> {
        let from_file = self.objects_secret_access_key_file.as_deref().map(secret).transpose()?;
        let given = self.objects_secret_access_key.clone().map(|Secret(text)| text);
        if from_file.is_some() && given.is_some() {
            let text = "give objects_secret_access_key or objects_secret_access_key_file, not both";
            return Err(Error::invalid(text));
        }
        match (self.objects_access_key_id.clone(), from_file.or(given)) {
            (Some(access_key_id), Some(secret_access_key)) => {
                Ok(ServiceKeys { access_key_id, secret_access_key })
            }
            _ => Err(Error::invalid(
                "objects = s3://BUCKET/PREFIX needs objects_access_key_id and objects_secret_access_key",
            )),
        }
    }
}

fn place(text: &str) -> Result<BucketPlace> {
    let wrong = || {
        let text = format!("the setting objects must be file or s3://BUCKET/PREFIX, and is {text}");
        Error::invalid(text)
    };
    let path = text.strip_prefix("s3://").ok_or_else(wrong)?;
    let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
    let prefix = prefix.trim_end_matches('/');
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_bucket = (3..=63).contains(&bucket.len()) && bucket.bytes().all(is_name);
    let is_prefix =
        prefix.is_empty() || prefix.split('/').all(|part| !part.is_empty() && part.bytes().all(is_name));
    match is_bucket && is_prefix {
        true => Ok(BucketPlace { bucket: bucket.to_owned(), prefix: prefix.to_owned() }),
        false => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::size::Size;

    fn given(objects: &str) -> Given {
        Given {
            objects: Some(objects.into()),
            objects_endpoint: Some("http://127.0.0.1:9000/".into()),
            objects_access_key_id: Some("AKIA".into()),
            objects_secret_access_key: Some(Secret("canary-canary".into())),
            ..Given::default()
        }
    }

    fn refusal(given: Given) -> String {
        given.objects().unwrap_err().chain()
    }

    #[test]
    fn a_bucket_may_have_a_prefix() {
        for (text, prefix) in [("s3://data", ""), ("s3://data/", ""), ("s3://data/a/b/", "a/b")] {
            let settings = given(text).objects().unwrap().unwrap();
            assert_eq!((settings.place.bucket.as_str(), settings.place.prefix.as_str()), ("data", prefix));
            assert_eq!(
                (settings.endpoint.as_deref(), settings.cache_bytes_max),
                (Some("http://127.0.0.1:9000"), 4 << 30)
            );
            assert!(!format!("{settings:?}").contains("canary"));
        }
        for text in
            ["", "files", "s3://", "s3:///a", "s3://a b", "s3://data//a", "s3://data/a?b", "https://data"]
        {
            assert!(refusal(given(text)).contains("the setting objects must be"), "{text}");
        }
    }

    #[test]
    fn a_bucket_needs_keys_and_a_way_that_keeps_them() {
        let keyless = Given { objects_secret_access_key: None, ..given("s3://data") };
        assert!(refusal(keyless).contains("needs objects_access_key_id and objects_secret_access_key"));
        let plain = || Given { objects_endpoint: Some("http://10.0.0.7".into()), ..given("s3://data") };
        assert!(refusal(plain()).contains("--allow-plain-http"));
        assert!(Given { allow_plain_http: Some(true), ..plain() }.objects().is_ok());
        let aws = Given { objects_endpoint: None, ..given("s3://data") };
        assert!(aws.objects().unwrap().unwrap().endpoint.is_none());
    }

    #[test]
    fn an_endpoint_without_a_bucket_is_a_mistake() {
        assert!(Given::default().objects().unwrap().is_none());
        assert!(refusal(given("file")).contains("give objects = s3://"));
    }

    #[test]
    fn a_tiny_cache_is_refused_by_name() {
        let given = Given {
            cache_size: Some(Size { bytes: 1 << 20 }),
            data_dir: Some("/d".into()),
            ..given("s3://data")
        };
        assert!(given.settle(None).unwrap_err().chain().contains("cache_size must be at least 8MiB"));
    }
}
