//! Roles: made, shown, and who may assume them.

use access::policy::{Document, TRUST_POLICY_SIZE_MAX, size};
use catalog::role::RoleRow;
use model::{Error, ErrorKind};
use wire::query::{Xml, encode};

use super::input::{Input, cut, write_end, write_tags};
use super::{Iam, fault};
use crate::reply::{Answer, Failure};

pub(super) async fn create(iam: &Iam, input: &Input) -> Answer<Xml> {
    let (name, path) = (input.role_name()?, input.path(|b| b.is_ascii_graphic())?);
    let role = RoleRow {
        arn: iam.realm.role(path, name),
        id: format!("AROA{}", iam.clock.base32(17)),
        name: name.to_owned(),
        path: path.to_owned(),
        trust_policy: trust_policy(input, "AssumeRolePolicyDocument")?.to_owned(),
        description: input.description()?,
        max_session_s: input.number("MaxSessionDuration", 3600, 3600..=43_200)?,
        tags: input.tags()?,
        created_ms: iam.clock.now_ms(),
    };
    iam.catalog.create_role(&role).await?;
    let mut xml = Xml::new();
    xml.element("Role", |xml| write(xml, &role, false));
    Ok(xml)
}

pub(super) async fn get(iam: &Iam, input: &Input) -> Answer<Xml> {
    let role = find(iam, input.role_name()?).await?;
    let mut xml = Xml::new();
    xml.element("Role", |xml| write(xml, &role, true));
    Ok(xml)
}

pub(super) async fn list(iam: &Iam, input: &Input) -> Answer<Xml> {
    let page = input.page()?;
    let mut roles = iam.catalog.roles(page).await?;
    let marker = cut(&mut roles, page, |role| &role.name);
    let mut xml = Xml::new();
    xml.element("Roles", |xml| {
        roles.iter().for_each(|role| xml.element("member", |xml| write(xml, role, false)))
    });
    write_end(&mut xml, marker.as_deref());
    Ok(xml)
}

pub(super) async fn update(iam: &Iam, input: &Input) -> Answer<Xml> {
    let life_s = input.number_given("MaxSessionDuration", 3600..=43_200)?;
    iam.catalog.update_role(input.role_name()?, input.description()?.as_deref(), life_s).await?;
    Ok(Xml::new())
}

pub(super) async fn update_description(iam: &Iam, input: &Input) -> Answer<Xml> {
    let description = input.description()?.ok_or_else(|| input.missing("Description"))?;
    iam.catalog.update_role(input.role_name()?, Some(&description), None).await?;
    let role = find(iam, input.role_name()?).await?;
    let mut xml = Xml::new();
    xml.element("Role", |xml| write(xml, &role, false));
    Ok(xml)
}

/// There are no machines here that a role could be handed to.
pub(super) async fn instance_profiles(iam: &Iam, input: &Input) -> Answer<Xml> {
    find(iam, input.role_name()?).await?;
    let mut xml = Xml::new();
    xml.element("InstanceProfiles", |_| {});
    write_end(&mut xml, None);
    Ok(xml)
}

pub(super) async fn delete(iam: &Iam, input: &Input) -> Answer<Xml> {
    iam.catalog.delete_role(input.role_name()?).await?;
    Ok(Xml::new())
}

pub(super) async fn update_trust(iam: &Iam, input: &Input) -> Answer<Xml> {
    let (name, document) = (input.role_name()?, trust_policy(input, "PolicyDocument")?);
    iam.catalog.set_trust_policy(name, document).await?;
    Ok(Xml::new())
}

async fn find(iam: &Iam, name: &str) -> Answer<RoleRow> {
    let missing = || Error::new(ErrorKind::NotFound, format!("The role with name {name} cannot be found."));
    Ok(iam.catalog.role(name).await?.ok_or_else(missing)?)
}

fn trust_policy<'a>(input: &'a Input, member: &str) -> Answer<&'a str> {
    let text = input.document(member)?;
    Document::parse_trust_policy(text).map_err(malformed)?;
    if size(text) > TRUST_POLICY_SIZE_MAX {
        let text = format!("Cannot exceed quota for ACLSizePerRole: {TRUST_POLICY_SIZE_MAX}");
        return Err(Error::new(ErrorKind::LimitExceeded, text).into());
    }
    Ok(text)
}

pub(super) fn malformed(error: Error) -> Failure {
    fault("MalformedPolicyDocument", error.message())
}

fn write(xml: &mut Xml, role: &RoleRow, with_use: bool) {
    xml.value("Path", &role.path);
    xml.value("RoleName", &role.name);
    xml.value("RoleId", &role.id);
    xml.value("Arn", &role.arn);
    xml.time("CreateDate", role.created_ms);
    xml.value("AssumeRolePolicyDocument", encode(&role.trust_policy));
    if let Some(description) = &role.description {
        xml.value("Description", description);
    }
    xml.value("MaxSessionDuration", role.max_session_s);
    write_tags(xml, &role.tags);
    if with_use {
        xml.element("RoleLastUsed", |_| {});
    }
}
