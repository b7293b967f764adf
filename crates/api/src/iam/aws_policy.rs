//! The managed policies that AWS gives to every account: those that guides for Personalize tell people to attach.

use catalog::policy::PolicyRow;
use model::arn::aws_policy;
use model::{Error, ErrorKind, Result};

use super::Iam;

struct AwsPolicy {
    path: &'static str,
    name: &'static str,
    description: &'static str,
    /// When AWS last changed it.
    created_ms: i64,
    document: &'static str,
}

impl Iam {
    /// Keeps the policies of AWS in the catalog, where they are attached and read like any other.
    ///
    /// # Errors
    /// `Unavailable` when the catalog can't be written.
    pub async fn keep_aws_policies(&self) -> Result<()> {
        let rows: Vec<PolicyRow> = POLICIES.iter().zip(1..).map(|(policy, n)| policy.row(n)).collect();
        self.catalog.keep_aws_policies(&rows).await
    }
}

impl AwsPolicy {
    fn row(&self, number: usize) -> PolicyRow {
        PolicyRow {
            arn: aws_policy(self.path, self.name),
            id: format!("ANPAAWS{number:014}"),
            name: self.name.to_owned(),
            path: self.path.to_owned(),
            document: self.document.to_owned(),
            description: Some(self.description.to_owned()),
            tags: Vec::new(),
            created_ms: self.created_ms,
        }
    }
}

/// Refuses to change a policy of AWS.
pub(super) fn check_own(policy_arn: &str) -> Result<()> {
    if policy_arn.starts_with("arn:aws:iam::aws:") {
        let text = format!("The policy {policy_arn} belongs to AWS and can't be changed.");
        return Err(Error::new(ErrorKind::Denied, text));
    }
    Ok(())
}

// Source: "AWS managed policy reference".
static POLICIES: [AwsPolicy; 4] = [
    AwsPolicy {
        path: "/service-role/",
        name: "AmazonPersonalizeFullAccess",
        description: "Provides full access to Amazon Personalize via the AWS Management Console and SDK. Also provides \
                      select access to related services (e.g., S3, CloudWatch).",
        created_ms: 1_559_260_019_000,
        document: r#"{
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["personalize:*"], "Resource": "*"},
        {"Effect": "Allow", "Action": ["cloudwatch:PutMetricData", "cloudwatch:ListMetrics"], "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"],
            "Resource": ["arn:aws:s3:::*Personalize*", "arn:aws:s3:::*personalize*"]
        },
        {
            "Effect": "Allow",
            "Action": ["iam:PassRole"],
            "Resource": "*",
            "Condition": {"StringEquals": {"iam:PassedToService": "personalize.amazonaws.com"}}
        }
    ]
}"#,
    },
    AwsPolicy {
        path: "/",
        name: "AmazonS3FullAccess",
        description: "Provides full access to all buckets via the AWS Management Console.",
        created_ms: 1_632_773_797_000,
        document: r#"{
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:*", "s3-object-lambda:*"], "Resource": "*"}]
}"#,
    },
    AwsPolicy {
        path: "/",
        name: "AmazonS3ReadOnlyAccess",
        description: "Provides read only access to all buckets via the AWS Management Console.",
        created_ms: 1_691_703_099_000,
        document: r#"{
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*"],
            "Resource": "*"
        }
    ]
}"#,
    },
    AwsPolicy {
        path: "/",
        name: "AdministratorAccess",
        description: "Provides full access to AWS services and resources.",
        created_ms: 1_423_247_986_000,
        document: r#"{
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
}"#,
    },
];

#[cfg(test)]
mod tests {
    use access::policy::Document;

    use super::*;

    #[test]
    fn every_element_of_the_policies_of_aws_is_evaluated() {
        for policy in &POLICIES {
            Document::parse_identity_policy(policy.document).unwrap();
        }
    }
}
