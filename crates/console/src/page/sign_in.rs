//! Signing in with an access key, and out again.

use access::Peer;
use access::bucket::Leaving;
use askama::Template;
use http::request::Parts;
use http::{Method, StatusCode};
use tracing::info;

use super::Frame;
use crate::client::{Answer, Client};
use crate::form::Form;
use crate::route::HOME;
use crate::session::Keys;
use crate::visit::Visit;
use crate::{Console, page, reply};

const PATH: &str = "/console/sign-in";

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    frame: Frame,
    problem: Option<&'a str>,
    access_key_id: &'a str,
    next: &'a str,
}

/// Answers whoever is not signed in.
pub async fn answer(
    console: &Console,
    peer: Option<Peer>,
    parts: &Parts,
    path: &[&str],
    form: &Form,
) -> Leaving {
    if path != ["sign-in"] {
        let is_page = parts.method == Method::GET && !path.is_empty();
        let next = if is_page { parts.uri.path_and_query().map_or("", |path| path.as_str()) } else { "" };
        let query =
            if next.is_empty() { String::new() } else { format!("?next={}", crate::client::segment(next)) };
        return reply::to(&format!("{PATH}{query}"));
    }
    let query = Form::parse(parts.uri.query().unwrap_or_default());
    if parts.method != Method::POST {
        let ended = parts.uri.query() == Some("ended");
        let problem = ended.then_some("The session has ended: its keys are no longer valid.");
        return show(StatusCode::OK, problem, "", query.get("next"));
    }
    let next = form.get("next").to_owned();
    let (now_ms, address) = (console.clock.now_ms(), peer.map(|peer| peer.address));
    if !console.sessions.may_try(address, now_ms) {
        let text = "Too many attempts have failed. Wait a minute.";
        return show(StatusCode::TOO_MANY_REQUESTS, Some(text), form.get("access-key-id"), &next);
    }
    let keys = Keys {
        access_key_id: form.get("access-key-id").to_owned(),
        secret_access_key: form.get("secret-access-key").to_owned(),
        session_token: form.given("session-token").map(str::to_owned),
    };
    match who(console, peer, &keys).await {
        Ok(arn) => {
            info!(principal = arn, "signed in to the console");
            let id = match console.sessions.begin(keys, arn, &*console.clock).await {
                Ok(id) => id,
                Err(cause) => return page::unavailable(&cause),
            };
            let next = if is_ours(&next) { next.as_str() } else { HOME };
            reply::with_session(reply::to(next), Some(&id), console.outside.is_secure(peer))
        }
        Err(refusal) => {
            console.sessions.note_failure(address, now_ms);
            // What is no key at all can't be signed with.
            let text = if refusal.is_of_keys() || refusal.code == "IncompleteSignatureException" {
                "This access key ID and this secret access key do not belong together, or the key is not in use.".to_owned()
            } else {
                refusal.text()
            };
            show(StatusCode::FORBIDDEN, Some(&text), &keys.access_key_id, &next)
        }
    }
}

/// Ends the session on the server; the browser's cookie is of no more use.
pub async fn end(visit: &Visit<'_>) -> Leaving {
    if let Err(cause) = visit.console.sessions.end(&visit.session_id).await {
        return page::unavailable(&cause);
    }
    reply::with_session(reply::to(PATH), None, visit.is_secure())
}

async fn who(console: &Console, peer: Option<Peer>, keys: &Keys) -> Answer<String> {
    let client =
        Client { server: &console.server, realm: &console.realm, clock: &*console.clock, keys, peer };
    // Not of STS, whose door is closed where real services give out the keys of roles.
    let caller = client.lade(Method::GET, "/caller").await?;
    Ok(caller["arn"].as_str().unwrap_or_default().to_owned())
}

fn show(status: StatusCode, problem: Option<&str>, access_key_id: &str, next: &str) -> Leaving {
    reply::page(status, &SignIn { frame: Frame::plain("Sign in"), problem, access_key_id, next })
}

// To a page of the console, and to no other site; what browsers ask for is encoded, so nothing else stands in a header.
fn is_ours(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    path.starts_with("/console/") && !path.contains("//") && path.bytes().all(is_plain)
}
