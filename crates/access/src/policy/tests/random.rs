//! Random policies and requests, decided by the evaluator and by a naive one that reads the JSON itself.

mod naive;

use model::clock::{Clock, SimulatedClock};
use serde_json::{Value, json};

use super::*;
use crate::Reason;
use crate::permission::{both, either};

/// Sets of policies; each decides several requests, about what the caller's own policies say, and what the bucket's.
/// `LADE_POLICY_SETS` plays more of them.
const SETS: u64 = 65_000;
const REQUESTS: u64 = 8;
const THREADS: u64 = 2;

const ACTIONS: [&str; 9] = [
    "s3:GetObject",
    "s3:PutObject",
    "S3:LISTBUCKET",
    "s3:Get*",
    "s3:?utObject",
    "s3:*Object",
    "S3:*",
    "*",
    "s3:P*t*",
];
const IN_BUCKET: [&str; 10] = [
    "arn:aws:s3:::b/${aws:username}",
    "arn:aws:s3:::b/${aws:PrincipalTag/Star}/k",
    "arn:aws:s3:::b/${s3:prefix, 'x'}/${?}*",
    "arn:aws:s3:::b",
    "arn:aws:s3:::b/*",
    "arn:aws:s3:::b/x/*",
    "arn:aws:s3:::b/?/k",
    "arn:aws:s3:::b/x/k",
    "arn:aws:s3:::b/*k",
    "arn:aws:s3:::b/*/*",
];
const ANYWHERE: [&str; 4] = ["*", "arn:aws:s3:::*", "arn:aws:s3:::b*", "arn:aws:s3:::?/x/?"];
const NAMES: [(&str, &str); 9] = [
    ("AWS", "arn:aws:iam::111122223333:user/ops/Ann"),
    ("AWS", "*"),
    ("AWS", "111122223333"),
    ("AWS", "arn:aws:iam::111122223333:root"),
    ("AWS", "arn:aws:iam::111122223333:role/Export"),
    ("AWS", "arn:aws:sts::111122223333:assumed-role/Export/nightly"),
    ("AWS", "arn:aws:iam::444455556666:root"),
    ("Service", "personalize.amazonaws.com"),
    ("Service", "forecast.amazonaws.com"),
];
const ASKED_ACTIONS: [&str; 4] = ["s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject"];
const ASKED_RESOURCES: [&str; 9] = [
    "arn:aws:s3:::b/Ann",
    "arn:aws:s3:::b/*/k",
    "arn:aws:s3:::b/home/?x",
    "arn:aws:s3:::b",
    "arn:aws:s3:::b/k",
    "arn:aws:s3:::b/x/k",
    "arn:aws:s3:::b/y/k",
    "arn:aws:s3:::c/x/k",
    "arn:aws:s3:::b/x/y/z",
];

/// Operators that compare alike, the keys that they are asked of, and the values that they want.
const CONDITIONS: [(&[&str], &[&str], &[&str]); 8] = [
    (
        &[
            "StringEquals",
            "StringNotEquals",
            "StringEqualsIgnoreCase",
            "StringNotEqualsIgnoreCase",
            "StringLike",
            "StringNotLike",
        ],
        &[
            "aws:username",
            "AWS:PrincipalTag/TEAM",
            "s3:Prefix",
            "aws:TagKeys",
            "aws:SourceAccount",
            "aws:RequestTag/a",
            "aws:PrincipalType",
            "aws:PrincipalAccount",
            "aws:PrincipalServiceName",
            "aws:userid",
        ],
        &[
            "User",
            "AROAEXPORT:*",
            "Ann",
            "ann",
            "A*",
            "*",
            "?",
            "a",
            "B",
            "shop",
            "home/${aws:username}/*",
            "${*}",
            "${aws:PrincipalTag/Star}",
            "${s3:prefix}",
            "${aws:RequestTag/a, 'Ann'}",
            "111122223333",
            "${$}",
            "",
        ],
    ),
    (
        &["ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"],
        &["aws:SourceArn", "aws:PrincipalArn", "aws:username"],
        &[
            "arn:aws:personalize:*:111122223333:*",
            "arn:aws:iam::111122223333:user/*",
            "arn:aws:iam::*:*",
            "arn:aws:personalize:us-east-1:444455556666:*",
            "${aws:PrincipalArn}",
            "arn:*:*:*:*:*",
            "arn:aws:*::*:?oot",
        ],
    ),
    (
        &[
            "NumericEquals",
            "NumericNotEquals",
            "NumericLessThan",
            "NumericLessThanEquals",
            "NumericGreaterThan",
            "NumericGreaterThanEquals",
        ],
        &["s3:max-keys", "aws:EpochTime", "s3:prefix"],
        &["5", "5.0", "10", "-1", "1780000000"],
    ),
    (
        &[
            "DateEquals",
            "DateNotEquals",
            "DateLessThan",
            "DateLessThanEquals",
            "DateGreaterThan",
            "DateGreaterThanEquals",
        ],
        &["aws:CurrentTime", "aws:EpochTime", "s3:prefix"],
        &["2026-01-01T00:00:00Z", "2026-06-01", "1780000000", "2026-05-28T22:26:40+02:00"],
    ),
    (&["BinaryEquals"], &["s3:prefix", "aws:RequestTag/a", "aws:TagKeys"], &["Kg==", "NQ==", "QW5u", ""]),
    (
        &["Bool"],
        &["aws:SecureTransport", "aws:PrincipalIsAWSService", "aws:MultiFactorAuthPresent"],
        &["true", "FALSE"],
    ),
    (
        &["IpAddress", "NotIpAddress"],
        &["aws:SourceIp", "aws:username"],
        &["10.0.0.0/8", "10.1.2.3", "0.0.0.0/0", "2001:db8::/32", "::1", "10.1.2.2/31"],
    ),
    (&["Null"], &["aws:username", "aws:TagKeys", "aws:SourceArn", "s3:prefix"], &["true", "false"]),
];
const ADDRESSES: [&str; 5] = ["10.1.2.3", "192.168.0.1", "2001:db8::7", "::ffff:10.9.9.9", "::1"];

