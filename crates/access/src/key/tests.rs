//! Who may use a key, by its policy, the role's policies and grants; the door's suite tells the rest.

use std::sync::Arc;

use catalog::role::RoleRow;
use catalog::{Catalog, GrantRow};
use model::Realm;
use model::clock::SimulatedClock;

use super::*;
use crate::{PERSONALIZE, RoleSession, RootKey, S3Endpoint};

const USE: &str =
    r#"{"Statement":{"Effect":"Allow","Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":"*"}}"#;
const DENY: &str = r#"{"Statement":{"Effect":"Deny","Action":"kms:*","Resource":"*"}}"#;

struct Fixture {
    access: Access,
    clock: Arc<SimulatedClock>,
    catalog: Catalog,
    key: KeyRow,
    _folder: tempfile::TempDir,
}

fn policy(effect: &str, principal: &str) -> String {
    format!(r#"{{"Effect":"{effect}","Principal":{principal},"Action":"kms:*","Resource":"*"}}"#)
}

const ROOT: &str = r#"{"AWS":"arn:aws:iam::111122223333:root"}"#;
const ROLE: &str = r#"{"AWS":"arn:aws:iam::111122223333:role/Export"}"#;
const SERVICE: &str = r#"{"Service":"personalize.amazonaws.com"}"#;

async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(SimulatedClock::new(1_700_000_000_000, 7));
    let catalog = Catalog::open(&folder.path().join("catalog.db"), clock.clone()).await.unwrap();
    let realm = Realm { region: "us-east-1".into(), account: "111122223333".into() };
    let root = RootKey { access_key_id: "AKIAROOT".into(), secret_access_key: "secret".into() };
    let s3 = S3Endpoint { url: "http://127.0.0.1:1".into() };
    let row = RoleRow {
        arn: realm.role("/", "Export"),
        id: "AROAEXPORT".into(),
        name: "Export".into(),
        path: "/".into(),
        trust_policy: "{}".into(),
        description: None,
        max_session_s: 3600,
        tags: vec![],
        created_ms: 0,
    };
    catalog.create_role(&row).await.unwrap();
    let access = Access::new(catalog.clone(), clock.clone(), realm, root, s3, SealingKey::new([7; 32]));
    let key = access.new_key(String::new(), format!(r#"{{"Statement":[{}]}}"#, policy("Allow", ROOT)));
    catalog.create_key(&key, &[]).await.unwrap();
    Fixture { access, clock, catalog, key, _folder: folder }
}

impl Fixture {
    fn session(&self) -> Principal {
        Principal::Session(Arc::new(RoleSession {
            role: self.access.realm.role("/", "Export"),
            role_id: "AROAEXPORT".into(),
            role_tags: vec![],
            session: self.access.realm.assumed_role("Export", "nightly"),
            service: PERSONALIZE.into(),
            source: self.access.realm.export_job("nightly"),
            expires_ms: i64::MAX,
        }))
    }

    async fn allow_role(&self, document: &str) {
        self.catalog
            .put_identity_policy(catalog::Identity::Role("Export"), "p", document, 10_240)
            .await
            .unwrap();
    }

    async fn set_policy(&self, statements: &[String]) {
        let text = format!(r#"{{"Statement":[{}]}}"#, statements.join(","));
        self.catalog.set_key_policy(&self.key, &text).await.unwrap();
    }

    async fn grant(&self, context_subset: Option<EncryptionContext>) {
        let grant = GrantRow {
            id: "g".into(),
            key_id: self.key.id.clone(),
            name: None,
            token: "t".into(),
            grantee: self.access.realm.role("/", "Export"),
            retiring: None,
            issuing: self.access.realm.root(),
            operations: vec!["GenerateDataKey".into()],
            context_subset,
            context_equals: None,
            created_ms: 0,
        };
        self.catalog.create_grant(&grant).await.unwrap();
    }

    /// Why a data key is refused to the session; empty when it is not.
    async fn refusal(&self) -> String {
        let context = EncryptionContext::from([("a".to_owned(), "b".to_owned())]);
        let arn = self.key.arn.as_str();
        let made =
            self.access.generate_data_key(&self.session(), "kms:GenerateDataKey", arn, &context, 32).await;
        made.err().map(|fault| fault.message()).unwrap_or_default()
    }
}

#[tokio::test]
async fn a_session_needs_the_roles_policy_and_the_keys() {
    let f = fixture().await;
    assert!(f.refusal().await.ends_with("no identity-based policy allows the kms:GenerateDataKey action"));
    f.allow_role(USE).await;
    for (statements, part) in [
        (vec![policy("Allow", ROOT)], ""),
        (vec![policy("Allow", ROLE)], ""),
        (vec![policy("Allow", SERVICE)], ""),
        (
            vec![policy("Allow", r#"{"AWS":"arn:aws:iam::111122223333:role/Other"}"#)],
            "no resource-based policy",
        ),
        (vec![policy("Allow", r#"{"Service":"forecast.amazonaws.com"}"#)], "no resource-based policy"),
        (vec![policy("Allow", ROOT), policy("Deny", SERVICE)], "explicit deny in a resource-based policy"),
        (vec![policy("Allow", SERVICE), policy("Deny", ROLE)], "explicit deny in a resource-based policy"),
    ] {
        f.set_policy(&statements).await;
        let refusal = f.refusal().await;
        assert!(refusal.contains(part) && refusal.is_empty() == part.is_empty(), "{statements:?} {refusal}");
    }
    f.set_policy(&[policy("Allow", ROOT)]).await;
    f.allow_role(DENY).await;
    assert!(f.refusal().await.contains("explicit deny in an identity-based policy"));
}

#[tokio::test]
async fn a_grant_stands_in_for_both_policies_within_its_context() {
    let f = fixture().await;
    f.grant(Some(EncryptionContext::from([("a".to_owned(), "c".to_owned())]))).await;
    assert!(!f.refusal().await.is_empty());
    f.catalog.delete_grant("g").await.unwrap();
    f.grant(Some(EncryptionContext::from([("a".to_owned(), "b".to_owned())]))).await;
    assert_eq!(f.refusal().await, "");
    f.allow_role(DENY).await;
    assert!(f.refusal().await.contains("explicit deny"));
}

#[tokio::test]
async fn a_key_is_gone_when_its_time_is_up() {
    let f = fixture().await;
    f.allow_role(USE).await;
    let deletion_ms = f.key.created_ms + 1000;
    f.catalog.set_key_state(&f.key, false, Some(deletion_ms)).await.unwrap();
    assert!(f.refusal().await.ends_with("is pending deletion."));
    f.clock.advance_ms(1000);
    assert!(f.refusal().await.ends_with("does not exist"));
    assert!(f.catalog.any_key().await.unwrap().is_some());
    let other = f.access.new_key(String::new(), String::new());
    f.catalog.create_key(&other, &[]).await.unwrap();
    assert!(f.catalog.any_key().await.unwrap().is_some_and(|key| key.id == other.id));
}

#[tokio::test]
async fn who_may_not_use_any_key_does_not_learn_which_there_are() {
    let f = fixture().await;
    let missing = f.access.realm.key("00000000-0000-4000-8000-000000000000");
    let session = f.session();
    let found = f.access.key(&session, "kms:Decrypt", missing.as_str(), Naming::Key).await;
    assert!(matches!(found, Err(KeyFault::Denied(_))));
    f.allow_role(USE).await;
    let found = f.access.key(&session, "kms:Decrypt", missing.as_str(), Naming::Key).await;
    assert!(matches!(found, Err(KeyFault::NotFound(_))));
}

#[tokio::test]
async fn another_master_key_opens_no_key() {
    let f = fixture().await;
    check_master(&f.catalog, &SealingKey::new([7; 32])).await.unwrap();
    let error = check_master(&f.catalog, &SealingKey::new([8; 32])).await.unwrap_err();
    assert_eq!(error.kind, model::ErrorKind::Corrupt);
}
