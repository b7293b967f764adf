//! Requests signed by botocore on their way through the dispatcher, to doors that only say who they are.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use model::Realm;
use model::clock::SimulatedClock;
use serde_json::Value;

use super::door::{CallDoor, ConsoleDoor, Credentials, KeyUsed, LongDoor, PreflightDoor, StreamDoor};
use super::*;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../../../../wire/tests/botocore.json")).unwrap()
}

/// A dispatcher that knows the fixture's key, at the fixture's time and region.
pub fn dispatch() -> Dispatch {
    let fixture = fixture();
    let text = |key: &str| fixture[key].as_str().unwrap().to_owned();
    let (key, secret) = (text("access_key_id"), text("secret"));
    let realm = Realm { region: text("region"), account: "000000000000".into() };
    let root = Principal::Root { arn: realm.root() };
    let credential: Credentials = Box::new(move |id, _| {
        let credential = Credential { secret_access_key: secret.clone(), session_token: None };
        let found = (id == key).then(|| (credential, root.clone()));
        Box::pin(async move { found.ok_or_else(|| AuthError::unknown_key().into()) })
    });
    let named = |name: &'static str| -> CallDoor {
        Box::new(move |call: Call| {
            assert!(!call.headers.contains_key("authorization"));
            Box::pin(async move { Response::new(Bytes::from(format!("{name} {}", call.path))) })
        })
    };
    let s3: StreamDoor = Box::new(|_, _, request| {
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            match request.into_body().collect().await {
                Ok(body) => whole(Response::new(Bytes::from(format!("s3 {path} {}", body.to_bytes().len())))),
                Err(e) => whole(Response::builder().status(400).body(Bytes::from(e.to_string())).unwrap()),
            }
        })
    });
    let (inner, iam, kms) = (named("personalize"), named("iam"), named("kms"));
    let personalize: LongDoor = Box::new(move |call| {
        let answering = inner(call);
        Box::pin(async move { whole(answering.await) })
    });
    let key_used: KeyUsed = Box::new(|_, _| {});
    let s3_preflight: PreflightDoor = Box::new(|parts, _| {
        Box::pin(async move { whole(Response::new(Bytes::from(format!("asked {}", parts.uri.path())))) })
    });
    let console: ConsoleDoor = Box::new(|request| {
        Box::pin(async move { whole(Response::new(Bytes::from(format!("page {}", request.uri().path())))) })
    });
    let doors = Doors { credential, key_used, personalize, iam, kms, s3, s3_preflight, console };
    let clock = Arc::new(SimulatedClock::new(fixture["now_ms"].as_i64().unwrap(), 1));
    let cors = Cors { origins: vec!["https://shop.example".into()] };
    Dispatch {
        doors,
        elsewhere: vec![],
        realm,
        clock,
        cors,
        audit: None,
        otlp: None,
        client_timeout: Duration::from_secs(5),
        ready: Box::new(|| Box::pin(async { Some("catalog") })),
        metrics: None,
    }
}

fn signed(name: &str) -> Request<Full<Bytes>> {
    let fixture = fixture();
    let found = fixture["requests"].as_array().unwrap().iter().find(|r| r["name"] == name).unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut request = Request::builder().method(text(&found["method"]).as_str()).uri(text(&found["target"]));
    for header in found["headers"].as_array().unwrap() {
        request = request.header(text(&header[0]), text(&header[1]).trim());
    }
    request.body(Full::new(STANDARD.decode(text(&found["body"])).unwrap().into())).unwrap()
}

fn unsigned(method: &str, uri: &str) -> Request<Full<Bytes>> {
    Request::builder().method(method).uri(uri).header("host", "h").body(Full::default()).unwrap()
}

/// Status, body and headers of the answer.
async fn answer(request: Request<Full<Bytes>>) -> (u16, String, http::HeaderMap) {
    let (parts, body) = dispatch().answer(request).await.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), String::from_utf8(bytes.to_vec()).unwrap(), parts.headers)
}

fn changed(mut request: Request<Full<Bytes>>, from: &str, to: &str) -> Request<Full<Bytes>> {
    let text = request.headers()["authorization"].to_str().unwrap().replace(from, to);
    request.headers_mut().insert("authorization", text.parse().unwrap());
    request
}

#[tokio::test]
async fn each_service_has_its_door() {
    for (name, reply) in [
        ("json list", "personalize /"),
        ("events", "personalize /events"),
        ("iam create role", "iam /"),
        ("sts identity", "iam /"),
        ("s3 put a b", "s3 /bucket/a%20b 4"),
        ("s3 presigned get, token False", "s3 /bucket/a%20b/%C3%BC%2B%25.csv 0"),
        ("s3 trailing SHA256", "s3 /bucket/k 300"),
    ] {
        let (status, body, _) = answer(signed(name)).await;
        assert_eq!((status, body.as_str()), (200, reply), "{name}");
    }
}

