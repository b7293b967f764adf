//! From a request to its page: who visits is settled first, then where to.

use access::Peer;
use access::bucket::{Arriving, Leaving};
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use percent_encoding::percent_decode_str;

use crate::form::{Form, cookie};
use crate::page::{self, sign_in};
use crate::visit::{Shown, Visit};
use crate::{Console, assets, reply};

/// Pages at a group's place that are of no group.
const NO_GROUP: [&str; 1] = ["create"];

/// The most that a form may hold, but for uploads.
const FORM_BYTES_MAX: usize = 2 << 20;
pub const HOME: &str = "/console/groups";

pub async fn answer(console: &Console, request: Arriving) -> Leaving {
    let mut answer = settle(console, request).await;
    reply::guard(&mut answer);
    // What was refused may still be on its way: the connection is of no more use.
    if matches!(answer.status().as_u16(), 403 | 405 | 413) {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

async fn settle(console: &Console, request: Arriving) -> Leaving {
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<Peer>().copied();
    let segments = segments(parts.uri.path());
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    if let ["assets", name] = path[..] {
        let found = assets::find(name).map(|asset| reply::asset(asset.content_type, asset.content));
        return found.unwrap_or_else(|| page::not_found(None));
    }
    if !matches!(parts.method, Method::GET | Method::HEAD | Method::POST) {
        return page::unsupported();
    }
    if parts.method == Method::POST && is_of_another_site(&parts) {
        return page::foreign();
    }
    let id = cookie(&parts.headers, reply::COOKIE).unwrap_or_default().to_owned();
    let session = match console.sessions.find(&id).await {
        Ok(session) => session,
        Err(cause) => return page::unavailable(&cause),
    };
    // An upload is read piece by piece by whoever takes it.
    let is_upload = is_multipart(&parts);
    if is_upload && let (Some(session), ["buckets", bucket, "upload"]) = (&session, &path[..]) {
        let visit = visit(console, session.clone(), id, peer, &parts, Form::default());
        return finish(&visit, page::upload::take(&visit, bucket, &parts.headers, body).await).await;
    }
    let form = match parts.method {
        Method::POST => match Limited::new(body, FORM_BYTES_MAX).collect().await {
            Ok(body) => Form::parse(&String::from_utf8_lossy(&body.to_bytes())),
            Err(_) => return page::too_large(),
        },
        _ => Form::default(),
    };
    let Some(session) = session else {
        return sign_in::answer(console, peer, &parts, &path, &form).await;
    };
    if parts.method == Method::POST && !session.is_form_token(form.get("form-token")) {
        return page::stale(&visit(console, session, id, peer, &parts, Form::default()));
    }
    let visit = visit(console, session, id, peer, &parts, form);
    let shown = pages(&visit, &path).await;
    finish(&visit, shown).await
}

async fn finish(visit: &Visit<'_>, shown: Shown) -> Leaving {
    match shown {
        Ok(answer) => answer,
        // Keys that were deleted or switched off meanwhile.
        Err(refusal) if refusal.is_of_keys() => {
            if let Err(cause) = visit.console.sessions.end(&visit.session_id).await {
                return page::unavailable(&cause);
            }
            let answer = reply::to("/console/sign-in?ended");
            reply::with_session(answer, None, visit.is_secure())
        }
        Err(refusal) => visit.refused(&refusal),
    }
}

fn visit<'a>(
    console: &'a Console,
    session: crate::session::Session,
    session_id: String,
    peer: Option<Peer>,
    parts: &Parts,
    form: Form,
) -> Visit<'a> {
    let query = Form::parse(parts.uri.query().unwrap_or_default());
    let (method, path) = (parts.method.clone(), parts.uri.path().trim_end_matches('/').to_owned());
    let origin = console.outside.origin(parts, peer);
    Visit { console, session, session_id, peer, method, path, origin, query, form }
}

