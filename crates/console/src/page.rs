//! The pages, a file each, and what all have around them.

pub mod analysis;
pub mod bucket;
pub mod confirm;
pub mod data_deletion_job;
pub mod dataset;
pub mod dataset_create;
pub mod dataset_group;
pub mod dataset_overview;
pub mod datasets;
pub mod event_tracker;
pub mod export_job;
pub mod import_job;
pub mod job;
pub mod job_row;
pub mod jobs;
pub mod key;
pub mod metric_attribution;
pub mod metric_form;
pub mod policies;
pub mod records;
pub mod replace_schema;
pub mod role;
pub mod role_choice;
pub mod schema;
pub mod sign_in;
pub mod tag;
pub mod upload;

use access::bucket::Leaving;
use askama::Template;
use http::StatusCode;
use model::Error;
use tracing::warn;

use crate::assets::{SCRIPT, STYLE};
use crate::client::Refusal;
use crate::navigation::{self, GroupLinks, Link};
use crate::visit::Visit;
use crate::{reply, route};

/// The head of a page, the way to it, and who looks at it.
pub struct Frame {
    pub title: String,
    pub crumbs: Vec<Crumb>,
    pub style: &'static str,
    pub script: &'static str,
    /// `None`: nobody is signed in.
    pub visitor: Option<Visitor>,
    pub home: Link,
    pub group: Option<GroupLinks>,
    pub account: Vec<Link>,
}

pub struct Visitor {
    pub arn: String,
    pub form_token: String,
    pub region: String,
    pub account: String,
}

pub struct Crumb {
    pub text: String,
    pub path: String,
}

impl Visitor {
    /// The end of the ARN, by which people know each other.
    pub fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or_default()
    }
}

impl Frame {
    pub fn new(visit: &Visit<'_>, title: &str, crumbs: &[(&str, String)]) -> Frame {
        let crumb = |(text, path): &(&str, String)| Crumb { text: (*text).to_owned(), path: path.clone() };
        let realm = &visit.console.realm;
        let visitor = Visitor {
            arn: visit.session.arn.clone(),
            form_token: visit.session.form_token.clone(),
            region: realm.region.clone(),
            account: realm.account.clone(),
        };
        let crumbs = crumbs.iter().map(crumb).collect();
        let path = visit.path.as_str();
        let (home, account) = (navigation::home(path), navigation::of_account(path));
        let group = route::group_of(path).map(|group| navigation::of_group(path, &group));
        Frame { crumbs, visitor: Some(visitor), home, group, account, ..Frame::plain(title) }
    }

    /// For somebody who is not signed in.
    pub fn plain(title: &str) -> Frame {
        Frame {
            title: title.to_owned(),
            crumbs: Vec::new(),
            style: &STYLE.name,
            script: &SCRIPT.name,
            visitor: None,
            home: navigation::home(""),
            group: None,
            account: Vec::new(),
        }
    }

    /// What each form sends back.
    pub fn form_token(&self) -> &str {
        self.visitor.as_ref().map_or("", |visitor| &visitor.form_token)
    }
}

/// In place of a page that could not be made.
#[derive(Template)]
#[template(path = "refused.html")]
pub struct Refused<'a> {
    pub frame: Frame,
    pub refusal: &'a Refusal,
}

/// A page with a heading and a sentence.
#[derive(Template)]
#[template(path = "notice.html")]
struct Notice<'a> {
    frame: Frame,
    text: &'a str,
}

pub fn not_found(visit: Option<&Visit<'_>>) -> Leaving {
    let title = "There is no such page";
    let frame = visit.map_or_else(|| Frame::plain(title), |visit| visit.frame(title, &[]));
    let text = "The address may be old, or what it showed was deleted.";
    reply::page(StatusCode::NOT_FOUND, &Notice { frame, text })
}

pub fn unsupported() -> Leaving {
    notice(StatusCode::METHOD_NOT_ALLOWED, "This is not a way to ask for a page", "Pages take GET and POST.")
}

pub fn too_large() -> Leaving {
    notice(StatusCode::PAYLOAD_TOO_LARGE, "This is too much", "A form may hold 2 MiB, or came in pieces.")
}

/// A form of a session that has ended, or of another site.
pub fn stale(visit: &Visit<'_>) -> Leaving {
    let frame = visit.frame("Nothing was done", &[]);
    let text = "The form was not made for your sign-in. Go back, load its page again, and send it once more.";
    reply::page(StatusCode::FORBIDDEN, &Notice { frame, text })
}

/// A form that a page of another site sent.
pub fn foreign() -> Leaving {
    let text = "The form came from another site. Load its page here, and send it once more.";
    notice(StatusCode::FORBIDDEN, "Nothing was done", text)
}

/// What is shown when nobody can tell who is signed in.
pub fn unavailable(cause: &Error) -> Leaving {
    warn!(error = %cause.chain(), "a page could not be shown");
    let text = "The server could not look up who is signed in. Try again in a moment.";
    notice(StatusCode::SERVICE_UNAVAILABLE, "Not now", text)
}

fn notice(status: StatusCode, title: &str, text: &str) -> Leaving {
    reply::page(status, &Notice { frame: Frame::plain(title), text })
}
