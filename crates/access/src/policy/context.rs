//! What conditions and variables of a policy ask of a request: its keys and their values.
//!
//! | filled for | keys |
//! |---|---|
//! | every request | `aws:CurrentTime`, `aws:EpochTime`, `aws:RequestedRegion`, `aws:ResourceAccount`, `aws:SecureTransport`, `aws:ViaAWSService`, `aws:PrincipalIsAWSService` |
//! | the root, users and role sessions | `aws:PrincipalArn` (of a session, its role), `aws:PrincipalAccount`, `aws:PrincipalType`, `aws:userid` |
//! | the root and users | `aws:SourceIp` |
//! | users | `aws:username` |
//! | users and role sessions | `aws:PrincipalTag/…` |
//! | sessions that users assumed | `aws:TokenIssueTime` |
//! | `sts:AssumeRole` | `sts:ExternalId`, `sts:RoleSessionName`, `sts:TransitiveTagKeys` |
//! | services, and sessions that act for them | `aws:SourceArn` and `aws:SourceAccount` (of the job), `aws:PrincipalServiceName` |
//! | requests with tags | `aws:RequestTag/…`, `aws:TagKeys` |
//! | resources with tags | `aws:ResourceTag/…`; of IAM also `iam:ResourceTag/…` |
//! | `iam:PassRole` | `iam:PassedToService` |
//! | IAM operations that attach policies | `iam:PolicyARN` |
//! | `s3:ListBucket` | `s3:prefix`, `s3:delimiter`, `s3:max-keys` |
//! | S3 requests with the header | `s3:x-amz-acl`, `s3:x-amz-copy-source`, `s3:x-amz-metadata-directive`, `s3:x-amz-server-side-encryption`, `s3:x-amz-server-side-encryption-aws-kms-key-id`, `s3:x-amz-storage-class` |
//!
//! All others are missing from every request, which is what AWS does with keys that do not apply.

use std::borrow::Cow;
use std::net::IpAddr;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Request;
use crate::Peer;

/// What a request says of itself, beyond who asks for which action on what; nothing for most.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Where the caller is; a job has no address, as it acts from inside.
    peer: Option<Peer>,
    /// Whether its entries stand before what is known of the caller.
    is_simulated: bool,
    // Keys in lower case, as policies may write them in any.
    entries: Vec<(String, Vec<String>)>,
}

impl Context {
    /// A request that comes from somewhere; `None` for what the server asks by itself.
    pub fn from_peer(peer: Option<Peer>) -> Context {
        Context { peer, ..Context::default() }
    }

    /// A request that nobody makes: any key may be given a value, also one that says who calls, or when.
    pub fn simulated() -> Context {
        Context { is_simulated: true, ..Context::default() }
    }

    /// Adds a value of a key such as `s3:prefix`; a key may have several.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Context {
        let key = key.to_ascii_lowercase();
        match self.entries.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value.into()),
            None => self.entries.push((key, vec![value.into()])),
        }
        self
    }

    /// Adds tags under a family of keys such as `aws:ResourceTag`.
    #[must_use]
    pub fn with_tags<'t>(self, family: &str, tags: impl IntoIterator<Item = (&'t str, &'t str)>) -> Context {
        tags.into_iter().fold(self, |context, (key, value)| context.with(&format!("{family}/{key}"), value))
    }

    /// Adds the tags that a request brings.
    #[must_use]
    pub fn with_request_tags<'t>(self, tags: impl Iterator<Item = (&'t str, &'t str)> + Clone) -> Context {
        let keys = tags.clone().map(|(key, _)| key);
        keys.fold(self, |context, key| context.with("aws:TagKeys", key)).with_tags("aws:RequestTag", tags)
    }
}

/// Where and when a request is decided.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'a> {
    pub region: &'a str,
    pub account: &'a str,
    pub now_ms: i64,
    /// Whether clients reach the server over TLS, where the request itself does not say.
    pub is_secure: bool,
}

/// The values of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Values<'a> {
    Missing,
    One(Cow<'a, str>),
    Many(&'a [String]),
}

impl Values<'_> {
    pub(super) fn any(&self, matches: impl Fn(&str) -> bool) -> bool {
        match self {
            Values::Missing => false,
            Values::One(value) => matches(value),
            Values::Many(values) => values.iter().any(|value| matches(value)),
        }
    }
}

impl<'a> Values<'a> {
    fn text(text: impl Into<Cow<'a, str>>) -> Values<'a> {
        Values::One(text.into())
    }

    fn truth(is_true: bool) -> Values<'a> {
        Values::text(if is_true { "true" } else { "false" })
    }
}

