//! What a dataset is sealed with, and for how long a key that was taken away is still used.

use std::sync::Arc;

use catalog::role::RoleRow;
use catalog::{Catalog, KeyRow, NewDatasetGroup};
use model::Realm;
use model::clock::SimulatedClock;

use super::*;
use crate::{RootKey, S3Endpoint};

const TRUST: &str = r#"{"Statement":{"Effect":"Allow","Principal":{"Service":"personalize.amazonaws.com"},"Action":"sts:AssumeRole"}}"#;
const USE: &str = r#"{"Statement":{"Effect":"Allow","Action":["kms:GenerateDataKeyWithoutPlaintext","kms:Decrypt"],"Resource":"*"}}"#;
const OPEN: &str = r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root","Service":"personalize.amazonaws.com"},"Action":"kms:*","Resource":"*"}}"#;

struct Fixture {
    access: Access,
    catalog: Catalog,
    clock: Arc<SimulatedClock>,
    key: KeyRow,
    role: Arn,
    group: Arn,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn new(is_plain: bool) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SimulatedClock::new(1_700_000_000_000, 7));
        let catalog = Catalog::open(&folder.path().join("catalog.db"), clock.clone()).await.unwrap();
        let realm = Realm { region: "us-east-1".into(), account: "111122223333".into() };
        let root = RootKey { access_key_id: "AKIAROOT".into(), secret_access_key: "secret".into() };
        let s3 = S3Endpoint { url: "http://127.0.0.1:1".into() };
        let role = RoleRow {
            arn: realm.role("/", "Sealer"),
            id: "AROASEALER".into(),
            name: "Sealer".into(),
            path: "/".into(),
            trust_policy: TRUST.into(),
            description: None,
            max_session_s: 3600,
            tags: vec![],
            created_ms: 0,
        };
        catalog.create_role(&role).await.unwrap();
        catalog.put_identity_policy(catalog::Identity::Role("Sealer"), "p", USE, 10_240).await.unwrap();
        let group = realm.dataset_group("g");
        let master = SealingKey::new([7; 32]);
        let access = Access::new(catalog.clone(), clock.clone(), realm, root, s3, master);
        let access = access.with_plain_data(is_plain);
        let key = access.new_key(String::new(), OPEN.to_owned());
        catalog.create_key(&key, &[]).await.unwrap();
        Fixture { access, catalog, clock, key, role: role.arn, group, _folder: folder }
    }

    async fn create_group(&self, with_key: bool) {
        let key = match with_key {
            true => Some(self.access.new_group_key(&self.group, &self.role, &self.key.arn).await.unwrap()),
            false => None,
        };
        let (arn, name) = (self.group.clone(), "g".to_owned());
        let new = NewDatasetGroup { arn, name, domain: None, key, tags: vec![] };
        self.catalog.create_dataset_group(&new).await.unwrap();
    }

    async fn keys(&self, dataset_id: i64) -> Result<DataKeys> {
        self.access.data_keys(dataset_id, &self.group).await
    }
}

fn id_of(keys: &DataKeys) -> seal::KeyId {
    keys.sealing_key().unwrap().0.id()
}

#[tokio::test]
async fn each_dataset_has_a_key_of_its_own_that_stays_the_same() {
    for with_key in [false, true] {
        let f = Fixture::new(false).await;
        f.create_group(with_key).await;
        let (one, two) = (id_of(&f.keys(1).await.unwrap()), id_of(&f.keys(2).await.unwrap()));
        assert_ne!(one, two);
        f.clock.advance_ms(10 * KEPT_MS);
        assert_eq!(id_of(&f.keys(1).await.unwrap()), one);
        assert!(f.keys(1).await.unwrap().find(one).is_some());
    }
}

#[tokio::test]
async fn plain_data_is_for_groups_without_a_key_alone_and_opens_what_was_sealed() {
    let (sealing, plain) = (Fixture::new(false).await, Fixture::new(true).await);
    sealing.create_group(false).await;
    plain.create_group(false).await;
    let sealed = id_of(&sealing.keys(1).await.unwrap());
    let keys = plain.keys(1).await.unwrap();
    assert!(keys.sealing_key().is_none() && keys.find(sealed).is_some());
    let with_key = Fixture::new(true).await;
    with_key.create_group(true).await;
    assert!(with_key.keys(1).await.unwrap().sealing_key().is_some());
}

#[tokio::test]
async fn a_disabled_key_is_out_of_use_when_it_is_asked_for_again() {
    let f = Fixture::new(false).await;
    f.create_group(true).await;
    f.keys(1).await.unwrap();
    f.catalog.set_key_state(&f.key, false, None).await.unwrap();
    f.clock.advance_ms(KEPT_MS - 1);
    assert!(f.keys(1).await.is_ok());
    f.clock.advance_ms(1);
    let refused = f.keys(1).await.unwrap_err();
    let text = refused.message();
    assert_eq!(refused.kind, ErrorKind::Invalid);
    assert!(text.contains("Insufficient privileges for KMS key") && text.contains("is disabled"), "{text}");
    f.catalog.set_key_state(&f.key, true, None).await.unwrap();
    assert!(f.keys(1).await.is_ok());
    f.catalog.delete_identity_policy(catalog::Identity::Role("Sealer"), "p").await.unwrap();
    f.clock.advance_ms(KEPT_MS);
    assert!(f.keys(1).await.unwrap_err().message().contains("kms:Decrypt"));
}
