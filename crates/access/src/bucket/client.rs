//! How the client of a bucket is set up.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::{RetryConfig, RetryPartition, TokenBucket};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    self, BehaviorVersion, Config, Credentials, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, SharedCredentialsProvider, SharedHttpClient, StalledStreamProtectionConfig,
};

use super::Bucket;
use super::embedded::{EmbeddedClient, EmbeddedS3};
use crate::services::{Acting, Certificates, ServiceKeys, http_client};
use crate::session::SessionKeys;

/// How long a store may take until its answer begins.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The same where much is to be done before it: to take in a part, or to complete a large upload.
const LONG_ANSWER_TIMEOUT: Duration = Duration::from_secs(300);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The same at the server's own bucket, which has small requests alone and is asked again by whoever holds the client.
const OWN_ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
const ATTEMPTS: u32 = 5;
/// Between two attempts: a caller waits for all of them, and a job has attempts of its own.
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// How requests get to an S3 endpoint.
#[derive(Clone)]
pub(crate) struct Way {
    http: SharedHttpClient,
    /// Whether the signature must cover the bodies that are sent; else only their checksums protect them.
    signs_bodies: bool,
}

impl Way {
    /// Over connections, with TLS where the address says so; one pool for all buckets.
    pub fn to(url: &str, certificates: Option<&Certificates>) -> Way {
        Way { http: http_client(url, certificates), signs_bodies: signs_bodies(url) }
    }

    /// Within this process; requests count as those of clients do that come over TLS, or don't.
    pub fn embedded(s3: EmbeddedS3, is_secure: bool) -> Way {
        Way { http: SharedHttpClient::new(EmbeddedClient::new(s3, is_secure)), signs_bodies: false }
    }
}

/// A real store.
pub(crate) struct Store {
    pub url: String,
    pub region: String,
    pub way: Way,
}

impl Bucket {
    pub(crate) fn open(name: &str, url: &str, region: &str, way: &Way, keys: SessionKeys) -> Bucket {
        let token = keys.credential.session_token.clone();
        let secret = &keys.credential.secret_access_key;
        let credentials = Credentials::new(&keys.access_key_id, secret, token, None, "role-session");
        Bucket {
            name: name.to_owned(),
            client: client(url, region, way, SharedCredentialsProvider::new(credentials)),
            signs_bodies: way.signs_bodies,
            key: None,
            acting: None,
            _keys: Some(Arc::new(keys)),
        }
    }

    pub(crate) fn open_real(
        name: &str,
        store: &Store,
        credentials: SharedCredentialsProvider,
        acting: Acting,
    ) -> Bucket {
        Bucket {
            name: name.to_owned(),
            client: client(&store.url, &store.region, &store.way, credentials),
            signs_bodies: store.way.signs_bodies,
            key: None,
            acting: Some(acting),
            _keys: None,
        }
    }
}

/// A client for the server's own bucket, which makes each request once, and whether it signs the bodies that it sends.
pub fn own_client(
    url: &str,
    region: &str,
    keys: &ServiceKeys,
    certificates: Option<&Certificates>,
) -> (Client, bool) {
    let way = Way::to(url, certificates);
    let config = config(url, region, &way, SharedCredentialsProvider::new(keys.credentials()))
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts(OWN_ANSWER_TIMEOUT));
    (Client::from_conf(config.build()), way.signs_bodies)
}

fn client(url: &str, region: &str, way: &Way, credentials: SharedCredentialsProvider) -> Client {
    Client::from_conf(config(url, region, way, credentials).build())
}

fn config(url: &str, region: &str, way: &Way, credentials: SharedCredentialsProvider) -> config::Builder {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(way.http.clone())
        .endpoint_url(url)
        .region(Region::new(region.to_owned()))
        .credentials_provider(credentials)
        .force_path_style(true)
        .disable_s3_express_session_auth(true)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_max_backoff(BACKOFF_MAX))
        // By default an outage uses up the retries of all buckets, and after it each request has a single attempt.
        .retry_partition(RetryPartition::custom("s3").token_bucket(TokenBucket::unlimited()).build())
        .timeout_config(timeouts(ANSWER_TIMEOUT))
        // Its limit of a byte a second stops exports that wait for their own disk; `Body` has its own limit.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .request_checksum_calculation(RequestChecksumCalculation::WhenSupported)
        .response_checksum_validation(ResponseChecksumValidation::WhenSupported)
}

fn timeouts(answer: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(answer).build()
}

/// What differs for a request that a store needs much time for.
pub(super) fn patiently() -> config::Builder {
    Config::builder().timeout_config(timeouts(LONG_ANSWER_TIMEOUT))
}

// Signing a body costs more than all else in sending it. Nobody can change it on the way through this machine or
// through TLS, so there the checksum is enough.
fn signs_bodies(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return true };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback =
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    uri.scheme_str() != Some("https") && !is_loopback
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_signed_where_others_could_change_them() {
        for (url, signs) in [
            ("http://127.0.0.1:8080", false),
            ("http://[::1]:8080", false),
            ("http://localhost:9000/", false),
            ("https://s3.example.com", false),
            ("http://10.0.0.7:9000", true),
            ("http://localhost.example.com", true),
        ] {
            assert_eq!(signs_bodies(url), signs, "{url}");
        }
    }
}
