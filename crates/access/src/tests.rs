use super::*;

use catalog::policy::PolicyRow;
use catalog::user::UserRow;
use model::ErrorKind;
use model::clock::SimulatedClock;
use policy::Document;

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"personalize.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const EXPORT: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:PutObject","s3:ListBucket"],"Resource":["arn:aws:s3:::out","arn:aws:s3:::out/*"]}]}"#;
const BUCKET: &str = r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"personalize.amazonaws.com"},"Action":["s3:PutObject","s3:ListBucket"],"Resource":["arn:aws:s3:::out","arn:aws:s3:::out/*"]}]}"#;

fn errand() -> Errand<'static> {
    Errand::reporting("out", "k")
}

struct Fixture {
    access: Access,
    clock: Arc<SimulatedClock>,
    catalog: Catalog,
    _folder: tempfile::TempDir,
}

async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(SimulatedClock::new(1_700_000_000_000, 7));
    let catalog = Catalog::open(&folder.path().join("catalog.db"), clock.clone()).await.unwrap();
    let realm = Realm { region: "us-east-1".into(), account: "111122223333".into() };
    let root = RootKey { access_key_id: "AKIAROOT".into(), secret_access_key: "secret".into() };
    let s3 = S3Endpoint { url: "http://127.0.0.1:1".into() };
    let access = Access::new(catalog.clone(), clock.clone(), realm, root, s3, SealingKey::new([7; 32]));
    Fixture { access, clock, catalog, _folder: folder }
}

impl Fixture {
    async fn role(&self, name: &str, trust_policy: &str) -> Arn {
        let arn = self.access.realm.role("/", name);
        let row = RoleRow {
            arn: arn.clone(),
            id: format!("AROA{name}"),
            name: name.into(),
            path: "/".into(),
            trust_policy: trust_policy.into(),
            description: None,
            max_session_s: 3600,
            tags: vec![],
            created_ms: 0,
        };
        self.catalog.create_role(&row).await.unwrap();
        arn
    }

    /// A user with a key: its id, and whoever bears it.
    async fn user(&self, name: &str) -> (String, Principal) {
        let row = UserRow {
            arn: self.access.realm.user("/", name),
            id: format!("AIDA{name}"),
            name: name.into(),
            path: "/".into(),
            tags: vec![],
            created_ms: 0,
        };
        self.catalog.create_user(&row).await.unwrap();
        let (key, _) = self.access.create_access_key(name).await.unwrap();
        let (_, principal) = self.access.standing_credential(&key.id).unwrap();
        (key.id, principal)
    }

    fn source(&self) -> Arn {
        self.access.realm.export_job("nightly")
    }

    fn session(&self, role: &Arn) -> Principal {
        Principal::Session(Arc::new(RoleSession {
            role: role.clone(),
            role_id: "AROAEXPORT".into(),
            role_tags: vec![],
            session: self.access.realm.assumed_role(role.resource_name(), "nightly"),
            service: PERSONALIZE.into(),
            source: self.source(),
            expires_ms: i64::MAX,
        }))
    }

    async fn refusal(&self, principal: &Principal, action: &str, policy: Option<&str>) -> Option<String> {
        let policy = policy.map(|text| Document::parse_resource_policy(text, "out").unwrap());
        let resource = model::arn::object("out", "k");
        let context = Context::default();
        let decision =
            self.access.permit(principal, action, resource.as_str(), policy.as_ref(), &context).await;
        decision.err().map(|denial| denial.message)
    }
}

#[tokio::test]
async fn a_session_needs_the_role_policy_and_the_bucket_policy() {
    let f = fixture().await;
    let role = f.role("Export", TRUST).await;
    let session = f.session(&role);
    let start = "User: arn:aws:sts::111122223333:assumed-role/Export/nightly is not authorized to perform: \
                 s3:PutObject on resource: arn:aws:s3:::out/k ";
    let refused = f.refusal(&session, "s3:PutObject", Some(BUCKET)).await.unwrap();
    assert_eq!(refused, format!("{start}because no identity-based policy allows the s3:PutObject action"));

    f.catalog.put_identity_policy(catalog::Identity::Role("Export"), "p", EXPORT, 10_240).await.unwrap();
    assert_eq!(f.refusal(&session, "s3:PutObject", Some(BUCKET)).await, None);
    let refused = f.refusal(&session, "s3:PutObject", None).await.unwrap();
    assert_eq!(refused, format!("{start}because no resource-based policy allows the s3:PutObject action"));

    let deny = BUCKET.replace("Allow", "Deny");
    let refused = f.refusal(&session, "s3:PutObject", Some(&deny)).await.unwrap();
    assert_eq!(refused, format!("{start}with an explicit deny in a resource-based policy"));

    f.catalog
        .put_identity_policy(catalog::Identity::Role("Export"), "q", &EXPORT.replace("Allow", "Deny"), 10_240)
        .await
        .unwrap();
    let refused = f.refusal(&session, "s3:PutObject", Some(BUCKET)).await.unwrap();
    assert_eq!(refused, format!("{start}with an explicit deny in an identity-based policy"));
}