#[test]
fn random_policies_are_decided_as_a_naive_evaluator_decides() {
    let seed = std::env::var("LADE_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_115);
    let sets = std::env::var("LADE_POLICY_SETS").ok().and_then(|s| s.parse().ok()).unwrap_or(SETS);
    println!("seed {seed}");
    let seen = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|n| scope.spawn(move || compare(seed + n, sets / THREADS))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .fold([0u64; 3], |all, some| [all[0] + some[0], all[1] + some[1], all[2] + some[2]])
    });
    let pairs: u64 = seen.iter().sum();
    assert!(pairs >= 2 * REQUESTS * (sets / THREADS) * THREADS, "{pairs} pairs");
    assert!(seen.iter().all(|count| *count > pairs / 20), "the cases are lopsided: {seen:?}");
}

/// How many requests were allowed, denied and not allowed.
fn compare(seed: u64, sets: u64) -> [u64; 3] {
    let chance = Chance(SimulatedClock::new(0, seed));
    let mut seen = [0u64; 3];
    for set in 0..sets {
        let at = format!("seed {seed} set {set}");
        let own = chance.policies(false);
        let bucket = chance.policies(true);
        let parse = |text: &Value| Document::parse_identity_policy(&text.to_string());
        let own_documents = documents(&own, parse, &at);
        let bucket_documents =
            documents(&bucket, |text| Document::parse_resource_policy(&text.to_string(), "b"), &at);
        for _ in 0..REQUESTS {
            let (caller, names) = chance.caller();
            let (action, resource) = (chance.one(&ASKED_ACTIONS), chance.one(&ASKED_RESOURCES));
            let now_ms = if chance.below(2) == 0 { 1_780_000_000_000 } else { 1_760_000_000_000 };
            let (context, pairs) = chance.context();
            let surroundings =
                Surroundings { region: "us-east-1", account: "111122223333", now_ms, is_secure: false };
            let request = Request::new(caller, action, resource).given(surroundings, &context);
            let world = naive::World::new(&names, pairs, now_ms);
            let decided = [decide(&own_documents, &request), decide(&bucket_documents, &request)];
            let expected =
                [&own, &bucket].map(|texts| naive::decide(texts, &names, action, resource, &world));
            for (found, expected) in decided.iter().zip(expected) {
                let found = number(found);
                seen[found] += 1;
                assert_eq!(
                    found,
                    expected,
                    "{at}: {names:?} {action} {resource} {world:?} {} {}",
                    json!(own),
                    json!(bucket)
                );
            }
            let together = |reason: Option<Reason>| reason.map_or(0, |r| if r.is_explicit() { 1 } else { 2 });
            let [by_own, by_bucket] = &decided;
            let found = [either(by_own, by_bucket), both(by_own, by_bucket)].map(together);
            assert_eq!(found, naive::together(expected), "{at}: {decided:?}");
        }
    }
    seen
}

fn documents(texts: &[Value], parse: impl Fn(&Value) -> Result<Document>, at: &str) -> Vec<Document> {
    let parsed: Result<Vec<Document>> = texts.iter().map(parse).collect();
    parsed.unwrap_or_else(|e| panic!("{at}: {e}: {texts:?}"))
}

fn number(decision: &Decision) -> usize {
    match decision {
        Decision::Allow => 0,
        Decision::ExplicitDeny { .. } => 1,
        Decision::NotAllowed => 2,
    }
}

struct Chance(SimulatedClock);

impl Chance {
    fn below(&self, n: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % n
    }

