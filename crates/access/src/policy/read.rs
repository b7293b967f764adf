//! From text to a document: every element is known, well formed and evaluated, or the policy is refused.

use model::{Arn, Error, Result};

use super::json::{self, Node};
use super::template::{Syntax, Template};
use super::{
    ActionPattern, BUCKET_POLICY_SIZE_MAX, Choice, Document, Effect, Entry, KEY_POLICY_SIZE_MAX, Statement,
    condition,
};

/// What a policy hangs on; it decides which elements there are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind<'a> {
    Identity,
    Trust,
    Bucket(&'a str),
    Key,
}

pub(super) fn document(text: &str, kind: Kind<'_>) -> Result<Document> {
    if matches!(kind, Kind::Bucket(_)) && text.len() > BUCKET_POLICY_SIZE_MAX {
        return Err(Error::invalid(format!("A bucket policy has at most {BUCKET_POLICY_SIZE_MAX} bytes.")));
    }
    if matches!(kind, Kind::Key) && text.len() > KEY_POLICY_SIZE_MAX {
        return Err(Error::invalid(format!("A key policy has at most {KEY_POLICY_SIZE_MAX} bytes.")));
    }
    let Node::Object(members) = json::parse(text)? else {
        return Err(Error::invalid("A policy is a JSON object."));
    };
    let variables = members.iter().any(|(name, node)| name == "Version" && *node == text_node(VARIABLES));
    let mut statements = None;
    for (name, node) in &members {
        match (name.as_str(), node) {
            ("Version", Node::Text(version)) if matches!(version.as_str(), VARIABLES | "2008-10-17") => {}
            ("Version", _) => return Err(Error::invalid("Version is 2012-10-17 or 2008-10-17.")),
            ("Id", Node::Text(_)) => {}
            ("Id", _) => return Err(Error::invalid("Id is a text.")),
            ("Statement", node) => statements = Some(read_statements(node, kind, variables)?),
            _ => return Err(Error::invalid(format!("The element {name} is not known."))),
        }
    }
    let statements = statements.ok_or_else(|| Error::invalid("A policy has a Statement."))?;
    if !matches!(kind, Kind::Bucket(_) | Kind::Key) {
        check_sids(&statements)?;
    }
    Ok(Document { statements })
}

/// The version since which `${…}` is a variable; before, it was a text like any other.
const VARIABLES: &str = "2012-10-17";

fn text_node(text: &str) -> Node {
    Node::Text(text.to_owned())
}

fn read_statements(node: &Node, kind: Kind<'_>, variables: bool) -> Result<Vec<Statement>> {
    let list = match node {
        Node::List(list) if list.is_empty() => return Err(Error::invalid("Statement is an empty list.")),
        Node::List(list) => list.as_slice(),
        single => std::slice::from_ref(single),
    };
    list.iter().enumerate().map(|(n, node)| read_statement(node, n + 1, kind, variables)).collect()
}

fn read_statement(node: &Node, number: usize, kind: Kind<'_>, variables: bool) -> Result<Statement> {
    let wrong = |text: String| Error::invalid(format!("Statement {number}: {text}"));
    let Node::Object(members) = node else {
        return Err(wrong("a statement is a JSON object.".to_owned()));
    };
    let (mut sid, mut effect, mut principals, mut actions, mut resources) = (None, None, None, None, None);
    let mut conditions = Vec::new();
    for (name, node) in members {
        let all_but = name.starts_with("Not");
        match name.as_str() {
            "Sid" => sid = Some(read_sid(node, kind).map_err(wrong)?),
            "Effect" => effect = Some(read_effect(node).map_err(wrong)?),
            "Principal" | "NotPrincipal" => {
                let items = read_principals(node, name).map_err(wrong)?;
                put(&mut principals, Choice { all_but, items }, "Principal").map_err(wrong)?;
            }
            "Action" | "NotAction" => {
                let items = read_list(node, name, |text| read_action(text, kind)).map_err(wrong)?;
                put(&mut actions, Choice { all_but, items }, "Action").map_err(wrong)?;
            }
            "Resource" | "NotResource" => {
                let items =
                    read_list(node, name, |text| read_resource(text, kind, variables)).map_err(wrong)?;
                put(&mut resources, Choice { all_but, items }, "Resource").map_err(wrong)?;
            }
            "Condition" => conditions = condition::read(node, variables).map_err(wrong)?,
            _ => return Err(wrong(format!("the element {name} is not known."))),
        }
    }
    if principals.is_some() == matches!(kind, Kind::Identity) {
        return Err(wrong(must("Principal", !matches!(kind, Kind::Identity), kind)));
    }
    if resources.is_some() == matches!(kind, Kind::Trust) {
        return Err(wrong(must("Resource", !matches!(kind, Kind::Trust), kind)));
    }
    let effect = effect.ok_or_else(|| wrong("Effect is missing.".to_owned()))?;
    let actions = actions.ok_or_else(|| wrong("Action is missing.".to_owned()))?;
    Ok(Statement { sid, effect, principals, actions, resources, conditions })
}

fn put<T>(place: &mut Option<T>, value: T, name: &str) -> Result<(), String> {
    let before = place.replace(value);
    before.map_or(Ok(()), |_| Err(format!("it has both {name} and Not{name}.")))
}

