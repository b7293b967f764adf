//! For tests: a door over a catalog and a log in a scratch folder, and a store of objects in memory.

mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::store::Objects;
use ::store::log::{Log, LogSettings};
use access::{Access, Principal, RoleSession, RootKey, S3Endpoint, SealingKey};
use bytes::Bytes;
use catalog::Catalog;
use catalog::role::RoleRow;
use http::{HeaderMap, Method, Response};
use model::clock::SimulatedClock;
use model::record::Codec;
use model::{Arn, Realm};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{Api, ApiParts, Call};
pub use store::Store;

pub const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
    "Principal":{"Service":"personalize.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
pub const ROLE: &str = "arn:aws:iam::000000000000:role/Role";

pub struct Fixture {
    pub api: Api,
    pub catalog: Catalog,
    pub log: Arc<Log>,
    pub bell: Arc<Notify>,
    pub store: Arc<Store>,
    pub clock: Arc<SimulatedClock>,
    pub realm: Realm,
    _folder: tempfile::TempDir,
}

impl Fixture {
    pub async fn new() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SimulatedClock::new(1_790_000_000_123, 7));
        let catalog = Catalog::open(&folder.path().join("catalog.db"), clock.clone()).await.unwrap();
        let sequence = AtomicU64::new(1);
        let sequencer = Arc::new(move |count| Ok(sequence.fetch_add(count, Ordering::Relaxed)));
        let settings = LogSettings { segment_bytes: 1 << 20, ..LogSettings::default() };
        let (log, _) = Log::open(&folder.path().join("log"), settings, sequencer).unwrap();
        let objects = Objects::open(&folder.path().join("runs")).unwrap();
        let (log, bell) = (Arc::new(log), Arc::new(Notify::new()));
        let realm = Realm { region: "us-east-1".into(), account: "000000000000".into() };
        let store = Store::start().await;
        let root = RootKey { access_key_id: "AKIAROOT".into(), secret_access_key: "secret".into() };
        let endpoint = S3Endpoint { url: store.url.clone() };
        let master = SealingKey::new([7; 32]);
        let access =
            Arc::new(Access::new(catalog.clone(), clock.clone(), realm.clone(), root, endpoint, master));
        let api = Api::new(ApiParts {
            catalog: catalog.clone(),
            log: log.clone(),
            objects,
            access,
            clock: clock.clone(),
            realm: realm.clone(),
            bell: bell.clone(),
        });
        Fixture { api, catalog, log, bell, store, clock, realm, _folder: folder }
    }

    fn root(&self) -> Principal {
        Principal::Root { arn: self.realm.root() }
    }

    pub fn session(&self) -> Principal {
        Principal::Session(Arc::new(RoleSession {
            role: Arn::parse(ROLE).unwrap(),
            role_id: "AROAROLE".into(),
            role_tags: vec![],
            session: self.realm.assumed_role("Role", "job"),
            service: access::PERSONALIZE.into(),
            source: self.realm.export_job("job"),
            expires_ms: i64::MAX,
        }))
    }

    /// A request as it comes from the wire; the target is left out when it is empty.
    pub async fn send(
        &self,
        principal: Principal,
        method: Method,
        path: &str,
        target: &str,
        body: &str,
    ) -> Response<Bytes> {
        let mut headers = HeaderMap::new();
        if !target.is_empty() {
            headers.insert("x-amz-target", target.parse().unwrap());
        }
        let body = Bytes::from(body.to_owned());
        self.deliver(principal, method, (path, None), headers, body).await
    }

    /// A request without a body.
    pub async fn send_query(
        &self,
        principal: Principal,
        method: Method,
        path: &str,
        query: Option<&str>,
    ) -> Response<Bytes> {
        self.deliver(principal, method, (path, query), HeaderMap::new(), Bytes::new()).await
    }

    async fn deliver(
        &self,
        principal: Principal,
        method: Method,
        (path, query): (&str, Option<&str>),
        headers: HeaderMap,
        body: Bytes,
    ) -> Response<Bytes> {
        let (path, request_id) = (path.to_owned(), "request-1".to_owned());
        self.api
            .call(Call {
                principal,
                peer: None,
                service: "personalize".to_owned(),
                is_temporary: false,
                request_id,
                method,
                path,
                query: query.map(str::to_owned),
                headers,
                body,
            })
            .await
    }

    /// A call of the control plane that is done.
    pub async fn ok(&self, operation: &str, input: Value) -> Value {
        let (status, answer) = self.control(operation, input).await;
        assert_eq!(status, 200, "{operation}: {answer}");
        answer
    }

    /// A call of the control plane that is refused: code and message.
    pub async fn refused(&self, operation: &str, input: Value) -> (String, String) {
        let (status, answer) = self.control(operation, input).await;
        assert_eq!(status, 400, "{operation}: {answer}");
        told(&answer)
    }

    async fn control(&self, operation: &str, input: Value) -> (u16, Value) {
        let target = format!("AmazonPersonalize.{operation}");
        let response = self.send(self.root(), Method::POST, "/", &target, &input.to_string()).await;
        assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.1");
        assert_eq!(response.headers()["x-amzn-requestid"], "request-1");
        (response.status().as_u16(), body(&response))
    }

    /// A call of the events service: its status, and code and message when it was refused.
    pub async fn put(&self, path: &str, input: Value) -> (u16, (String, String)) {
        let response = self.send(self.root(), Method::POST, path, "", &input.to_string()).await;
        let status = response.status().as_u16();
        if status == 200 {
            assert!(response.body().is_empty());
            return (status, Default::default());
        }
        let told = told(&body(&response));
        assert_eq!(response.headers()["x-amzn-errortype"], told.0.as_str());
        (status, told)
    }

    pub async fn schema(&self, name: &str, fields: Value) -> String {
        let document = document(name, fields);
        let input = json!({"name": name, "schema": document});
        self.ok("CreateSchema", input).await["schemaArn"].as_str().unwrap().to_owned()
    }

    pub async fn group(&self, name: &str) -> String {
        let answer = self.ok("CreateDatasetGroup", json!({"name": name})).await;
        answer["datasetGroupArn"].as_str().unwrap().to_owned()
    }

    /// A dataset of the type that the record name tells, in the group `g`, which is made if need be.
    pub async fn dataset(&self, record_name: &str, fields: Value) -> String {
        let group = self.realm.dataset_group("g");
        if self.catalog.dataset_group(&group).await.unwrap().is_none() {
            self.group("g").await;
        }
        let schema = self.schema(record_name, fields).await;
        let input =
            json!({"name": "d", "schemaArn": schema, "datasetGroupArn": group, "datasetType": record_name});
        self.ok("CreateDataset", input).await["datasetArn"].as_str().unwrap().to_owned()
    }

    pub async fn interactions(&self) -> String {
        let fields = json!([
            {"name": "USER_ID", "type": "string"},
            {"name": "ITEM_ID", "type": "string"},
            {"name": "TIMESTAMP", "type": "long"},
            {"name": "NUM_RATINGS", "type": ["int", "null"]},
        ]);
        self.dataset("Interactions", fields).await
    }

    pub async fn items(&self) -> String {
        let fields = json!([{"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": "float"}]);
        self.dataset("Items", fields).await
    }

    pub async fn tracker(&self) -> String {
        let input = json!({"name": "t", "datasetGroupArn": self.realm.dataset_group("g")});
        self.ok("CreateEventTracker", input).await["trackingId"].as_str().unwrap().to_owned()
    }

    pub async fn role(&self, trust_policy: &str) {
        let row = RoleRow {
            arn: Arn::parse(ROLE).unwrap(),
            id: "AROAROLE".into(),
            name: "Role".into(),
            path: "/".into(),
            trust_policy: trust_policy.into(),
            description: None,
            max_session_s: 3600,
            tags: vec![],
            created_ms: 0,
        };
        self.catalog.create_role(&row).await.unwrap();
    }

    /// The put records of a dataset in the log, each as a line of CSV.
    pub async fn records(&self, dataset: &str) -> Vec<String> {
        let row = self.catalog.dataset(&Arn::parse(dataset).unwrap()).await.unwrap().unwrap();
        let codec = Codec::new(&row.layout);
        let keys = self.api.access.data_keys(row.id, &row.group_arn).await.unwrap();
        let mut opener = access::seal::Opener::new(&keys);
        let mut lines = Vec::new();
        for frame in self.log.frames(row.id.cast_unsigned(), 0, self.log.durable()).unwrap() {
            let frame = self.log.read(&frame).unwrap().opened(&mut opener).unwrap();
            for record in frame.records() {
                let (mut values, mut line) = (Vec::new(), Vec::new());
                codec.decode(record, &mut values).unwrap();
                csv::write::write_record(&values, &mut line);
                lines.push(String::from_utf8(line).unwrap().trim_end().to_owned());
            }
        }
        lines
    }
}

pub fn document(name: &str, fields: Value) -> String {
    json!({"type": "record", "name": name, "namespace": "n", "fields": fields, "version": "1.0"}).to_string()
}

pub fn body(response: &Response<Bytes>) -> Value {
    match response.body().is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(response.body()).unwrap(),
    }
}

fn told(answer: &Value) -> (String, String) {
    let text = |member: &str| answer[member].as_str().unwrap().to_owned();
    (text("__type"), text("message"))
}
