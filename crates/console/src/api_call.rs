//! A form as the call that it makes: with the AWS CLI, and as the input of an SDK.

use serde_json::{Value, json};

/// The command of the AWS CLI for an operation of Personalize.
pub fn command(operation: &str, input: &Value) -> String {
    let mut command = format!("aws personalize {}", kebab(operation));
    for (name, value) in input.as_object().into_iter().flatten() {
        let flag = kebab(name);
        match value {
            Value::Bool(true) => command.push_str(&format!(" \\\n  --{flag}")),
            Value::Bool(false) => command.push_str(&format!(" \\\n  --no-{flag}")),
            Value::String(text) => command.push_str(&format!(" \\\n  --{flag} {}", quoted(text))),
            other => command.push_str(&format!(" \\\n  --{flag} {}", quoted(&other.to_string()))),
        }
    }
    command
}

/// What the boxes of a page hold, for its script.
pub fn boxes(operation: &str, input: &Value) -> Value {
    json!({ "command": command(operation, input), "input": pretty(input) })
}

pub fn pretty(input: &Value) -> String {
    serde_json::to_string_pretty(input).unwrap_or_default()
}

// As the AWS CLI names operations and members.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

// For a shell: within apostrophes nothing means anything but an apostrophe.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_a_command_that_a_shell_reads_as_it_is_meant() {
        let input = json!({ "jobName": "it's; rm", "datasetArn": "arn:aws:x:y/z",
            "publishAttributionMetricsToS3": true, "tags": [{ "tagKey": "k", "tagValue": "a b" }] });
        let lines = [
            "aws personalize create-dataset-import-job \\",
            "  --dataset-arn arn:aws:x:y/z \\",
            r"  --job-name 'it'\''s; rm' \",
            "  --publish-attribution-metrics-to-s3 \\",
            r#"  --tags '[{"tagKey":"k","tagValue":"a b"}]'"#,
        ];
        assert_eq!(command("CreateDatasetImportJob", &input), lines.join("\n"));
        assert_eq!(quoted(""), "''");
    }
}