fn must(element: &str, wanted: bool, kind: Kind<'_>) -> String {
    let policy = match kind {
        Kind::Identity => "an identity-based policy",
        Kind::Trust => "a trust policy",
        Kind::Bucket(_) => "a bucket policy",
        Kind::Key => "a key policy",
    };
    if wanted { format!("{element} is missing.") } else { format!("{policy} has no {element}.") }
}

fn not_evaluated(what: &str) -> String {
    format!("{what} is not evaluated by this server yet, so a policy that has it can't be put.")
}

fn read_sid(node: &Node, kind: Kind<'_>) -> Result<String, String> {
    match node {
        Node::Text(sid) if matches!(kind, Kind::Bucket(_) | Kind::Key) => Ok(sid.clone()),
        Node::Text(sid) if sid.bytes().all(|b| b.is_ascii_alphanumeric()) => Ok(sid.clone()),
        _ => Err("Sid consists of letters and digits.".to_owned()),
    }
}

fn check_sids(statements: &[Statement]) -> Result<()> {
    let mut sids: Vec<&str> =
        statements.iter().filter_map(|s| s.sid.as_deref()).filter(|s| !s.is_empty()).collect();
    sids.sort_unstable();
    match sids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::invalid(format!("The Sid {} comes twice.", pair[0]))),
        None => Ok(()),
    }
}

fn read_effect(node: &Node) -> Result<Effect, String> {
    match node {
        Node::Text(effect) if effect == "Allow" => Ok(Effect::Allow),
        Node::Text(effect) if effect == "Deny" => Ok(Effect::Deny),
        _ => Err("Effect is Allow or Deny.".to_owned()),
    }
}

fn read_principals(node: &Node, name: &str) -> Result<Vec<Entry>, String> {
    let members = match node {
        Node::Text(text) if text == "*" => return Ok(vec![Entry::Anyone]),
        Node::Object(members) if !members.is_empty() => members,
        _ => return Err(format!("{name} is \"*\" or an object with AWS or Service.")),
    };
    let mut entries = Vec::new();
    for (kind, node) in members {
        let invalid = |text: &str| format!("invalid principal in policy: {kind} {text}.");
        entries.extend(match kind.as_str() {
            "AWS" => read_list(node, kind, |text| Entry::parse_aws(text).ok_or_else(|| invalid(text)))?,
            "Service" => {
                read_list(node, kind, |text| Entry::parse_service(text).ok_or_else(|| invalid(text)))?
            }
            "Federated" | "CanonicalUser" => {
                return Err(not_evaluated(&format!("the principal kind {kind}")));
            }
            _ => return Err(format!("the principal kind {kind} is not known.")),
        });
    }
    Ok(entries)
}

fn read_action(text: &str, kind: Kind<'_>) -> Result<ActionPattern, String> {
    let pattern = ActionPattern::parse(text).ok_or_else(|| {
        format!("{text} is no action: actions have the form service:Name, such as s3:GetObject.")
    })?;
    let service = text.split(':').next().unwrap_or_default().to_ascii_lowercase();
    match kind {
        Kind::Trust if service != "sts" => {
            Err(format!("{text}: a trust policy may only have STS actions, such as sts:AssumeRole."))
        }
        Kind::Bucket(_) if service != "s3" && service != "*" => {
            Err(format!("{text}: a bucket policy may only have S3 actions."))
        }
        Kind::Key if service != "kms" && service != "*" => {
            Err(format!("{text}: a key policy may only have KMS actions."))
        }
        _ => Ok(pattern),
    }
}

fn read_resource(text: &str, kind: Kind<'_>, variables: bool) -> Result<Template, String> {
    // Variables stand behind the fifth colon only; before, there is nothing to choose from.
    let fixed = text.split("${").next().filter(|_| variables).unwrap_or(text);
    let is_resource = match kind {
        Kind::Bucket(bucket) => {
            let rest = fixed.strip_prefix("arn:aws:s3:::").and_then(|rest| rest.strip_prefix(bucket));
            rest.is_some_and(|rest| if rest.is_empty() { fixed == text } else { rest.starts_with('/') })
        }
        Kind::Identity | Kind::Trust | Kind::Key => text == "*" || is_arn_pattern(fixed, text),
    };
    match (is_resource, kind) {
        (true, _) => Template::parse(text, Syntax { wildcards: true, variables }),
        (false, Kind::Bucket(bucket)) => Err(format!(
            "{text} is no resource of this bucket: those are arn:aws:s3:::{bucket} and arn:aws:s3:::{bucket}/*."
        )),
        (false, _) => Err(format!("{text} is no resource: resources are ARNs, or \"*\".")),
    }
}

// Wildcards may stand everywhere but in the partition and the service.
fn is_arn_pattern(fixed: &str, text: &str) -> bool {
    let head = text.splitn(4, ':').take(3).collect::<String>();
    fixed.splitn(6, ':').count() == 6
        && Arn::parse(text).is_some_and(|arn| !arn.service().is_empty() && !head.contains(['*', '?']))
}

// One text, or a list of texts that is not empty.
fn read_list<T>(node: &Node, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let list = match node {
        Node::List(list) if !list.is_empty() => list.as_slice(),
        single @ Node::Text(_) => std::slice::from_ref(single),
        _ => return Err(format!("{name} is a text or a list of texts that is not empty.")),
    };
    let text = |node: &Node| match node {
        Node::Text(text) => read(text),
        _ => Err(format!("{name} is a text or a list of texts.")),
    };
    list.iter().map(text).collect()
}
