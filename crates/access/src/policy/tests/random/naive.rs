//! The second evaluator: slow, plain, and written from the documentation rather than from the first one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

/// The names that a caller has when it is allowed and when it is denied.
pub type Names = [Vec<(&'static str, &'static str)>; 2];

/// Every key of a request, in lower case, with its values.
#[derive(Debug)]
pub struct World(BTreeMap<String, Vec<String>>);

impl World {
    pub fn new(names: &Names, own: Vec<(String, String)>, now_ms: i64) -> World {
        let has = |part: &str| names[1].iter().any(|(_, name)| name.contains(part));
        let is_service = has("amazonaws.com");
        let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut put =
            |key: &str, value: &str| keys.entry(key.to_lowercase()).or_default().push(value.to_owned());
        for (key, value) in own.iter().filter(|(key, _)| !(is_service && key == "aws:SourceIp")) {
            put(key, value);
        }
        if has(":user/") {
            put("aws:username", "Ann");
            put("aws:PrincipalTag/Star", "*");
        }
        if has(":user/") || has(":role/") {
            put("aws:PrincipalTag/Team", "shop");
        }
        if let Some((_, arn)) = names[1].iter().find(|(_, name)| name.starts_with("arn:aws:iam")) {
            put("aws:PrincipalArn", arn);
        }
        if has(":root") || has(":user/") || has(":role/") {
            put("aws:PrincipalAccount", "111122223333");
            let (kind, id) = match (has(":user/"), has(":role/")) {
                (true, _) => ("User", "AIDAANN"),
                (_, true) => ("AssumedRole", "AROAEXPORT:nightly"),
                _ => ("Account", "111122223333"),
            };
            put("aws:PrincipalType", kind);
            put("aws:userid", id);
        }
        if is_service {
            put("aws:PrincipalServiceName", "personalize.amazonaws.com");
            put("aws:SourceArn", "arn:aws:personalize:us-east-1:111122223333:dataset-export-job/nightly");
            put("aws:SourceAccount", "111122223333");
        }
        put("aws:PrincipalIsAWSService", if is_service { "true" } else { "false" });
        put("aws:SecureTransport", "false");
        put("aws:EpochTime", &(now_ms / 1000).to_string());
        put("aws:CurrentTime", TIMES.iter().find(|(_, ms)| *ms == now_ms).unwrap().0);
        World(keys)
    }

    fn get(&self, key: &str) -> &[String] {
        self.0.get(&key.to_lowercase()).map(Vec::as_slice).unwrap_or_default()
    }
}

const TIMES: [(&str, i64); 6] = [
    ("2026-05-28T20:26:40Z", 1_780_000_000_000),
    ("2025-10-09T08:53:20Z", 1_760_000_000_000),
    ("2026-01-01T00:00:00Z", 1_767_225_600_000),
    ("2026-06-01", 1_780_272_000_000),
    ("2026-05-28T22:26:40+02:00", 1_780_000_000_000),
    ("5", 5000),
];

/// 0 allowed, 1 denied, 2 not allowed.
pub fn decide(policies: &[Value], names: &Names, action: &str, resource: &str, world: &World) -> usize {
    let mut statements: Vec<(&Value, bool)> = Vec::new();
    for policy in policies {
        let is_new = policy["Version"] == "2012-10-17";
        statements.extend(texts(&policy["Statement"]).iter().map(|statement| (statement, is_new)));
    }
    let any = |effect: &str, names: &[(&str, &str)]| {
        statements.iter().any(|(statement, is_new)| {
            let spares = statement.get("NotPrincipal").is_some();
            statement["Effect"] == effect
                && element(statement, "Action", |value| like(value, action))
                && element(statement, "Resource", |value| {
                    pattern(value, *is_new, true, world).is_some_and(|p| fits(&p, &letters(resource)))
                })
                && element(statement, "Principal", |value| {
                    names.iter().any(|name| is_named(value, name, effect, spares))
                })
                && conditions(&statement["Condition"], *is_new, world)
        })
    };
    match (any("Deny", &names[1]), any("Allow", &names[0])) {
        (true, _) => 1,
        (false, true) => 0,
        (false, false) => 2,
    }
}