#[tokio::test]
async fn a_request_without_a_signature_reaches_no_door() {
    for (method, uri, status, part) in [
        ("GET", "/", 200, "lade env"),
        ("GET", "/console/groups", 200, "page /console/groups"),
        ("GET", "/personalize/home", 200, "page /personalize/home"),
        ("GET", "/consoles", 403, "<Code>AccessDenied</Code>"),
        ("GET", "/health/live", 200, "ok"),
        ("GET", "/health/ready", 503, "catalog"),
        ("POST", "/", 403, r#""__type":"MissingAuthenticationTokenException""#),
        ("POST", "/events", 403, r#""__type":"MissingAuthenticationTokenException""#),
        ("GET", "/bucket/key", 403, "<Code>AccessDenied</Code>"),
        ("PUT", "/bucket", 403, "<Code>AccessDenied</Code>"),
        ("POST", "/bucket?delete", 403, "<Code>AccessDenied</Code>"),
    ] {
        let (found, body, _) = answer(unsigned(method, uri)).await;
        assert!(found == status && body.contains(part), "{method} {uri}: {found} {body}");
    }
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    for (from, to, status, parts) in [
        ("AKIDEXAMPLE", "AKIDUNKNOWN", 400, ["UnrecognizedClientException", "lade env"]),
        ("eu-central-1", "us-west-2", 400, ["us-west-2", "eu-central-1"]),
        ("/personalize/", "/lambda/", 400, ["lambda", "personalize, s3, iam, sts, kms"]),
        (
            "Signature=",
            "Signature=0",
            400,
            ["InvalidSignatureException", "does not match the signature you provided"],
        ),
    ] {
        let (found, body, headers) = answer(changed(signed("json list"), from, to)).await;
        assert_eq!(found, status, "{body}");
        assert!(parts.iter().all(|part| body.contains(part)), "{body}");
        assert!(headers.contains_key("x-amzn-requestid"));
    }
}

#[tokio::test]
async fn the_scope_decides_the_door_and_is_signed() {
    let (status, body, _) = answer(changed(signed("s3 get plain"), "/s3/", "/personalize/")).await;
    assert!(status == 403 && body.contains("InvalidSignatureException"), "{status} {body}");
    let (status, body, _) = answer(changed(signed("json list"), "/personalize/", "/s3/")).await;
    assert!(status == 400 && body.contains("x-amz-content-sha256"), "{status} {body}");
}

#[tokio::test]
async fn a_large_body_is_refused_unread() {
    let mut request = signed("json list");
    *request.body_mut() = Full::new(Bytes::from(vec![b' '; (2 << 20) + 1]));
    let (status, body, headers) = answer(request).await;
    assert_eq!((status, headers["connection"].to_str().unwrap()), (413, "close"), "{body}");
    let mut packed = signed("json list");
    packed.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    assert_eq!(answer(packed).await.0, 415);
}

#[tokio::test]
async fn a_changed_body_is_refused() {
    let mut request = signed("json list");
    *request.body_mut() = Full::new(Bytes::from_static(b"[]"));
    assert_eq!(answer(request).await.0, 400);
    let mut request = signed("s3 put plain");
    *request.body_mut() = Full::new(Bytes::from_static(b"1,3\n"));
    let (status, body, _) = answer(request).await;
    assert!(status == 400 && body.contains("does not match"), "{body}");
}

#[tokio::test]
async fn a_bug_answers_500_and_harms_no_other() {
    let mut dispatch = dispatch();
    dispatch.doors.personalize = Box::new(|_| Box::pin(async { panic!("a bug") }));
    let bug = dispatch.answer(signed("json list")).await;
    assert_eq!(bug.status(), 500);
    let body = bug.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(br#"{"__type":"InternalServerException""#));
    assert_eq!(dispatch.answer(signed("s3 get plain")).await.status(), 200);
}

#[tokio::test]
async fn a_page_that_is_let_in_reads_refusals_too() {
    let mut request = unsigned("POST", "/events");
    request.headers_mut().insert("origin", "https://shop.example".parse().unwrap());
    let (status, _, headers) = answer(request).await;
    assert_eq!(
        (status, &headers["access-control-allow-origin"]),
        (403, &"https://shop.example".parse().unwrap())
    );
    assert!(headers.contains_key("x-amzn-errortype"));
}

#[tokio::test]
async fn a_browsers_question_about_a_bucket_goes_to_the_object_store_and_nothing_else_unsigned_does() {
    let asked = |method: &str, path: &str, origin: Option<&str>| {
        let mut request = unsigned(method, path);
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
            request.headers_mut().insert("access-control-request-method", "POST".parse().unwrap());
        }
        request
    };
    let told = answer(asked("OPTIONS", "/bucket/key", Some("https://a.example"))).await;
    assert_eq!((told.0, told.1.as_str()), (200, "asked /bucket/key"));
    assert_eq!(answer(asked("OPTIONS", "/events", Some("https://a.example"))).await.0, 403);
    for (method, origin) in [("OPTIONS", None), ("GET", Some("https://a.example")), ("PUT", Some("*"))] {
        let told = answer(asked(method, "/bucket/key", origin)).await;
        assert!(told.0 == 403 && !told.1.contains("asked"), "{method} {}", told.1);
    }
}
