//! The rules of policies as tables, and random policies against a second, naive evaluator.

mod condition;
mod logic;
mod random;
mod reading;

use std::sync::LazyLock;

use super::*;
use crate::Peer;
use crate::principal::{RoleSession, User};
use model::{Arn, ErrorKind};

pub(super) const SERVICE: &str = "personalize.amazonaws.com";

pub(super) fn arn(text: &str) -> Arn {
    Arn::parse(text).unwrap()
}

static SESSION: LazyLock<RoleSession> = LazyLock::new(|| RoleSession {
    role: arn("arn:aws:iam::111122223333:role/Export"),
    role_id: "AROAEXPORT".into(),
    role_tags: vec![("Team".into(), "shop".into())],
    session: arn("arn:aws:sts::111122223333:assumed-role/Export/nightly"),
    service: SERVICE.into(),
    source: arn("arn:aws:personalize:us-east-1:111122223333:dataset-export-job/nightly"),
    expires_ms: i64::MAX,
});
static USER: LazyLock<User> = LazyLock::new(|| User {
    arn: arn("arn:aws:iam::111122223333:user/ops/Ann"),
    name: "Ann".into(),
    id: "AIDAANN".into(),
    tags: vec![("Team".into(), "shop".into()), ("Star".into(), "*".into())],
});
static ROOT: LazyLock<Arn> = LazyLock::new(|| arn("arn:aws:iam::111122223333:root"));

pub(super) fn session() -> Caller<'static> {
    Caller::Session(&SESSION)
}

pub(super) fn user() -> Caller<'static> {
    Caller::User(&USER)
}

pub(super) fn root() -> Caller<'static> {
    Caller::Root(&ROOT)
}

pub(super) fn service() -> Caller<'static> {
    Caller::Service { name: SERVICE, source: Some(&SESSION.source) }
}

