//! A page that asks before something is lost: GET asks, POST to the same address does it.

use askama::Template;
use http::StatusCode;

use super::Frame;
use crate::client::Refusal;
use crate::reply;
use crate::route::status_of;
use crate::visit::Shown;

/// What is about to be done, and what is lost by it.
#[derive(Template)]
#[template(path = "confirm.html")]
pub struct Question<'a> {
    pub frame: Frame,
    /// What was refused when it was tried.
    pub problem: Option<&'a Refusal>,
    /// A sentence each.
    pub losses: Vec<String>,
    /// What the button says.
    pub word: &'static str,
    /// The page that one comes from.
    pub back: String,
    /// The same with the AWS CLI, and the ARN or name that the command means by `{arn}`.
    pub call: Option<(&'static str, String)>,
    /// Fields that go with the answer.
    pub fields: Vec<(&'static str, String)>,
}

impl Question<'_> {
    pub fn ask(&self) -> Shown {
        Ok(reply::page(self.problem.map_or(StatusCode::OK, status_of), self))
    }
}
