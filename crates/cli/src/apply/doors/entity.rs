//! Roles and users of IAM with their inline policies.

use model::error::Result;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{Attributes, Found, document, if_any};
use crate::apply::item::{Kind, text, texts};
use crate::client::Client;
use crate::client::s3::element;

/// How the actions and parameters of a kind are called: `Role` or `User`.
fn word(kind: Kind) -> &'static str {
    if kind == Kind::User { "User" } else { "Role" }
}

async fn call(iam: &Client, kind: Kind, action: &str, name: &str, more: &[(&str, &str)]) -> Result<String> {
    let word = word(kind);
    let parameter = format!("{word}Name");
    let all: Vec<(&str, &str)> =
        std::iter::once((parameter.as_str(), name)).chain(more.iter().copied()).collect();
    iam.iam(&action.replace('*', word), &all).await
}

pub async fn find(iam: &Client, kind: Kind, name: &str, wanted: &Attributes) -> Result<Option<Found>> {
    let Some(xml) = if_any(call(iam, kind, "Get*", name, &[]).await)? else { return Ok(None) };
    let mut attributes = Attributes::new();
    for (attribute, member) in [("path", "Path"), ("description", "Description")] {
        if let Some(text) = element(&xml, member) {
            attributes.insert(attribute.to_owned(), json!(text));
        }
    }
    if let Some(trust) = element(&xml, "AssumeRolePolicyDocument") {
        attributes.insert("trust".to_owned(), decoded(&trust)?);
    }
    for tag in xml.split("<member>").skip(1) {
        if let (Some(key), Some(value)) = (element(tag, "Key"), element(tag, "Value")) {
            attributes.insert(format!("tags.{key}"), json!(value));
        }
    }
    let listed = call(iam, kind, "List*Policies", name, &[]).await?;
    let mut more = Vec::new();
    for policy in listed.split("<member>").skip(1).filter_map(|rest| Some(rest.split_once("</member>")?.0)) {
        let attribute = format!("policies.{policy}");
        if !wanted.contains_key(&attribute) {
            more.push(format!("the policy {policy}"));
            continue;
        }
        let xml = call(iam, kind, "Get*Policy", name, &[("PolicyName", policy)]).await?;
        attributes.insert(attribute, decoded(&element(&xml, "PolicyDocument").unwrap_or_default())?);
    }
    Ok(Some(Found { attributes, more }))
}

fn decoded(text: &str) -> Result<Value> {
    document(&percent_decode_str(text).decode_utf8_lossy())
}

pub async fn create(iam: &Client, kind: Kind, name: &str, wanted: &Attributes) -> Result<()> {
    let trust = wanted.get("trust").map(Value::to_string);
    let mut given = tags(wanted);
    for (parameter, value) in [
        ("AssumeRolePolicyDocument", trust.as_deref()),
        ("Path", text(wanted, "path")),
        ("Description", text(wanted, "description")),
    ] {
        given.extend(value.map(|value| (parameter.to_owned(), value.to_owned())));
    }
    call(iam, kind, "Create*", name, &borrowed(&given)).await?;
    put_policies(iam, kind, name, wanted).await
}

pub async fn change(iam: &Client, kind: Kind, name: &str, wanted: &Attributes) -> Result<()> {
    if let Some(trust) = wanted.get("trust") {
        let document = trust.to_string();
        let given = [("PolicyDocument", document.as_str())];
        call(iam, kind, "UpdateAssumeRolePolicy", name, &given).await?;
    }
    if let Some(description) = text(wanted, "description") {
        call(iam, kind, "UpdateRoleDescription", name, &[("Description", description)]).await?;
    }
    let tags = tags(wanted);
    if !tags.is_empty() {
        call(iam, kind, "Tag*", name, &borrowed(&tags)).await?;
    }
    put_policies(iam, kind, name, wanted).await
}

async fn put_policies(iam: &Client, kind: Kind, name: &str, wanted: &Attributes) -> Result<()> {
    for (attribute, policy) in wanted {
        if let Some(policy_name) = attribute.strip_prefix("policies.") {
            let document = policy.to_string();
            let given = [("PolicyName", policy_name), ("PolicyDocument", document.as_str())];
            call(iam, kind, "Put*Policy", name, &given).await?;
        }
    }
    Ok(())
}

fn tags(wanted: &Attributes) -> Vec<(String, String)> {
    let numbered = (1..).zip(texts(wanted, "tags."));
    let pair = |(n, (key, value)): (usize, (&str, &str))| {
        [
            (format!("Tags.member.{n}.Key"), key.to_owned()),
            (format!("Tags.member.{n}.Value"), value.to_owned()),
        ]
    };
    numbered.flat_map(pair).collect()
}

fn borrowed(given: &[(String, String)]) -> Vec<(&str, &str)> {
    given.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}