/// The decision about a statement list of an identity-based policy.
fn identity(statements: &str, action: &str, resource: &str) -> Decision {
    let document = Document::parse_identity_policy(&format!(r#"{{"Statement":{statements}}}"#)).unwrap();
    decide([&document], &Request::new(session(), action, resource))
}

/// The decision about a bucket policy of one statement: the effect and the elements that say whom.
fn bucket(effect: &str, principal: &str, caller: Caller<'_>) -> Decision {
    let text = format!(
        r#"{{"Statement":[{{"Sid":"s","Effect":"{effect}",{principal},"Action":"s3:*","Resource":"arn:aws:s3:::b/*"}}]}}"#
    );
    let document = Document::parse_resource_policy(&text, "b").unwrap();
    decide([&document], &Request::new(caller, "s3:GetObject", "arn:aws:s3:::b/k"))
}

fn denied() -> Decision {
    Decision::ExplicitDeny { sid: None, which: 0 }
}

#[test]
fn a_deny_wins_before_and_after_an_allow() {
    let allow = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
    let deny = r#"{"Effect":"Deny","Action":"s3:Put*","Resource":"*"}"#;
    for statements in [format!("[{allow},{deny}]"), format!("[{deny},{allow}]")] {
        assert_eq!(identity(&statements, "s3:PutObject", "arn:aws:s3:::b/k"), denied());
        assert_eq!(identity(&statements, "s3:GetObject", "arn:aws:s3:::b/k"), Decision::Allow);
    }
}

#[test]
fn a_deny_in_another_document_wins() {
    let parse = |effect: &str| {
        let text =
            format!(r#"{{"Statement":{{"Sid":"X","Effect":"{effect}","Action":"*","Resource":"*"}}}}"#);
        Document::parse_identity_policy(&text).unwrap()
    };
    let documents = [parse("Allow"), parse("Deny")];
    let caller = session();
    let request = Request::new(caller, "s3:GetObject", "arn:aws:s3:::b/k");
    assert_eq!(decide(&documents, &request), Decision::ExplicitDeny { sid: Some("X".into()), which: 1 });
    assert_eq!(decide(&documents[..1], &request), Decision::Allow);
    assert_eq!(decide(&documents[..0], &request), Decision::NotAllowed);
}

#[test]
fn actions_and_resources_are_matched() {
    let table = [
        // action, resource, asked action, asked resource, allowed
        (
            r#""Action":"s3:getobject""#,
            r#""Resource":"arn:aws:s3:::b/k""#,
            "s3:GetObject",
            "arn:aws:s3:::b/k",
            true,
        ),
        (
            r#""Action":"S3:GetObject""#,
            r#""Resource":"arn:aws:s3:::b/k""#,
            "s3:GetObject",
            "arn:aws:s3:::b/K",
            false,
        ),
        (r#""Action":"s3:Get?bject""#, r#""Resource":"*""#, "s3:GetObject", "arn:aws:s3:::b/k", true),
        (
            r#""Action":["s3:List*","s3:Get*"]"#,
            r#""Resource":["*"]"#,
            "s3:GetObject",
            "arn:aws:s3:::b/k",
            true,
        ),
        (r#""Action":"s3:Get""#, r#""Resource":"*""#, "s3:GetObject", "arn:aws:s3:::b/k", false),
        (r#""Action":"s3:*""#, r#""Resource":"*""#, "s3express:GetObject", "arn:aws:s3:::b/k", false),
        (r#""Action":"s3:*""#, r#""Resource":"arn:aws:s3:::b""#, "s3:PutObject", "arn:aws:s3:::b/k", false),
        (
            r#""Action":"s3:*""#,
            r#""Resource":"arn:aws:s3:::b/*/k""#,
            "s3:PutObject",
            "arn:aws:s3:::b/x/y/k",
            true,
        ),
        (r#""Action":"s3:*""#, r#""Resource":"arn:aws:s3:::b/?""#, "s3:PutObject", "arn:aws:s3:::b/é", true),
        (
            r#""Action":"s3:*""#,
            r#""Resource":"arn:aws:s3:::b*""#,
            "s3:PutObject",
            "arn:aws:s3:::bucket/k",
            true,
        ),
        (r#""NotAction":"s3:Put*""#, r#""Resource":"*""#, "s3:GetObject", "arn:aws:s3:::b/k", true),
        (r#""NotAction":"s3:put*""#, r#""Resource":"*""#, "s3:PutObject", "arn:aws:s3:::b/k", false),
        (
            r#""NotAction":["s3:Get*","s3:Put*"]"#,
            r#""Resource":"*""#,
            "s3:GetObject",
            "arn:aws:s3:::b/k",
            false,
        ),
        (
            r#""Action":"*""#,
            r#""NotResource":"arn:aws:s3:::b/x/*""#,
            "s3:GetObject",
            "arn:aws:s3:::b/x/k",
            false,
        ),
        (
            r#""Action":"*""#,
            r#""NotResource":"arn:aws:s3:::b/x/*""#,
            "s3:GetObject",
            "arn:aws:s3:::b/k",
            true,
        ),
    ];
    for (action, resource, asked, on, allowed) in table {
        let statements = format!(r#"[{{"Effect":"Allow",{action},{resource}}}]"#);
        let expected = if allowed { Decision::Allow } else { Decision::NotAllowed };
        assert_eq!(identity(&statements, asked, on), expected, "{statements} {asked} {on}");
    }
}

#[test]
fn principals_are_matched() {
    let table = [
        // principal, allows the session, allows the root, denies the session
        (r#""Principal":"*""#, true, true, true),
        (r#""Principal":{"AWS":"*"}"#, true, true, true),
        (r#""Principal":{"Service":"personalize.amazonaws.com"}"#, true, false, true),
        (r#""Principal":{"Service":["forecast.amazonaws.com"]}"#, false, false, false),
        (r#""Principal":{"AWS":"111122223333"}"#, false, true, true),
        (r#""Principal":{"AWS":"arn:aws:iam::111122223333:root"}"#, false, true, true),
        (r#""Principal":{"AWS":"444455556666"}"#, false, false, false),
        (r#""Principal":{"AWS":"arn:aws:iam::111122223333:role/Export"}"#, false, false, true),
        (r#""Principal":{"AWS":"arn:aws:iam::111122223333:role/export"}"#, false, false, false),
        (
            r#""Principal":{"AWS":["arn:aws:sts::111122223333:assumed-role/Export/nightly"]}"#,
            false,
            false,
            true,
        ),
        (r#""Principal":{"AWS":"444455556666","Service":"personalize.amazonaws.com"}"#, true, false, true),
        (r#""NotPrincipal":{"Service":"personalize.amazonaws.com"}"#, false, true, false),
        (r#""NotPrincipal":{"AWS":"arn:aws:iam::111122223333:role/Export"}"#, true, true, false),
        (r#""NotPrincipal":{"AWS":"444455556666"}"#, true, true, true),
        (r#""NotPrincipal":{"AWS":"*"}"#, false, false, false),
    ];
    for (principal, allows_session, allows_root, denies_session) in table {
        let is_allow = |caller: Caller<'_>| bucket("Allow", principal, caller) == Decision::Allow;
        let is_deny = matches!(bucket("Deny", principal, session()), Decision::ExplicitDeny { .. });
        let found = (is_allow(session()), is_allow(root()), is_deny);
        assert_eq!(found, (allows_session, allows_root, denies_session), "{principal}");
    }
}

#[test]
fn a_user_is_allowed_by_its_name_and_denied_by_its_account_too() {
    let table = [
        // principal, allows, denies
        (r#""Principal":"*""#, true, true),
        (r#""Principal":{"AWS":"arn:aws:iam::111122223333:user/ops/Ann"}"#, true, true),
        (r#""Principal":{"AWS":"arn:aws:iam::111122223333:user/Ann"}"#, false, false),
        (r#""Principal":{"AWS":"111122223333"}"#, false, true),
        (r#""Principal":{"AWS":"444455556666"}"#, false, false),
        (r#""Principal":{"Service":"personalize.amazonaws.com"}"#, false, false),
        (r#""NotPrincipal":{"AWS":"arn:aws:iam::111122223333:user/ops/Ann"}"#, false, false),
        (r#""NotPrincipal":{"AWS":"111122223333"}"#, false, false),
        (r#""NotPrincipal":{"AWS":"arn:aws:iam::111122223333:user/Bob"}"#, true, true),
    ];
    for (principal, allows, denies) in table {
        let is_allow = bucket("Allow", principal, user()) == Decision::Allow;
        let is_deny = matches!(bucket("Deny", principal, user()), Decision::ExplicitDeny { .. });
        assert_eq!((is_allow, is_deny), (allows, denies), "{principal}");
    }
}

#[test]
fn the_documented_policies_do_what_they_are_for() {
    let role = r#"{
        "Version": "2012-10-17", "Id": "PersonalizeS3BucketAccessPolicy",
        "Statement": [{ "Sid": "PersonalizeS3BucketAccessPolicy", "Effect": "Allow",
            "Action": ["s3:PutObject", "s3:ListBucket"],
            "Resource": ["arn:aws:s3:::bucket-name", "arn:aws:s3:::bucket-name/*"] }]
    }"#;
    let resource =
        role.replace(r#""Action""#, r#""Principal": { "Service": "personalize.amazonaws.com" }, "Action""#);
    let identity = Document::parse_identity_policy(role).unwrap();
    let resource = Document::parse_resource_policy(&resource, "bucket-name").unwrap();
    let caller = session();
    for (action, on, decision) in [
        ("s3:PutObject", "arn:aws:s3:::bucket-name/out/items.csv", Decision::Allow),
        ("s3:ListBucket", "arn:aws:s3:::bucket-name", Decision::Allow),
        ("s3:GetObject", "arn:aws:s3:::bucket-name/out/items.csv", Decision::NotAllowed),
        ("s3:PutObject", "arn:aws:s3:::other/out/items.csv", Decision::NotAllowed),
    ] {
        let request = Request::new(caller, action, on);
        assert_eq!(decide([&identity], &request), decision, "{action} {on}");
        assert_eq!(decide([&resource], &request), decision, "{action} {on}");
    }
}

#[test]
fn a_trust_policy_lets_a_service_in() {
    let trust = |principal: &str| {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"","Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}]}}"#
        );
        let document = Document::parse_trust_policy(&text).unwrap();
        decide([&document], &Request::new(service(), "sts:AssumeRole", ""))
    };
    assert_eq!(trust(r#"{"Service":["personalize.amazonaws.com"]}"#), Decision::Allow);
    assert_eq!(trust(r#"{"Service":"forecast.amazonaws.com"}"#), Decision::NotAllowed);
    assert_eq!(trust(r#"{"AWS":"arn:aws:iam::111122223333:root"}"#), Decision::NotAllowed);
}

#[test]
fn a_policy_with_a_mistake_is_refused() {
    let identities = [
        "",
        "[]",
        "7",
        r#"{"Version":"2012-10-17"}"#,
        r#"{"Statement":[]}"#,
        r#"{"Statement":"x"}"#,
        r#"{"Version":"2020-01-01","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#,
        r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"},"Extra":1}"#,
        r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"},"Statement":[]}"#,
        r#"{"Statement":{"Effect":"Allow","Effect":"Deny","Action":"*","Resource":"*"}}"#,
        r#"{"Statement":{"Effect":"allow","Action":"*","Resource":"*"}}"#,
        r#"{"Statement":{"Action":"*","Resource":"*"}}"#,
        r#"{"Statement":{"Effect":"Allow","Resource":"*"}}"#,
        r#"{"Statement":{"Effect":"Allow","Action":"*"}}"#,
        r#"{"Statement":{"Effect":"Allow","Action":"*","NotAction":"s3:*","Resource":"*"}}"#,
        r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","NotResource":"*"}}"#,
        r#"{"Statement":{"Effect":"Allow","Action":[],"Resource":"*"}}"#,
        r#"{"Statement":{"Effect":"Allow","Action":["*",1],"Resource":"*"}}"#,
        r#"{"Statement":{"Effect":"Allow","Action":"GetObject","Resource":"*"}}"#,
        r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"bucket"}}"#,
        r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:*:s3:::b"}}"#,
        r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}}"#,
        r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","action":"*"}}"#,
        r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Sid":"a b"}}"#,
        r#"{"Statement":[{"Sid":"A","Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"A","Effect":"Deny","Action":"*","Resource":"*"}]}"#,
    ];
    for text in identities {
        assert!(Document::parse_identity_policy(text).is_err(), "{text}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Document::parse_identity_policy(&deep).is_err());
    for rest in [
        r#""Principal":"*","Action":"sts:AssumeRole","Resource":"*""#,
        r#""Principal":"*","Action":"s3:GetObject""#,
        r#""Principal":"*","Action":"*""#,
        r#""Action":"sts:AssumeRole""#,
    ] {
        let text = format!(r#"{{"Statement":{{"Effect":"Allow",{rest}}}}}"#);
        assert!(Document::parse_trust_policy(&text).is_err(), "{text}");
    }
}

#[test]
fn a_bucket_policy_names_its_bucket_and_whom_it_means() {
    let policy = |principal: &str, action: &str, resource: &str| {
        let text = format!(
            r#"{{"Statement":{{"Effect":"Allow",{principal}"Action":"{action}","Resource":"{resource}"}}}}"#
        );
        Document::parse_resource_policy(&text, "b")
    };
    let anyone = r#""Principal":"*","#;
    assert!(policy(anyone, "s3:Get*", "arn:aws:s3:::b").is_ok());
    assert!(policy(anyone, "*", "arn:aws:s3:::b/*").is_ok());
    for resource in ["*", "arn:aws:s3:::*", "arn:aws:s3:::b*", "arn:aws:s3:::bc/*", "b/*"] {
        assert!(policy(anyone, "s3:*", resource).is_err(), "{resource}");
    }
    assert!(policy(anyone, "iam:*", "arn:aws:s3:::b").is_err());
    for principal in [
        "",
        r#""Principal":"111122223333","#,
        r#""Principal":{},"#,
        r#""Principal":{"AWS":[]},"#,
        r#""Principal":{"AWS":"arn:aws:iam::111122223333:role/*"},"#,
        r#""Principal":{"AWS":"arn:aws:iam::*:root"},"#,
        r#""Principal":{"AWS":"arn:aws:s3:::b"},"#,
        r#""Principal":{"AWS":"Export"},"#,
        r#""Principal":{"Service":"*"},"#,
        r#""Principal":{"Service":"personalize"},"#,
        r#""Principal":{"Federated":"x"},"#,
        r#""Principal":{"CanonicalUser":"x"},"#,
        r#""Principal":{"User":"x"},"#,
        r#""Principal":"*","NotPrincipal":"*","#,
    ] {
        assert!(policy(principal, "s3:*", "arn:aws:s3:::b").is_err(), "{principal}");
    }
    let long = format!("{}{}", r#"{"Statement":[]}"#, " ".repeat(BUCKET_POLICY_SIZE_MAX));
    assert!(Document::parse_resource_policy(&long, "b").unwrap_err().message().contains("at most"));
}

#[test]
fn the_policy_of_a_key_speaks_of_this_key_and_of_kms_alone() {
    let statement = |action: &str, resource: &str| {
        format!(
            r#"{{"Statement":[{{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{{"AWS":"111122223333"}},"Action":"{action}"{resource}}}]}}"#
        )
    };
    let key = "arn:aws:kms:us-east-1:111122223333:key/k";
    let document = Document::parse_key_policy(&statement("kms:*", r#","Resource":"*""#)).unwrap();
    let decided = |caller: Caller<'_>| decide([&document], &Request::new(caller, "kms:Decrypt", key));
    assert_eq!(decided(root()), Decision::Allow);
    assert_eq!(decided(Caller::KeySession(&SESSION)), Decision::Allow);
    assert_eq!(decided(session()), Decision::NotAllowed, "as a bucket's policy sees it");
    for text in [
        statement("s3:GetObject", r#","Resource":"*""#),
        statement("kms:*", ""),
        statement("kms:*", r#","Resource":"k""#),
        format!("{{\"Statement\":[],\"Id\":\"{}\"}}", "x".repeat(KEY_POLICY_SIZE_MAX)),
    ] {
        assert_eq!(Document::parse_key_policy(&text).unwrap_err().kind, ErrorKind::Invalid, "{text:.100}");
    }
}
