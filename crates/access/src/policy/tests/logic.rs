//! The evaluation logic case by case, by hand from "Policy evaluation logic" and the pages about the elements.
//!
//! A policy is written in short: statements apart by ` ; `, each `+` or `-` for its effect, then actions, resources of
//! the bucket `b` (`b/k` for `arn:aws:s3:::b/k`) and, behind `@`, whom it means. `!` makes an element its `Not…`, and
//! `?` begins a condition.

use serde_json::{Value, json};

use super::*;
use crate::Reason;
use crate::permission::{both, either};

const ALLOWED: Option<Reason> = None;
const NO_OWN: Option<Reason> = Some(Reason::NoIdentityPolicy);
const NO_BUCKET: Option<Reason> = Some(Reason::NoResourcePolicy);
const OWN_DENY: Option<Reason> = Some(Reason::DeniedByIdentityPolicy);
const BUCKET_DENY: Option<Reason> = Some(Reason::DeniedByResourcePolicy);

/// Who asks, the caller's own policy, the bucket's policy, what is asked, and the outcome.
pub(super) type Case = (Who, &'static str, &'static str, &'static str, Option<Reason>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    User,
    /// A job in the session of its role.
    Job,
}

use Who::{Job, User as Ann};

#[rustfmt::skip]
pub(super) const CASES: [Case; 121] = [
    // Nothing is allowed that nobody allows.
    (Ann, "", "", "s3:GetObject b/k", NO_OWN),
    (Job, "", "", "s3:GetObject b/k", NO_OWN),
    (Ann, "+s3:PutObject *", "", "s3:GetObject b/k", NO_OWN),
    (Ann, "+s3:GetObject b/x", "", "s3:GetObject b/k", NO_OWN),
    (Ann, "+s3:GetObject b/k", "", "s3:GetObject b/k", ALLOWED),
    (Ann, "+s3:PutObject *", "+s3:PutObject b/* @ann", "s3:GetObject b/k", NO_OWN),
    // An explicit deny wins, wherever it stands.
    (Ann, "+* * ; -s3:GetObject b/k", "", "s3:GetObject b/k", OWN_DENY),
    (Ann, "-s3:GetObject b/k ; +* *", "", "s3:GetObject b/k", OWN_DENY),
    (Ann, "-s3:* b/* ; +s3:GetObject b/k", "", "s3:GetObject b/k", OWN_DENY),
    (Ann, "-s3:GetObject b/x ; +* *", "", "s3:GetObject b/k", ALLOWED),
    (Ann, "+* *", "-s3:* b/* @*", "s3:GetObject b/k", BUCKET_DENY),
    (Ann, "+* *", "-s3:* b/* @ann", "s3:GetObject b/k", BUCKET_DENY),
    (Ann, "+* *", "-s3:* b/* @bob", "s3:GetObject b/k", ALLOWED),
    (Ann, "-* *", "+s3:* b/* @ann", "s3:GetObject b/k", OWN_DENY),
    (Ann, "-* *", "-s3:* b/* @ann", "s3:GetObject b/k", OWN_DENY),
    (Ann, "", "-s3:* b/* @ann", "s3:GetObject b/k", BUCKET_DENY),
    (Ann, "", "+s3:* b/* @ann ; -s3:GetObject b/k @ann", "s3:GetObject b/k", BUCKET_DENY),
    (Ann, "+* *", "-s3:* b/* @account", "s3:GetObject b/k", BUCKET_DENY),
    (Job, "+* *", "+s3:* b/* @service ; -s3:* b/* @role", "s3:GetObject b/k", BUCKET_DENY),
    (Job, "+* *", "+s3:* b/* @service ; -s3:* b/* @session", "s3:GetObject b/k", BUCKET_DENY),
    (Job, "+* *", "+s3:* b/* @service ; -s3:* b/* @account", "s3:GetObject b/k", BUCKET_DENY),
    (Job, "+* * ; -s3:GetObject *", "+s3:* b/* @service", "s3:GetObject b/k", OWN_DENY),
    (Job, "+* *", "+s3:* b/* @service ; -s3:* b/x @*", "s3:GetObject b/k", ALLOWED),
    // Within one account either policy allows a user.
    (Ann, "", "+s3:GetObject b/k @ann", "s3:GetObject b/k", ALLOWED),
    (Ann, "", "+s3:GetObject b/k @*", "s3:GetObject b/k", ALLOWED),
    (Ann, "", "+s3:GetObject b/k @bob", "s3:GetObject b/k", NO_OWN),
    (Ann, "", "+s3:GetObject b/k @bob,ann", "s3:GetObject b/k", ALLOWED),
    (Ann, "", "+s3:GetObject b/k @service", "s3:GetObject b/k", NO_OWN),
    (Ann, "", "+s3:GetObject b/k @role", "s3:GetObject b/k", NO_OWN),
    (Ann, "", "+s3:GetObject b/k @other", "s3:GetObject b/k", NO_OWN),
    // A bucket that names the account leaves it to the account's policies.
    (Ann, "", "+s3:GetObject b/k @account", "s3:GetObject b/k", NO_OWN),
    (Ann, "+s3:GetObject *", "+s3:GetObject b/k @account", "s3:GetObject b/k", ALLOWED),
    (Ann, "+s3:GetObject *", "+s3:GetObject b/k @other", "s3:GetObject b/k", ALLOWED),
    // A job needs its role's policy and the bucket's, which must allow the service.
    (Job, "+s3:PutObject b/*", "", "s3:PutObject b/k", NO_BUCKET),
    (Job, "", "+s3:PutObject b/* @service", "s3:PutObject b/k", NO_OWN),
    (Job, "+s3:PutObject b/*", "+s3:PutObject b/* @service", "s3:PutObject b/k", ALLOWED),
    (Job, "+s3:PutObject b/*", "+s3:PutObject b/* @*", "s3:PutObject b/k", ALLOWED),
    (Job, "+s3:PutObject b/*", "+s3:PutObject b/* @role", "s3:PutObject b/k", NO_BUCKET),
    (Job, "+s3:PutObject b/*", "+s3:PutObject b/* @session", "s3:PutObject b/k", NO_BUCKET),
    (Job, "+s3:PutObject b/*", "+s3:PutObject b/* @account", "s3:PutObject b/k", NO_BUCKET),
    (Job, "+s3:PutObject b/*", "+s3:PutObject b/* @forecast", "s3:PutObject b/k", NO_BUCKET),
    (Job, "+s3:PutObject b/*", "+s3:PutObject b/* @forecast,service", "s3:PutObject b/k", ALLOWED),
    (Job, "+s3:PutObject b/*", "+s3:GetObject b/* @service", "s3:PutObject b/k", NO_BUCKET),
    (Job, "+s3:GetObject b/*", "+s3:PutObject b/* @service", "s3:PutObject b/k", NO_OWN),
    (Job, "+s3:PutObject b/x", "+s3:PutObject b/* @service", "s3:PutObject b/k", NO_OWN),
    (Job, "+s3:PutObject b/*", "+s3:PutObject b/x @service", "s3:PutObject b/k", NO_BUCKET),
    (Job, "+s3:PutObject,s3:ListBucket b,b/*", "+s3:PutObject,s3:ListBucket b,b/* @service", "s3:ListBucket b", ALLOWED),
    (Job, "+s3:PutObject,s3:ListBucket b/*", "+s3:PutObject,s3:ListBucket b,b/* @service", "s3:ListBucket b", NO_OWN),
    (Job, "+s3:PutObject,s3:ListBucket b,b/*", "+s3:PutObject,s3:ListBucket b/* @service", "s3:ListBucket b", NO_BUCKET),
    (Job, "+s3:PutObject,s3:ListBucket b", "+s3:PutObject,s3:ListBucket b,b/* @service", "s3:PutObject b/k", NO_OWN),
    // Actions: without case, with wildcards, all but some.
    (Ann, "+S3:getobject *", "", "s3:GetObject b/k", ALLOWED),
    (Ann, "+s3:Get* *", "", "s3:GetObject b/k", ALLOWED),
    (Ann, "+s3:G?tObject *", "", "s3:GetObject b/k", ALLOWED),
    (Ann, "+s3:GetObject? *", "", "s3:GetObject b/k", NO_OWN),
    (Ann, "+s3:*Object *", "", "s3:GetObject b/k", ALLOWED),
    (Ann, "+s3:*Object *", "", "s3:GetObjectTagging b/k", NO_OWN),
    (Ann, "+s3:Get *", "", "s3:GetObject b/k", NO_OWN),
    (Ann, "+s3:* *", "", "kms:Decrypt b/k", NO_OWN),
    (Ann, "+* *", "", "kms:Decrypt b/k", ALLOWED),
    (Ann, "+*:* *", "", "kms:Decrypt b/k", ALLOWED),
    (Ann, "+!s3:PutObject *", "", "s3:GetObject b/k", ALLOWED),
    (Ann, "+!s3:putobject *", "", "s3:PutObject b/k", NO_OWN),
    (Ann, "+!s3:Put*,s3:Get* *", "", "s3:GetObject b/k", NO_OWN),
    (Ann, "+!iam:* *", "", "s3:GetObject b/k", ALLOWED),
    (Ann, "+* * ; -!s3:GetObject *", "", "s3:GetObject b/k", ALLOWED),
    (Ann, "+* * ; -!s3:GetObject *", "", "s3:PutObject b/k", OWN_DENY),
    // Resources: with case, with wildcards, all but some.
    (Ann, "+s3:* b/K", "", "s3:GetObject b/k", NO_OWN),
    (Ann, "+s3:* b/*", "", "s3:GetObject b/x/y/z", ALLOWED),
    (Ann, "+s3:* b/*", "", "s3:ListBucket b", NO_OWN),
    (Ann, "+s3:* b", "", "s3:GetObject b/k", NO_OWN),
    (Ann, "+s3:* b*", "", "s3:GetObject bucket/k", ALLOWED),
    (Ann, "+s3:* b/?", "", "s3:GetObject b/k", ALLOWED),
    (Ann, "+s3:* b/?", "", "s3:GetObject b/kk", NO_OWN),
    (Ann, "+s3:* b/*/k", "", "s3:GetObject b/x/y/k", ALLOWED),
    (Ann, "+s3:* b/*.csv", "", "s3:GetObject b/a.csv.gz", NO_OWN),
    (Ann, "+s3:* b/x,b/k", "", "s3:GetObject b/k", ALLOWED),
    (Ann, "+s3:* !b/k", "", "s3:GetObject b/k", NO_OWN),
    (Ann, "+s3:* !b/x", "", "s3:GetObject b/k", ALLOWED),
    (Ann, "+s3:* !b/x,b/k", "", "s3:GetObject b/k", NO_OWN),
    (Ann, "+s3:* * ; -s3:* !b/home/*", "", "s3:GetObject b/k", OWN_DENY),
    (Ann, "+s3:* * ; -s3:* !b/home/*", "", "s3:GetObject b/home/k", ALLOWED),
    (Ann, "+s3:* b/${aws:username}/*", "", "s3:GetObject b/Ann/k", ALLOWED),
    (Ann, "+s3:* b/${aws:username}/*", "", "s3:GetObject b/Bob/k", NO_OWN),
    (Ann, "+s3:* b/${aws:PrincipalTag/Star}", "", "s3:GetObject b/k", NO_OWN),
    (Ann, "+s3:* b/${aws:PrincipalTag/none,'k'}", "", "s3:GetObject b/k", ALLOWED),
    (Ann, "+s3:* b/${*}", "", "s3:GetObject b/k", NO_OWN),
    (Ann, "+s3:* b/${*}", "", "s3:GetObject b/*", ALLOWED),
    (Job, "+s3:* b/${aws:username}*", "+s3:* b/* @service", "s3:GetObject b/k", NO_OWN),
    // Whom a bucket does not mean.
    (Ann, "+* *", "-s3:* b/* !@ann", "s3:GetObject b/k", ALLOWED),
    (Ann, "+* *", "-s3:* b/* !@bob", "s3:GetObject b/k", BUCKET_DENY),
    (Ann, "+* *", "-s3:* b/* !@account", "s3:GetObject b/k", ALLOWED),
    (Ann, "+* *", "-s3:* b/* !@other", "s3:GetObject b/k", BUCKET_DENY),
    (Ann, "+* *", "-s3:* b/* !@service", "s3:GetObject b/k", BUCKET_DENY),
    (Ann, "", "+s3:* b/* !@bob", "s3:GetObject b/k", ALLOWED),
    (Ann, "", "+s3:* b/* !@ann", "s3:GetObject b/k", NO_OWN),
    (Job, "+* *", "+s3:* b/* @service ; -s3:* b/* !@service", "s3:GetObject b/k", ALLOWED),
    (Job, "+* *", "+s3:* b/* @service ; -s3:* b/* !@role", "s3:GetObject b/k", ALLOWED),
    (Job, "+* *", "+s3:* b/* @service ; -s3:* b/* !@ann", "s3:GetObject b/k", BUCKET_DENY),
    // Conditions: all must hold, any of their values will do; a key that is missing fulfils none but the negated.
    (Ann, r#"+* * ?{"StringEquals":{"aws:username":"Ann"}}"#, "", "s3:GetObject b/k", ALLOWED),
    (Ann, r#"+* * ?{"StringEquals":{"aws:username":["Bob","Ann"]}}"#, "", "s3:GetObject b/k", ALLOWED),
    (Ann, r#"+* * ?{"StringEquals":{"aws:username":"Bob"}}"#, "", "s3:GetObject b/k", NO_OWN),
    (Ann, r#"+* * ?{"StringEquals":{"AWS:USERNAME":"Ann","aws:PrincipalTag/team":"other"}}"#, "", "s3:GetObject b/k", NO_OWN),
    (Ann, r#"+* * ?{"StringEquals":{"AWS:USERNAME":"Ann","aws:PrincipalTag/team":"shop"}}"#, "", "s3:GetObject b/k", ALLOWED),
    (Ann, r#"+* * ?{"StringEquals":{"aws:username":"Ann"},"Bool":{"aws:SecureTransport":"true"}}"#, "", "s3:GetObject b/k", NO_OWN),
    (Ann, r#"+* * ; -* * ?{"Bool":{"aws:SecureTransport":"false"}}"#, "", "s3:GetObject b/k", OWN_DENY),
    (Ann, r#"+* * ; -* * ?{"StringNotEquals":{"aws:username":"Ann"}}"#, "", "s3:GetObject b/k", ALLOWED),
    (Ann, r#"+* * ; -* * ?{"StringNotEquals":{"aws:SourceArn":"x"}}"#, "", "s3:GetObject b/k", OWN_DENY),
    (Ann, r#"+* * ; -* * ?{"StringEquals":{"aws:SourceArn":"x"}}"#, "", "s3:GetObject b/k", ALLOWED),
    (Ann, r#"+* * ?{"StringEqualsIfExists":{"aws:SourceAccount":"x"}}"#, "", "s3:GetObject b/k", ALLOWED),
    (Ann, r#"+* * ?{"Null":{"aws:SourceAccount":"true"}}"#, "", "s3:GetObject b/k", ALLOWED),
    (Job, r#"+* * ?{"Null":{"aws:SourceAccount":"true"}}"#, "+s3:* b/* @service", "s3:GetObject b/k", NO_OWN),
    (Job, "+* *", r#"+s3:* b/* @service ?{"StringEquals":{"aws:SourceAccount":"111122223333"}}"#, "s3:GetObject b/k", ALLOWED),
    (Job, "+* *", r#"+s3:* b/* @service ?{"StringEquals":{"aws:SourceAccount":"444455556666"}}"#, "s3:GetObject b/k", NO_BUCKET),
    (Job, "+* *", r#"+s3:* b/* @service ?{"ArnLike":{"aws:SourceArn":"arn:aws:personalize:*:111122223333:dataset-export-job/*"}}"#, "s3:GetObject b/k", ALLOWED),
    (Job, "+* *", r#"+s3:* b/* @service ?{"ArnLike":{"aws:SourceArn":"arn:aws:personalize:*:dataset-export-job/*:*"}}"#, "s3:GetObject b/k", NO_BUCKET),
    (Job, "+* *", r#"+s3:* b/* @service ; -s3:* b/* @* ?{"Bool":{"aws:PrincipalIsAWSService":"false"}}"#, "s3:GetObject b/k", ALLOWED),
    (Ann, "+* *", r#"-s3:* b/* @* ?{"Bool":{"aws:PrincipalIsAWSService":"false"}}"#, "s3:GetObject b/k", BUCKET_DENY),
    (Ann, "+* *", r#"-s3:* b/* @* ?{"ArnNotEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:user/ops/Ann"}}"#, "s3:GetObject b/k", ALLOWED),
    (Ann, "", r#"+s3:* b/* @* ?{"StringEquals":{"aws:PrincipalAccount":"111122223333"}}"#, "s3:GetObject b/k", ALLOWED),
    (Ann, "", r#"+s3:* b/* @* ?{"StringEquals":{"aws:PrincipalAccount":"444455556666"}}"#, "s3:GetObject b/k", NO_OWN),
    (Ann, r#"+* * ?{"ForAllValues:StringEquals":{"aws:TagKeys":"a"}}"#, "", "s3:GetObject b/k", ALLOWED),
];

#[test]
fn every_case_of_the_evaluation_logic_is_decided_as_documented() {
    for case in CASES {
        let (who, own, bucket, asked, expected) = case;
        let caller = if who == Ann { user() } else { session() };
        let own = policy(own).map(|text| Document::parse_identity_policy(&text.to_string()).unwrap());
        let bucket =
            policy(bucket).map(|text| Document::parse_resource_policy(&text.to_string(), "b").unwrap());
        let (action, resource) = asked.split_once(' ').unwrap();
        let resource = arn_of(resource);
        let (context, surroundings) = (Context::default(), Surroundings::default());
        let request = Request::new(caller, action, &resource).given(surroundings, &context);
        let (by_own, by_bucket) = (decide(&own, &request), decide(&bucket, &request));
        let combine = if who == Ann { either } else { both };
        assert_eq!(combine(&by_own, &by_bucket), expected, "{case:?}");
    }
}

/// The policy that a short form stands for; `None` for none.
pub(super) fn policy(short: &str) -> Option<Value> {
    let statements: Vec<Value> = short.split(" ; ").filter(|text| !text.is_empty()).map(statement).collect();
    (!statements.is_empty()).then(|| json!({ "Version": "2012-10-17", "Statement": statements }))
}

fn statement(short: &str) -> Value {
    let (short, condition) =
        short.split_once(" ?").map_or((short, None), |(s, condition)| (s, Some(condition)));
    let mut words = short.split(' ');
    let (effect, actions) = words.next().unwrap().split_at(1);
    let mut statement = json!({ "Effect": if effect == "+" { "Allow" } else { "Deny" } });
    put(&mut statement, "Action", actions, |actions| json!(actions.split(',').collect::<Vec<_>>()));
    put(&mut statement, "Resource", words.next().unwrap(), |resources| {
        // The comma of a variable's default is none between resources.
        let resources = resources
            .replace(",'", "\u{1}")
            .split(',')
            .map(|r| arn_of(&r.replace('\u{1}', ",'")))
            .collect::<Vec<_>>();
        json!(resources)
    });
    if let Some(names) = words.next() {
        put(&mut statement, "Principal", &names.replace('@', ""), principal);
    }
    if let Some(condition) = condition {
        statement["Condition"] = serde_json::from_str(condition).unwrap();
    }
    statement
}

fn put(statement: &mut Value, name: &str, text: &str, read: impl Fn(&str) -> Value) {
    let (name, text) = match text.strip_prefix('!') {
        Some(text) => (format!("Not{name}"), text),
        None => (name.to_owned(), text),
    };
    statement[name] = read(text);
}

fn principal(names: &str) -> Value {
    if names == "*" {
        return json!("*");
    }
    let mut principal = json!({});
    for name in names.split(',') {
        let (kind, name) = match name {
            "ann" => ("AWS", "arn:aws:iam::111122223333:user/ops/Ann"),
            "bob" => ("AWS", "arn:aws:iam::111122223333:user/Bob"),
            "account" => ("AWS", "111122223333"),
            "other" => ("AWS", "444455556666"),
            "role" => ("AWS", "arn:aws:iam::111122223333:role/Export"),
            "session" => ("AWS", "arn:aws:sts::111122223333:assumed-role/Export/nightly"),
            "service" => ("Service", SERVICE),
            "forecast" => ("Service", "forecast.amazonaws.com"),
            other => panic!("{other}"),
        };
        let mut known = principal[kind].as_array().cloned().unwrap_or_default();
        known.push(json!(name));
        principal[kind] = json!(known);
    }
    principal
}

pub(super) fn arn_of(short: &str) -> String {
    if short == "*" { "*".to_owned() } else { format!("arn:aws:s3:::{short}") }
}