async fn pages(visit: &Visit<'_>, path: &[&str]) -> Shown {
    use page::{
        analysis, bucket, data_deletion_job, dataset_create, dataset_group, dataset_overview, datasets,
        event_tracker, export_job, import_job, job, jobs, key, metric_attribution, metric_form, records,
        replace_schema, role, schema, tag,
    };
    match *path {
        [] | ["sign-in"] => Ok(reply::to(HOME)),
        ["sign-out"] if visit.is_post() => Ok(sign_in::end(visit).await),
        ["groups"] => dataset_group::list(visit).await,
        ["groups", "create"] => dataset_group::create(visit).await,
        ["groups", group] => dataset_group::show(visit, group).await,
        ["groups", group, "delete"] => dataset_group::delete(visit, group).await,
        ["groups", group, "create-dataset"] => dataset_create::create(visit, group).await,
        ["groups", group, "trackers"] => event_tracker::list(visit, group).await,
        ["groups", group, "trackers", "create"] => event_tracker::create(visit, group).await,
        ["groups", group, "datasets", kind] => dataset_overview::show(visit, group, kind).await,
        ["groups", group, "datasets", kind, "delete"] => dataset_overview::delete(visit, group, kind).await,
        ["groups", group, "datasets", kind, "live"] => dataset_overview::live(visit, group, kind).await,
        ["groups", group, "datasets"] => datasets::list(visit, group).await,
        ["groups", group, "jobs"] => jobs::list(visit, group).await,
        ["groups", group, "jobs", "live"] => jobs::live(visit, group).await,
        ["groups", group, "trackers", id] => event_tracker::show(visit, group, id).await,
        ["groups", group, "trackers", id, "delete"] => event_tracker::delete(visit, group, id).await,
        ["groups", group, "datasets", kind, "replace-schema"] => {
            replace_schema::replace(visit, group, kind).await
        }
        ["groups", group, "datasets", kind, "import"] => import_job::create(visit, group, kind).await,
        ["groups", group, "datasets", kind, "import", "preview"] => import_job::preview(visit, group, kind),
        ["groups", group, "datasets", kind, "export", "preview"] => export_job::preview(visit, group, kind),
        ["groups", group, "datasets", kind, "export"] => export_job::create(visit, group, kind).await,
        ["groups", group, "datasets", kind, "records"] => records::create(visit, group, kind).await,
        ["groups", group, "deletions"] => data_deletion_job::list(visit, group).await,
        ["groups", group, "deletions", "create"] => data_deletion_job::create(visit, group).await,
        ["groups", group, "metrics"] => metric_attribution::show(visit, group).await,
        ["groups", group, "metrics", "create"] => metric_form::create(visit, group).await,
        ["groups", group, "metrics", "edit"] => metric_form::edit(visit, group).await,
        ["groups", group, "metrics", "delete"] => metric_attribution::delete(visit, group).await,
        ["groups", group, "analysis"] => analysis::show(visit, group).await,
        ["groups", group, "analysis", "progress"] => analysis::progress(visit, group).await,
        ["groups", group, "tags"] => tag::of_group(visit, group).await,
        ["schemas"] => schema::list(visit).await,
        ["schemas", name] => schema::show(visit, name).await,
        ["schemas", name, "delete"] => schema::delete(visit, name).await,
        ["tags", arn] => tag::list(visit, arn).await,
        ["tags", arn, "manage"] => tag::manage(visit, arn).await,
        ["jobs", kind, name] => job::show(visit, kind, name).await,
        ["jobs", kind, name, "progress"] => job::progress(visit, kind, name).await,
        ["jobs", kind, name, "cancel"] => job::cancel(visit, kind, name).await,
        ["jobs", "export", name, "check"] => job::check::show(visit, name).await,
        ["jobs", "export", name, "spreadsheet"] => job::files::guarded(visit, name).await,
        ["jobs", "import", name, "rejects.csv"] => job::rejects::download(visit, name).await,
        ["buckets"] => bucket::list(visit).await,
        ["buckets", name] => bucket::show(visit, name).await,
        ["buckets", name, "policy"] => bucket::policy(visit, name).await,
        ["buckets", name, "object"] => bucket::object(visit, name).await,
        ["buckets", name, "delete-object"] => bucket::delete_object(visit, name).await,
        ["buckets", name, "delete"] => bucket::delete(visit, name).await,
        ["roles"] => role::list(visit).await,
        ["roles", "create"] => role::create(visit).await,
        ["roles", name] => role::show(visit, name).await,
        ["roles", name, "delete"] => role::delete(visit, name).await,
        ["roles", name, "policies", policy] => role::policy(visit, name, policy).await,
        ["keys"] => key::list(visit).await,
        ["keys", id, "delete"] => key::delete(visit, id).await,
        ["keys", id] => key::show(visit, id).await,
        _ => Ok(page::not_found(Some(visit))),
    }
}

/// The group that the page at a path belongs to.
pub fn group_of(path: &str) -> Option<String> {
    let mut segments = segments(path).into_iter();
    let is_group = segments.next().is_some_and(|first| first == "groups");
    segments.next().filter(|name| is_group && !NO_GROUP.contains(&name.as_str()))
}

// Below `/console`, decoded one by one, so that a slash within a name stays there.
fn segments(path: &str) -> Vec<String> {
    let below = path.strip_prefix("/console").unwrap_or_default();
    let parts = below.split('/').filter(|part| !part.is_empty());
    parts.map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned()).collect()
}

// As the browser itself says; this also keeps others from signing somebody in, where there is no token yet.
fn is_of_another_site(parts: &Parts) -> bool {
    let site = parts.headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    site.is_some_and(|site| site != b"same-origin" && site != b"none")
}

fn is_multipart(parts: &Parts) -> bool {
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    parts.method == Method::POST && content_type.is_some_and(|text| text.starts_with("multipart/form-data"))
}

/// The status of a page that shows what was refused.
pub fn status_of(refusal: &crate::client::Refusal) -> StatusCode {
    StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
