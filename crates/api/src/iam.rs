//! The IAM and STS operations: users, groups, roles, their policies, temporary keys, and who am I.

mod access_key;
mod attachment;
mod aws_policy;
mod caller;
mod group;
mod inline_policy;
mod input;
mod not_offered;
mod operation;
mod permission;
mod policy;
mod role;
mod simulation;
mod sts;
mod tag;
mod user;

use std::sync::Arc;

use access::{Access, Principal, trail};
use bytes::Bytes;
use catalog::Catalog;
use http::{Method, Response, StatusCode};
use model::{Clock, ErrorKind, Realm};
use tokio::task::JoinError;
use tracing::{debug, error};
use wire::error::Fault;
use wire::protocol::{Protocol, xml};
use wire::query::{Form, Xml};

use crate::call::Call;
use crate::reply::{Answer, Failure};
use input::Input;
use operation::{Operation, Service};

/// The door of IAM and STS.
pub struct Iam {
    catalog: Catalog,
    access: Arc<Access>,
    clock: Arc<dyn Clock>,
    realm: Realm,
}

impl Iam {
    pub fn new(catalog: Catalog, access: Arc<Access>, clock: Arc<dyn Clock>, realm: Realm) -> Iam {
        Iam { catalog, access, clock, realm }
    }

    /// Answers a call; every outcome is a response.
    ///
    /// A call that began is done to its end: a client that leaves must not come between a key that was stopped in
    /// the catalog and the same key in memory.
    pub async fn call(self: &Arc<Self>, call: Call) -> Response<Bytes> {
        let (iam, request_id) = (self.clone(), call.request_id.clone());
        match tokio::spawn(trail::along(async move { iam.serve(call).await }))
            .await
            .map_err(JoinError::try_into_panic)
        {
            Ok(response) => response,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            Err(Err(_)) => Protocol::Query.fault(&Fault::internal(Protocol::Query), &request_id),
        }
    }

    async fn serve(&self, call: Call) -> Response<Bytes> {
        let answer = self.answer(&call).await;
        report(&answer);
        match answer {
            Ok((operation, result)) => {
                let body = document(operation, &result, &call.request_id);
                xml(StatusCode::OK, body, &call.request_id)
            }
            Err(failure) => Protocol::Query.fault(&failure.fault(Protocol::Query), &call.request_id),
        }
    }

    async fn answer(&self, call: &Call) -> Answer<(&'static Operation, Xml)> {
        let form = read(call)?;
        let operation = find(&form, &call.service)?;
        trail::operation(operation.name);
        refuse_session(call, operation)?;
        let input = Input::new(form, operation, call)?;
        permission::check(self, &input, operation).await?;
        let result = (operation.run)(self, &input).await?;
        Ok((operation, result))
    }
}

// Calls come as a posted form, or in the query of the address.
fn read(call: &Call) -> Answer<Form> {
    match call.method {
        Method::POST => Ok(Form::parse(&call.body)?),
        Method::GET => Ok(Form::parse(call.query.as_deref().unwrap_or_default().as_bytes())?),
        _ => Err(fault("InvalidAction", format!("IAM and STS take POST and GET, not {}.", call.method))),
    }
}

// A signature for one service opens no operation of another.
fn find(form: &Form, service: &str) -> Answer<&'static Operation> {
    let action = form.get("Action").filter(|action| !action.is_empty());
    let action = action.ok_or_else(|| fault("MissingAction", "The request names no Action."))?;
    let version = form.get("Version").unwrap_or_default();
    if let Some(operation) =
        operation::find(action).filter(|operation| operation.service.version() == version)
    {
        return match operation.service.prefix() {
            signed if signed == service => Ok(operation),
            other => {
                let text = format!("{action} belongs to {other}, but the request is signed for {service}.");
                Err(fault("SignatureDoesNotMatch", text))
            }
        };
    }
    if not_offered::IAM.contains(&action) || not_offered::STS.contains(&action) {
        let text = format!(
            "The operation {action} is not offered by this server: it keeps users, groups, roles and their policies."
        );
        return Err(fault("InvalidAction", text));
    }
    Err(fault("InvalidAction", format!("Could not find operation {action} for version {version}")))
}

// Source: GetSessionToken; what a user may with such keys does not reach IAM.
fn refuse_session(call: &Call, operation: &Operation) -> Answer<()> {
    let is_own = matches!(call.principal, Principal::Root { .. } | Principal::User(_));
    if call.is_temporary && is_own && operation.service == Service::Iam {
        let text = "The security token included in the request is invalid: keys of GetSessionToken open nothing of IAM.";
        let fault = Fault::new("InvalidClientTokenId", StatusCode::FORBIDDEN, text);
        return Err(Failure::Fault(fault));
    }
    Ok(())
}

fn document(operation: &Operation, result: &Xml, request_id: &str) -> String {
    let name = operation.name;
    let written = Xml::document(&format!("{name}Response"), operation.service.name_space(), |xml| {
        // By the service's model its answer has an element for nothing, too.
        if !result.is_empty() || name == "UpdateRole" {
            xml.element(&format!("{name}Result"), |xml| xml.piece(result));
        }
        xml.element("ResponseMetadata", |xml| xml.value("RequestId", request_id));
    });
    written.into_string()
}

fn fault(code: &'static str, message: impl Into<String>) -> Failure {
    Failure::Fault(Fault::new(code, StatusCode::BAD_REQUEST, message))
}

// Documents and tags stay out of the log.
fn report(answer: &Answer<(&'static Operation, Xml)>) {
    match answer {
        Ok((operation, _)) => debug!(operation = operation.name, "done: {}", operation.name),
        Err(Failure::Error(e)) if is_ours(e.kind) => error!(cause = e.chain(), "failed"),
        Err(Failure::Error(e)) => debug!(kind = ?e.kind, "refused"),
        Err(Failure::Fault(fault)) => debug!(code = fault.code, "refused"),
    }
}

fn is_ours(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::Corrupt | ErrorKind::Internal)
}

#[cfg(test)]
mod tests;
