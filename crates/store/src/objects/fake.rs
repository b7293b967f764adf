//! A store in memory that answers as S3 does, remembers what it was asked, and fails when it is told to.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::{HttpRequest, HttpResponse};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, Credentials, Region, RequestChecksumCalculation, RuntimeComponents,
};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use bytes::Bytes;
use http::Response;

use super::bucket::{BucketPlace, OwnBucket};

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The store answers that it can't.
    Unavailable,
    /// The store does it, but nobody hears of it.
    LostAnswer,
    /// A byte of the answer's body is another one.
    ChangedByte,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Bytes>,
    uploads: BTreeMap<String, (String, BTreeMap<i32, Bytes>)>,
    asked: Vec<String>,
    troubles: VecDeque<(String, Trouble)>,
    ignores_conditions: bool,
}

/// The store; its one bucket is `own`.
#[derive(Clone, Default)]
pub struct Fake(Arc<Mutex<State>>);

const PAGE: usize = 3;

type Answer = (u16, Vec<(&'static str, String)>, Bytes);

fn answer(status: u16, body: impl Into<String>) -> Answer {
    (status, Vec::new(), Bytes::from(body.into()))
}

fn refusal(status: u16, code: &str) -> Answer {
    answer(status, format!("<Error><Code>{code}</Code><Message>no</Message></Error>"))
}

fn etag(bytes: &Bytes) -> String {
    format!("\"{:x}\"", crc32c::crc32c(bytes))
}

impl Fake {
    pub fn client(&self) -> Client {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(self.clone())
            .endpoint_url("http://127.0.0.1:1")
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "fake"))
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .retry_config(RetryConfig::disabled());
        Client::from_conf(config.build())
    }

    pub async fn bucket(&self) -> model::Result<OwnBucket> {
        let place = BucketPlace { bucket: "own".into(), prefix: "a".into() };
        let bucket = OwnBucket::open(self.client(), false, &place, "probe").await?;
        Ok(bucket.with_patience(Duration::from_millis(500)))
    }

    /// The next request of this method, on a key with this text, meets trouble.
    pub fn fail(&self, what: &str, trouble: Trouble) {
        self.0.lock().unwrap().troubles.push_back((what.to_owned(), trouble));
    }

    pub fn ignore_conditions(&self) {
        self.0.lock().unwrap().ignores_conditions = true;
    }

    /// What was asked since the last time, as `GET a/runs/x`, without probes.
    pub fn asked(&self) -> Vec<String> {
        let asked = std::mem::take(&mut self.0.lock().unwrap().asked);
        asked.into_iter().filter(|request| !request.contains("probe")).collect()
    }

    pub fn keys(&self) -> Vec<String> {
        self.0.lock().unwrap().objects.keys().cloned().collect()
    }

    pub fn uploads(&self) -> usize {
        self.0.lock().unwrap().uploads.len()
    }

    fn answer(&self, request: &HttpRequest) -> Option<Answer> {
        let uri: http::Uri = request.uri().parse().unwrap();
        let key = uri.path().trim_start_matches("/own").trim_start_matches('/').to_owned();
        let query = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            pair.split_once('=')
                .map_or((pair.to_owned(), String::new()), |(n, v)| (n.into(), v.replace("%2F", "/")))
        };
        let query: HashMap<String, String> = query.map(pair).collect();
        let body = Bytes::copy_from_slice(request.body().bytes().unwrap_or_default());
        let mut state = self.0.lock().unwrap();
        let asked = format!("{} {key}", request.method());
        let trouble = state
            .troubles
            .front()
            .filter(|(what, _)| asked.contains(what.as_str()))
            .map(|(_, trouble)| *trouble);
        state.asked.push(asked);
        if trouble.is_some() {
            state.troubles.pop_front();
        }
        if trouble == Some(Trouble::Unavailable) {
            return Some(refusal(503, "SlowDown"));
        }
        let header = |name: &str| request.headers().get(name);
        let (status, headers, mut body) = match request.method() {
            "PUT" => state.put(&key, &query, body, header("if-none-match").is_some()),
            "POST" => state.post(&key, &query, &body),
            "DELETE" => state.delete(&key, &query),
            _ if key.is_empty() => state.list(&query),
            _ => state.get(&key, header("range"), header("if-match")),
        };
        match trouble {
            Some(Trouble::LostAnswer) => return None,
            Some(Trouble::ChangedByte) => {
                let mut changed = body.to_vec();
                let middle = changed.len() / 2;
                changed[middle] ^= 1;
                body = changed.into();
            }
            _ => {}
        }
        Some((status, headers, body))
    }
}