/// The same of both kinds of policies together: where either may allow, and where both must.
pub fn together(decided: [usize; 2]) -> [usize; 2] {
    match (decided.contains(&1), decided.contains(&0), decided == [0, 0]) {
        (true, _, _) => [1, 1],
        (_, any, all) => [if any { 0 } else { 2 }, if all { 0 } else { 2 }],
    }
}

fn conditions(block: &Value, is_new: bool, world: &World) -> bool {
    let Some(block) = block.as_object() else { return true };
    block.iter().all(|(operator, keys)| {
        let keys = keys.as_object().unwrap();
        keys.iter().all(|(key, wanted)| condition(operator, world.get(key), texts(wanted), is_new, world))
    })
}

fn condition(operator: &str, found: &[String], wanted: &[Value], is_new: bool, world: &World) -> bool {
    if operator == "Null" {
        let is_missing = found.is_empty().to_string();
        return wanted.iter().any(|text| *text == is_missing);
    }
    let if_exists = operator.ends_with("IfExists");
    let bare = operator.trim_end_matches("IfExists");
    let (set, bare) = bare.split_once(':').unwrap_or(("", bare));
    let positive = bare.replace("Not", "");
    let is_negative = positive != bare;
    if found.is_empty() {
        return match set {
            "ForAllValues" => true,
            "ForAnyValue" => if_exists,
            _ => if_exists || is_negative,
        };
    }
    let mut hits = 0;
    for value in found {
        let is_hit = wanted.iter().any(|wanted| compare(&positive, value, wanted, is_new, world));
        hits += usize::from(is_hit);
    }
    match (set, is_negative) {
        ("ForAllValues", false) => hits == found.len(),
        ("ForAllValues", true) => hits == 0,
        ("ForAnyValue", true) => hits < found.len(),
        ("", true) => hits == 0,
        _ => hits > 0,
    }
}

fn compare(operator: &str, found: &str, wanted: &Value, is_new: bool, world: &World) -> bool {
    let filled = |wild: bool| pattern(wanted, is_new, wild, world);
    let plain = |p: Vec<Symbol>| p.into_iter().map(|symbol| symbol.0).collect::<String>();
    let text = wanted.as_str().unwrap();
    match operator {
        "StringEquals" => filled(false).is_some_and(|p| plain(p) == found),
        "StringEqualsIgnoreCase" => {
            filled(false).is_some_and(|p| plain(p).to_lowercase() == found.to_lowercase())
        }
        "StringLike" => filled(true).is_some_and(|p| fits(&p, &letters(found))),
        "ArnEquals" | "ArnLike" => filled(true).is_some_and(|p| arn_fits(&p, found)),
        "IpAddress" => found.parse().is_ok_and(|address| in_range(text, address)),
        // None of the texts that are base64 is written in two ways.
        "BinaryEquals" => found == text && ["Kg==", "NQ==", "QW5u", ""].contains(&found),
        "Bool" => found.to_lowercase() == text.to_lowercase(),
        _ => {
            let (kind, relation) = match operator.strip_prefix("Date") {
                Some(relation) => ("Date", relation),
                None => ("Numeric", operator.strip_prefix("Numeric").unwrap()),
            };
            let read = |text: &str| match kind {
                "Date" => moment(text),
                _ => text.parse::<f64>().ok(),
            };
            match (read(found), read(text)) {
                (Some(found), Some(wanted)) => match relation {
                    "Equals" => found == wanted,
                    "LessThan" => found < wanted,
                    "LessThanEquals" => found <= wanted,
                    "GreaterThan" => found > wanted,
                    "GreaterThanEquals" => found >= wanted,
                    other => panic!("{other}"),
                },
                _ => false,
            }
        }
    }
}

fn moment(text: &str) -> Option<f64> {
    let known = TIMES.iter().find(|(known, _)| *known == text).map(|(_, ms)| *ms as f64);
    known.or_else(|| text.parse::<f64>().ok().map(|seconds| seconds * 1000.0))
}

