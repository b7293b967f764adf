//! Which managed policies are attached to which users, groups and roles.

use catalog::policy::AttachedEntity;
use wire::query::Xml;

use super::Iam;
use super::input::{Input, cut, write_end};
use crate::reply::Answer;

const ENTITIES: [&str; 5] = ["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"];

pub(super) async fn attach(iam: &Iam, input: &Input) -> Answer<Xml> {
    iam.catalog.attach_policy(input.identity()?, input.policy_arn()?).await?;
    Ok(Xml::new())
}

pub(super) async fn detach(iam: &Iam, input: &Input) -> Answer<Xml> {
    iam.catalog.detach_policy(input.identity()?, input.policy_arn()?).await?;
    Ok(Xml::new())
}

pub(super) async fn list(iam: &Iam, input: &Input) -> Answer<Xml> {
    let page = input.page()?;
    let mut policies = iam.catalog.attached_policies(input.identity()?, page).await?;
    let marker = cut(&mut policies, page, |(name, _)| name);
    let mut xml = Xml::new();
    xml.element("AttachedPolicies", |xml| {
        for (name, arn) in &policies {
            xml.element("member", |xml| {
                xml.value("PolicyName", name);
                xml.value("PolicyArn", arn);
            });
        }
    });
    write_end(&mut xml, marker.as_deref());
    Ok(xml)
}

/// Policies are attached to users, groups and roles: there are no boundaries here.
pub(super) async fn entities(iam: &Iam, input: &Input) -> Answer<Xml> {
    let page = input.page()?;
    let kind = match input.given("EntityFilter") {
        None => None,
        Some(_) => Some(input.required_word("EntityFilter", &ENTITIES)?),
    };
    let usage = input.word(
        "PolicyUsageFilter",
        &["PermissionsPolicy", "PermissionsBoundary"],
        "PermissionsPolicy",
    )?;
    let wants = |one: &str| usage == "PermissionsPolicy" && kind.is_none_or(|kind| kind == one);
    let kinds = ["User", "Group", "Role"].map(wants);
    let mut entities = iam.catalog.policy_entities(input.policy_arn()?, kinds, page).await?;
    let marker = cut(&mut entities, page, |entity| &entity.place);
    let mut xml = Xml::new();
    for kind in ["Group", "User", "Role"] {
        xml.element(&format!("Policy{kind}s"), |xml| write_entities(xml, &entities, kind));
    }
    write_end(&mut xml, marker.as_deref());
    Ok(xml)
}

fn write_entities(xml: &mut Xml, entities: &[AttachedEntity], kind: &str) {
    for entity in entities.iter().filter(|entity| entity.kind == kind) {
        xml.element("member", |xml| {
            xml.value(&format!("{kind}Name"), &entity.name);
            xml.value(&format!("{kind}Id"), &entity.id);
        });
    }
}
