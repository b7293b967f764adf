//! Round trips through the door, against a catalog in a scratch folder.

use std::sync::Arc;

use access::{Principal, RoleSession, RootKey, S3Endpoint};
use http::HeaderMap;
use model::clock::SimulatedClock;

use super::*;

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"","Effect":"Allow","Principal":{"Service":"personalize.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const POLICY: &str = r#"{ "Version": "2012-10-17",
  "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::b/a+b é*"}]}"#;
const PERSONALIZE_ROLE: &str = "arn:aws:iam::111122223333:role/service-role/Export";

struct Door {
    iam: Arc<Iam>,
    _folder: tempfile::TempDir,
}

async fn door() -> Door {
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::new(1_700_000_000_000, 7));
    let catalog = Catalog::open(&folder.path().join("catalog.db"), clock.clone()).await.unwrap();
    let realm = Realm { region: "us-east-1".into(), account: "111122223333".into() };
    let root = RootKey { access_key_id: "AKIAROOT".into(), secret_access_key: "secret".into() };
    let s3 = S3Endpoint { url: "http://127.0.0.1:1".into() };
    let master = access::SealingKey::new([7; 32]);
    let access = Arc::new(Access::new(catalog.clone(), clock.clone(), realm.clone(), root, s3, master));
    Door { iam: Arc::new(Iam::new(catalog, access, clock, realm)), _folder: folder }
}

impl Door {
    /// As every client does: signed for the service that the version is of.
    async fn call(&self, principal: Principal, form: String) -> (u16, String) {
        let service = if form.contains("2011-06-15") { "sts" } else { "iam" };
        self.call_signed_for(service, principal, form).await
    }

    async fn call_signed_for(&self, service: &str, principal: Principal, form: String) -> (u16, String) {
        let call = Call {
            principal,
            peer: None,
            service: service.into(),
            is_temporary: false,
            request_id: "request-1".into(),
            method: Method::POST,
            path: "/".into(),
            query: None,
            headers: HeaderMap::new(),
            body: form.into(),
        };
        let response = self.iam.call(call).await;
        (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
    }

    async fn root(&self, action: &str, members: &[(&str, &str)]) -> (u16, String) {
        let version = if action == "GetCallerIdentity" { "2011-06-15" } else { "2010-05-08" };
        let mut form = format!("Action={action}&Version={version}");
        for (name, value) in members {
            form.push_str(&format!("&{name}={}", wire::query::encode(value)));
        }
        self.call(Principal::Root { arn: self.iam.realm.root() }, form).await
    }

    async fn done(&self, action: &str, members: &[(&str, &str)]) -> String {
        let (status, body) = self.root(action, members).await;
        assert_eq!(status, 200, "{action}: {body}");
        body
    }

    async fn refused(&self, action: &str, members: &[(&str, &str)]) -> (u16, String) {
        let (status, body) = self.root(action, members).await;
        assert_ne!(status, 200, "{action}: {body}");
        (status, text(&body, "Code").to_owned())
    }

    async fn create_role(&self, name: &str) -> String {
        self.done("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", TRUST)]).await
    }

    async fn create_policy(&self, name: &str) -> String {
        let body = self.done("CreatePolicy", &[("PolicyName", name), ("PolicyDocument", POLICY)]).await;
        text(&body, "Arn").to_owned()
    }
}

/// The text of the first element with this name.
fn text<'a>(body: &'a str, element: &str) -> &'a str {
    let (_, rest) =
        body.split_once(&format!("<{element}>")).unwrap_or_else(|| panic!("no {element} in {body}"));
    rest.split_once(&format!("</{element}>")).unwrap().0
}