fn in_range(range: &str, address: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => (32, u128::from(v4.to_bits())),
        IpAddr::V6(v6) => (128, v6.to_bits()),
    };
    let (first, size) = range.split_once('/').unwrap_or((range, ""));
    let ((width, first), (other_width, address)) = (bits(first.parse().unwrap()), bits(address));
    let size: u32 = size.parse().unwrap_or(width);
    let drop = width - size;
    let top = |value: u128| if drop == 128 { 0 } else { value >> drop };
    width == other_width && top(first) == top(address)
}

/// A character of a pattern, and whether it is a wildcard.
type Symbol = (char, bool);

fn pattern(value: &Value, is_new: bool, wild: bool, world: &World) -> Option<Vec<Symbol>> {
    let text = letters(value.as_str().unwrap());
    let (mut symbols, mut at) = (Vec::new(), 0);
    while at < text.len() {
        if is_new && text[at] == '$' && text.get(at + 1) == Some(&'{') {
            let end = at + text[at..].iter().position(|c| *c == '}').unwrap();
            let name: String = text[at + 2..end].iter().collect();
            symbols.extend(letters(&variable(&name, world)?).into_iter().map(|c| (c, false)));
            at = end + 1;
        } else {
            symbols.push((text[at], wild && (text[at] == '*' || text[at] == '?')));
            at += 1;
        }
    }
    Some(symbols)
}

fn variable(name: &str, world: &World) -> Option<String> {
    if name == "*" || name == "?" || name == "$" {
        return Some(name.to_owned());
    }
    let (key, default) = match name.split_once(", ") {
        Some((key, default)) => (key, Some(default.replace('\'', ""))),
        None => (name, None),
    };
    match world.get(key) {
        [value] => Some(value.clone()),
        _ => default,
    }
}

fn arn_fits(pattern: &[Symbol], found: &str) -> bool {
    let found: Vec<&str> = found.splitn(6, ':').collect();
    let parts: Vec<&[Symbol]> = pattern.splitn(6, |symbol| symbol.0 == ':').collect();
    found.len() == 6 && parts.len() == 6 && (0..6).all(|n| fits(parts[n], &letters(found[n])))
}

fn texts(value: &Value) -> &[Value] {
    value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice)
}

fn element(statement: &Value, name: &str, matches: impl Fn(&Value) -> bool) -> bool {
    if let Some(value) = statement.get(name) {
        return texts(value).iter().any(&matches);
    }
    statement.get(format!("Not{name}")).is_none_or(|value| !texts(value).iter().any(&matches))
}

fn letters(text: &str) -> Vec<char> {
    text.chars().collect()
}

fn like(pattern: &Value, action: &str) -> bool {
    let symbols = letters(&pattern.as_str().unwrap().to_lowercase());
    let symbols: Vec<Symbol> = symbols.into_iter().map(|c| (c, c == '*' || c == '?')).collect();
    fits(&symbols, &letters(&action.to_lowercase()))
}

fn fits(pattern: &[Symbol], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((('*', true), rest)) => (0..=text.len()).any(|skipped| fits(rest, &text[skipped..])),
        Some(((wanted, is_wild), rest)) => {
            text.split_first().is_some_and(|(c, behind)| (*is_wild || wanted == c) && fits(rest, behind))
        }
    }
}

// An account that is allowed something leaves it to its users' own policies; one that is spared spares them all.
fn is_named(principal: &Value, (kind, name): &(&str, &str), effect: &str, spares: bool) -> bool {
    if principal == "*" {
        return true;
    }
    let account = name.split(':').nth(4);
    let by_account = !name.contains(":user/") || effect == "Deny" || spares;
    let aws = texts(&principal["AWS"]).iter().any(|entry| match entry.as_str() {
        None => false,
        Some("*") => true,
        Some(text) if text.len() == 12 => by_account && account == Some(text),
        Some(text) if text.ends_with(":root") => by_account && account == text.split(':').nth(4),
        Some(text) => *kind == "AWS" && text == *name,
    });
    aws || texts(&principal["Service"]).iter().any(|entry| *kind == "Service" && entry == name)
}
