//! Sessions of a store and an STS of a few prepared answers.

use std::collections::VecDeque;
use std::sync::Mutex;

use model::ErrorKind;
use model::clock::SimulatedClock;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::location::S3Location;

const LISTING: &str =
    "<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>";

/// Answers AssumeRole with these, one after the other, and all else with an empty list; keeps the keys it was signed with.
struct Fixture {
    services: Services,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn fixture(answers: Vec<(u16, String)>) -> Fixture {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let (noted, mut answers) = (asked.clone(), VecDeque::from(answers));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read(&mut stream).await;
            let (_, key) = request.split_once("Credential=").unwrap();
            let is_sts = request.contains("Action=AssumeRole");
            noted.lock().unwrap().push(format!("{} {}", if is_sts { "sts" } else { "s3" }, &key[..4]));
            let listing = || (200, LISTING.to_owned());
            let (status, body) = if is_sts { answers.pop_front().unwrap() } else { listing() };
            let head = format!(
                "HTTP/1.1 {status} Any\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    });
    let settings = ServiceSettings {
        s3_endpoint: Some(url.clone()),
        sts_endpoint: Some(url),
        region: "us-east-1".into(),
        keys: ServiceKeys { access_key_id: "OWN1".into(), secret_access_key: "secret".into() },
        arn: Some("arn:aws:iam::111122223333:user/lade".into()),
        ..ServiceSettings::default()
    };
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::new(1_700_000_000_000, 1));
    Fixture { services: Services::new(&settings, &clock), asked }
}

async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.unwrap();
        bytes.extend_from_slice(&piece[..count]);
    }
}

fn session(key: &str, life_s: i64) -> (u16, String) {
    let end = (OffsetDateTime::now_utc() + time::Duration::seconds(life_s)).format(&Rfc3339).unwrap();
    let body = format!(
        "<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
         <SessionToken>t</SessionToken><Expiration>{end}</Expiration></Credentials>"
    );
    (200, body)
}

fn role() -> Arn {
    Arn::parse("arn:aws:iam::111122223333:role/Export").unwrap()
}

impl Fixture {
    async fn open(&self) -> Bucket {
        let place = S3Location { bucket: "out".into(), key: "folder/".into() };
        let policy = Errand::writing(&place).session_policy();
        let sts = self.services.sts.clone().unwrap();
        let (credentials, acting) = sts.session(&role(), "nightly", &policy).await.unwrap();
        Bucket::open_real("out", &self.services.s3.as_ref().unwrap().store, credentials, acting)
    }

    async fn refusal(&self) -> model::Error {
        self.services.sts.as_ref().unwrap().assume(&role(), "nightly", NOTHING).await.err().unwrap()
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

#[tokio::test]
async fn keys_are_renewed_five_minutes_before_they_end() {
    let f = fixture(vec![session("KEY1", 299), session("KEY2", 3600)]).await;
    let bucket = f.open().await;
    for _ in 0..3 {
        bucket.list("folder/", true).await.unwrap();
    }
    assert_eq!(f.asked(), ["sts OWN1", "s3 KEY1", "sts OWN1", "s3 KEY2", "s3 KEY2"]);
}

#[tokio::test]
async fn a_refused_role_is_told_with_the_statement_to_add() {
    let wrapped = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no &amp; no</Message></Error></ErrorResponse>";
    let bare = "<Error><Code>NoSuchEntity</Code><Message></Message></Error>";
    let f = fixture(vec![(403, wrapped.into()), (404, bare.into())]).await;
    for said in ["(AccessDenied: no & no)", "(NoSuchEntity)"] {
        let error = f.refusal().await;
        assert_eq!(error.kind, ErrorKind::Invalid);
        let text = format!(
            "Personalize can't assume the role arn:aws:iam::111122223333:role/Export. User: \
             arn:aws:iam::111122223333:user/lade is not authorized to perform: sts:AssumeRole on resource: \
             arn:aws:iam::111122223333:role/Export because the service refuses it {said}. Add this statement to the \
             trust policy of the role Export: {{\"Effect\": \"Allow\", \"Principal\": {{\"AWS\": \
             \"arn:aws:iam::111122223333:user/lade\"}}, \"Action\": \"sts:AssumeRole\"}}"
        );
        assert_eq!(error.message(), text);
    }
}

#[tokio::test]
async fn keys_that_sts_does_not_know_are_the_operator_s_trouble() {
    let body =
        "<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>x</Message></Error></ErrorResponse>";
    let f = fixture(vec![(403, body.into())]).await;
    let error = f.refusal().await;
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(
        !error.message().contains("OWN1") && error.chain().contains("InvalidClientTokenId"),
        "{}",
        error.chain()
    );
}

#[tokio::test]
async fn a_fault_that_passes_is_tried_again() {
    let f = fixture(vec![(503, String::new()), session("KEY1", 3600)]).await;
    f.open().await.list("folder/", true).await.unwrap();
    assert_eq!(f.asked(), ["sts OWN1", "sts OWN1", "s3 KEY1"]);
}
