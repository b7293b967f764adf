//! The verification itself: every claim of a signature is held against the request, the credential and the time.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::request::Parts;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::body::{Body, Raw};
use super::canonical::{self, EmptyPairs, Query};
use super::chunked::{ChunkSigner, Chunked};
use super::digits::digits;
use super::key::SigningKey;
use super::payload::{self, Payload};
use super::refusal::{AuthError, AuthErrorKind};
use super::scope::{ALGORITHM, Claim, single};
use super::strip;
use super::timestamp;
use super::trailer::Announced;
use super::{Credential, Trailers};

const SKEW_MAX_MS: i64 = 15 * 60 * 1000;
const EXPIRES_MAX_S: u32 = 7 * 24 * 3600;

/// What this server asks of a signature.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Milliseconds since the epoch.
    pub now_ms: i64,
    /// The server's region; IAM and STS requests may be signed for us-east-1 as well.
    pub region: &'a str,
}

/// Verifies an S3 request; its body is verified while it is read.
///
/// On success the request carries no signature any more: the headers and query parameters of the signature are
/// removed, a chunked body is presented with its decoded length, and `Trailers` stand in the extensions.
///
/// # Errors
/// When anything the request claims does not hold. The body's own faults come out of `Body`, always before its last
/// bytes, so that nobody who reads a whole body has read a false one.
pub fn verify(
    parts: &mut Parts,
    credential: &Credential,
    rules: &Rules<'_>,
    body: Raw,
) -> Result<Body, AuthError> {
    let claim = Claim::read(parts)?.ok_or_else(AuthError::missing)?;
    if claim.scope.service != "s3" {
        return Err(payload::unknown());
    }
    let (payload, text) = Payload::of_s3(parts, &claim)?;
    let key = check(parts, &claim, credential, rules, &text)?;
    let body = opened(parts, &claim, key, payload, body)?;
    strip::signature(parts)?;
    Ok(body)
}

/// Verifies a request of any service but S3, whose body was read whole.
///
/// On success the request carries no signature any more.
///
/// # Errors
/// When anything the request claims does not hold, or `body` is not what was signed.
pub fn verify_whole(
    parts: &mut Parts,
    credential: &Credential,
    rules: &Rules<'_>,
    body: &Bytes,
) -> Result<(), AuthError> {
    let claim = Claim::read(parts)?.ok_or_else(AuthError::missing)?;
    if claim.scope.service == "s3" {
        return Err(payload::unknown());
    }
    if claim.is_presigned() {
        return Err(AuthError::incomplete(
            "Presigned addresses are accepted for S3 only; sign with the Authorization header.",
        ));
    }
    let hash: [u8; 32] = Sha256::digest(body).into();
    let text = match single(&parts.headers, payload::HEADER)? {
        None => digits(&hash),
        Some(text) => match Payload::parse(text) {
            Some(Payload::Hash(signed)) if signed == hash => text.to_owned(),
            Some(Payload::Hash(_)) => return Err(payload::mismatch()),
            None
            | Some(
                Payload::Unsigned
                | Payload::SignedChunks
                | Payload::SignedChunksTrailer
                | Payload::UnsignedTrailer,
            ) => {
                return Err(payload::unknown());
            }
        },
    };
    check(parts, &claim, credential, rules, &text)?;
    strip::signature(parts)
}

fn check(
    parts: &Parts,
    claim: &Claim,
    credential: &Credential,
    rules: &Rules<'_>,
    payload: &str,
) -> Result<SigningKey, AuthError> {
    check_region(claim, rules)?;
    check_signed_headers(parts, claim)?;
    let key = SigningKey::of(&credential.secret_access_key, &claim.scope);
    check_signature(parts, claim, &key, payload)?;
    check_token(parts, credential)?;
    check_time(claim, rules)?;
    Ok(key)
}

fn check_region(claim: &Claim, rules: &Rules<'_>) -> Result<(), AuthError> {
    let region = claim.scope.region.as_str();
    let is_global = matches!(claim.scope.service.as_str(), "iam" | "sts") && region == "us-east-1";
    if region == rules.region || is_global {
        Ok(())
    } else {
        Err(AuthError::wrong_region(region, rules.region))
    }
}

// What the services act on has to be under the signature: the host, all x-amz-* headers, and outside S3 the body's type.
fn check_signed_headers(parts: &Parts, claim: &Claim) -> Result<(), AuthError> {
    if let Some(absent) = claim.signed_headers.iter().find(|name| !parts.headers.contains_key(name.as_str()))
    {
        return Err(AuthError::incomplete(format!("The signed header '{absent}' is not in the request.")));
    }
    single(&parts.headers, HOST.as_str())?;
    let is_s3 = claim.scope.service == "s3";
    let must = |name: &str| name.starts_with("x-amz-") || (name == CONTENT_TYPE.as_str() && !is_s3);
    let sent = parts.headers.keys().map(|name| name.as_str()).filter(|name| must(name));
    match sent.chain([HOST.as_str()]).find(|name| !claim.signs(name)) {
        None => Ok(()),
        Some(name) => {
            let text = format!(
                "There were headers present in the request which were not signed: '{name}' must be signed."
            );
            Err(AuthError::new(AuthErrorKind::UnsignedHeader, text))
        }
    }
}

