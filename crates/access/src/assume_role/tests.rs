//! Roles assumed by users and by other sessions, up to the end of their keys.

use std::sync::Arc;

use catalog::Catalog;
use catalog::user::UserRow;
use model::clock::SimulatedClock;
use model::{ErrorKind, Realm};
use wire::sigv4::AuthErrorKind;

use super::*;
use crate::{RootKey, S3Endpoint, SealingKey, Unauthenticated};

const ANN: &str = "arn:aws:iam::111122223333:user/Ann";
const GET: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}"#;
const ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

struct Fixture {
    access: Access,
    clock: Arc<SimulatedClock>,
    catalog: Catalog,
    ann: Principal,
    _folder: tempfile::TempDir,
}

fn trusting(principal: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"{principal}"}},"Action":["sts:AssumeRole","sts:TagSession"]}}]}}"#
    )
}

async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(SimulatedClock::new(1_700_000_000_000, 7));
    let catalog = Catalog::open(&folder.path().join("catalog.db"), clock.clone()).await.unwrap();
    let user = UserRow {
        arn: Arn::parse(ANN).unwrap(),
        id: "AIDAANN".into(),
        name: "Ann".into(),
        path: "/".into(),
        tags: vec![],
        created_ms: 0,
    };
    catalog.create_user(&user).await.unwrap();
    let access = access(&catalog, &clock);
    let (key, _) = access.create_access_key("Ann").await.unwrap();
    let (_, ann) = access.credential(&key.id, None).await.unwrap();
    Fixture { access, clock, catalog, ann, _folder: folder }
}

fn access(catalog: &Catalog, clock: &Arc<SimulatedClock>) -> Access {
    let realm = Realm { region: "us-east-1".into(), account: "111122223333".into() };
    let root = RootKey { access_key_id: "AKIAROOT".into(), secret_access_key: "secret".into() };
    let s3 = S3Endpoint { url: "http://127.0.0.1:1".into() };
    Access::new(catalog.clone(), clock.clone(), realm, root, s3, SealingKey::new([7; 32]))
}

fn request(role: &Arn) -> RoleRequest {
    RoleRequest {
        role: role.clone(),
        session_name: "nightly".into(),
        duration_s: None,
        external_id: None,
        policy: None,
        policy_arns: vec![],
        tags: vec![],
        transitive_tag_keys: vec![],
    }
}

impl Fixture {
    async fn role(&self, name: &str, trust_policy: &str, policy: &str) -> Arn {
        let arn = self.access.realm.role("/", name);
        let row = RoleRow {
            arn: arn.clone(),
            id: format!("AROA{name}{}", self.clock_ms()),
            name: name.into(),
            path: "/".into(),
            trust_policy: trust_policy.into(),
            description: None,
            max_session_s: 7200,
            tags: vec![("team".into(), "shop".into())],
            created_ms: 0,
        };
        self.catalog.create_role(&row).await.unwrap();
        self.catalog.put_identity_policy(catalog::Identity::Role(name), "p", policy, 10_240).await.unwrap();
        arn
    }

    fn clock_ms(&self) -> i64 {
        model::Clock::now_ms(&*self.clock)
    }

    async fn assume(&self, principal: &Principal, request: RoleRequest) -> Result<Assumed> {
        self.access.assume_role(principal, request, Context::default()).await
    }

    async fn bearer(&self, keys: &TemporaryKeys) -> Result<Principal, AuthErrorKind> {
        let found = self.access.credential(&keys.access_key_id, Some(&keys.session_token)).await;
        match found {
            Ok((credential, principal)) => {
                assert_eq!(credential.secret_access_key, keys.secret_access_key);
                Ok(principal)
            }
            Err(Unauthenticated::Refused(error)) => Err(error.kind),
            Err(Unauthenticated::Failed(error)) => panic!("{}", error.chain()),
        }
    }

    async fn may(&self, principal: &Principal, action: &str, bucket_policy: Option<&str>) -> bool {
        let policy = bucket_policy.map(|text| Document::parse_resource_policy(text, "b").unwrap());
        let context = Context::default();
        let resource = "arn:aws:s3:::b/k";
        self.access.permit(principal, action, resource, policy.as_ref(), &context).await.is_ok()
    }
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    result.map(drop).unwrap_err().kind
}

