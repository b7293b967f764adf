//! Whether a caller may do an operation: its own permission, and those for the tags and the role that it hands over.

use access::Principal;
use model::{Arn, Error, ErrorKind, Realm, Result};
use serde_json::Value;

use crate::door::Api;
use crate::operation::Operation;

/// What an operation asks its permission on. Source: "Actions, resources, and condition keys".
pub enum Subject {
    /// No resource of its own: `*`.
    Any,
    /// The ARN in this member.
    Member(&'static str),
    /// The ARN that will be made of the name in this member.
    Named(&'static str, fn(&Realm, &str) -> Arn),
    /// The ARN that will be made of the whole request.
    Made(fn(&Realm, &Value) -> String),
}

impl Subject {
    fn resource(&self, realm: &Realm, input: &Value) -> String {
        match self {
            Subject::Any => "*".to_owned(),
            Subject::Member(member) => text(input, member).unwrap_or("*").to_owned(),
            Subject::Named(member, make) => make(realm, text(input, member).unwrap_or_default()).to_string(),
            Subject::Made(make) => make(realm, input),
        }
    }
}

/// # Errors
/// `Denied` with the text that AWS gives.
pub async fn check(api: &Api, principal: &Principal, operation: &Operation, input: &Value) -> Result<()> {
    let resource = operation.subject.resource(&api.realm, input);
    authorize(api, principal, &operation.action(), &resource).await?;
    let is_create = operation.name.starts_with("Create");
    let has_tags = input.get("tags").and_then(Value::as_array).is_some_and(|tags| !tags.is_empty());
    if is_create && has_tags {
        authorize(api, principal, "personalize:TagResource", &resource).await?;
    }
    if is_create || operation.name.starts_with("Update") {
        for role in roles(input) {
            authorize(api, principal, "iam:PassRole", role).await?;
        }
    }
    Ok(())
}

/// The roles that a request hands over.
fn roles(input: &Value) -> impl Iterator<Item = &str> {
    let places = [Some(input), input.get("metricsOutputConfig")];
    places.into_iter().flatten().filter_map(|place| text(place, "roleArn"))
}

/// Asks for one permission; `resource` is an ARN, or `*`.
///
/// # Errors
/// `Denied` with the text that AWS gives.
pub async fn authorize(api: &Api, principal: &Principal, action: &str, resource: &str) -> Result<()> {
    let arn = Arn::parse(resource).unwrap_or_else(|| everything(&api.realm));
    api.access.permit(principal, action, &arn, None).await.map_err(|denial| match denial.kind {
        ErrorKind::Denied => {
            let caller = principal.arn();
            let text =
                format!("User: {caller} is not authorized to perform: {action} on resource: {resource}");
            Error::new(ErrorKind::Denied, text)
        }
        _ => denial.into(),
    })
}

fn everything(realm: &Realm) -> Arn {
    Arn::parse(&format!("arn:aws:personalize:{}:{}:*", realm.region, realm.account))
        .unwrap_or_else(|| realm.root())
}

fn text<'a>(input: &'a Value, member: &str) -> Option<&'a str> {
    input.get(member).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_role_that_is_handed_over_is_asked_for() {
        let input =
            json!({"roleArn": "a", "metricsOutputConfig": {"roleArn": "b"}, "jobOutput": {"roleArn": "c"}});
        assert_eq!(roles(&input).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(roles(&json!({"metricsOutputConfig": null})).count(), 0);
    }
}
