//! What a job is sent to a bucket for, and the session policy that lets it do that and no more.

use serde_json::{Value, json};

use crate::location::S3Location;
use crate::remedy::{CLEARING, READING, REPORTING, WRITING};

/// A job's business in a bucket.
#[derive(Clone, Debug)]
pub struct Errand<'a> {
    pub bucket: &'a str,
    /// What all keys begin with that are read or written.
    prefix: String,
    /// The actions of S3 that it takes.
    needs: &'static [&'static str],
    /// The key of KMS that objects are written under.
    kms_key_arn: Option<&'a str>,
}

/// More of a prefix would not fit into a session policy, which has 2,048 characters.
const PREFIX_BYTES_MAX: usize = 512;

impl<'a> Errand<'a> {
    /// To read the file or folder that `place` names.
    pub fn reading(place: &'a S3Location) -> Errand<'a> {
        Errand { bucket: &place.bucket, prefix: place.key.clone(), needs: READING, kms_key_arn: None }
    }

    /// To write into the folder that `place` names.
    pub fn writing(place: &'a S3Location) -> Errand<'a> {
        Errand { bucket: &place.bucket, prefix: place.prefix(), needs: WRITING, kms_key_arn: None }
    }

    /// To write a report, with no right to list.
    pub fn reporting(bucket: &'a str, key: &str) -> Errand<'a> {
        Errand { bucket, prefix: key.to_owned(), needs: REPORTING, kms_key_arn: None }
    }

    /// To delete what lies in the folder that `place` names.
    pub fn clearing(place: &'a S3Location) -> Errand<'a> {
        Errand { bucket: &place.bucket, prefix: place.prefix(), needs: CLEARING, kms_key_arn: None }
    }

    /// The same, with objects under this key of KMS.
    #[must_use]
    pub fn under(self, kms_key_arn: Option<&'a str>) -> Errand<'a> {
        Errand { kms_key_arn, ..self }
    }

    /// The policy that narrows the session in which the errand is run; a session never has more than its role.
    ///
    /// A bucket may hold objects under keys that nobody names beforehand: keys are then narrowed to use through S3.
    pub fn session_policy(&self) -> String {
        let mut statements = self.on_bucket();
        statements.push(self.on_keys());
        policy(&statements)
    }

    /// The same for a store that takes no statement about keys.
    pub fn session_policy_without_keys(&self) -> String {
        policy(&self.on_bucket())
    }

    fn on_bucket(&self) -> Vec<Value> {
        let bucket = format!("arn:aws:s3:::{}", self.bucket);
        let objects = format!("{bucket}/{}*", pattern(&self.prefix));
        let actions: &[&str] = match self.writes() {
            true => &["s3:PutObject", "s3:AbortMultipartUpload"],
            false if self.needs.contains(&"s3:DeleteObject") => CLEARING,
            false => &["s3:GetObject"],
        };
        let mut statements = vec![allow(actions, &objects)];
        if self.needs.contains(&"s3:ListBucket") {
            statements.push(allow(&["s3:ListBucket"], &bucket));
        }
        statements
    }

    fn on_keys(&self) -> Value {
        let actions: &[&str] = match self.writes() {
            true => &["kms:GenerateDataKey", "kms:Decrypt"],
            false => &["kms:Decrypt"],
        };
        let mut statement = allow(actions, self.kms_key_arn.unwrap_or("*"));
        if self.kms_key_arn.is_none() {
            statement["Condition"] = json!({ "StringLike": { "kms:ViaService": "s3.*" } });
        }
        statement
    }

    fn writes(&self) -> bool {
        self.needs.contains(&"s3:PutObject")
    }
}

fn policy(statements: &[Value]) -> String {
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

fn allow(actions: &[&str], resource: &str) -> Value {
    json!({ "Effect": "Allow", "Action": actions, "Resource": [resource] })
}

// What has a meaning in patterns, or can't stand in session policies, becomes a wildcard.
fn pattern(prefix: &str) -> String {
    let prefix = &prefix[..prefix.floor_char_boundary(PREFIX_BYTES_MAX)];
    prefix.chars().map(|c| if is_plain(c) { c } else { '*' }).collect()
}

fn is_plain(c: char) -> bool {
    (' '..='~').contains(&c) && !"*?$\"\\".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> S3Location {
        S3Location::parse(text).unwrap()
    }

    #[test]
    fn a_session_reads_what_its_job_reads() {
        assert_eq!(
            Errand::reading(&place("s3://retail/in/items.csv")).session_policy(),
            concat!(
                r#"{"Statement":[{"Action":["s3:GetObject"],"Effect":"Allow","Resource":["arn:aws:s3:::retail/in/items.csv*"]},"#,
                r#"{"Action":["s3:ListBucket"],"Effect":"Allow","Resource":["arn:aws:s3:::retail"]},"#,
                r#"{"Action":["kms:Decrypt"],"Condition":{"StringLike":{"kms:ViaService":"s3.*"}},"Effect":"Allow","Resource":["*"]}],"#,
                r#""Version":"2012-10-17"}"#
            )
        );
    }

    #[test]
    fn a_session_writes_below_its_folder_and_under_its_key() {
        let place = place("s3://retail/out");
        let policy = Errand::writing(&place).under(Some("arn:aws:kms:us-east-1:1:key/k")).session_policy();
        for part in [
            r#""Resource":["arn:aws:s3:::retail/out/*"]"#,
            r#""Action":["s3:ListBucket"]"#,
            r#"{"Action":["kms:GenerateDataKey","kms:Decrypt"],"Effect":"Allow","Resource":["arn:aws:kms:us-east-1:1:key/k"]}"#,
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        let report = Errand::reporting("retail", "out/report.csv").session_policy();
        let bare = Errand::writing(&place).session_policy_without_keys();
        assert!(!bare.contains("kms:") && bare.contains("s3:ListBucket"), "{bare}");
        assert!(!report.contains("ListBucket") && report.contains("retail/out/report.csv*"), "{report}");
    }

    #[test]
    fn a_session_that_deletes_reads_and_writes_nothing() {
        let policy = Errand::clearing(&place("s3://retail/out")).session_policy();
        assert!(policy.contains(r#""Action":["s3:DeleteObject"]"#), "{policy}");
        assert!(policy.contains("arn:aws:s3:::retail/out/*"), "{policy}");
        assert!(
            !["GetObject", "PutObject", "ListBucket"].iter().any(|word| policy.contains(word)),
            "{policy}"
        );
    }

    #[test]
    fn keys_of_any_kind_fit_into_a_policy() {
        let place = place("s3://retail/a*b?${aws:x}\"\\ü/");
        let policy = Errand::reading(&place).session_policy();
        assert!(policy.contains(r#""arn:aws:s3:::retail/a*b**{aws:x}***/*"#), "{policy}");
        let long = S3Location { bucket: "b".repeat(63), key: "/".repeat(1024) };
        let key = format!("arn:aws:kms:us-gov-east-1:111122223333:key/{}", "k".repeat(36));
        assert!(Errand::writing(&long).under(Some(&key)).session_policy().len() < 2048);
    }
}
