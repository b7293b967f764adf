//! The options of an export as fields of its form; they go as tags that begin with `lade:`.

use crate::form::Form;

/// An option with a few values; the first is what holds where nothing is chosen.
pub struct Choice {
    pub name: &'static str,
    pub label: &'static str,
    pub values: &'static [(&'static str, &'static str)],
    pub chosen: String,
}

/// An option that is typed.
pub struct Typed {
    pub name: &'static str,
    pub label: &'static str,
    pub hint: &'static str,
    pub value: String,
}

type Values = &'static [(&'static str, &'static str)];

const CHOICES: [(&str, &str, Values); 7] = [
    ("format", "Format", &[("", "CSV"), ("jsonl", "JSON Lines"), ("parquet", "Parquet")]),
    (
        "compression",
        "Compression",
        &[("", "As usual for the format"), ("none", "None"), ("gzip", "gzip"), ("zstd", "Zstandard")],
    ),
    ("csv", "CSV dialect", &[("", "RFC 4180"), ("aws", "As imports are documented")]),
    ("hash", "SHA-256 in the manifest", &[("", "No"), ("sha256", "Yes")]),
    ("losers", "What was left out", &[("", "Not written"), ("true", "Written beside the files")]),
    ("manifest", "Manifest", &[("", "Written"), ("off", "Not written")]),
    ("output", "Output", &[("", "Files"), ("digest", "None: only tell what the files would be")]),
];

const TYPED: [(&str, &str, &str); 6] = [
    ("file-size", "File size", "mean size of files, such as 64MiB"),
    ("columns", "Columns", "names with blanks between; _SEQ and _ORIGIN may be added"),
    ("where", "Only records where", "FIELD:operator:value, such as PRICE:ge:10"),
    ("where-2", "and where", "another condition that has to hold"),
    ("where-3", "and where", "another condition that has to hold"),
    ("since", "Since", "name or ARN of an earlier export: only what came since"),
];

pub fn choices(form: &Form) -> Vec<Choice> {
    let choice = |(name, label, values): (&'static str, &'static str, Values)| Choice {
        name,
        label,
        values,
        chosen: form.get(&field(name)).to_owned(),
    };
    CHOICES.into_iter().map(choice).collect()
}

pub fn typed(form: &Form) -> Vec<Typed> {
    let typed = |(name, label, hint): (&'static str, &'static str, &'static str)| Typed {
        name,
        label,
        hint,
        value: form.get(&field(name)).to_owned(),
    };
    TYPED.into_iter().map(typed).collect()
}

/// The tags of what was chosen; datasets of actions need one more, for the service itself exports none of them.
pub fn tags(form: &Form, kind: &str) -> Vec<(String, String)> {
    let names = CHOICES.iter().map(|choice| choice.0).chain(TYPED.iter().map(|typed| typed.0));
    let given = names.filter_map(|name| Some((format!("lade:{name}"), form.given(&field(name))?.to_owned())));
    let is_of_actions = matches!(kind, "ACTIONS" | "ACTION_INTERACTIONS");
    let allow = is_of_actions.then(|| ("lade:allow".to_owned(), "actions".to_owned()));
    given.chain(allow).collect()
}

/// What the names of the files end with.
pub fn suffix(form: &Form) -> String {
    let packed = match form.get("opt-compression") {
        "gzip" => ".gz",
        "zstd" => ".zst",
        _ => "",
    };
    match form.get("opt-format") {
        "parquet" => ".parquet".to_owned(),
        "jsonl" => format!(".jsonl{packed}"),
        _ => format!(".csv{packed}"),
    }
}

fn field(name: &str) -> String {
    format!("opt-{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_chosen_becomes_a_tag() {
        let form = Form::parse("opt-format=&opt-columns=A+_SEQ&opt-where=A:eq:1&other=x");
        let all = [("lade:columns", "A _SEQ"), ("lade:where", "A:eq:1")];
        assert_eq!(tags(&form, "ITEMS"), all.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let allow = ("lade:allow".to_owned(), "actions".to_owned());
        assert_eq!(tags(&Form::default(), "ACTIONS"), [allow]);
    }
}