#[tokio::test]
async fn keys_of_a_session_work_until_they_expire_and_after_a_restart() {
    let f = fixture().await;
    let role = f.role("Reader", &trusting(ANN), GET).await;
    let assumed = f.assume(&f.ann, request(&role)).await.unwrap();
    assert_eq!(assumed.session.as_str(), "arn:aws:sts::111122223333:assumed-role/Reader/nightly");
    assert!(assumed.keys.access_key_id.starts_with("ASIA"));
    assert_eq!(assumed.keys.expires_ms, 1_700_003_600_000);
    let session = f.bearer(&assumed.keys).await.unwrap();
    assert_eq!(session.arn(), &assumed.session);
    assert!(f.may(&session, "s3:GetObject", None).await && !f.may(&session, "s3:PutObject", None).await);

    let again = access(&f.catalog, &f.clock);
    let keys = &assumed.keys;
    assert!(again.credential(&keys.access_key_id, Some(&keys.session_token)).await.is_ok());
    f.clock.advance_ms(3_599_999);
    assert!(f.bearer(keys).await.is_ok());
    f.clock.advance_ms(1);
    assert_eq!(f.bearer(keys).await.err(), Some(AuthErrorKind::ExpiredToken));
    let refused = again.credential(&keys.access_key_id, Some(&keys.session_token)).await;
    assert!(matches!(refused, Err(Unauthenticated::Refused(e)) if e.kind == AuthErrorKind::ExpiredToken));
}

#[tokio::test]
async fn a_token_opens_its_own_key_alone() {
    let f = fixture().await;
    let role = f.role("Reader", &trusting(ANN), GET).await;
    let (mut one, other) = (
        f.assume(&f.ann, request(&role)).await.unwrap().keys,
        f.assume(&f.ann, request(&role)).await.unwrap().keys,
    );
    let token = std::mem::replace(&mut one.session_token, other.session_token);
    assert_eq!(f.bearer(&one).await.err(), Some(AuthErrorKind::InvalidToken));
    for changed in [String::new(), "x".into(), token[4..].to_owned(), token.replace(&token[8..9], "")] {
        one.session_token = changed;
        assert_eq!(f.bearer(&one).await.err(), Some(AuthErrorKind::InvalidToken));
    }
    one.session_token = token;
    assert!(f.bearer(&one).await.is_ok());
    let alone = f.access.credential(&one.access_key_id, None).await;
    assert!(matches!(alone, Err(Unauthenticated::Refused(e)) if e.kind == AuthErrorKind::UnknownKey));
}

#[tokio::test]
async fn a_changed_or_deleted_role_counts_at_once() {
    let f = fixture().await;
    let role = f.role("Reader", &trusting(ANN), GET).await;
    let keys = f.assume(&f.ann, request(&role)).await.unwrap().keys;
    let session = f.bearer(&keys).await.unwrap();
    assert!(f.may(&session, "s3:GetObject", None).await);
    f.catalog.delete_identity_policy(catalog::Identity::Role("Reader"), "p").await.unwrap();
    assert!(!f.may(&f.bearer(&keys).await.unwrap(), "s3:GetObject", None).await);
    f.catalog.delete_role("Reader").await.unwrap();
    assert_eq!(f.bearer(&keys).await.err(), Some(AuthErrorKind::InvalidToken));
    f.clock.advance_ms(1000);
    f.role("Reader", &trusting(ANN), GET).await;
    assert_eq!(f.bearer(&keys).await.err(), Some(AuthErrorKind::InvalidToken), "the new role is another one");
}

#[tokio::test]
async fn who_is_not_trusted_learns_nothing_of_a_role() {
    let f = fixture().await;
    let role = f.role("Other", &trusting("arn:aws:iam::111122223333:user/Bob"), GET).await;
    let missing = f.access.realm.role("/", "Missing");
    let texts = [
        f.assume(&f.ann, request(&role)).await.err().unwrap(),
        f.assume(&f.ann, request(&missing)).await.err().unwrap(),
    ];
    assert!(texts.iter().all(|error| error.kind == ErrorKind::Denied));
    let told = texts[1].message().replace("Missing", "Other");
    assert_eq!(texts[0].message(), told);
    assert_eq!(
        texts[0].message(),
        "User: arn:aws:iam::111122223333:user/Ann is not authorized to perform: sts:AssumeRole on resource: \
         arn:aws:iam::111122223333:role/Other because no identity-based policy allows the sts:AssumeRole action"
    );
    let root = Principal::Root { arn: f.access.realm.root() };
    assert_eq!(kind(f.assume(&root, request(&role)).await), ErrorKind::Denied);
}

