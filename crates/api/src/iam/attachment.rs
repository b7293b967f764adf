//! Which managed policies are attached to which roles.

use wire::query::Xml;

use super::Iam;
use super::input::{Input, cut, write_end};
use crate::reply::Answer;

const ENTITIES: [&str; 5] = ["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"];

pub(super) async fn attach(iam: &Iam, input: &Input) -> Answer<Xml> {
    iam.catalog.attach_policy(input.role_name()?, input.policy_arn()?).await?;
    Ok(Xml::new())
}

pub(super) async fn detach(iam: &Iam, input: &Input) -> Answer<Xml> {
    iam.catalog.detach_policy(input.role_name()?, input.policy_arn()?).await?;
    Ok(Xml::new())
}

pub(super) async fn list(iam: &Iam, input: &Input) -> Answer<Xml> {
    let page = input.page()?;
    let mut policies = iam.catalog.attached_policies(input.role_name()?, page).await?;
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

/// Policies are attached to roles only: there are no users and groups here.
pub(super) async fn entities(iam: &Iam, input: &Input) -> Answer<Xml> {
    let page = input.page()?;
    let kind = input.word("EntityFilter", &ENTITIES, "Role")?;
    let usage = input.word(
        "PolicyUsageFilter",
        &["PermissionsPolicy", "PermissionsBoundary"],
        "PermissionsPolicy",
    )?;
    let mut roles = iam.catalog.policy_roles(input.policy_arn()?, page).await?;
    if kind != "Role" || usage != "PermissionsPolicy" {
        roles.clear();
    }
    let marker = cut(&mut roles, page, |(name, _)| name);
    let mut xml = Xml::new();
    xml.element("PolicyGroups", |_| {});
    xml.element("PolicyUsers", |_| {});
    xml.element("PolicyRoles", |xml| {
        for (name, id) in &roles {
            xml.element("member", |xml| {
                xml.value("RoleName", name);
                xml.value("RoleId", id);
            });
        }
    });
    write_end(&mut xml, marker.as_deref());
    Ok(xml)
}
