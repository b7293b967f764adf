//! Tags of users, roles and managed policies.

use catalog::identity_tag::Tagged;
use wire::query::Xml;

use super::Iam;
use super::aws_policy::check_own;
use super::input::{Input, TAGS_MAX, cut, write_end};
use crate::reply::Answer;

pub(super) async fn tag_user(iam: &Iam, input: &Input) -> Answer<Xml> {
    tag(iam, input, Tagged::User(input.user_name()?)).await
}

pub(super) async fn untag_user(iam: &Iam, input: &Input) -> Answer<Xml> {
    untag(iam, input, Tagged::User(input.user_name()?)).await
}

pub(super) async fn list_of_user(iam: &Iam, input: &Input) -> Answer<Xml> {
    list(iam, input, Tagged::User(input.user_name()?)).await
}

pub(super) async fn tag_role(iam: &Iam, input: &Input) -> Answer<Xml> {
    tag(iam, input, Tagged::Role(input.role_name()?)).await
}

pub(super) async fn untag_role(iam: &Iam, input: &Input) -> Answer<Xml> {
    untag(iam, input, Tagged::Role(input.role_name()?)).await
}

pub(super) async fn list_of_role(iam: &Iam, input: &Input) -> Answer<Xml> {
    list(iam, input, Tagged::Role(input.role_name()?)).await
}

pub(super) async fn tag_policy(iam: &Iam, input: &Input) -> Answer<Xml> {
    check_own(input.policy_arn()?)?;
    tag(iam, input, Tagged::Policy(input.policy_arn()?)).await
}

pub(super) async fn untag_policy(iam: &Iam, input: &Input) -> Answer<Xml> {
    check_own(input.policy_arn()?)?;
    untag(iam, input, Tagged::Policy(input.policy_arn()?)).await
}

pub(super) async fn list_of_policy(iam: &Iam, input: &Input) -> Answer<Xml> {
    list(iam, input, Tagged::Policy(input.policy_arn()?)).await
}

async fn tag(iam: &Iam, input: &Input, of: Tagged<'_>) -> Answer<Xml> {
    iam.catalog.set_identity_tags(of, &input.tags()?, TAGS_MAX).await?;
    known(iam, of).await
}

async fn untag(iam: &Iam, input: &Input, of: Tagged<'_>) -> Answer<Xml> {
    iam.catalog.delete_identity_tags(of, &input.tag_keys()?).await?;
    known(iam, of).await
}

// Whoever bears a key of the user is asked for the new tags from the next request on.
async fn known(iam: &Iam, of: Tagged<'_>) -> Answer<Xml> {
    if let Tagged::User(_) = of {
        iam.access.load_access_keys().await?;
    }
    Ok(Xml::new())
}

async fn list(iam: &Iam, input: &Input, of: Tagged<'_>) -> Answer<Xml> {
    let page = input.page()?;
    let mut tags = iam.catalog.identity_tags(of).await?;
    tags.sort_unstable();
    tags.retain(|(key, _)| key.as_str() > page.after);
    let marker = cut(&mut tags, page, |(key, _)| key);
    let mut xml = Xml::new();
    xml.element("Tags", |xml| {
        for (key, value) in &tags {
            xml.element("member", |xml| {
                xml.value("Key", key);
                xml.value("Value", value);
            });
        }
    });
    write_end(&mut xml, marker.as_deref());
    Ok(xml)
}
