//! Temporary keys: for a role, or for oneself.

use access::policy::{Document, SESSION_POLICY_SIZE_MAX};
use access::{Context, Principal, RoleRequest, TemporaryKeys};
use model::{Arn, Error};
use wire::query::Xml;

use super::input::Input;
use super::role::malformed;
use super::{Iam, fault};
use crate::reply::Answer;

const POLICY_ARNS_MAX: usize = 10;
/// How much of a session's policies and tags fits into its token.
const PACKED_BYTES_MAX: usize = 32 << 10;

pub(super) async fn assume_role(iam: &Iam, input: &Input) -> Answer<Xml> {
    let request = RoleRequest {
        role: input.role_arn()?,
        session_name: input.session_name()?.to_owned(),
        duration_s: input.number_given("DurationSeconds", 900..=43_200)?,
        external_id: input.external_id()?.map(str::to_owned),
        policy: session_policy(input)?.map(str::to_owned),
        policy_arns: policy_arns(iam, input).await?,
        tags: input.tags()?,
        transitive_tag_keys: input.texts("TransitiveTagKeys", "", 128)?,
    };
    let packed = packed_percent(&request)?;
    let context = Context::from_peer(input.peer);
    let assumed = iam.access.assume_role(&input.principal, request, context).await?;
    let mut xml = Xml::new();
    xml.element("AssumedRoleUser", |xml| {
        xml.value("AssumedRoleId", &assumed.user_id);
        xml.value("Arn", &assumed.session);
    });
    write(&mut xml, &assumed.keys);
    if let Some(percent) = packed {
        xml.value("PackedPolicySize", percent);
    }
    Ok(xml)
}

pub(super) async fn session_token(iam: &Iam, input: &Input) -> Answer<Xml> {
    if input.is_temporary {
        let text = "Cannot call GetSessionToken with session credentials";
        return Err(Error::new(model::ErrorKind::Denied, text).into());
    }
    let (default_s, most_s) = match input.principal {
        Principal::Root { .. } => (3_600, 3_600),
        _ => (43_200, 129_600),
    };
    let life_s = input.number("DurationSeconds", default_s, 900..=129_600)?.min(most_s);
    let keys = iam.access.session_token(&input.principal, life_s)?;
    let mut xml = Xml::new();
    write(&mut xml, &keys);
    Ok(xml)
}

fn write(xml: &mut Xml, keys: &TemporaryKeys) {
    xml.element("Credentials", |xml| {
        xml.value("AccessKeyId", &keys.access_key_id);
        xml.value("SecretAccessKey", &keys.secret_access_key);
        xml.value("SessionToken", &keys.session_token);
        xml.time("Expiration", keys.expires_ms);
    });
}

fn session_policy(input: &Input) -> Answer<Option<&str>> {
    if input.given("Policy").is_none() {
        return Ok(None);
    }
    let text = input.document("Policy")?;
    if text.chars().count() > SESSION_POLICY_SIZE_MAX {
        let rule = format!(
            "1 validation error detected: Value at 'policy' failed to satisfy constraint: Member must have length less \
             than or equal to {SESSION_POLICY_SIZE_MAX}"
        );
        return Err(Error::invalid(rule).into());
    }
    Document::parse_identity_policy(text).map_err(malformed)?;
    Ok(Some(text))
}

async fn policy_arns(iam: &Iam, input: &Input) -> Answer<Vec<Arn>> {
    let texts = input.texts("PolicyArns", "arn", 2048)?;
    if texts.len() > POLICY_ARNS_MAX {
        let rule = "1 validation error detected: Value at 'policyArns' failed to satisfy constraint: Member must have \
                    length less than or equal to 10";
        return Err(Error::invalid(rule).into());
    }
    let mut arns = Vec::new();
    for text in texts {
        let arn = Arn::parse(&text).ok_or_else(|| Error::invalid(format!("{text} is invalid")))?;
        if iam.catalog.policy(&text).await?.is_none() {
            return Err(fault("NoSuchEntity", format!("Policy {text} was not found.")));
        }
        arns.push(arn);
    }
    Ok(arns)
}

// Told when the request has policies or tags.
fn packed_percent(request: &RoleRequest) -> Answer<Option<usize>> {
    let tags = request.tags.iter().map(|(key, value)| key.len() + value.len());
    let arns = request.policy_arns.iter().map(|arn| arn.as_str().len());
    let bytes = request.policy.as_ref().map_or(0, String::len) + tags.sum::<usize>() + arns.sum::<usize>();
    let percent = (bytes * 100).div_ceil(PACKED_BYTES_MAX);
    match percent {
        0 => Ok(None),
        1..=100 => Ok(Some(percent)),
        _ => {
            let text =
                format!("Packed policy consumes {percent}% of allotted space, please use smaller policy.");
            Err(fault("PackedPolicyTooLarge", text))
        }
    }
}
