//! A door over a scratch folder, and requests to it in one line.

use std::sync::Arc;

use access::{Access, Principal, RoleSession, RootKey, S3Endpoint, SealingKey};
use bytes::Bytes;
use catalog::Catalog;
use catalog::role::RoleRow;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use model::clock::SystemClock;
use model::{Arn, Realm};
use s3::Door;

pub struct Store {
    pub door: Door,
    pub folder: tempfile::TempDir,
    pub access: Arc<Access>,
    catalog: Catalog,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The text of the first element of this name.
    pub fn element(&self, name: &str) -> String {
        self.elements(name).into_iter().next().unwrap_or_default()
    }

    pub fn elements(&self, name: &str) -> Vec<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let text = self.text();
        text.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned())).collect()
    }

    #[track_caller]
    pub fn ok(self) -> Answer {
        assert!(self.status.is_success(), "{} {}", self.status, self.text());
        self
    }

    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Answer {
        assert_eq!((self.status.as_u16(), self.element("Code").as_str()), (status, code), "{}", self.text());
        assert!(!self.element("Message").is_empty() && self.element("RequestId") == "id", "{}", self.text());
        self
    }
}

impl Store {
    pub async fn new() -> Store {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock);
        let catalog = Catalog::open(&folder.path().join("catalog.db"), clock.clone()).await.unwrap();
        let realm = Realm { region: "us-east-1".into(), account: "111122223333".into() };
        let root = RootKey { access_key_id: "AKIAROOT".into(), secret_access_key: "secret".into() };
        let s3 = S3Endpoint { url: "http://127.0.0.1:1".into() };
        let master = SealingKey::new([7; 32]);
        let access = Arc::new(Access::new(catalog.clone(), clock.clone(), realm, root, s3, master));
        let door = open(&folder, &access).await;
        Store { door, folder, access, catalog }
    }

    pub async fn with_bucket() -> Store {
        let store = Store::new().await;
        store.put("/data", "").await.ok();
        store
    }

    /// Opens the folder once more, as after a restart.
    pub async fn reopen(&mut self) {
        self.door = open(&self.folder, &self.access).await;
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[], "").await
    }

    pub async fn put(&self, target: &str, body: impl Into<Bytes>) -> Answer {
        self.send("PUT", target, &[], body).await
    }

    pub async fn post(&self, target: &str, body: impl Into<Bytes>) -> Answer {
        self.send("POST", target, &[], body).await
    }

    pub async fn delete(&self, target: &str) -> Answer {
        self.send("DELETE", target, &[], "").await
    }

    pub async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let root = Principal::Root { arn: self.access.realm.root() };
        self.send_as(Some(root), method, target, headers, body).await
    }

    pub async fn send_as(
        &self,
        principal: Option<Principal>,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let body = body.into();
        let mut request = Request::builder().method(method).uri(target);
        let given = |name: &str| headers.iter().any(|(given, _)| *given == name);
        if !given("content-length") && matches!(method, "PUT" | "POST") {
            request = request.header("content-length", body.len());
        }
        if !given("host") {
            request = request.header("host", "127.0.0.1:8080");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).unwrap();
        read(self.door.call(principal, "id".into(), request).await).await
    }

    pub async fn multipart(&self, key: &str, headers: &[(&str, &str)]) -> String {
        self.send("POST", &format!("{key}?uploads"), headers, "").await.ok().element("UploadId")
    }

    /// A role that the service may assume, with a policy, and a session of it.
    pub async fn session(&self, name: &str, policy: &str) -> Principal {
        let role = self.access.realm.role("/", name);
        let row = RoleRow {
            arn: role.clone(),
            id: format!("AROA{name}"),
            name: name.into(),
            path: "/".into(),
            trust_policy: "{}".into(),
            description: None,
            max_session_s: 3600,
            tags: vec![],
            created_ms: 0,
        };
        self.catalog.create_role(&row).await.unwrap();
        self.catalog.put_identity_policy(catalog::Identity::Role(name), "p", policy, 10_000).await.unwrap();
        self.session_of(&role, "job")
    }

    pub fn session_of(&self, role: &Arn, job: &str) -> Principal {
        Principal::Session(Arc::new(RoleSession {
            role: role.clone(),
            role_id: format!("AROA{}", role.resource_name()),
            role_tags: vec![],
            session: self.access.realm.assumed_role(role.resource_name(), job),
            service: access::PERSONALIZE.into(),
            source: self.access.realm.export_job(job),
            expires_ms: i64::MAX,
        }))
    }

    /// The files of the store below `blobs` and `temp`.
    pub fn files(&self) -> usize {
        let store = self.folder.path().join("s3");
        let shelves = std::fs::read_dir(store.join("blobs")).unwrap().map(|shelf| shelf.unwrap().path());
        let folders = shelves.chain([store.join("temp")]);
        folders.map(|folder| std::fs::read_dir(folder).unwrap().count()).sum()
    }

    /// Waits until as many files are left; removal happens behind the answer.
    pub async fn settled_at(&self, files: usize) {
        for _ in 0..200 {
            if self.files() == files {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(self.files(), files);
    }
}

async fn open(folder: &tempfile::TempDir, access: &Arc<Access>) -> Door {
    let dir = folder.path().join("s3");
    Door::open(&dir, access.clone(), Arc::new(SystemClock), vec!["s3.example.org".into()]).await.unwrap()
}

pub async fn read(answer: Response<s3s::Body>) -> Answer {
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}
