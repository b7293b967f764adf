//! Random policies and requests, decided by the evaluator and by a naive one that reads the JSON itself.

use model::clock::{Clock, SimulatedClock};
use serde_json::{Value, json};

use super::*;

const CASES: u64 = 100_000;

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
const IN_BUCKET: [&str; 7] = [
    "arn:aws:s3:::b",
    "arn:aws:s3:::b/*",
    "arn:aws:s3:::b/x/*",
    "arn:aws:s3:::b/?/k",
    "arn:aws:s3:::b/x/k",
    "arn:aws:s3:::b/*k",
    "arn:aws:s3:::b/*/*",
];
const ANYWHERE: [&str; 4] = ["*", "arn:aws:s3:::*", "arn:aws:s3:::b*", "arn:aws:s3:::?/x/?"];
const NAMES: [(&str, &str); 8] = [
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
const ASKED_RESOURCES: [&str; 6] = [
    "arn:aws:s3:::b",
    "arn:aws:s3:::b/k",
    "arn:aws:s3:::b/x/k",
    "arn:aws:s3:::b/y/k",
    "arn:aws:s3:::c/x/k",
    "arn:aws:s3:::b/x/y/z",
];

#[test]
fn random_policies_are_decided_as_a_naive_evaluator_decides() {
    let seed = std::env::var("LADE_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_115);
    println!("seed {seed}");
    let chance = Chance(SimulatedClock::new(0, seed));
    let mut seen = [0u64; 3];
    for case in 0..CASES {
        let is_resource_policy = chance.below(2) == 0;
        let texts: Vec<Value> = (0..=chance.below(3)).map(|_| chance.policy(is_resource_policy)).collect();
        let documents: Vec<Document> = texts
            .iter()
            .map(|value| match is_resource_policy {
                true => Document::parse_resource_policy(&value.to_string(), "b"),
                false => Document::parse_identity_policy(&value.to_string()),
            })
            .collect::<Result<_>>()
            .unwrap_or_else(|e| panic!("seed {seed} case {case}: {e}: {texts:?}"));
        let (caller, names) = chance.caller();
        let (action, resource) = (chance.one(&ASKED_ACTIONS), chance.one(&ASKED_RESOURCES));
        let found = match decide(&documents, &Request::new(&caller, action, resource)) {
            Decision::Allow => 0,
            Decision::ExplicitDeny { .. } => 1,
            Decision::NotAllowed => 2,
        };
        let expected = naive(&texts, &names, action, resource);
        assert_eq!(found, expected, "seed {seed} case {case}: {names:?} {action} {resource} {texts:?}");
        seen[found] += 1;
    }
    assert!(seen.iter().all(|count| *count > CASES / 20), "the cases are lopsided: {seen:?}");
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

    fn policy(&self, is_resource_policy: bool) -> Value {
        let statements: Vec<Value> =
            (0..=self.below(3)).map(|_| self.statement(is_resource_policy)).collect();
        if statements.len() == 1 {
            json!({ "Statement": statements[0] })
        } else {
            json!({ "Statement": statements })
        }
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
        statement
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
    fn caller(&self) -> (Caller, [Vec<(&'static str, &'static str)>; 2]) {
        let root = ("AWS", "arn:aws:iam::111122223333:root");
        let service = ("Service", "personalize.amazonaws.com");
        let role = ("AWS", "arn:aws:iam::111122223333:role/Export");
        let session_name = ("AWS", "arn:aws:sts::111122223333:assumed-role/Export/nightly");
        match self.below(3) {
            0 => (Caller::root(&arn(root.1)), [vec![root], vec![root]]),
            1 => (Caller::service(SERVICE), [vec![service], vec![service]]),
            _ => (session(), [vec![service], vec![service, role, session_name]]),
        }
    }
}

/// 0 allowed, 1 denied, 2 not allowed.
fn naive(policies: &[Value], names: &[Vec<(&str, &str)>; 2], action: &str, resource: &str) -> usize {
    let statements: Vec<Value> = policies.iter().flat_map(|policy| texts(&policy["Statement"])).collect();
    let any = |effect: &str, names: &[(&str, &str)]| {
        statements.iter().any(|statement| {
            statement["Effect"] == effect
                && element(statement, "Action", |value| like(value, action, true))
                && element(statement, "Resource", |value| like(value, resource, false))
                && element(statement, "Principal", |value| names.iter().any(|name| is_named(value, name)))
        })
    };
    match (any("Deny", &names[1]), any("Allow", &names[0])) {
        (true, _) => 1,
        (false, true) => 0,
        (false, false) => 2,
    }
}

fn texts(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
}

fn element(statement: &Value, name: &str, matches: impl Fn(&Value) -> bool) -> bool {
    if let Some(value) = statement.get(name) {
        return texts(value).iter().any(&matches);
    }
    statement.get(format!("Not{name}")).is_none_or(|value| !texts(value).iter().any(&matches))
}

fn like(pattern: &Value, text: &str, any_case: bool) -> bool {
    let letters = |text: &str| text.chars().collect::<Vec<char>>();
    let pattern = pattern.as_str().unwrap();
    match any_case {
        true => fits(&letters(&pattern.to_lowercase()), &letters(&text.to_lowercase())),
        false => fits(&letters(pattern), &letters(text)),
    }
}

fn fits(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|skipped| fits(rest, &text[skipped..])),
        Some((wanted, rest)) => text
            .split_first()
            .is_some_and(|(c, behind)| (*wanted == '?' || wanted == c) && fits(rest, behind)),
    }
}

fn is_named(principal: &Value, (kind, name): &(&str, &str)) -> bool {
    if principal == "*" {
        return true;
    }
    let account = name.split(':').nth(4);
    let aws = texts(&principal["AWS"]).into_iter().any(|entry| match entry.as_str() {
        None => false,
        Some("*") => true,
        Some(text) if text.len() == 12 => account == Some(text),
        Some(text) if text.ends_with(":root") => account == text.split(':').nth(4),
        Some(text) => *kind == "AWS" && text == *name,
    });
    aws || texts(&principal["Service"]).iter().any(|entry| *kind == "Service" && entry == name)
}
