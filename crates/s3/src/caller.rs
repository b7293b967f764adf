//! Who sent a request, and what conditions of policies may ask of it.

use access::{Context, PERSONALIZE, Peer, Principal};
use http::{Extensions, HeaderMap};
use s3s::{S3ErrorCode, S3Request, S3Result};

use crate::error::refuse;
use crate::integrity::header;

/// A verified principal, and where it is.
#[derive(Clone)]
pub struct Caller {
    pub principal: Principal,
    peer: Option<Peer>,
}

impl Caller {
    /// Whoever sent the request.
    ///
    /// # Errors
    /// `AccessDenied` when nobody verified it.
    pub fn of<T>(request: &S3Request<T>) -> S3Result<Caller> {
        Caller::among(&request.extensions)
    }

    /// As `of`, from what a request carries beside its headers.
    pub fn among(extensions: &Extensions) -> S3Result<Caller> {
        let text = "Access Denied: the request carries no verified signature.";
        let principal = extensions.get::<Principal>().cloned();
        let principal = principal.ok_or_else(|| refuse(S3ErrorCode::AccessDenied, text))?;
        Ok(Caller { principal, peer: extensions.get::<Peer>().copied() })
    }

    /// Whether a job of this server sent the request.
    pub fn is_service(&self) -> bool {
        matches!(&self.principal, Principal::Session(session) if session.service == PERSONALIZE)
    }

    /// What is known of every request.
    pub fn context(&self) -> Context {
        Context::from_peer(self.peer)
    }

    /// With the headers that conditions may ask for.
    pub fn context_with(&self, headers: &HeaderMap) -> Context {
        let found = ASKED.iter().filter_map(|name| Some((name, header(headers, name)?)));
        found.fold(self.context(), |context, (name, value)| context.with(&format!("s3:{name}"), value))
    }

    /// With what a request for a list restricts it to.
    pub fn context_of_list(
        &self,
        prefix: Option<&str>,
        delimiter: Option<&str>,
        max_keys: Option<i32>,
    ) -> Context {
        let max_keys = max_keys.map(|count| count.to_string());
        [("s3:prefix", prefix), ("s3:delimiter", delimiter), ("s3:max-keys", max_keys.as_deref())]
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .fold(self.context(), |context, (key, value)| context.with(key, value))
    }
}

/// Headers that are keys of conditions. Source: "Condition keys for Amazon S3".
const ASKED: [&str; 6] = [
    "x-amz-acl",
    "x-amz-copy-source",
    "x-amz-metadata-directive",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-storage-class",
];
