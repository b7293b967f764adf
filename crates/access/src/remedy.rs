//! What mends a denied access of a job: which policy lacks the permission, and the statement to add to it.

use model::{Arn, Error};

use crate::PERSONALIZE;
use crate::services::REFUSED;

/// What a job needs to read a bucket's objects. Source: "Giving Amazon Personalize access to Amazon S3 resources".
pub const READING: &[&str] = &["s3:GetObject", "s3:ListBucket"];
/// What a job needs to export to a bucket.
pub const WRITING: &[&str] = &["s3:PutObject", "s3:ListBucket"];
/// What a job needs to write a report of metrics.
pub const REPORTING: &[&str] = &["s3:PutObject"];
/// What it takes to delete older exports of a schedule.
pub const CLEARING: &[&str] = &["s3:DeleteObject"];

/// What the documentation gives the role, and with `kms:CreateGrant` the service, on a key.
/// Source: "Giving Amazon Personalize permission to use your AWS KMS key".
const KEY_ACTIONS: &[&str] = &["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey", "kms:ListGrants"];

/// The sentence of a job that may not do with a bucket what it `needs`, and what mends that.
pub fn no_privileges(bucket: &str, cause: &Error, needs: &[&str]) -> String {
    format!(
        "Insufficient privileges for accessing data in S3. Please look at \
         https://docs.aws.amazon.com/personalize/latest/dg/granting-personalize-s3-access.html#attach-bucket-policy \
         and fix bucket policy on {bucket}. ({cause}){}",
        remedy(cause.message(), needs)
    )
}

/// The sentence of a job that may not use a key, and what mends that.
pub fn insufficient(key_arn: &str, why: &str) -> String {
    format!("Insufficient privileges for KMS key {key_arn}. {why}{}", remedy(why, KEY_ACTIONS))
}

/// The advice behind a denial, after a space; empty where nothing is known that would help.
fn remedy(denial: &str, needs: &[&str]) -> String {
    Lack::parse(denial)
        .and_then(|lack| lack.remedy(needs))
        .map_or_else(String::new, |text| format!(" {text}"))
}

/// A denial in the words of AWS, taken apart; stores that are not ours may give another, or none.
struct Lack<'a> {
    /// The role without its path, as the name of an assumed role's session has none; or the user.
    who: String,
    action: &'a str,
    resource: Arn,
    because: &'a str,
}

