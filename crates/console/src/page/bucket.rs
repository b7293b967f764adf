//! Buckets: the list and a new one, what lies in one, its policy, and single objects.

use askama::Template;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;

use super::confirm::Question;
use super::{Frame, not_found, policies};
use crate::client::{Answer, Client, Refusal, object_path, segment};
use crate::markup::{pretty, size};
use crate::reply;
use crate::route::status_of;
use crate::visit::{Shown, Visit};

pub const HOME: &str = "/console/buckets";

struct BucketRow {
    name: String,
    path: String,
    created: String,
}

#[derive(Template)]
#[template(path = "buckets.html")]
struct List<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    name: &'a str,
    rows: Vec<BucketRow>,
}

/// A folder, or an object.
struct EntryRow {
    name: String,
    path: String,
    size: Option<String>,
    modified: String,
    /// `None` for a folder.
    delete_path: Option<String>,
}

#[derive(Template)]
#[template(path = "bucket.html")]
struct Show<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    name: &'a str,
    path: String,
    prefix: &'a str,
    rows: Vec<EntryRow>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "bucket_policy.html")]
struct Policy<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    name: &'a str,
    policy: String,
    is_kept: bool,
    /// Whether the text is what Personalize needs, not yet kept.
    is_proposed: bool,
    proposal: String,
}

pub fn path(bucket: &str) -> String {
    format!("{HOME}/{}", segment(bucket))
}

