//! The lines that a shell evaluates: what is set, what is unset, and how both are undone.

use std::collections::{BTreeMap, BTreeSet};

use super::Client;

/// Marks a shell that these lines were evaluated in.
const MARK: &str = "LADE_SAVED";
/// Stands before the name of a variable whose old value is kept.
const SAVED: &str = "LADE_SAVED_";

/// Each of these would send clients elsewhere, or with other credentials.
const UNSET: [&str; 12] = [
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_IAM",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_PERSONALIZE",
    "AWS_ENDPOINT_URL_PERSONALIZE_EVENTS",
    "AWS_ENDPOINT_URL_KMS",
];

type Environment = BTreeMap<String, String>;

/// The lines that point a shell's AWS clients to the server.
pub fn enter(client: &Client, environment: &Environment) -> String {
    let sets = sets(client, environment);
    let unsets = unsets(environment);
    let mut lines = String::new();
    for name in sets.keys().copied().chain(unsets.iter().map(String::as_str)) {
        save(&mut lines, name, environment, sets.contains_key(name));
    }
    for name in &unsets {
        lines.push_str(&format!("unset {name}\n"));
    }
    for (name, value) in &sets {
        lines.push_str(&export(name, value));
    }
    lines.push_str(&export(MARK, "1"));
    lines
}

/// The lines that bring back what was set before; none when there is nothing to undo.
pub fn undo(environment: &Environment) -> String {
    if !environment.contains_key(MARK) {
        eprintln!("lade: nothing to undo: this shell has not evaluated lade env");
        return String::new();
    }
    let mut lines = String::new();
    let saved = environment.iter().filter_map(|(name, value)| Some((name.strip_prefix(SAVED)?, value)));
    for (name, value) in saved.clone().filter(|(name, _)| is_name(name)) {
        lines.push_str(&export(name, value));
        lines.push_str(&format!("unset {SAVED}{name}\n"));
    }
    let was_set: BTreeSet<&str> = saved.map(|(name, _)| name).collect();
    for name in SET.iter().filter(|name| !was_set.contains(*name)) {
        lines.push_str(&format!("unset {name}\n"));
    }
    lines.push_str(&format!("unset {MARK}\n"));
    lines
}

const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

const SET: [&str; 8] = [
    CA_BUNDLE,
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "no_proxy",
    "NO_PROXY",
];

fn sets(client: &Client, environment: &Environment) -> BTreeMap<&'static str, String> {
    let ca_bundle = client.ca_bundle.as_ref().or(environment.get(CA_BUNDLE));
    let values = [
        ca_bundle.cloned().unwrap_or_default(),
        client.access_key_id.clone(),
        client.secret_access_key.clone(),
        client.region.clone(),
        client.region.clone(),
        client.url.clone(),
        no_proxy(environment.get("no_proxy"), &client.host),
        no_proxy(environment.get("NO_PROXY"), &client.host),
    ];
    // Where the server needs none and the shell has none, none is set.
    SET.into_iter().zip(values).filter(|(name, value)| *name != CA_BUNDLE || !value.is_empty()).collect()
}

fn no_proxy(old: Option<&String>, host: &str) -> String {
    let mut hosts: Vec<&str> = old.map(|old| old.split(',').map(str::trim).collect()).unwrap_or_default();
    for host in ["127.0.0.1", "localhost", host] {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts.into_iter().filter(|host| !host.is_empty()).collect::<Vec<_>>().join(",")
}

fn unsets(environment: &Environment) -> BTreeSet<String> {
    let endpoints = environment.keys().filter(|name| name.starts_with("AWS_ENDPOINT_URL_") && is_name(name));
    UNSET.iter().map(|name| (*name).to_owned()).chain(endpoints.cloned()).collect()
}

// Evaluated a second time, the lines must not take the server's own values for old ones.
fn save(lines: &mut String, name: &str, environment: &Environment, is_ours: bool) {
    let is_second = environment.contains_key(MARK);
    match environment.get(name) {
        _ if is_second && is_ours => {}
        Some(old) => lines.push_str(&export(&format!("{SAVED}{name}"), old)),
        None if is_second => {}
        None => lines.push_str(&format!("unset {SAVED}{name}\n")),
    }
}

fn export(name: &str, value: &str) -> String {
    format!("export {name}={}\n", quoted(value))
}

/// A value that any POSIX shell reads as it is: between single quotes nothing has a meaning but the single quote.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

// An environment may hold names that a shell would read as commands.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn client() -> Client {
        Client {
            url: "http://127.0.0.1:8080".into(),
            host: "127.0.0.1".into(),
            region: "us-east-1".into(),
            access_key_id: "AKIA1".into(),
            secret_access_key: "secret".into(),
            ca_bundle: None,
        }
    }

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// The environment after a real shell has evaluated the lines.
    fn evaluated(lines: &str, before: &Environment) -> Environment {
        let script = format!("{lines}\nenv -0");
        let output = Command::new("/bin/sh")
            .arg("-euc")
            .arg(script)
            .env_clear()
            .envs(before)
            .env("PATH", "/usr/bin:/bin")
            .output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let ignored = ["PATH", "PWD", "OLDPWD", "SHLVL", "_"];
        let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
        pairs
            .filter(|(name, _)| !ignored.contains(name))
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn a_shell_enters_and_comes_back() {
        let before = environment(&[
            ("AWS_PROFILE", "it's $(mine)\n\"`x`\""),
            ("AWS_ENDPOINT_URL_LAMBDA", "http://else"),
            ("AWS_ACCESS_KEY_ID", "old"),
            ("AWS_SESSION_TOKEN", ""),
            ("NO_PROXY", "example.org, localhost"),
            ("OTHER", "stays"),
        ]);
        let inside = evaluated(&enter(&client(), &before), &before);
        assert_eq!(inside["AWS_ACCESS_KEY_ID"], "AKIA1");
        assert_eq!(inside["AWS_ENDPOINT_URL"], "http://127.0.0.1:8080");
        assert_eq!(inside["NO_PROXY"], "example.org,localhost,127.0.0.1");
        assert_eq!(inside["no_proxy"], "127.0.0.1,localhost");
        for gone in ["AWS_PROFILE", "AWS_ENDPOINT_URL_LAMBDA", "AWS_SESSION_TOKEN"] {
            assert!(!inside.contains_key(gone), "{gone}");
        }
        let twice = evaluated(&enter(&client(), &inside), &inside);
        assert_eq!(evaluated(&undo(&twice), &twice), before);
    }

    #[test]
    fn an_authority_is_trusted_until_it_is_undone() {
        for old in [None, Some("/old.pem")] {
            let before: Environment = old.map(|path| (CA_BUNDLE.into(), path.into())).into_iter().collect();
            let plain = evaluated(&enter(&client(), &before), &before);
            assert_eq!(plain.get(CA_BUNDLE), before.get(CA_BUNDLE));
            assert_eq!(evaluated(&undo(&plain), &plain), before);
            let own = Client { ca_bundle: Some("/own.pem".into()), ..client() };
            let inside = evaluated(&enter(&own, &plain), &plain);
            assert_eq!(inside[CA_BUNDLE], "/own.pem");
            assert_eq!(evaluated(&undo(&inside), &inside), before);
        }
    }

    #[test]
    fn undoing_nothing_changes_nothing() {
        assert_eq!(undo(&environment(&[("AWS_PROFILE", "mine")])), "");
    }

    #[test]
    fn names_that_a_shell_would_run_are_left_alone() {
        let lines = enter(&client(), &environment(&[("AWS_ENDPOINT_URL_$(touch x)", "y")]));
        assert!(!lines.contains("touch"));
    }
}
