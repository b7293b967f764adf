//! What policies would say: those of a user, group or role, and those that a request brings.

use std::sync::Arc;

use access::policy::{Context, Decision, Document};
use access::{AssumedRole, Principal, Simulated, User};
use model::{Arn, Error, ErrorKind, Result};
use wire::query::Xml;

use super::Iam;
use super::input::{Input, write_end};
use super::role::malformed;
use crate::reply::Answer;

const ACTIONS_MAX: usize = 128;

pub(super) async fn of_principal(iam: &Iam, input: &Input) -> Answer<Xml> {
    let arn = input.source_arn()?;
    let principal = find(iam, &arn).await?;
    let own = iam.catalog.identity_documents(&arn).await?;
    let mut documents = own.iter().map(|text| parse(text)).collect::<Answer<Vec<_>>>()?;
    let own = documents.len();
    documents.extend(
        input.documents("PolicyInputList")?.iter().map(|text| parse(text)).collect::<Answer<Vec<_>>>()?,
    );
    answer(iam, input, &principal, &documents, own)
}

/// Without a caller; the request's entries alone say what is known of one.
pub(super) async fn of_policies(iam: &Iam, input: &Input) -> Answer<Xml> {
    let documents = input.documents("PolicyInputList")?;
    if documents.is_empty() {
        return Err(input.missing("PolicyInputList"));
    }
    let documents = documents.iter().map(|text| parse(text)).collect::<Answer<Vec<_>>>()?;
    answer(iam, input, &Principal::Root { arn: iam.realm.root() }, &documents, 0)
}

fn parse(text: &str) -> Answer<Document> {
    Document::parse_identity_policy(text).map_err(malformed)
}

// A group calls nobody: its policies are asked for a user without a name of its own.
async fn find(iam: &Iam, arn: &Arn) -> Result<Principal> {
    let missing = || Error::new(ErrorKind::NotFound, format!("The entity {arn} cannot be found."));
    let name = arn.resource_name();
    let found = match arn.resource_type() {
        "user" => iam.catalog.user(name).await?.filter(|user| &user.arn == arn).map(|user| {
            Principal::User(Arc::new(User { arn: user.arn, name: user.name, id: user.id, tags: user.tags }))
        }),
        "group" => iam.catalog.group(name).await?.filter(|group| &group.arn == arn).map(|group| {
            Principal::User(Arc::new(User {
                arn: group.arn,
                name: group.name,
                id: group.id,
                tags: Vec::new(),
            }))
        }),
        "role" => iam.catalog.role_by_arn(arn).await?.map(|role| {
            Principal::AssumedRole(Arc::new(AssumedRole {
                session: iam.realm.assumed_role(&role.name, "simulation"),
                role: role.arn,
                role_id: role.id,
                tags: role.tags,
                transitive_tags: Vec::new(),
                session_policies: None,
                issued_ms: iam.clock.now_ms(),
            }))
        }),
        _ => None,
    };
    found.ok_or_else(missing)
}

fn answer(
    iam: &Iam,
    input: &Input,
    principal: &Principal,
    documents: &[Document],
    own: usize,
) -> Answer<Xml> {
    let (actions, context) = (actions(input)?, context(input)?);
    let mut resources = input.texts("ResourceArns", "", 2048)?;
    if resources.is_empty() {
        resources.push("*".to_owned());
    }
    let page = input.page()?;
    let first: usize = page.after.parse().unwrap_or_default();
    let shown = usize::try_from(page.limit - 1).unwrap_or_default();
    let pairs = actions.iter().flat_map(|action| resources.iter().map(move |resource| (action, resource)));
    let marker = Some(first + shown).filter(|next| *next < actions.len() * resources.len());
    let mut xml = Xml::new();
    xml.element("EvaluationResults", |xml| {
        for (action, resource) in pairs.skip(first).take(shown) {
            let simulated = iam.access.simulate(principal, documents, action, resource, &context);
            xml.element("member", |xml| write(xml, action, resource, &simulated, own));
        }
    });
    write_end(&mut xml, marker.map(|next| next.to_string()).as_deref());
    Ok(xml)
}

fn write(xml: &mut Xml, action: &str, resource: &str, simulated: &Simulated, own: usize) {
    xml.value("EvalActionName", action);
    xml.value("EvalResourceName", resource);
    xml.value(
        "EvalDecision",
        match simulated.decision {
            Decision::Allow => "allowed",
            Decision::ExplicitDeny { .. } => "explicitDeny",
            Decision::NotAllowed => "implicitDeny",
        },
    );
    // Of the request's own policies it is told which decided, by their places.
    xml.element("MatchedStatements", |xml| {
        for place in simulated.matched.iter().filter(|place| **place >= own) {
            xml.element("member", |xml| {
                xml.value("SourcePolicyId", format!("PolicyInputList.{}", place - own + 1));
                xml.value("SourcePolicyType", "IAM Policy");
            });
        }
    });
    xml.element("MissingContextValues", |xml| {
        simulated.missing_keys.iter().for_each(|key| xml.value("member", key));
    });
}

fn actions(input: &Input) -> Answer<Vec<String>> {
    let actions = input.texts("ActionNames", "", ACTIONS_MAX)?;
    if actions.is_empty() {
        return Err(input.missing("ActionNames"));
    }
    match actions.iter().find(|action| action.split(':').count() != 2) {
        None => Ok(actions),
        Some(action) => Err(Error::invalid(format!("Invalid Entity Action Name {action}")).into()),
    }
}

fn context(input: &Input) -> Answer<Context> {
    let mut context = Context::simulated();
    for entry in input.list("ContextEntries")? {
        let key = entry.get("ContextKeyName").unwrap_or_default();
        for value in entry.list("ContextKeyValues")? {
            context = context.with(key, value.get("").unwrap_or_default());
        }
    }
    Ok(context)
}
