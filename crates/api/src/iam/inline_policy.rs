//! Policies that are written into a user, a group or a role.

use access::policy::{Document, GROUP_POLICIES_SIZE_MAX, ROLE_POLICIES_SIZE_MAX, USER_POLICIES_SIZE_MAX};
use catalog::Identity;
use wire::query::{Xml, encode};

use super::Iam;
use super::input::{Input, cut, write_end};
use super::role::malformed;
use crate::reply::Answer;

pub(super) async fn put(iam: &Iam, input: &Input) -> Answer<Xml> {
    let (identity, name) = (input.identity()?, input.policy_name()?);
    let document = input.document("PolicyDocument")?;
    Document::parse_identity_policy(document).map_err(malformed)?;
    iam.catalog.put_identity_policy(identity, name, document, size_max(identity)).await?;
    Ok(Xml::new())
}

pub(super) async fn get(iam: &Iam, input: &Input) -> Answer<Xml> {
    let (identity, name) = (input.identity()?, input.policy_name()?);
    let document = iam.catalog.identity_policy(identity, name).await?;
    let mut xml = Xml::new();
    xml.value(name_member(identity), identity.name());
    xml.value("PolicyName", name);
    xml.value("PolicyDocument", encode(&document));
    Ok(xml)
}

pub(super) async fn list(iam: &Iam, input: &Input) -> Answer<Xml> {
    let page = input.page()?;
    let mut names = iam.catalog.identity_policies(input.identity()?, page).await?;
    let marker = cut(&mut names, page, |name| name);
    let mut xml = Xml::new();
    xml.element("PolicyNames", |xml| names.iter().for_each(|name| xml.value("member", name)));
    write_end(&mut xml, marker.as_deref());
    Ok(xml)
}

pub(super) async fn delete(iam: &Iam, input: &Input) -> Answer<Xml> {
    iam.catalog.delete_identity_policy(input.identity()?, input.policy_name()?).await?;
    Ok(Xml::new())
}

fn name_member(identity: Identity<'_>) -> &'static str {
    match identity {
        Identity::User(_) => "UserName",
        Identity::Group(_) => "GroupName",
        Identity::Role(_) => "RoleName",
    }
}

fn size_max(identity: Identity<'_>) -> usize {
    match identity {
        Identity::User(_) => USER_POLICIES_SIZE_MAX,
        Identity::Group(_) => GROUP_POLICIES_SIZE_MAX,
        Identity::Role(_) => ROLE_POLICIES_SIZE_MAX,
    }
}