#[tokio::test]
async fn trust_in_the_account_leaves_it_to_the_caller_s_policies() {
    let f = fixture().await;
    let role = f.role("Open", &trusting("arn:aws:iam::111122223333:root"), GET).await;
    assert_eq!(kind(f.assume(&f.ann, request(&role)).await), ErrorKind::Denied);
    f.catalog.put_identity_policy(catalog::Identity::User("Ann"), "p", ALL, 2_048).await.unwrap();
    assert!(f.assume(&f.ann, request(&role)).await.is_ok());
    let deny = ALL.replace("Allow", "Deny").replace(r#""Action":"*""#, r#""Action":"sts:*""#);
    f.catalog.put_identity_policy(catalog::Identity::User("Ann"), "q", &deny, 2_048).await.unwrap();
    assert_eq!(kind(f.assume(&f.ann, request(&role)).await), ErrorKind::Denied);
}

#[tokio::test]
async fn an_external_id_is_asked_for() {
    let f = fixture().await;
    let trust = trusting(ANN)
        .replace(r#""Effect""#, r#""Condition":{"StringEquals":{"sts:ExternalId":"e-1"}},"Effect""#);
    let role = f.role("Partner", &trust, GET).await;
    assert_eq!(kind(f.assume(&f.ann, request(&role)).await), ErrorKind::Denied);
    let wrong = RoleRequest { external_id: Some("e-2".into()), ..request(&role) };
    assert_eq!(kind(f.assume(&f.ann, wrong).await), ErrorKind::Denied);
    let right = RoleRequest { external_id: Some("e-1".into()), ..request(&role) };
    assert!(f.assume(&f.ann, right).await.is_ok());
}

#[tokio::test]
async fn a_session_policy_narrows_and_never_widens() {
    let f = fixture().await;
    let role = f.role("Reader", &trusting(ANN), GET).await;
    let narrowed = |policy: &str| RoleRequest { policy: Some(policy.into()), ..request(&role) };
    let wide = f.bearer(&f.assume(&f.ann, narrowed(ALL)).await.unwrap().keys).await.unwrap();
    assert!(f.may(&wide, "s3:GetObject", None).await && !f.may(&wide, "s3:PutObject", None).await);
    let policy = GET.replace("s3:Get*", "s3:GetBucketPolicy");
    let narrow = f.bearer(&f.assume(&f.ann, narrowed(&policy)).await.unwrap().keys).await.unwrap();
    assert!(!f.may(&narrow, "s3:GetObject", None).await);

    let bucket = |who: &str| {
        format!(
            r#"{{"Statement":[{{"Effect":"Allow","Principal":{{"AWS":"{who}"}},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}}]}}"#
        )
    };
    let (role, session) = (bucket(role.as_str()), bucket(narrow.arn().as_str()));
    assert!(!f.may(&narrow, "s3:GetObject", Some(&role)).await, "what the role is given is narrowed");
    assert!(f.may(&narrow, "s3:GetObject", Some(&session)).await, "what the session is given by name is not");
}

#[tokio::test]
async fn a_chain_lasts_an_hour_at_most_and_hands_its_tags_on() {
    let f = fixture().await;
    let first = f.role("First", &trusting(ANN), ALL).await;
    let second = f.role("Second", &trusting(first.as_str()), GET).await;
    let long = RoleRequest { duration_s: Some(7_200), ..request(&first) };
    let tagged = RoleRequest {
        tags: vec![("project".into(), "x".into()), ("stage".into(), "y".into())],
        transitive_tag_keys: vec!["Project".into()],
        ..long
    };
    let session = f.bearer(&f.assume(&f.ann, tagged).await.unwrap().keys).await.unwrap();
    let longer = RoleRequest { duration_s: Some(3_601), ..request(&second) };
    assert_eq!(kind(f.assume(&session, longer).await), ErrorKind::Invalid);
    let taken = RoleRequest { tags: vec![("PROJECT".into(), "z".into())], ..request(&second) };
    assert_eq!(kind(f.assume(&session, taken).await), ErrorKind::Invalid);
    let chained = f.bearer(&f.assume(&session, request(&second)).await.unwrap().keys).await.unwrap();
    let Principal::AssumedRole(chained) = chained else { panic!("a session of a role") };
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(chained.tags, [pair("project", "x"), pair("team", "shop")]);
    let too_long = RoleRequest { duration_s: Some(7_201), ..request(&first) };
    assert_eq!(kind(f.assume(&f.ann, too_long).await), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_user_with_temporary_keys_is_the_user_as_long_as_there_is_one() {
    let f = fixture().await;
    let keys = f.access.session_token(&f.ann, 900).unwrap();
    assert_eq!(f.bearer(&keys).await.unwrap().arn().as_str(), ANN);
    let renamed = f.access.realm.user("/", "Anne");
    f.catalog.rename_user("Ann", "Anne", "/", &renamed).await.unwrap();
    assert_eq!(f.bearer(&keys).await.unwrap().arn(), &renamed);
    let [key] = &f
        .catalog
        .access_keys("Anne", catalog::role::Names { path_prefix: "/", after: "", limit: 9 })
        .await
        .unwrap()[..]
    else {
        panic!("one key")
    };
    f.access.delete_access_key("Anne", &key.id).await.unwrap();
    f.catalog.delete_user("Anne").await.unwrap();
    assert_eq!(f.bearer(&keys).await.err(), Some(AuthErrorKind::InvalidToken));
}
