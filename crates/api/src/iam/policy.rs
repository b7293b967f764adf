//! Managed policies; each has one version, `v1`.

use access::policy::{Document, MANAGED_POLICY_SIZE_MAX, size};
use catalog::policy::PolicyRow;
use model::{Error, ErrorKind};
use wire::query::{Xml, encode};

use super::Iam;
use super::input::{Input, cut, write_end, write_tags};
use super::role::malformed;
use crate::reply::Answer;

const VERSION: &str = "v1";

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
    xml.element("Policy", |xml| write(xml, &policy, 0));
    Ok(xml)
}

pub(super) async fn get(iam: &Iam, input: &Input) -> Answer<Xml> {
    let (policy, attachments) = find(iam, input).await?;
    let mut xml = Xml::new();
    xml.element("Policy", |xml| {
        write(xml, &policy, attachments);
        if let Some(description) = &policy.description {
            xml.value("Description", description);
        }
        write_tags(xml, &policy.tags);
    });
    Ok(xml)
}

pub(super) async fn get_version(iam: &Iam, input: &Input) -> Answer<Xml> {
    let (policy, _) = find(iam, input).await?;
    let version = input.name("VersionId", 64)?;
    if version != VERSION {
        let text = format!("Policy {} version {version} does not exist or is not attachable.", policy.arn);
        return Err(Error::new(ErrorKind::NotFound, text).into());
    }
    let mut xml = Xml::new();
    xml.element("PolicyVersion", |xml| {
        xml.value("Document", encode(&policy.document));
        write_version(xml, &policy);
    });
    Ok(xml)
}

pub(super) async fn list_versions(iam: &Iam, input: &Input) -> Answer<Xml> {
    input.page()?;
    let (policy, _) = find(iam, input).await?;
    let mut xml = Xml::new();
    xml.element("Versions", |xml| xml.element("member", |xml| write_version(xml, &policy)));
    write_end(&mut xml, None);
    Ok(xml)
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
    // There are no policies of AWS here, and none that bounds permissions.
    let mut policies = match (scope, usage) {
        ("AWS", _) | (_, "PermissionsBoundary") => Vec::new(),
        _ => iam.catalog.policies(only_attached, page).await?,
    };
    let marker = cut(&mut policies, page, |(policy, _)| &policy.name);
    let mut xml = Xml::new();
    xml.element("Policies", |xml| {
        for (policy, attachments) in &policies {
            xml.element("member", |xml| write(xml, policy, *attachments));
        }
    });
    write_end(&mut xml, marker.as_deref());
    Ok(xml)
}

pub(super) async fn delete(iam: &Iam, input: &Input) -> Answer<Xml> {
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

async fn find(iam: &Iam, input: &Input) -> Answer<(PolicyRow, i64)> {
    let arn = input.policy_arn()?;
    let missing = || Error::new(ErrorKind::NotFound, format!("Policy {arn} was not found."));
    Ok(iam.catalog.policy(arn).await?.ok_or_else(missing)?)
}

fn write(xml: &mut Xml, policy: &PolicyRow, attachments: i64) {
    xml.value("PolicyName", &policy.name);
    xml.value("PolicyId", &policy.id);
    xml.value("Arn", &policy.arn);
    xml.value("Path", &policy.path);
    xml.value("DefaultVersionId", VERSION);
    xml.value("AttachmentCount", attachments);
    xml.value("PermissionsBoundaryUsageCount", 0);
    xml.value("IsAttachable", true);
    xml.time("CreateDate", policy.created_ms);
    xml.time("UpdateDate", policy.created_ms);
}

fn write_version(xml: &mut Xml, policy: &PolicyRow) {
    xml.value("VersionId", VERSION);
    xml.value("IsDefaultVersion", true);
    xml.time("CreateDate", policy.created_ms);
}