    fn one<'a>(&self, pool: &[&'a str]) -> &'a str {
        pool[usize::try_from(self.below(pool.len() as u64)).unwrap()]
    }

    fn some(&self, pool: &[&str]) -> Value {
        match self.below(3) {
            0 => json!(self.one(pool)),
            n => json!((0..n).map(|_| self.one(pool)).collect::<Vec<_>>()),
        }
    }

    fn policies(&self, is_resource_policy: bool) -> Vec<Value> {
        (0..=self.below(3)).map(|_| self.policy(is_resource_policy)).collect()
    }

    fn policy(&self, is_resource_policy: bool) -> Value {
        let statements: Vec<Value> =
            (0..=self.below(3)).map(|_| self.statement(is_resource_policy)).collect();
        let mut policy = match statements.as_slice() {
            [one] => json!({ "Statement": one }),
            all => json!({ "Statement": all }),
        };
        if self.below(4) > 0 {
            policy["Version"] = json!(self.one(&["2012-10-17", "2012-10-17", "2008-10-17"]));
        }
        policy
    }

    fn statement(&self, is_resource_policy: bool) -> Value {
        let mut statement = json!({ "Effect": if self.below(4) == 0 { "Deny" } else { "Allow" } });
        let mut put = |name: &str, value: Value| {
            let name = if self.below(4) == 0 { format!("Not{name}") } else { name.to_owned() };
            statement[name] = value;
        };
        put("Action", self.some(&ACTIONS));
        if is_resource_policy {
            put("Principal", self.principal());
            put("Resource", self.some(&IN_BUCKET));
        } else {
            put("Resource", self.some(&[&IN_BUCKET[..], &ANYWHERE[..]].concat()));
        }
        if self.below(3) == 0 {
            statement["Condition"] = self.conditions();
        }
        statement
    }

    fn conditions(&self) -> Value {
        let mut conditions = json!({});
        for _ in 0..=self.below(2) {
            let (operators, keys, values) = CONDITIONS[usize::try_from(self.below(8)).unwrap()];
            let bare = self.one(operators);
            let set = if bare == "Null" { "" } else { self.one(&["", "", "ForAnyValue:", "ForAllValues:"]) };
            let end = if bare == "Null" { "" } else { self.one(&["", "", "IfExists"]) };
            for _ in 0..=self.below(2) {
                conditions[format!("{set}{bare}{end}")][self.one(keys)] = self.some(values);
            }
        }
        conditions
    }

    /// What a request says of itself, as the evaluator takes it, and as plain pairs.
    fn context(&self) -> (Context, Vec<(String, String)>) {
        let mut own: Vec<(String, String)> = Vec::new();
        let mut put = |key: &str, value: &str| own.push((key.to_owned(), value.to_owned()));
        if self.below(2) == 0 {
            put("s3:prefix", self.one(&["home/Ann/", "home/Ann/x", "*", "", "5", "Kg=="]));
        }
        if self.below(2) == 0 {
            put("s3:max-keys", self.one(&["5", "10", "7"]));
        }
        for key in ["a", "B", "Ann"].into_iter().filter(|_| self.below(3) == 0) {
            put("aws:TagKeys", key);
            put(&format!("aws:RequestTag/{key}"), self.one(&["Ann", "shop", "*"]));
        }
        let address = (self.below(3) > 0).then(|| self.one(&ADDRESSES));
        let peer = address.map(|text| Peer { address: text.parse().unwrap(), is_secure: false });
        let context =
            own.iter().fold(Context::from_peer(peer), |context, (key, value)| context.with(key, value));
        own.extend(address.map(|text| ("aws:SourceIp".to_owned(), text.replace("::ffff:", ""))));
        (context, own)
    }

    fn principal(&self) -> Value {
        if self.below(6) == 0 {
            return json!("*");
        }
        let mut object = json!({});
        for _ in 0..=self.below(3) {
            let (kind, name) = NAMES[usize::try_from(self.below(NAMES.len() as u64)).unwrap()];
            let mut names = object[kind].as_array().cloned().unwrap_or_default();
            names.push(json!(name));
            object[kind] = json!(names);
        }
        object
    }

    /// A caller, and the names that it has when it is allowed and when it is denied.
    fn caller(&self) -> (Caller<'static>, naive::Names) {
        let is =
            |one: Caller<'static>, allowed: &[_], denied: &[_]| (one, [allowed.to_vec(), denied.to_vec()]);
        let root_name = ("AWS", "arn:aws:iam::111122223333:root");
        let service_name = ("Service", "personalize.amazonaws.com");
        let role = ("AWS", "arn:aws:iam::111122223333:role/Export");
        let session_name = ("AWS", "arn:aws:sts::111122223333:assumed-role/Export/nightly");
        let user_name = ("AWS", "arn:aws:iam::111122223333:user/ops/Ann");
        let key_session = Caller::KeySession(&SESSION);
        match self.below(5) {
            0 => is(root(), &[root_name], &[root_name]),
            1 => is(service(), &[service_name], &[service_name]),
            2 => is(user(), &[user_name], &[user_name]),
            3 => is(key_session, &[service_name, role, session_name], &[service_name, role, session_name]),
            _ => is(session(), &[service_name], &[service_name, role, session_name]),
        }
    }
}