pub async fn list(visit: &Visit<'_>) -> Shown {
    let client = visit.client();
    let name = visit.form.get("name");
    let mut problem = None;
    if visit.is_post() {
        match client.s3(Method::PUT, format!("/{}", segment(name)), "").await {
            Ok(_) => return Ok(reply::to(&path(name))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let listed = client.s3(Method::GET, "/".to_owned(), "").await?;
    let buckets = listed.child("Buckets").into_iter().flat_map(|buckets| buckets.all("Bucket"));
    let row = |bucket: &crate::xml::Element| {
        let name = bucket.text_of(&["Name"]).to_owned();
        BucketRow { path: path(&name), created: bucket.text_of(&["CreationDate"]).to_owned(), name }
    };
    let rows = buckets.map(row).collect();
    let problem = problem.as_ref();
    let page = List { frame: visit.frame("Buckets", &[]), problem, name, rows };
    Ok(reply::page(problem.map_or(StatusCode::OK, status_of), &page))
}

/// The names of the buckets that a visitor may list.
pub async fn names(client: &Client<'_>) -> Answer<Vec<String>> {
    let listed = client.s3(Method::GET, "/".to_owned(), "").await?;
    let buckets = listed.child("Buckets").into_iter().flat_map(|buckets| buckets.all("Bucket"));
    Ok(buckets.map(|bucket| bucket.text_of(&["Name"]).to_owned()).collect())
}

pub async fn show(visit: &Visit<'_>, bucket: &str) -> Shown {
    shown(visit, bucket, None).await
}

/// The page of a bucket, with what was refused there.
pub async fn shown(visit: &Visit<'_>, bucket: &str, problem: Option<&Refusal>) -> Shown {
    let prefix = visit.query.raw("prefix");
    let mut query = format!(
        "/{}?list-type=2&delimiter=%2F&encoding-type=url&max-keys=200&prefix={}",
        segment(bucket),
        segment(prefix)
    );
    if let Some(token) = visit.query.given("next") {
        query.push_str(&format!("&continuation-token={}", segment(token)));
    }
    let listed = visit.client().s3(Method::GET, query, "").await?;
    let folders = listed.all("CommonPrefixes").map(|folder| {
        let key = decoded(folder.text_of(&["Prefix"]));
        let path = format!("{}?prefix={}", path(bucket), segment(&key));
        EntryRow { name: below(prefix, &key), path, size: None, modified: String::new(), delete_path: None }
    });
    let objects = listed.all("Contents").map(|object| {
        let key = decoded(object.text_of(&["Key"]));
        EntryRow {
            name: below(prefix, &key),
            path: format!("{}/object?key={}", path(bucket), segment(&key)),
            size: Some(size(object.text_of(&["Size"]).parse().unwrap_or_default())),
            modified: object.text_of(&["LastModified"]).to_owned(),
            delete_path: Some(format!("{}/delete-object?key={}", path(bucket), segment(&key))),
        }
    });
    let next = Some(listed.text_of(&["NextContinuationToken"])).filter(|token| !token.is_empty());
    let page = Show {
        frame: visit.frame(bucket, &[("Buckets", HOME.to_owned())]),
        problem,
        name: bucket,
        path: path(bucket),
        prefix,
        rows: folders.chain(objects).collect(),
        next: next
            .map(|token| format!("{}?prefix={}&next={}", path(bucket), segment(prefix), segment(token))),
    };
    Ok(reply::page(problem.map_or(StatusCode::OK, status_of), &page))
}

// Keys come encoded: not all of them can stand in XML.
fn decoded(key: &str) -> String {
    percent_decode_str(&key.replace('+', " ")).decode_utf8_lossy().into_owned()
}

fn below(prefix: &str, key: &str) -> String {
    key.strip_prefix(prefix).unwrap_or(key).to_owned()
}

pub async fn policy(visit: &Visit<'_>, bucket: &str) -> Shown {
    let client = visit.client();
    let place = format!("/{}?policy", segment(bucket));
    let (mut problem, mut is_kept) = (None, false);
    if visit.is_post() {
        let given = visit.form.get("policy").to_owned();
        let method = if given.is_empty() { Method::DELETE } else { Method::PUT };
        match client.s3(method, place.clone(), given).await {
            Ok(_) => is_kept = true,
            Err(refusal) => problem = Some(refusal),
        }
    }
    let policy = match client.s3_text(place).await {
        Ok(text) => pretty(&text),
        Err(refusal) if refusal.code == "NoSuchBucketPolicy" => String::new(),
        Err(refusal) => return Err(refusal),
    };
    let problem = problem.as_ref();
    let proposal = policies::of_bucket(bucket);
    let is_proposed = !visit.is_post() && visit.query.get("add") == "personalize";
    let policy = match problem {
        Some(_) => visit.form.raw("policy").to_owned(),
        None if is_proposed => added(&policy, &proposal),
        None => policy,
    };
    let frame = visit.frame("Bucket policy", &[("Buckets", HOME.to_owned()), (bucket, path(bucket))]);
    let page = Policy { frame, problem, name: bucket, policy, is_kept, is_proposed, proposal };
    Ok(reply::page(problem.map_or(StatusCode::OK, status_of), &page))
}

// A policy that lets others in keeps doing so.
fn added(policy: &str, proposal: &str) -> String {
    let parsed: serde_json::Value = serde_json::from_str(proposal).unwrap_or_default();
    let statement = parsed["Statement"][0].to_string();
    policies::with_statement(policy, &statement).unwrap_or_else(|| proposal.to_owned())
}

/// Gives the bytes of an object to be saved, whatever it says of itself: nothing of it is shown as a page.
pub async fn object(visit: &Visit<'_>, bucket: &str) -> Shown {
    let key = visit.query.raw("key");
    if key.is_empty() {
        return Ok(not_found(Some(visit)));
    }
    let mut answer = visit.client().s3_open(bucket, key).await?;
    let name = key.rsplit('/').next().unwrap_or_default();
    let disposition = format!("attachment; filename*=UTF-8''{}", segment(name));
    let length = answer.headers_mut().remove(CONTENT_LENGTH);
    answer.headers_mut().clear();
    if let Some(length) = length {
        answer.headers_mut().insert(CONTENT_LENGTH, length);
    }
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        answer.headers_mut().insert(CONTENT_DISPOSITION, disposition);
    }
    let bytes = HeaderValue::from_static("application/octet-stream");
    answer.headers_mut().insert(CONTENT_TYPE, bytes);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// Asks, then deletes an object: what is deleted can't be had back.
pub async fn delete_object(visit: &Visit<'_>, bucket: &str) -> Shown {
    let key = if visit.is_post() { visit.form.raw("key") } else { visit.query.raw("key") };
    if key.is_empty() {
        // To delete no object of a bucket would be to delete the bucket.
        return Ok(not_found(Some(visit)));
    }
    let folder = key.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let back = format!("{}?prefix={}", path(bucket), segment(&folder));
    let mut problem = None;
    if visit.is_post() {
        match visit.client().s3(Method::DELETE, object_path(bucket, key), "").await {
            Ok(_) => return Ok(reply::to(&back)),
            Err(refusal) => problem = Some(refusal),
        }
    }
    Question {
        frame: visit.frame("Delete object", &[("Buckets", HOME.to_owned()), (bucket, path(bucket))]),
        problem: problem.as_ref(),
        losses: vec![format!("s3://{bucket}/{key} is deleted for good.")],
        word: "Delete",
        back,
        call: Some(("aws s3 rm {arn}", format!("s3://{bucket}/{key}"))),
        fields: vec![("key", key.to_owned())],
    }
    .ask()
}

/// Asks, then deletes a bucket that holds nothing.
pub async fn delete(visit: &Visit<'_>, bucket: &str) -> Shown {
    let mut problem = None;
    if visit.is_post() {
        match visit.client().s3(Method::DELETE, format!("/{}", segment(bucket)), "").await {
            Ok(_) => return Ok(reply::to(HOME)),
            Err(refusal) => problem = Some(refusal),
        }
    }
    Question {
        frame: visit.frame("Delete bucket", &[("Buckets", HOME.to_owned()), (bucket, path(bucket))]),
        problem: problem.as_ref(),
        losses: vec![format!("The bucket {bucket} and its policy are deleted; it must be empty.")],
        word: "Delete",
        back: path(bucket),
        call: Some(("aws s3 rb {arn}", format!("s3://{bucket}"))),
        fields: vec![],
    }
    .ask()
}