fn error(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_signature_for_iam_opens_nothing_of_sts() {
    let door = door().await;
    let root = Principal::Root { arn: door.iam.realm.root() };
    let form = "Action=GetCallerIdentity&Version=2011-06-15".to_owned();
    let (status, body) = door.call_signed_for("iam", root, form).await;
    assert_eq!(status, 400);
    assert!(body.contains("belongs to sts, but the request is signed for iam"), "{body}");
}

#[tokio::test]
async fn a_role_is_created_shown_and_deleted() {
    let door = door().await;
    let body = door
        .done(
            "CreateRole",
            &[
                ("RoleName", "Export"),
                ("Path", "/service-role/"),
                ("AssumeRolePolicyDocument", TRUST),
                ("Description", "a <b>"),
                ("Tags.member.1.Key", "team"),
                ("Tags.member.1.Value", "shop"),
            ],
        )
        .await;
    assert!(body.contains(
        "<CreateRoleResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><CreateRoleResult><Role>"
    ));
    assert!(body.ends_with(
        "<ResponseMetadata><RequestId>request-1</RequestId></ResponseMetadata></CreateRoleResponse>\n"
    ));
    let shown = door.done("GetRole", &[("RoleName", "Export")]).await;
    assert_eq!(text(&shown, "Arn"), PERSONALIZE_ROLE);
    assert_eq!(text(&shown, "CreateDate"), "2023-11-14T22:13:20Z");
    assert_eq!(text(&shown, "AssumeRolePolicyDocument"), wire::query::encode(TRUST));
    assert_eq!(text(&shown, "Description"), "a &lt;b&gt;");
    assert_eq!(text(&shown, "Tags"), "<member><Key>team</Key><Value>shop</Value></member>");
    let id = text(&shown, "RoleId");
    assert!(id.starts_with("AROA") && id.len() == 21, "{id}");
    assert_eq!(text(&body, "RoleId"), id);
    door.done("DeleteRole", &[("RoleName", "Export")]).await;
    assert_eq!(door.refused("GetRole", &[("RoleName", "Export")]).await, error(404, "NoSuchEntity"));
    assert_eq!(door.refused("DeleteRole", &[("RoleName", "Export")]).await, error(404, "NoSuchEntity"));
}

#[tokio::test]
async fn names_that_differ_only_in_case_are_one_name() {
    let door = door().await;
    door.create_role("Export").await;
    let again = [("RoleName", "EXPORT"), ("AssumeRolePolicyDocument", TRUST)];
    assert_eq!(door.refused("CreateRole", &again).await, error(409, "EntityAlreadyExists"));
    door.create_policy("P").await;
    let again = [("PolicyName", "p"), ("PolicyDocument", POLICY)];
    assert_eq!(door.refused("CreatePolicy", &again).await, error(409, "EntityAlreadyExists"));
}

#[tokio::test]
async fn roles_are_listed_in_pages() {
    let door = door().await;
    for name in ["a", "b", "c", "d", "e"] {
        door.create_role(name).await;
    }
    let (mut marker, mut names, mut pages) = (None::<String>, Vec::new(), 0);
    loop {
        let mut members = vec![("MaxItems", "2")];
        members.extend(marker.as_deref().map(|m| ("Marker", m)));
        let body = door.done("ListRoles", &members).await;
        names.extend(body.split("<RoleName>").skip(1).map(|rest| rest[..1].to_owned()));
        pages += 1;
        if text(&body, "IsTruncated") == "false" {
            break;
        }
        marker = Some(text(&body, "Marker").to_owned());
    }
    assert_eq!((names.concat(), pages), ("abcde".to_owned(), 3));
    let none = door.done("ListRoles", &[("PathPrefix", "/service-role/")]).await;
    assert_eq!(text(&none, "Roles"), "");
}

#[tokio::test]
async fn policies_of_a_role_come_back_byte_for_byte() {
    let door = door().await;
    door.create_role("Export").await;
    let put = [("RoleName", "Export"), ("PolicyName", "p"), ("PolicyDocument", POLICY)];
    let body = door.done("PutRolePolicy", &put).await;
    assert!(!body.contains("PutRolePolicyResult"), "{body}");
    let shown = door.done("GetRolePolicy", &put[..2]).await;
    assert_eq!(text(&shown, "PolicyDocument"), wire::query::encode(POLICY));
    let names = door.done("ListRolePolicies", &put[..1]).await;
    assert_eq!(text(&names, "PolicyNames"), "<member>p</member>");
    assert_eq!(door.refused("DeleteRole", &put[..1]).await, error(409, "DeleteConflict"));
    door.done("DeleteRolePolicy", &put[..2]).await;
    assert_eq!(door.refused("GetRolePolicy", &put[..2]).await, error(404, "NoSuchEntity"));
    assert_eq!(door.refused("DeleteRolePolicy", &put[..2]).await, error(404, "NoSuchEntity"));
    door.done("DeleteRole", &put[..1]).await;
    assert_eq!(door.refused("PutRolePolicy", &put).await, error(404, "NoSuchEntity"));
    assert_eq!(door.refused("ListRolePolicies", &put[..1]).await, error(404, "NoSuchEntity"));
}

#[tokio::test]
async fn a_managed_policy_is_attached_and_detached() {
    let door = door().await;
    door.create_role("Export").await;
    let arn = door.create_policy("P").await;
    assert_eq!(arn, "arn:aws:iam::111122223333:policy/P");
    let both = [("RoleName", "Export"), ("PolicyArn", arn.as_str())];
    door.done("AttachRolePolicy", &both).await;
    door.done("AttachRolePolicy", &both).await;
    assert_eq!(text(&door.done("GetPolicy", &both[1..]).await, "AttachmentCount"), "1");
    let attached = door.done("ListAttachedRolePolicies", &both[..1]).await;
    assert_eq!(text(&attached, "member"), format!("<PolicyName>P</PolicyName><PolicyArn>{arn}</PolicyArn>"));
    let entities = door.done("ListEntitiesForPolicy", &both[1..]).await;
    assert_eq!(text(&entities, "RoleName"), "Export");
    assert_eq!(door.refused("DeletePolicy", &both[1..]).await, error(409, "DeleteConflict"));
    assert_eq!(door.refused("DeleteRole", &both[..1]).await, error(409, "DeleteConflict"));
    door.done("DetachRolePolicy", &both).await;
    assert_eq!(door.refused("DetachRolePolicy", &both).await, error(404, "NoSuchEntity"));
    let attached = door.done("ListPolicies", &[("OnlyAttached", "true")]).await;
    assert_eq!(text(&attached, "Policies"), "");
    door.done("DeletePolicy", &both[1..]).await;
    assert_eq!(door.refused("AttachRolePolicy", &both).await, error(404, "NoSuchEntity"));
}

#[tokio::test]
async fn a_managed_policy_begins_with_one_version() {
    let door = door().await;
    let arn = door.create_policy("P").await;
    let listed = door.done("ListPolicyVersions", &[("PolicyArn", &arn)]).await;
    assert_eq!(text(&listed, "VersionId"), "v1");
    let shown = door.done("GetPolicyVersion", &[("PolicyArn", &arn), ("VersionId", "v1")]).await;
    assert_eq!(text(&shown, "Document"), wire::query::encode(POLICY));
    let other = [("PolicyArn", arn.as_str()), ("VersionId", "v2")];
    assert_eq!(door.refused("GetPolicyVersion", &other).await, error(404, "NoSuchEntity"));
    assert!(door.done("ListPolicies", &[("Scope", "Local")]).await.contains(&arn));
    assert!(!door.done("ListPolicies", &[("Scope", "AWS")]).await.contains(&arn));
}

#[tokio::test]
async fn the_trust_policy_is_replaced() {
    let door = door().await;
    door.create_role("Export").await;
    let other = TRUST.replace("personalize", "forecast");
    door.done("UpdateAssumeRolePolicy", &[("RoleName", "Export"), ("PolicyDocument", &other)]).await;
    let shown = door.done("GetRole", &[("RoleName", "Export")]).await;
    assert_eq!(text(&shown, "AssumeRolePolicyDocument"), wire::query::encode(&other));
}

#[tokio::test]
async fn what_is_not_evaluated_or_too_long_is_refused() {
    let door = door().await;
    door.create_role("Export").await;
    let door = &door;
    let put = |document: String| async move {
        let members = [("RoleName", "Export"), ("PolicyName", "p"), ("PolicyDocument", document.as_str())];
        door.refused("PutRolePolicy", &members).await
    };
    let conditional = POLICY.replace("\"Effect\"", "\"Condition\": {}, \"Effect\"");
    assert_eq!(put(conditional).await, error(400, "MalformedPolicyDocument"));
    assert_eq!(put("no JSON".into()).await, error(400, "MalformedPolicyDocument"));
    let long = POLICY.replace("arn:aws:s3:::b/", &format!("arn:aws:s3:::b/{}", "k".repeat(10_240)));
    assert_eq!(put(long.clone()).await, error(409, "LimitExceeded"));
    let create = [("PolicyName", "P"), ("PolicyDocument", long.as_str())];
    assert_eq!(door.refused("CreatePolicy", &create).await, error(409, "LimitExceeded"));
    let bounded = [
        ("RoleName", "X"),
        ("AssumeRolePolicyDocument", TRUST),
        ("PermissionsBoundary", "arn:aws:iam::1:policy/P"),
    ];
    assert_eq!(door.refused("CreateRole", &bounded).await, error(400, "InvalidInput"));
}

#[tokio::test]
async fn members_are_checked() {
    let door = door().await;
    let long = "r".repeat(65);
    for members in [
        vec![],
        vec![("RoleName", "")],
        vec![("RoleName", "a/b")],
        vec![("RoleName", "é")],
        vec![("RoleName", long.as_str())],
        vec![("RoleName", "r"), ("Path", "x/")],
        vec![("RoleName", "r"), ("Path", "/a b/")],
        vec![("RoleName", "r"), ("AssumeRolePolicyDocument", TRUST), ("MaxSessionDuration", "100")],
    ] {
        assert_eq!(door.refused("CreateRole", &members).await, error(400, "ValidationError"), "{members:?}");
    }
    assert_eq!(door.refused("ListRoles", &[("MaxItems", "0")]).await, error(400, "ValidationError"));
    assert_eq!(
        door.refused("GetPolicy", &[("PolicyArn", "not an ARN at all, truly")]).await,
        error(400, "InvalidInput")
    );
}

#[tokio::test]
async fn unknown_and_not_offered_operations_are_told_apart() {
    let door = door().await;
    let (status, body) = door.root("CreateLoginProfile", &[]).await;
    assert_eq!((status, text(&body, "Code")), (400, "InvalidAction"));
    assert!(text(&body, "Message").contains("is not offered by this server"), "{body}");
    let (_, body) = door.root("MakeCoffee", &[]).await;
    assert!(text(&body, "Message").starts_with("Could not find operation MakeCoffee"), "{body}");
    let (_, body) =
        door.call(Principal::Root { arn: door.iam.realm.root() }, "Version=2010-05-08".into()).await;
    assert_eq!(text(&body, "Code"), "MissingAction");
}

#[tokio::test]
async fn a_session_may_only_ask_who_it_is() {
    let door = door().await;
    let created = door.create_role("Export").await;
    let role = door.iam.realm.role("/", "Export");
    let session = Principal::Session(Arc::new(RoleSession {
        role,
        role_id: text(&created, "RoleId").to_owned(),
        role_tags: vec![],
        session: door.iam.realm.assumed_role("Export", "nightly"),
        service: access::PERSONALIZE.into(),
        source: door.iam.realm.export_job("nightly"),
        expires_ms: i64::MAX,
    }));
    let (status, body) = door.call(session.clone(), "Action=ListRoles&Version=2010-05-08".into()).await;
    assert_eq!((status, text(&body, "Code")), (403, "AccessDenied"));
    assert!(text(&body, "Message").contains("is not authorized to perform: iam:ListRoles"), "{body}");
    let (status, body) = door.call(session, "Action=GetCallerIdentity&Version=2011-06-15".into()).await;
    assert_eq!(status, 200);
    assert!(body.contains("<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"));
    assert_eq!(text(&body, "UserId"), format!("{}:nightly", text(&created, "RoleId")));
    let body = door.done("GetCallerIdentity", &[]).await;
    assert_eq!(text(&body, "Arn"), "arn:aws:iam::111122223333:root");
    assert_eq!((text(&body, "UserId"), text(&body, "Account")), ("111122223333", "111122223333"));
}