#[tokio::test]
async fn an_attached_policy_counts_as_long_as_it_is_attached() {
    let f = fixture().await;
    let role = f.role("Export", TRUST).await;
    let arn = f.access.realm.policy("/", "P");
    let policy = PolicyRow {
        arn: arn.clone(),
        id: "ANPA1".into(),
        name: "P".into(),
        path: "/".into(),
        document: EXPORT.into(),
        description: None,
        tags: vec![],
        created_ms: 0,
    };
    f.catalog.create_policy(&policy).await.unwrap();
    f.catalog.attach_policy(catalog::Identity::Role("Export"), arn.as_str()).await.unwrap();
    let session = f.session(&role);
    assert_eq!(f.refusal(&session, "s3:PutObject", Some(BUCKET)).await, None);
    f.catalog.detach_policy(catalog::Identity::Role("Export"), arn.as_str()).await.unwrap();
    assert!(f.refusal(&session, "s3:PutObject", Some(BUCKET)).await.is_some());
}

#[tokio::test]
async fn the_root_may_what_no_bucket_policy_denies_and_may_mend_the_policy() {
    let f = fixture().await;
    let (_, root) = f.access.standing_credential("AKIAROOT").unwrap();
    let deny = r#"{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::out","arn:aws:s3:::out/*"]}}"#;
    assert_eq!(f.refusal(&root, "s3:PutObject", None).await, None);
    assert_eq!(f.refusal(&root, "s3:PutObject", Some(BUCKET)).await, None);
    let refused = f.refusal(&root, "s3:PutObject", Some(deny)).await.unwrap();
    assert!(refused.starts_with("User: arn:aws:iam::111122223333:root is not authorized"), "{refused}");
    assert_eq!(f.refusal(&root, "s3:DeleteBucketPolicy", Some(deny)).await, None);
}

#[tokio::test]
async fn keys_of_a_session_work_while_its_bucket_is_open_and_not_expired() {
    let f = fixture().await;
    let role = f.role("Export", TRUST).await;
    assert!(f.access.standing_credential("ASIANOBODY").is_none());
    let bucket = f.access.open_bucket(role.as_str(), &f.source(), &errand()).await.unwrap();
    let key = f.access.sessions.only_key();
    assert!(key.starts_with("ASIA") && key.len() == 20);
    let (credential, principal) = f.access.standing_credential(&key).unwrap();
    assert!(credential.session_token.is_some());
    assert_eq!(principal.arn().as_str(), "arn:aws:sts::111122223333:assumed-role/Export/nightly");
    f.clock.advance_ms(LIFE_MS);
    assert!(f.access.standing_credential(&key).is_none());
    f.clock.advance_ms(-LIFE_MS);
    assert!(f.access.standing_credential(&key).is_some());
    drop(bucket);
    assert!(f.access.standing_credential(&key).is_none());
}

#[tokio::test]
async fn a_role_that_can_not_be_assumed_is_refused_with_the_reason() {
    let f = fixture().await;
    f.role("Other", &TRUST.replace("personalize", "forecast")).await;
    f.role("Denied", &TRUST.replace("Allow", "Deny")).await;
    for (arn, why) in [
        ("Export", "This is not the ARN of a role."),
        ("arn:aws:iam::111122223333:user/Export", "This is not the ARN of a role."),
        ("arn:aws:iam::444455556666:role/Export", "The role belongs to another account."),
        ("arn:aws:iam::111122223333:role/Export", "There is no such role."),
        (
            "arn:aws:iam::111122223333:role/Other",
            "Its trust policy does not allow sts:AssumeRole to the service personalize.amazonaws.com.",
        ),
        (
            "arn:aws:iam::111122223333:role/Denied",
            "Its trust policy denies sts:AssumeRole to the service personalize.amazonaws.com.",
        ),
    ] {
        let error = f.access.open_bucket(arn, &f.source(), &errand()).await.err().unwrap();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert_eq!(error.message(), format!("Personalize can't assume the role {arn}. {why}"));
    }
}

