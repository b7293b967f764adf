//! Policies that are written into a user.

use access::policy::{Document, USER_POLICIES_SIZE_MAX};
use wire::query::{Xml, encode};

use super::Iam;
use super::input::{Input, cut, write_end};
use super::role::malformed;
use crate::reply::Answer;

pub(super) async fn put(iam: &Iam, input: &Input) -> Answer<Xml> {
    let (user, name) = (input.user_name()?, input.policy_name()?);
    let document = input.document("PolicyDocument")?;
    Document::parse_identity_policy(document).map_err(malformed)?;
    iam.catalog.put_user_policy(user, name, document, USER_POLICIES_SIZE_MAX).await?;
    Ok(Xml::new())
}

pub(super) async fn get(iam: &Iam, input: &Input) -> Answer<Xml> {
    let (user, name) = (input.user_name()?, input.policy_name()?);
    let document = iam.catalog.user_policy(user, name).await?;
    let mut xml = Xml::new();
    xml.value("UserName", user);
    xml.value("PolicyName", name);
    xml.value("PolicyDocument", encode(&document));
    Ok(xml)
}

pub(super) async fn list(iam: &Iam, input: &Input) -> Answer<Xml> {
    let page = input.page()?;
    let mut names = iam.catalog.user_policies(input.user_name()?, page).await?;
    let marker = cut(&mut names, page, |name| name);
    let mut xml = Xml::new();
    xml.element("PolicyNames", |xml| names.iter().for_each(|name| xml.value("member", name)));
    write_end(&mut xml, marker.as_deref());
    Ok(xml)
}

pub(super) async fn delete(iam: &Iam, input: &Input) -> Answer<Xml> {
    iam.catalog.delete_user_policy(input.user_name()?, input.policy_name()?).await?;
    Ok(Xml::new())
}