impl<'a> Request<'a> {
    /// What the request has under a key, which is given in lower case.
    pub(super) fn values(&self, key: &str) -> Values<'a> {
        let (caller, around) = (self.caller, self.surroundings);
        let found = |text: Option<Cow<'a, str>>| text.map_or(Values::Missing, Values::One);
        if self.context.is_some_and(|context| context.is_simulated) {
            let given = self.own_values(key);
            if given != Values::Missing {
                return given;
            }
        }
        match key {
            "aws:principalarn" => found(caller.arn().map(|arn| arn.as_str().into())),
            "aws:principalaccount" => found(caller.arn().map(|arn| arn.account().into())),
            "aws:principaltype" => found(caller.kind().map(Cow::from)),
            "aws:principalisawsservice" => Values::truth(caller.service_name().is_some()),
            "aws:principalservicename" => found(caller.service_name().map(Cow::from)),
            "aws:userid" => found(caller.user_id()),
            "aws:username" => found(caller.user_name().map(Cow::from)),
            "aws:sourcearn" => found(caller.source().map(|arn| arn.as_str().into())),
            "aws:sourceaccount" => found(caller.source().map(|arn| arn.account().into())),
            "aws:sourceip" => found(self.source_ip().map(|ip| ip.to_string().into())),
            "aws:currenttime" => found(written(around.now_ms).map(Cow::from)),
            "aws:epochtime" => Values::text(around.now_ms.div_euclid(1000).to_string()),
            "aws:requestedregion" => Values::text(around.region),
            "aws:resourceaccount" => Values::text(around.account),
            "aws:tokenissuetime" => found(caller.token_issued_ms().and_then(written).map(Cow::from)),
            "aws:securetransport" => {
                Values::truth(self.peer().map_or(around.is_secure, |peer| peer.is_secure))
            }
            "aws:viaawsservice" => Values::truth(false),
            _ => match key.strip_prefix("aws:principaltag/") {
                Some(tag) => found(caller.tag(tag).map(Cow::from)),
                None => self.own_values(key),
            },
        }
    }

    /// Whether the request has a value under a key, which is given in lower case.
    pub fn has(&self, key: &str) -> bool {
        self.values(key) != Values::Missing
    }

    fn own_values(&self, key: &str) -> Values<'a> {
        let entry = self.context.and_then(|context| context.entries.iter().find(|(known, _)| known == key));
        match entry.map(|(_, values)| values.as_slice()) {
            None | Some([]) => Values::Missing,
            Some([value]) => Values::text(value.as_str()),
            Some(values) => Values::Many(values),
        }
    }

    fn peer(&self) -> Option<Peer> {
        self.context?.peer
    }

    fn source_ip(&self) -> Option<IpAddr> {
        self.peer().filter(|_| self.caller.service_name().is_none()).map(|peer| peer.address.to_canonical())
    }
}

fn written(now_ms: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(now_ms.div_euclid(1000)).ok()?.format(&Rfc3339).ok()
}

/// Keys that can have one value in a request, in lower case: what variables may stand for.
const SINGLE: [&str; 26] = [
    "aws:currenttime",
    "aws:epochtime",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalisawsservice",
    "aws:principalservicename",
    "aws:principaltype",
    "aws:requestedregion",
    "aws:resourceaccount",
    "aws:securetransport",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:userid",
    "aws:username",
    "aws:viaawsservice",
    "iam:passedtoservice",
    "iam:policyarn",
    "s3:delimiter",
    "s3:max-keys",
    "s3:prefix",
    "s3:x-amz-acl",
    "s3:x-amz-copy-source",
    "s3:x-amz-server-side-encryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "s3:x-amz-storage-class",
];

/// Families of keys that end in the key of a tag.
const TAGS: [&str; 4] = ["aws:principaltag/", "aws:requesttag/", "aws:resourcetag/", "iam:resourcetag/"];

/// Whether requests may have one value under this key, which is given in lower case.
pub(super) fn is_single(key: &str) -> bool {
    SINGLE.contains(&key)
        || TAGS.iter().any(|family| key.strip_prefix(family).is_some_and(|tag| !tag.is_empty()))
}

/// The keys of AWS that are never filled here. Source: "AWS global condition context keys".
#[rustfmt::skip]
const GLOBAL: [&str; 33] = [
    "aws:assumedroot", "aws:calledvia", "aws:calledviafirst", "aws:calledvialast", "aws:chatbotsourcearn",
    "aws:ec2instancesourceprivateipv4", "aws:ec2instancesourcevpc", "aws:federatedprovider",
    "aws:multifactorauthage", "aws:multifactorauthpresent", "aws:principalorgid", "aws:principalorgpaths",
    "aws:principalservicenameslist", "aws:referer", "aws:resourceorgid", "aws:resourceorgpaths",
    "aws:signinsessionarn", "aws:sourceidentity", "aws:sourceorgid", "aws:sourceorgpaths", "aws:sourceowner",
    "aws:sourcevpc", "aws:sourcevpcarn", "aws:sourcevpce", "aws:tagkeys", "aws:tokenissuetime", "aws:useragent",
    "aws:vpceaccount", "aws:vpceorgid", "aws:vpceorgpaths", "aws:vpcsourceip", "aws:viaawsmcpservice",
    "aws:calledviaawsmcp",
];

/// Reads the key of a condition into lower case.
///
/// The keys of AWS itself are known; of other services they have the form `service:key`.
pub(super) fn parse_key(text: &str) -> Option<String> {
    let key = text.to_ascii_lowercase();
    let (service, name) = key.split_once(':')?;
    let is_service = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let has_form = !service.is_empty()
        && service.bytes().all(is_service)
        && !name.is_empty()
        && !name.ends_with('/')
        && !name.contains(['*', '?', '$'])
        && !name.chars().any(char::is_control)
        && (name.contains('/') || !name.contains(char::is_whitespace));
    let is_known = service != "aws" || is_single(&key) || GLOBAL.contains(&key.as_str());
    (has_form && is_known).then_some(key)
}
