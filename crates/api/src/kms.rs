//! The operations of KMS: keys, their policies, aliases and grants, and what is encrypted with them.

mod alias;
mod crypto;
mod grant;
mod key;
mod list;
mod not_offered;
mod operation;
mod policy;
mod shapes;
mod tag;

use std::sync::Arc;

use access::{Access, Asking, KeyFault, trail};
use bytes::Bytes;
use catalog::Catalog;
use futures_util::future::BoxFuture;
use http::{Method, Response, StatusCode};
use model::{Clock, Error, ErrorKind, Realm};
use serde_json::Value;
use tracing::{debug, error};
use wire::error::Fault;
use wire::protocol::{Protocol, json11};
use wire::shape;

use crate::call::Call;
use crate::events::request::not_json;
use crate::reply::{Answer, Failure};
use operation::Operation;

/// The door of KMS.
pub struct Kms {
    catalog: Catalog,
    access: Arc<Access>,
    clock: Arc<dyn Clock>,
    realm: Realm,
}

const TARGET_PREFIX: &str = "TrentService.";

/// Members that change what a request means, and that are not offered.
const MEMBERS_NOT_OFFERED: [&str; 6] = [
    "CustomKeyStoreId",
    "XksKeyId",
    "Recipient",
    "DryRunModifiers",
    "GranteeServicePrincipal",
    "RetiringServicePrincipal",
];
/// The same for those that say yes or no.
const SWITCHES_NOT_OFFERED: [&str; 2] = ["DryRun", "MultiRegion"];

impl Kms {
    pub fn new(catalog: Catalog, access: Arc<Access>, clock: Arc<dyn Clock>, realm: Realm) -> Kms {
        Kms { catalog, access, clock, realm }
    }

    /// Answers a call; every outcome is a response.
    pub fn call(&self, call: Call) -> BoxFuture<'_, Response<Bytes>> {
        // Boxed: async code is compiled where it is polled, and belongs to this crate.
        Box::pin(self.serve(call))
    }

    async fn serve(&self, call: Call) -> Response<Bytes> {
        let (name, answer) = match find(&call) {
            Ok(operation) => (operation.name, self.perform(operation, &call).await),
            Err(failure) => ("unknown", Err(failure)),
        };
        trail::operation(name);
        report(name, &answer);
        match answer {
            Ok(body) => json11(StatusCode::OK, body, &call.request_id),
            Err(failure) => Protocol::Kms.fault(&failure.fault(Protocol::Kms), &call.request_id),
        }
    }

    async fn perform(&self, operation: &Operation, call: &Call) -> Answer<Bytes> {
        let input = read(&call.body)?;
        shape::check(operation.input, &input)?;
        refuse_members(&input)?;
        (operation.run)(self, call.asking(), input).await
    }

    /// Asks for a permission that no key's policy gives.
    async fn permit(&self, caller: Asking<'_>, action: &str, resource: &str) -> Answer<()> {
        Ok(self.access.permit_keys(caller, action, resource).await?)
    }
}

fn find(call: &Call) -> Answer<&'static Operation> {
    let target = call.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let name = target.and_then(|target| target.strip_prefix(TARGET_PREFIX));
    let name = name.filter(|_| call.method == Method::POST).unwrap_or_default();
    if let Some(operation) = operation::find(name) {
        return Ok(operation);
    }
    if not_offered::NAMES.contains(&name) {
        return Err(unsupported(format!("The operation {name} is not offered by this server.")));
    }
    Err(fault("UnknownOperationException", "The operation in X-Amz-Target is unknown."))
}

fn read(body: &[u8]) -> Answer<Value> {
    if body.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    serde_json::from_slice(body).map_err(|e| not_json(&e).into())
}

fn refuse_members(input: &Value) -> Answer<()> {
    let is_there = |name: &&&str| input.get(**name).is_some_and(|value| !value.is_null());
    let is_on = |name: &&&str| input.get(**name).and_then(Value::as_bool) == Some(true);
    let found = MEMBERS_NOT_OFFERED.iter().find(is_there).or(SWITCHES_NOT_OFFERED.iter().find(is_on));
    found.map_or(Ok(()), |name| Err(unsupported(format!("{name} is not offered by this server."))))
}

fn fault(code: &'static str, message: impl Into<String>) -> Failure {
    Failure::Fault(Fault::new(code, StatusCode::BAD_REQUEST, message))
}

fn unsupported(message: impl Into<String>) -> Failure {
    fault("UnsupportedOperationException", message)
}

impl From<KeyFault> for Failure {
    fn from(key_fault: KeyFault) -> Failure {
        let message = key_fault.message();
        match key_fault {
            KeyFault::NotFound(_) => Error::new(ErrorKind::NotFound, message).into(),
            KeyFault::InvalidArn(_) => fault("InvalidArnException", message),
            KeyFault::Disabled(_) => fault("DisabledException", message),
            KeyFault::PendingDeletion(_) => fault("KMSInvalidStateException", message),
            KeyFault::InvalidCiphertext => fault("InvalidCiphertextException", message),
            KeyFault::IncorrectKey => fault("IncorrectKeyException", message),
            KeyFault::Denied(denial) => Error::from(denial).into(),
            KeyFault::Failed(error) => error.into(),
        }
    }
}

// Texts, contexts and keys stay out of the log.
fn report(operation: &str, answer: &Answer<Bytes>) {
    match answer {
        Ok(_) => debug!(operation, "done: {operation}"),
        Err(Failure::Error(e)) if is_ours(e.kind) => {
            error!(operation, cause = e.chain(), "failed: {operation}");
        }
        Err(Failure::Error(e)) => debug!(operation, kind = ?e.kind, "refused: {operation}"),
        Err(Failure::Fault(fault)) => {
            debug!(operation, code = fault.code, "refused: {operation}")
        }
    }
}

fn is_ours(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::Corrupt | ErrorKind::Internal)
}
