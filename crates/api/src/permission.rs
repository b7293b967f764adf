//! Whether a caller may do an operation: its own permission, and those for the tags and the role that it hands over.

use access::key::Naming;
use access::{Context, KeyFault, PERSONALIZE, Principal};
use model::{Arn, Error, ErrorKind, Realm, Result};
use serde_json::Value;

use crate::call::Call;
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

/// Asks for all permissions that a request needs.
///
/// # Errors
/// `Denied` with the text that AWS gives; `Unavailable` when policies or tags can't be read.
pub async fn check(api: &Api, call: &Call, operation: &Operation, input: &Value) -> Result<()> {
    let resource = operation.subject.resource(&api.realm, input);
    let is_create = operation.name.starts_with("Create");
    let context = with_tags_of_request(Context::from_peer(call.peer), input);
    let context = if is_create { context } else { with_tags_of(api, call, &resource, context).await? };
    authorize(api, call, &operation.action(), &resource, &context).await?;
    if is_create && tags(input).next().is_some() {
        authorize(api, call, "personalize:TagResource", &resource, &context).await?;
    }
    if operation.name == "CreateDatasetGroup"
        && let (Some(key), Some(group)) = (text(input, "kmsKeyArn"), Arn::parse(&resource))
    {
        api.access.permit_group_key(call.asking(), &group, key).await?;
    }
    for role in roles(input) {
        let passing = Context::from_peer(call.peer).with("iam:PassedToService", PERSONALIZE);
        authorize(api, call, "iam:PassRole", role, &passing).await?;
    }
    match destination_key(input) {
        Some(key) => authorize_key(api, call, key).await,
        None => Ok(()),
    }
}

// Whoever has objects written under a key must be able to use it; what else is wrong with the key is told with the
// destination. The root answers for the whole account: the role's and the key's policies bind what is done for it.
async fn authorize_key(api: &Api, call: &Call, key: &str) -> Result<()> {
    if matches!(call.principal, Principal::Root { .. }) {
        return Ok(());
    }
    match api.access.key(call.asking(), "kms:GenerateDataKey", key, Naming::Key).await {
        Err(KeyFault::Denied(denial)) => Err(denial.into()),
        Err(KeyFault::Failed(error)) => Err(error),
        _ => Ok(()),
    }
}

/// Asks for the permission of an operation that has no resource of its own.
///
/// # Errors
/// As `authorize`.
pub async fn authorize_any(api: &Api, call: &Call, action: &str) -> Result<()> {
    authorize(api, call, action, "*", &Context::from_peer(call.peer)).await
}

/// Asks for the permission to do something to a resource that is there, under its tags.
///
/// # Errors
/// As `authorize`.
pub async fn authorize_on(api: &Api, call: &Call, action: &str, resource: &Arn) -> Result<()> {
    let context = Context::from_peer(call.peer);
    let context = with_tags_of(api, call, resource.as_str(), context).await?;
    authorize(api, call, action, resource.as_str(), &context).await
}

/// Asks for one permission; `resource` is an ARN, or `*`.
///
/// # Errors
/// `Denied` with the text that AWS gives.
pub async fn authorize(
    api: &Api,
    call: &Call,
    action: &str,
    resource: &str,
    context: &Context,
) -> Result<()> {
    let decision = api.access.permit(&call.principal, action, resource, None, context).await;
    decision.map_err(|denial| match denial.kind {
        ErrorKind::Denied => {
            let caller = call.principal.arn();
            let text =
                format!("User: {caller} is not authorized to perform: {action} on resource: {resource}");
            Error::new(ErrorKind::Denied, text)
        }
        _ => denial.into(),
    })
}

// Whatever operation hands a role over, at the top or with the place of its output.
fn roles(input: &Value) -> impl Iterator<Item = &str> {
    let places = [Some(input), input.get("metricsOutputConfig")];
    places.into_iter().flatten().filter_map(|place| text(place, "roleArn"))
}

// The key under which a job's output is written.
fn destination_key(input: &Value) -> Option<&str> {
    let output = input.get("jobOutput").or_else(|| input.get("metricsOutputConfig"))?;
    text(output.get("s3DataDestination")?, "kmsKeyArn")
}

fn tags(input: &Value) -> impl Iterator<Item = (&str, &str)> + Clone {
    let tags = input.get("tags").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    tags.iter().filter_map(|tag| Some((text(tag, "tagKey")?, text(tag, "tagValue")?)))
}

fn with_tags_of_request(context: Context, input: &Value) -> Context {
    let removed = input.get("tagKeys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let removed = removed.iter().filter_map(Value::as_str);
    removed.fold(context.with_request_tags(tags(input)), |context, key| context.with("aws:TagKeys", key))
}

// A put of a caller whose policies ask for no tags costs no look into the catalog.
async fn with_tags_of(api: &Api, call: &Call, resource: &str, context: Context) -> Result<Context> {
    let Some(arn) = Arn::parse(resource) else { return Ok(context) };
    if !api.access.asks_for_resource_tags(&call.principal).await? {
        return Ok(context);
    }
    let tags = api.catalog.tags(&arn).await?;
    let tags = tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    Ok(context.with_tags("aws:ResourceTag", tags))
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

    #[test]
    fn the_key_of_whatever_output_is_asked_for() {
        for output in ["jobOutput", "metricsOutputConfig"] {
            let to = |destination: Value| json!({ output: {"s3DataDestination": destination} });
            assert_eq!(destination_key(&to(json!({"path": "s3://b", "kmsKeyArn": "k"}))), Some("k"));
            assert_eq!(destination_key(&to(json!({"path": "s3://b", "kmsKeyArn": null}))), None);
        }
        assert_eq!(destination_key(&json!({"kmsKeyArn": "a group's own"})), None);
    }
}
