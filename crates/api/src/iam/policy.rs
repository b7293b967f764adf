//! Managed policies and their versions.

use access::policy::{Document, MANAGED_POLICY_SIZE_MAX, size};
use catalog::policy::{PolicyRow, PolicyState};
use catalog::policy_version::PolicyVersionRow;
use model::{Error, ErrorKind};
use wire::query::{Xml, encode};

use super::Iam;
use super::aws_policy::check_own;
use super::input::{Input, write_end, write_tags};
use super::role::malformed;
use crate::reply::Answer;

/// Source: "IAM and AWS STS quotas".
const VERSIONS_MAX: i64 = 5;

pub(super) async fn create(iam: &Iam, input: &Input) -> Answer<Xml> {
    let name = input.policy_name()?;
    let path = input.path(|b| b.is_ascii_alphanumeric() || b".,+@=_-/".contains(&b))?;
    let policy = PolicyRow {
        arn: iam.realm.policy(path, name),
        id: format!("ANPA{}", iam.clock.base32(17)),
        name: name.to_owned(),
        path: path.to_owned(),
        document: document(input)?.to_owned(),
        description: input.description()?,
        tags: input.tags()?,
        created_ms: iam.clock.now_ms(),
    };
    iam.catalog.create_policy(&policy).await?;
    let mut xml = Xml::new();
    let state = PolicyState { attachments: 0, default_version: 1, updated_ms: policy.created_ms };
    xml.element("Policy", |xml| write(xml, &policy, &state));
    Ok(xml)
}

pub(super) async fn get(iam: &Iam, input: &Input) -> Answer<Xml> {
    let (policy, state) = find(iam, input).await?;
    let mut xml = Xml::new();
    xml.element("Policy", |xml| {
        write(xml, &policy, &state);
        if let Some(description) = &policy.description {
            xml.value("Description", description);
        }
        write_tags(xml, &policy.tags);
    });
    Ok(xml)
}

pub(super) async fn get_version(iam: &Iam, input: &Input) -> Answer<Xml> {
    let version = iam.catalog.policy_version(input.policy_arn()?, input.version()?).await?;
    let mut xml = Xml::new();
    xml.element("PolicyVersion", |xml| {
        xml.value("Document", encode(&version.document));
        write_version(xml, &version);
    });
    Ok(xml)
}

pub(super) async fn list_versions(iam: &Iam, input: &Input) -> Answer<Xml> {
    let page = input.page()?;
    let mut versions = iam.catalog.policy_versions(input.policy_arn()?, page).await?;
    let shown = usize::try_from(page.limit - 1).unwrap_or_default();
    let is_cut = versions.len() > shown;
    versions.truncate(shown);
    let marker = versions.last().filter(|_| is_cut).map(|version| version.number.to_string());
    let mut xml = Xml::new();
    xml.element("Versions", |xml| {
        versions.iter().for_each(|version| xml.element("member", |xml| write_version(xml, version)));
    });
    write_end(&mut xml, marker.as_deref());
    Ok(xml)
}

pub(super) async fn create_version(iam: &Iam, input: &Input) -> Answer<Xml> {
    let (arn, text) = (input.policy_arn()?, document(input)?);
    check_own(arn)?;
    let is_default = input.word("SetAsDefault", &["true", "false"], "false")? == "true";
    let version = iam.catalog.create_policy_version(arn, text, is_default, VERSIONS_MAX).await?;
    let mut xml = Xml::new();
    xml.element("PolicyVersion", |xml| write_version(xml, &version));
    Ok(xml)
}

pub(super) async fn set_default_version(iam: &Iam, input: &Input) -> Answer<Xml> {
    check_own(input.policy_arn()?)?;
    iam.catalog.set_default_policy_version(input.policy_arn()?, input.version()?).await?;
    Ok(Xml::new())
}

pub(super) async fn delete_version(iam: &Iam, input: &Input) -> Answer<Xml> {
    check_own(input.policy_arn()?)?;
    iam.catalog.delete_policy_version(input.policy_arn()?, input.version()?).await?;
    Ok(Xml::new())
}

pub(super) async fn list(iam: &Iam, input: &Input) -> Answer<Xml> {
    let page = input.page()?;
    let scope = input.word("Scope", &["All", "AWS", "Local"], "All")?;
    let usage = input.word(
        "PolicyUsageFilter",
        &["PermissionsPolicy", "PermissionsBoundary"],
        "PermissionsPolicy",
    )?;
    let only_attached = input.word("OnlyAttached", &["true", "false"], "false")? == "true";
    // There is none that bounds permissions.
    let mut policies = match usage {
        "PermissionsBoundary" => Vec::new(),
        _ => iam.catalog.policies((scope != "Local", scope != "AWS"), only_attached, page).await?,
    };
    let shown = usize::try_from(page.limit - 1).unwrap_or_default();
    let is_cut = policies.len() > shown;
    policies.truncate(shown);
    let place = |(policy, _): &(PolicyRow, PolicyState)| format!("{}/{}", policy.name, policy.id);
    let marker = policies.last().filter(|_| is_cut).map(place);
    let mut xml = Xml::new();
    xml.element("Policies", |xml| {
        for (policy, state) in &policies {
            xml.element("member", |xml| write(xml, policy, state));
        }
    });
    write_end(&mut xml, marker.as_deref());
    Ok(xml)
}

pub(super) async fn delete(iam: &Iam, input: &Input) -> Answer<Xml> {
    check_own(input.policy_arn()?)?;
    iam.catalog.delete_policy(input.policy_arn()?).await?;
    Ok(Xml::new())
}

fn document(input: &Input) -> Answer<&str> {
    let text = input.document("PolicyDocument")?;
    Document::parse_identity_policy(text).map_err(malformed)?;
    if size(text) > MANAGED_POLICY_SIZE_MAX {
        let text = format!("Cannot exceed quota for PolicySize: {MANAGED_POLICY_SIZE_MAX}");
        return Err(Error::new(ErrorKind::LimitExceeded, text).into());
    }
    Ok(text)
}

async fn find(iam: &Iam, input: &Input) -> Answer<(PolicyRow, PolicyState)> {
    let arn = input.policy_arn()?;
    let missing = || Error::new(ErrorKind::NotFound, format!("Policy {arn} was not found."));
    Ok(iam.catalog.policy(arn).await?.ok_or_else(missing)?)
}

fn write(xml: &mut Xml, policy: &PolicyRow, state: &PolicyState) {
    xml.value("PolicyName", &policy.name);
    xml.value("PolicyId", &policy.id);
    xml.value("Arn", &policy.arn);
    xml.value("Path", &policy.path);
    xml.value("DefaultVersionId", format!("v{}", state.default_version));
    xml.value("AttachmentCount", state.attachments);
    xml.value("PermissionsBoundaryUsageCount", 0);
    xml.value("IsAttachable", true);
    xml.time("CreateDate", policy.created_ms);
    xml.time("UpdateDate", state.updated_ms);
}

fn write_version(xml: &mut Xml, version: &PolicyVersionRow) {
    xml.value("VersionId", format!("v{}", version.number));
    xml.value("IsDefaultVersion", version.is_default);
    xml.time("CreateDate", version.created_ms);
}
