//! What a request says of its own signature: who, when, for which service, over which headers.

use http::HeaderMap;
use http::header::{AUTHORIZATION, DATE};
use http::request::Parts;

use super::canonical::Query;
use super::refusal::{AuthError, AuthErrorKind};
use super::timestamp::Timestamp;

pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";

/// The credential scope of a signature, as claimed by the request and not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    pub access_key_id: String,
    /// `yyyymmdd`.
    pub date: String,
    pub region: String,
    pub service: String,
}

impl Scope {
    // Access key ids hold no slash, so the five parts are unambiguous.
    fn parse(text: &str) -> Option<Scope> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            [key, date, region, service, TERMINATOR] if !key.is_empty() && !service.is_empty() => {
                Some(Scope {
                    access_key_id: (*key).to_owned(),
                    date: (*date).to_owned(),
                    region: (*region).to_owned(),
                    service: (*service).to_owned(),
                })
            }
            _ => None,
        }
    }

    /// The scope without the key, as it is signed.
    pub(super) fn text(&self) -> String {
        format!("{}/{}/{}/{TERMINATOR}", self.date, self.region, self.service)
    }
}

/// Reads whom a request claims to come from; `None` when it carries no signature at all.
///
/// # Errors
/// When the signature can't be read, is of another algorithm, or stands in several places.
pub fn scope(parts: &Parts) -> Result<Option<Scope>, AuthError> {
    Ok(Claim::read(parts)?.map(|claim| claim.scope))
}

/// A signature and all that it says of itself.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub scope: Scope,
    pub signed_headers: Vec<String>,
    pub signature: String,
    pub timestamp: Timestamp,
    /// How long a presigned address lives, in seconds; `None` for signatures in the Authorization header.
    pub expires_s: Option<u32>,
}

impl Claim {
    pub fn read(parts: &Parts) -> Result<Option<Claim>, AuthError> {
        if !parts.uri.path().starts_with('/') {
            return Err(AuthError::incomplete("The request target must be a path."));
        }
        let header = single(&parts.headers, AUTHORIZATION.as_str())?;
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let is_presigned =
            query.has("X-Amz-Algorithm") || query.has("X-Amz-Credential") || query.has("X-Amz-Signature");
        match (header, is_presigned) {
            // Version 2, which boto3 still presigns with unless told otherwise.
            (None, false) if query.has("AWSAccessKeyId") => Err(unsupported()),
            (None, false) => Ok(None),
            (Some(header), false) => Claim::from_header(header, &parts.headers).map(Some),
            (None, true) => Claim::from_query(&query).map(Some),
            (Some(_), true) => Err(AuthError::new(
                AuthErrorKind::Ambiguous,
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter or the Authorization header \
                 should be specified",
            )),
        }
    }

    fn from_header(text: &str, headers: &HeaderMap) -> Result<Claim, AuthError> {
        let (algorithm, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        check_algorithm(algorithm)?;
        let mut fields = Fields::default();
        for field in rest.split(',') {
            fields.take(field.trim())?;
        }
        let scope = Scope::parse(fields.credential.ok_or_else(|| lacks("Credential"))?);
        let timestamp = match single(headers, "x-amz-date")? {
            Some(text) => Timestamp::basic(text),
            None => single(headers, DATE.as_str())?.and_then(Timestamp::date),
        };
        Ok(Claim {
            scope: scope.ok_or_else(|| {
                AuthError::incomplete("Credential must have exactly 5 slash-delimited elements.")
            })?,
            signed_headers: header_names(fields.signed_headers.ok_or_else(|| lacks("SignedHeaders"))?)?,
            signature: fields.signature.ok_or_else(|| lacks("Signature"))?.to_owned(),
            timestamp: timestamp.ok_or_else(|| {
                AuthError::incomplete(
                    "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
                )
            })?,
            expires_s: None,
        })
    }

    fn from_query(query: &Query) -> Result<Claim, AuthError> {
        check_algorithm(&query.single("X-Amz-Algorithm")?)?;
        let scope = Scope::parse(&query.single("X-Amz-Credential")?);
        let timestamp = Timestamp::basic(&query.single("X-Amz-Date")?);
        let expires = query.single("X-Amz-Expires")?.parse::<u32>().ok();
        Ok(Claim {
            scope: scope.ok_or_else(|| malformed("X-Amz-Credential"))?,
            signed_headers: header_names(&query.single("X-Amz-SignedHeaders")?)?,
            signature: query.single("X-Amz-Signature")?,
            timestamp: timestamp.ok_or_else(|| malformed("X-Amz-Date"))?,
            expires_s: Some(expires.ok_or_else(|| malformed("X-Amz-Expires"))?),
        })
    }

    pub fn is_presigned(&self) -> bool {
        self.expires_s.is_some()
    }

    pub fn signs(&self, header: &str) -> bool {
        self.signed_headers.iter().any(|name| name == header)
    }
}

/// The fields of an Authorization header, each at most once.
#[derive(Default)]
struct Fields<'a> {
    credential: Option<&'a str>,
    signed_headers: Option<&'a str>,
    signature: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn take(&mut self, field: &'a str) -> Result<(), AuthError> {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        let place = match name {
            "Credential" => &mut self.credential,
            "SignedHeaders" => &mut self.signed_headers,
            "Signature" => &mut self.signature,
            _ => return Err(AuthError::incomplete("Authorization header holds a part that is not known.")),
        };
        match place.replace(value) {
            None if !value.is_empty() => Ok(()),
            _ => Err(AuthError::incomplete(format!("Authorization header requires one '{name}' parameter."))),
        }
    }
}

/// The value of a header that may stand at most once.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, AuthError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(AuthError::incomplete(format!("The header '{name}' stands more than once.")));
    }
    let read = |v: &'a http::HeaderValue| {
        v.to_str().map_err(|_| AuthError::incomplete(format!("The header '{name}' is not text.")))
    };
    first.map(read).transpose()
}

fn check_algorithm(algorithm: &str) -> Result<(), AuthError> {
    if algorithm == ALGORITHM { Ok(()) } else { Err(unsupported()) }
}

fn unsupported() -> AuthError {
    let text = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256 \
                (boto3 presigns with it when told: Config(signature_version='s3v4')).";
    AuthError::new(AuthErrorKind::UnsupportedAlgorithm, text)
}

// Signers write lower-case names in order; the order is theirs to sign, so only the form is checked.
fn header_names(text: &str) -> Result<Vec<String>, AuthError> {
    let names: Vec<String> = text.split(';').map(str::to_owned).collect();
    let is_name =
        |n: &String| !n.is_empty() && !n.bytes().any(|b| b.is_ascii_uppercase() || b.is_ascii_whitespace());
    let is_repeated = |(n, name): (usize, &String)| names[..n].contains(name);
    if names.len() > 100 || !names.iter().all(is_name) || names.iter().enumerate().any(is_repeated) {
        return Err(AuthError::incomplete("SignedHeaders must list lower-case header names, each once."));
    }
    Ok(names)
}

fn lacks(part: &str) -> AuthError {
    AuthError::incomplete(format!("Authorization header requires '{part}' parameter."))
}

fn malformed(parameter: &str) -> AuthError {
    AuthError::new(AuthErrorKind::MalformedQuery, format!("The query parameter {parameter} can't be read."))
}