fn check_signature(parts: &Parts, claim: &Claim, key: &SigningKey, payload: &str) -> Result<(), AuthError> {
    let day = claim.timestamp.day();
    if claim.scope.date != day {
        let text = format!(
            "Date in Credential scope does not match the day of the request: {} is not {day}.",
            claim.scope.date
        );
        return Err(AuthError::new(AuthErrorKind::Mismatch, text));
    }
    let fits = |empty| {
        key.check(&text_to_sign(claim, &canonical::hash(parts, claim, payload, empty)), &claim.signature)
    };
    match fits(EmptyPairs::Dropped) {
        Err(_) if Query::parse(parts.uri.query().unwrap_or_default()).has_empty_pairs() => {
            fits(EmptyPairs::Kept)
        }
        outcome => outcome,
    }
}

fn text_to_sign(claim: &Claim, canonical_hash: &str) -> String {
    format!("{ALGORITHM}\n{}\n{}\n{canonical_hash}", claim.timestamp.text, claim.scope.text())
}

// The token must come exactly once with the keys of a session, and never with other keys.
fn check_token(parts: &Parts, credential: &Credential) -> Result<(), AuthError> {
    match (session_token(parts)?, &credential.session_token) {
        (None, None) => Ok(()),
        (Some(sent), Some(token)) if sent.as_bytes().ct_eq(token.as_bytes()).into() => Ok(()),
        _ => Err(AuthError::invalid_token()),
    }
}

/// The session token that a request claims to come with, in its header or its query.
///
/// # Errors
/// When it comes with several.
pub fn session_token(parts: &Parts) -> Result<Option<Cow<'_, str>>, AuthError> {
    let header = single(&parts.headers, "x-amz-security-token")?;
    let query = match parts.uri.query() {
        Some(query) => Query::parse(query).optional("X-Amz-Security-Token")?,
        None => None,
    };
    match (header, query) {
        (Some(_), Some(_)) => Err(AuthError::invalid_token()),
        (header, query) => Ok(header.map(Cow::Borrowed).or(query.map(Cow::Owned))),
    }
}

fn check_time(claim: &Claim, rules: &Rules<'_>) -> Result<(), AuthError> {
    let (signed_ms, now_ms) = (claim.timestamp.ms, rules.now_ms);
    let late_ms = match claim.expires_s {
        None => SKEW_MAX_MS,
        Some(s) if (1..=EXPIRES_MAX_S).contains(&s) => i64::from(s) * 1000,
        Some(_) => {
            let text = format!("X-Amz-Expires must be between 1 and {EXPIRES_MAX_S} seconds");
            return Err(AuthError::new(AuthErrorKind::MalformedQuery, text));
        }
    };
    let signed = &claim.timestamp.text;
    if signed_ms > now_ms + SKEW_MAX_MS {
        let now = timestamp::text(now_ms);
        let text = format!(
            "Signature not yet current: {signed} is still later than {now} (the server's time + 15 min.)"
        );
        return Err(AuthError::new(AuthErrorKind::Skewed, text));
    }
    if now_ms > signed_ms + late_ms {
        let now = timestamp::text(now_ms);
        let kind = if claim.is_presigned() { AuthErrorKind::Expired } else { AuthErrorKind::Skewed };
        return Err(AuthError::new(
            kind,
            format!("Signature expired: {signed} is now earlier than {now} (the server's time)."),
        ));
    }
    Ok(())
}

fn opened(
    parts: &mut Parts,
    claim: &Claim,
    key: SigningKey,
    payload: Payload,
    raw: Raw,
) -> Result<Body, AuthError> {
    let announced = |parts: &Parts| Announced::of(parts);
    let signer =
        || ChunkSigner::new(key.clone(), &claim.timestamp.text, &claim.scope.text(), &claim.signature);
    let (signer, announced) = match payload {
        Payload::Hash(hash) => return Body::hashed(raw, hash).ok_or_else(payload::mismatch),
        Payload::Unsigned => return Ok(Body::unsigned(raw)),
        Payload::SignedChunks => (Some(signer()), None),
        Payload::SignedChunksTrailer => (Some(signer()), Some(announced(parts)?)),
        Payload::UnsignedTrailer => (None, Some(announced(parts)?)),
    };
    let length = strip::chunked(parts)?;
    let trailers = Trailers::default();
    parts.extensions.insert(trailers.clone());
    Ok(Body::chunked(raw, Chunked::new(length, signer, announced, trailers)))
}
