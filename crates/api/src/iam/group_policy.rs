//! Policies that are written into a group.

use access::policy::{Document, GROUP_POLICIES_SIZE_MAX};
use wire::query::{Xml, encode};

use super::Iam;
use super::input::{Input, cut, write_end};
use super::role::malformed;
use crate::reply::Answer;

pub(super) async fn put(iam: &Iam, input: &Input) -> Answer<Xml> {
    let (group, name) = (input.group_name()?, input.policy_name()?);
    let document = input.document("PolicyDocument")?;
    Document::parse_identity_policy(document).map_err(malformed)?;
    iam.catalog.put_group_policy(group, name, document, GROUP_POLICIES_SIZE_MAX).await?;
    Ok(Xml::new())
}

pub(super) async fn get(iam: &Iam, input: &Input) -> Answer<Xml> {
    let (group, name) = (input.group_name()?, input.policy_name()?);
    let document = iam.catalog.group_policy(group, name).await?;
    let mut xml = Xml::new();
    xml.value("GroupName", group);
    xml.value("PolicyName", name);
    xml.value("PolicyDocument", encode(&document));
    Ok(xml)
}

pub(super) async fn list(iam: &Iam, input: &Input) -> Answer<Xml> {
    let page = input.page()?;
    let mut names = iam.catalog.group_policies(input.group_name()?, page).await?;
    let marker = cut(&mut names, page, |name| name);
    let mut xml = Xml::new();
    xml.element("PolicyNames", |xml| names.iter().for_each(|name| xml.value("member", name)));
    write_end(&mut xml, marker.as_deref());
    Ok(xml)
}

pub(super) async fn delete(iam: &Iam, input: &Input) -> Answer<Xml> {
    iam.catalog.delete_group_policy(input.group_name()?, input.policy_name()?).await?;
    Ok(Xml::new())
}