impl State {
    fn put(&mut self, key: &str, query: &HashMap<String, String>, body: Bytes, is_new: bool) -> Answer {
        if let Some(id) = query.get("uploadId") {
            let Some((_, parts)) = self.uploads.get_mut(id) else { return refusal(404, "NoSuchUpload") };
            let tag = etag(&body);
            parts.insert(query["partNumber"].parse().unwrap(), body);
            return (200, vec![("etag", tag)], Bytes::new());
        }
        if is_new && !self.ignores_conditions && self.objects.contains_key(key) {
            return refusal(412, "PreconditionFailed");
        }
        self.objects.insert(key.to_owned(), body);
        answer(200, "")
    }

    fn post(&mut self, key: &str, query: &HashMap<String, String>, body: &Bytes) -> Answer {
        if query.contains_key("delete") {
            let text = String::from_utf8_lossy(body).into_owned();
            let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
            keys.for_each(|key| drop(self.objects.remove(key)));
            return answer(200, "<DeleteResult></DeleteResult>");
        }
        let Some(id) = query.get("uploadId") else {
            let id = format!("u{}", self.uploads.len());
            self.uploads.insert(id.clone(), (key.to_owned(), BTreeMap::new()));
            let xml = format!(
                "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            );
            return answer(200, xml);
        };
        let Some((_, parts)) = self.uploads.remove(id) else { return refusal(404, "NoSuchUpload") };
        self.objects.insert(key.to_owned(), parts.into_values().collect::<Vec<_>>().concat().into());
        answer(200, "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")
    }

    fn delete(&mut self, key: &str, query: &HashMap<String, String>) -> Answer {
        match query.get("uploadId") {
            Some(id) => drop(self.uploads.remove(id)),
            None => drop(self.objects.remove(key)),
        }
        answer(204, "")
    }

    fn get(&self, key: &str, range: Option<&str>, etag_wanted: Option<&str>) -> Answer {
        let Some(bytes) = self.objects.get(key) else { return refusal(404, "NoSuchKey") };
        let tag = etag(bytes);
        if etag_wanted.is_some_and(|wanted| wanted != tag) {
            return refusal(412, "PreconditionFailed");
        }
        let Some(range) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
            return (200, vec![("etag", tag)], bytes.clone());
        };
        let (first, last): (usize, usize) = (range.0.parse().unwrap(), range.1.parse().unwrap());
        if first >= bytes.len() {
            return refusal(416, "InvalidRange");
        }
        let end = (last + 1).min(bytes.len());
        let range = format!("bytes {first}-{}/{}", end - 1, bytes.len());
        (206, vec![("etag", tag), ("content-range", range)], bytes.slice(first..end))
    }

    fn list(&self, query: &HashMap<String, String>) -> Answer {
        let prefix = query.get("prefix").cloned().unwrap_or_default();
        if query.contains_key("uploads") {
            let uploads = self.uploads.iter().filter(|(_, (key, _))| key.starts_with(&prefix));
            let uploads: String = uploads
                .map(|(id, (key, _))| format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId></Upload>"))
                .collect();
            return answer(
                200,
                format!("<R><IsTruncated>false</IsTruncated>{uploads}</R>")
                    .replace("R>", "ListMultipartUploadsResult>"),
            );
        }
        let after = query.get("start-after").cloned().unwrap_or_default();
        let all = self.objects.range::<str, _>((Bound::Excluded(after.as_str()), Bound::Unbounded));
        let all: Vec<&String> = all.map(|(key, _)| key).filter(|key| key.starts_with(&prefix)).collect();
        let page = &all[..all.len().min(PAGE)];
        let keys: String = page.iter().map(|key| format!("<Contents><Key>{key}</Key></Contents>")).collect();
        let (count, is_cut) = (page.len(), all.len() > page.len());
        answer(
            200,
            format!(
                "<ListBucketResult><KeyCount>{count}</KeyCount><IsTruncated>{is_cut}</IsTruncated>{keys}</ListBucketResult>"
            ),
        )
    }
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

impl HttpClient for Fake {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Fake {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let fake = self.clone();
        HttpConnectorFuture::new(async move {
            let answered = fake.answer(&request).ok_or_else(|| ConnectorError::io("it hung up".into()));
            let (status, headers, body) = answered?;
            // As long as on a network, others may come in between.
            tokio::time::sleep(Duration::from_millis(2)).await;
            let mut response = Response::builder().status(status).header("content-length", body.len());
            for (name, value) in headers {
                response = response.header(name, value);
            }
            let response = response.body(SdkBody::from(body)).unwrap();
            HttpResponse::try_from(response).map_err(|cause| ConnectorError::other(cause.into(), None))
        })
    }
}
