//! Access keys of users; without a `UserName` they are the caller's own.

use model::{Error, ErrorKind};
use wire::query::Xml;

use super::Iam;
use super::input::{Input, cut, write_end};
use crate::reply::Answer;

/// The one answer that holds a secret.
pub(super) async fn create(iam: &Iam, input: &Input) -> Answer<Xml> {
    let user = input.user_name_or_own()?;
    let (key, secret) = iam.access.create_access_key(user).await?;
    let mut xml = Xml::new();
    xml.element("AccessKey", |xml| {
        xml.value("UserName", user);
        xml.value("AccessKeyId", &key.id);
        xml.value("Status", status(key.is_active));
        xml.value("SecretAccessKey", &secret);
        xml.time("CreateDate", key.created_ms);
    });
    Ok(xml)
}

pub(super) async fn list(iam: &Iam, input: &Input) -> Answer<Xml> {
    let (user, page) = (input.user_name_or_own()?, input.page()?);
    let mut keys = iam.catalog.access_keys(user, page).await?;
    let marker = cut(&mut keys, page, |key| &key.id);
    let mut xml = Xml::new();
    xml.element("AccessKeyMetadata", |xml| {
        for key in &keys {
            xml.element("member", |xml| {
                xml.value("UserName", user);
                xml.value("AccessKeyId", &key.id);
                xml.value("Status", status(key.is_active));
                xml.time("CreateDate", key.created_ms);
            });
        }
    });
    write_end(&mut xml, marker.as_deref());
    Ok(xml)
}

/// A key that nobody has used yet has no date, and `N/A` for the rest.
pub(super) async fn last_used(iam: &Iam, input: &Input) -> Answer<Xml> {
    let id = input.access_key_id()?;
    let missing = || Error::new(ErrorKind::NotFound, format!("The Access Key with id {id} cannot be found."));
    let found = iam.catalog.access_key_use(id).await?.ok_or_else(missing)?;
    let mut xml = Xml::new();
    xml.value("UserName", &found.user);
    xml.element("AccessKeyLastUsed", |xml| {
        if let Some((used_ms, _)) = &found.last {
            xml.time("LastUsedDate", *used_ms);
        }
        let service = found.last.as_ref().map_or("N/A", |(_, service)| service);
        xml.value("ServiceName", service);
        xml.value("Region", found.last.as_ref().map_or("N/A", |_| iam.realm.region.as_str()));
    });
    Ok(xml)
}

pub(super) async fn update(iam: &Iam, input: &Input) -> Answer<Xml> {
    let (user, key) = (input.user_name_or_own()?, input.access_key_id()?);
    let is_active = input.required_word("Status", &["Active", "Inactive"])? == "Active";
    iam.access.set_access_key_active(user, key, is_active).await?;
    Ok(Xml::new())
}

pub(super) async fn delete(iam: &Iam, input: &Input) -> Answer<Xml> {
    iam.access.delete_access_key(input.user_name_or_own()?, input.access_key_id()?).await?;
    Ok(Xml::new())
}

fn status(is_active: bool) -> &'static str {
    if is_active { "Active" } else { "Inactive" }
}
