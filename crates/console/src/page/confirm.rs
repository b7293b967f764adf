//! Asks again before something is deleted that does not come back.

use askama::Template;
use http::StatusCode;

use super::Frame;
use crate::client::Refusal;
use crate::reply;
use crate::route::status_of;
use crate::visit::Shown;

/// The question; the form posts to the address of the page itself.
#[derive(Template)]
#[template(path = "confirm.html")]
pub struct Confirm<'a> {
    pub frame: Frame,
    pub problem: Option<&'a Refusal>,
    /// What will be gone, and what stays.
    pub sentences: &'a [&'a str],
    pub button: &'a str,
    /// Where whoever changes their mind goes.
    pub back: String,
    /// The same with the AWS CLI.
    pub command: &'a str,
    /// The ARN that the command names.
    pub arn: &'a str,
}

pub fn page(confirm: &Confirm<'_>) -> Shown {
    Ok(reply::page(confirm.problem.map_or(StatusCode::OK, status_of), confirm))
}