#[tokio::test]
async fn a_key_works_while_it_is_active_and_after_a_restart() {
    let f = fixture().await;
    let (id, _) = f.user("Ann").await;
    f.access.set_access_key_active("Ann", &id, false).await.unwrap();
    assert!(f.access.standing_credential(&id).is_none());
    f.access.load_access_keys().await.unwrap();
    assert!(f.access.standing_credential(&id).is_none());
    f.access.set_access_key_active("Ann", &id, true).await.unwrap();
    let secret = f.access.standing_credential(&id).unwrap().0.secret_access_key;
    let Fixture { access, catalog, clock, .. } = &f;
    let again = Access::new(
        catalog.clone(),
        clock.clone(),
        access.realm.clone(),
        RootKey { access_key_id: "AKIAROOT".into(), secret_access_key: "secret".into() },
        access.s3.clone(),
        SealingKey::new([7; 32]),
    );
    assert!(again.standing_credential(&id).is_none());
    again.load_access_keys().await.unwrap();
    let (credential, principal) = again.standing_credential(&id).unwrap();
    assert_eq!((credential.secret_access_key, principal.arn().resource()), (secret, "user/Ann"));
    again.delete_access_key("Ann", &id).await.unwrap();
    assert!(again.standing_credential(&id).is_none());
}

#[tokio::test]
async fn a_key_changes_in_the_name_of_its_user_only() {
    let f = fixture().await;
    let ((ann, _), _) = (f.user("Ann").await, f.user("Bob").await);
    assert_eq!(f.access.delete_access_key("Bob", &ann).await.unwrap_err().kind, ErrorKind::NotFound);
    let stopped = f.access.set_access_key_active("Bob", &ann, false).await;
    assert_eq!(stopped.unwrap_err().kind, ErrorKind::NotFound);
    assert!(f.access.standing_credential(&ann).is_some());
}

#[tokio::test]
async fn a_change_of_a_policy_holds_from_the_next_request_on() {
    let f = fixture().await;
    let (_, user) = f.user("Ann").await;
    for _ in 0..2 {
        assert!(f.refusal(&user, "s3:PutObject", None).await.is_some());
        f.catalog.put_identity_policy(catalog::Identity::User("Ann"), "p", EXPORT, 2048).await.unwrap();
        assert_eq!(f.refusal(&user, "s3:PutObject", None).await, None);
        f.catalog.delete_identity_policy(catalog::Identity::User("Ann"), "p").await.unwrap();
    }
    let named =
        BUCKET.replace(r#""Service":"personalize.amazonaws.com""#, &format!(r#""AWS":"{}""#, user.arn()));
    assert_eq!(f.refusal(&user, "s3:PutObject", Some(&named)).await, None);
    f.catalog
        .put_identity_policy(catalog::Identity::User("Ann"), "p", &EXPORT.replace("Allow", "Deny"), 2048)
        .await
        .unwrap();
    let refused = f.refusal(&user, "s3:PutObject", Some(&named)).await.unwrap();
    assert!(refused.ends_with("with an explicit deny in an identity-based policy"), "{refused}");
}

#[tokio::test]
async fn a_trust_policy_may_ask_for_which_job_the_service_comes() {
    let f = fixture().await;
    let guarded = |account: &str| {
        let condition = format!(
            r#""Condition":{{"StringEquals":{{"aws:SourceAccount":"{account}"}},"StringLike":{{"aws:SourceArn":"arn:aws:personalize:us-east-1:111122223333:*"}}}}"#
        );
        TRUST.replace(r#""Effect":"Allow""#, &format!(r#""Effect":"Allow",{condition}"#))
    };
    let (own, other) =
        (f.role("Own", &guarded("111122223333")).await, f.role("Other", &guarded("444455556666")).await);
    assert!(f.access.open_bucket(own.as_str(), &f.source(), &errand()).await.is_ok());
    let error = f.access.open_bucket(other.as_str(), &f.source(), &errand()).await.err().unwrap();
    assert!(error.message().starts_with(&format!("Personalize can't assume the role {other}.")), "{error}");
}
