//! Real S3, STS and KMS: whether they answer, what time it is there, and what a role of jobs may do.

use std::collections::HashMap;
use std::time::Duration;

use access::{Errand, S3Location};
use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use model::clock::SystemClock;
use model::error::{Context, Result};
use model::{Clock, Error};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::data::Opened;
use super::finding::Findings;
use crate::client::connector::Connector;
use crate::settings::Settings;

const PATIENCE: Duration = Duration::from_secs(10);
/// Signatures are refused from a quarter of an hour on.
const SKEW_S_WARN: i64 = 60;
const SKEW_S_MAX: i64 = 840;

/// Looks at the services that the settings name, and at the role, with a place in a bucket, that was asked for.
pub async fn look(
    settings: &Settings,
    opened: Option<&Opened>,
    asked: Option<(&str, Option<&str>)>,
    findings: &mut Findings,
) {
    let services = &settings.services;
    let objects = settings.objects.as_ref().and_then(|objects| objects.endpoint.clone());
    let endpoints = [
        ("s3_endpoint", services.s3_endpoint.clone()),
        ("sts_endpoint", services.sts_endpoint.clone()),
        ("kms_endpoint", services.kms_endpoint.clone()),
        ("objects_endpoint", objects),
    ];
    for (setting, url) in endpoints {
        let Some(url) = url else { continue };
        match date_of(&url, settings).await {
            Err(cause) => findings.fail(
                "services",
                format!("{setting} {url} does not answer: {}", cause.chain()),
                format!("look at that service, at {setting} and at ca_file"),
            ),
            Ok(None) => {
                findings.ok("services", format!("{setting} {url} answers, and does not tell the time"))
            }
            Ok(Some(there_ms)) => tell_time(setting, &url, SystemClock.now_ms() - there_ms, findings),
        }
    }
    let Some((role, location)) = asked else { return };
    let Some(opened) = opened else {
        let text = format!("{role} was not tried, as catalog or master key can't be used");
        return findings.warn("role", text, "mend these first");
    };
    match try_role(opened, role).await {
        Err(cause) => {
            let advice = "let the role's trust policy name who acts as it: see docs/operating.md";
            findings.fail("role", format!("{role}: {}", cause.chain()), advice);
            return;
        }
        Ok(()) => findings.ok("role", format!("the server can act as {role}")),
    }
    match location {
        Some(_) if services.s3_endpoint.is_none() => findings.warn(
            "role",
            "what the role may do in buckets of the embedded S3 was not tried",
            "make a job while the server runs: it says at once which statement is missing",
        ),
        Some(location) => try_place(opened, role, location, findings).await,
        None => {}
    }
}

fn tell_time(setting: &str, url: &str, apart_ms: i64, findings: &mut Findings) {
    let (apart_s, advice) =
        (apart_ms / 1000, "set the clocks by NTP: requests signed a quarter of an hour off are refused");
    let text = format!("{setting} {url} answers; its clock and this one are {} s apart", apart_s.abs());
    match apart_s.abs() {
        apart if apart > SKEW_S_MAX => findings.fail("clock", text, advice),
        apart if apart > SKEW_S_WARN => findings.warn("clock", text, advice),
        _ => findings.ok("services", text),
    }
}

// Any answer will do, a refusal too: every one says when it was given.
async fn date_of(url: &str, settings: &Settings) -> Result<Option<i64>> {
    let connector = match url.starts_with("https://") {
        true => Connector::secure(settings.ca_file.as_deref())?,
        false => Connector::default(),
    };
    let http: Client<Connector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let asking = || "ask it for the time".to_owned();
    let request = Request::get(url).body(Empty::new()).unavailable(asking)?;
    let answer = tokio::time::timeout(PATIENCE, http.request(request)).await;
    let answer = answer.map_err(|_| Error::unavailable("no answer within 10 s"))?.unavailable(asking)?;
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
    let date = date.map(|date| date.replace("GMT", "+0000"));
    let date = date.and_then(|date| OffsetDateTime::parse(&date, &Rfc2822).ok());
    Ok(date.map(|date| date.unix_timestamp() * 1000))
}

async fn try_role(opened: &Opened, role: &str) -> Result<()> {
    let source = opened.access.realm.import_job("doctor");
    within(opened.access.check_role(role, &source)).await
}

async fn try_place(opened: &Opened, role: &str, location: &str, findings: &mut Findings) {
    let advice =
        "add the statement that is named to the role's policy; docs/operating.md lists those that jobs need";
    let Some(place) = S3Location::parse(location) else {
        return findings.fail(
            "role",
            format!("{location} is no place in a bucket"),
            "give s3://BUCKET/PREFIX/",
        );
    };
    let reading = async {
        let source = opened.access.realm.import_job("doctor");
        let bucket = opened.access.open_bucket(role, &source, &Errand::reading(&place)).await?;
        bucket.list(&place.key, true).await.map(drop)
    };
    match within(reading).await {
        Ok(()) => findings.ok("role", format!("it may list {location}, as imports do")),
        Err(cause) => {
            findings.warn("role", format!("imports can't read {location}: {}", cause.chain()), advice)
        }
    }
    let writing = async {
        let source = opened.access.realm.export_job("doctor");
        let bucket = opened.access.open_bucket(role, &source, &Errand::writing(&place)).await?;
        bucket.probe_list().await?;
        let key = format!("{}lade-doctor", place.prefix());
        let upload = bucket.create_multipart(&key, "text/plain", HashMap::new()).await?;
        bucket.abort(&key, &upload).await
    };
    match within(writing).await {
        Ok(()) => findings
            .ok("role", format!("it may begin an upload below {location} and give it up, as exports do")),
        Err(cause) => {
            findings.warn("role", format!("exports can't write {location}: {}", cause.chain()), advice)
        }
    }
}

async fn within<T>(doing: impl Future<Output = Result<T>>) -> Result<T> {
    let done = tokio::time::timeout(PATIENCE, doing).await;
    done.unwrap_or_else(|_| Err(Error::unavailable("no answer within 10 s")))
}