impl Lack<'_> {
    fn parse(text: &str) -> Option<Lack<'_>> {
        let (_, rest) = text.split_once("User: arn:")?;
        let (caller, rest) = rest.split_once(" is not authorized to perform: ")?;
        let (action, rest) = rest.split_once(" on resource: ")?;
        let ends = [" because ", " with an "].map(|word| rest.find(word));
        let (resource, because) = rest.split_at(ends.into_iter().flatten().min()?);
        let role = |(_, name): (&str, &str)| Some(format!("the role {}", name.split('/').next()?));
        let user = |(_, name): (&str, &str)| Some(format!("the user {}", name.rsplit('/').next()?));
        let who = caller.split_once(":assumed-role/").and_then(role);
        let who = who.or_else(|| caller.split_once(":user/").and_then(user))?;
        Some(Lack { who, action, resource: Arn::parse(resource.trim_matches('"'))?, because })
    }

    fn remedy(&self, needs: &[&str]) -> Option<String> {
        if self.because.contains(REFUSED) {
            return self.remedy_elsewhere(needs);
        }
        let is_identity = self.because.contains("identity-based policy");
        if !is_identity && !self.because.contains("resource-based policy") {
            return None;
        }
        let place = match self.resource.service() {
            _ if is_identity => format!("a policy of {}", self.who),
            "s3" => format!("the policy of the bucket {}", self.bucket()),
            "kms" => format!("the policy of the key {}", self.resource),
            _ => return None,
        };
        if self.because.contains("explicit deny") {
            return Some(format!("Take {} out of what {place} denies.", self.action));
        }
        Some(format!("Add this statement to {place}: {}", self.statement(is_identity, needs)?))
    }

    // A real service that does not say what it lacks: a permission is the likelier, a deny the other possibility.
    fn remedy_elsewhere(&self, needs: &[&str]) -> Option<String> {
        let (who, statement) = (&self.who, self.statement(true, needs)?);
        let also = match self.resource.service() {
            "s3" => format!("the policy of the bucket {}", self.bucket()),
            _ => format!("the policy of the key {}", self.resource),
        };
        let action = self.action;
        Some(format!(
            "Add this statement to a policy of {who}: {statement}. If it is there, look for what denies {action} in \
             {also}."
        ))
    }

    // All that the job needs there, so that one statement mends it.
    fn statement(&self, is_identity: bool, needs: &[&str]) -> Option<String> {
        let (needs, resources) = match self.resource.service() {
            "s3" => (needs, vec![format!("arn:aws:s3:::{}", self.bucket()), self.objects()]),
            _ if is_identity => (KEY_ACTIONS, vec![self.resource.to_string()]),
            _ => (KEY_ACTIONS, vec!["*".to_owned()]),
        };
        let is_needed = needs.contains(&self.action);
        let mut actions = if is_needed { needs.to_vec() } else { vec![self.action] };
        let principal = if is_identity {
            String::new()
        } else {
            actions.extend((is_needed && needs == KEY_ACTIONS).then_some("kms:CreateGrant"));
            format!(r#""Principal": {{"Service": "{PERSONALIZE}"}}, "#)
        };
        let list = |texts: &[&str]| serde_json::to_string(texts).ok();
        let resources: Vec<&str> = resources.iter().map(String::as_str).collect();
        Some(format!(
            r#"{{"Effect": "Allow", {principal}"Action": {}, "Resource": {}}}"#,
            list(&actions)?,
            list(&resources)?
        ))
    }

    fn bucket(&self) -> &str {
        self.resource.resource().split('/').next().unwrap_or_default()
    }

    fn objects(&self) -> String {
        format!("arn:aws:s3:::{}/*", self.bucket())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "can't write s3://out/k: User: arn:aws:sts::111122223333:assumed-role/Export/nightly is not \
                         authorized to perform: s3:PutObject on resource: arn:aws:s3:::out/k ";
    const KEY: &str = "User: arn:aws:sts::111122223333:assumed-role/Export/nightly is not authorized to perform: \
                       kms:Decrypt on resource: arn:aws:kms:us-east-1:111122223333:key/k ";

    #[test]
    fn the_statement_is_the_documented_one_and_says_where_it_belongs() {
        let actions = r#""Action": ["s3:PutObject","s3:ListBucket"]"#;
        let resources = r#""Resource": ["arn:aws:s3:::out","arn:aws:s3:::out/*"]"#;
        assert_eq!(
            remedy(
                &format!("{START}because no identity-based policy allows the s3:PutObject action"),
                WRITING
            ),
            format!(
                r#" Add this statement to a policy of the role Export: {{"Effect": "Allow", {actions}, {resources}}}"#
            )
        );
        assert_eq!(
            remedy(
                &format!("{START}because no resource-based policy allows the s3:PutObject action"),
                WRITING
            ),
            format!(
                r#" Add this statement to the policy of the bucket out: {{"Effect": "Allow", "Principal": {{"Service": "personalize.amazonaws.com"}}, {actions}, {resources}}}"#
            )
        );
    }

    #[test]
    fn a_key_s_own_policy_lets_the_service_grant_too() {
        let to_role =
            remedy(&format!("{KEY}because no identity-based policy allows the kms:Decrypt action"), READING);
        assert!(
            to_role
                .ends_with(r#""kms:ListGrants"], "Resource": ["arn:aws:kms:us-east-1:111122223333:key/k"]}"#)
        );
        let to_key =
            remedy(&format!("{KEY}because no resource-based policy allows the kms:Decrypt action"), READING);
        assert!(to_key.contains("to the policy of the key arn:aws:kms:us-east-1:111122223333:key/k: "));
        assert!(to_key.ends_with(r#""kms:ListGrants","kms:CreateGrant"], "Resource": ["*"]}"#), "{to_key}");
    }

    #[test]
    fn against_a_deny_no_statement_helps() {
        assert_eq!(
            remedy(&format!("{START}with an explicit deny in a resource-based policy"), WRITING),
            " Take s3:PutObject out of what the policy of the bucket out denies."
        );
        assert_eq!(
            remedy(&format!("{KEY}with an explicit deny in an identity-based policy"), READING),
            " Take kms:Decrypt out of what a policy of the role Export denies."
        );
    }

    #[test]
    fn what_the_job_does_not_document_is_given_by_itself() {
        let text = START.replace("s3:PutObject", "s3:ListMultipartUploadParts");
        let advice = remedy(&format!("{text}because no identity-based policy allows the action"), WRITING);
        assert!(advice.contains(r#""Action": ["s3:ListMultipartUploadParts"]"#), "{advice}");
    }

    #[test]
    fn a_real_store_s_denial_is_mended_in_the_policies_of_whoever_acts() {
        let user = format!("{START}{REFUSED} (Access Denied)");
        let said = user.replace("nightly is", "nightly, assumed by me, is");
        let advice = remedy(&said, WRITING);
        assert!(advice.starts_with(" Add this statement to a policy of the role Export: {"), "{advice}");
        assert!(
            advice.ends_with("look for what denies s3:PutObject in the policy of the bucket out."),
            "{advice}"
        );
        let user =
            user.replace("sts::111122223333:assumed-role/Export/nightly", "iam::111122223333:user/svc/lade");
        assert!(remedy(&user, WRITING).starts_with(" Add this statement to a policy of the user lade: {"));
    }

    #[test]
    fn a_store_that_says_less_gets_no_advice() {
        for text in
            ["", "Access Denied", "User: arn:aws:iam::1:user/a is not authorized to perform: x", START]
        {
            assert_eq!(remedy(text, WRITING), "", "{text}");
        }
        let session = format!("{START}because no session policy allows the s3:PutObject action");
        assert_eq!(remedy(&session, WRITING), "");
    }
}
