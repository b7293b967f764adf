//! Policies that are proposed: what lets the service, and roles that it assumes, at buckets and keys.
//!
//! Source: "Giving Amazon Personalize access to Amazon S3 resources" and "… permission to use your AWS KMS key".

use serde_json::Value;

/// Who may assume a role for jobs of this account.
pub fn trust(account: &str) -> String {
    format!(
        r#"{{
  "Version": "2012-10-17",
  "Statement": [
    {{
      "Effect": "Allow",
      "Principal": {{ "Service": "personalize.amazonaws.com" }},
      "Action": "sts:AssumeRole",
      "Condition": {{ "StringEquals": {{ "aws:SourceAccount": "{account}" }} }}
    }}
  ]
}}"#
    )
}

/// What a role needs at buckets to import from them and export to them.
pub fn of_role(buckets: &[&str]) -> String {
    at_buckets("", buckets)
}

/// What the service needs in the policy of a bucket, besides what the role may do.
pub fn of_bucket(bucket: &str) -> String {
    let service = "\n      \"Principal\": { \"Service\": \"personalize.amazonaws.com\" },";
    at_buckets(service, &[bucket])
}

// `principal` is a member of the statement with its line, or empty.
fn at_buckets(principal: &str, buckets: &[&str]) -> String {
    let resources = resources(buckets);
    format!(
        r#"{{
  "Version": "2012-10-17",
  "Id": "PersonalizeS3BucketAccessPolicy",
  "Statement": [
    {{
      "Sid": "PersonalizeS3BucketAccessPolicy",
      "Effect": "Allow",{principal}
      "Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"],
      "Resource": [{resources}]
    }}
  ]
}}"#
    )
}

/// What a role, and the service for it, need in the policy of a key: one statement.
pub fn of_key(role_arn: &str) -> String {
    let role_arn = serde_json::Value::from(role_arn);
    format!(
        r#"{{
  "Sid": "PersonalizeKeyAccess",
  "Effect": "Allow",
  "Principal": {{ "Service": "personalize.amazonaws.com", "AWS": {role_arn} }},
  "Action": [
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:DescribeKey",
    "kms:CreateGrant",
    "kms:ListGrants"
  ],
  "Resource": "*"
}}"#
    )
}

/// What a role needs at a key: one statement of the role's policy.
pub fn of_role_key(key_arn: &str) -> String {
    let key_arn = serde_json::Value::from(key_arn);
    format!(
        r#"{{
  "Sid": "PersonalizeKeyAccess",
  "Effect": "Allow",
  "Action": [
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:DescribeKey",
    "kms:ListGrants"
  ],
  "Resource": {key_arn}
}}"#
    )
}

/// A policy with one statement more; `None` for what is no policy.
pub fn with_statement(policy: &str, statement: &str) -> Option<String> {
    let mut policy: Value = serde_json::from_str(policy).ok()?;
    let statement: Value = serde_json::from_str(statement).ok()?;
    let statements = policy.get_mut("Statement")?;
    if !statements.is_array() {
        *statements = Value::Array(vec![statements.take()]);
    }
    statements.as_array_mut()?.push(statement);
    serde_json::to_string_pretty(&policy).ok()
}

// Names of buckets hold nothing that JSON would have to escape.
fn resources(buckets: &[&str]) -> String {
    let of =
        |bucket: &&str| format!("\n        \"arn:aws:s3:::{bucket}\",\n        \"arn:aws:s3:::{bucket}/*\"");
    format!("{}\n      ", buckets.iter().map(of).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposals_are_json_and_name_what_they_are_for() {
        for text in [trust("1"), of_role(&["a", "b"]), of_bucket("a"), of_key("1"), of_role_key("1")] {
            serde_json::from_str::<Value>(&text).unwrap();
        }
        let role: Value = serde_json::from_str(&of_role(&["a", "b"])).unwrap();
        assert_eq!(role["Statement"][0]["Resource"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn a_statement_is_added_to_those_that_are_there() {
        let added = |policy: &str| {
            let text = with_statement(policy, r#"{"Sid":"new"}"#)?;
            let policy: Value = serde_json::from_str(&text).unwrap();
            Some(policy["Statement"].as_array().unwrap().len())
        };
        assert_eq!(added(r#"{"Statement":{"Sid":"one"}}"#), Some(2));
        assert_eq!(added(r#"{"Statement":[]}"#), Some(1));
        assert_eq!((added("{}"), added("not a policy")), (None, None));
    }
}
