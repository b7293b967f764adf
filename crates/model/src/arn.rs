//! Amazon Resource Names: how one is read, and how this server's own are made.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An Amazon Resource Name, `arn:<partition>:<service>:<region>:<account>:<resource>`.
///
/// Region and account may be empty (S3 buckets have neither, roles no region).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Arn(String);

impl Arn {
    /// Reads an ARN; `None` when it lacks one of its six parts or its resource is empty.
    pub fn parse(text: &str) -> Option<Arn> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        (parts.len() == 6 && parts[0] == "arn" && !parts[5].is_empty()).then(|| Arn(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn service(&self) -> &str {
        self.part(2)
    }

    pub fn region(&self) -> &str {
        self.part(3)
    }

    pub fn account(&self) -> &str {
        self.part(4)
    }

    /// All behind the fifth colon, such as `dataset/retail/ITEMS` or `role/service/Export`.
    pub fn resource(&self) -> &str {
        self.part(5)
    }

    /// The resource's kind: the text up to the first slash, such as `dataset-group`.
    pub fn resource_type(&self) -> &str {
        self.resource().split('/').next().unwrap_or_default()
    }

    /// The resource's last segment: a role's name without its path, a job's name.
    pub fn resource_name(&self) -> &str {
        self.resource().rsplit('/').next().unwrap_or_default()
    }

    fn part(&self, n: usize) -> &str {
        self.0.splitn(6, ':').nth(n).unwrap_or_default()
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a server lives: one region and one account, fixed at its first start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Realm {
    pub region: String,
    pub account: String,
}

impl Realm {
    pub fn schema(&self, name: &str) -> Arn {
        self.personalize(&format!("schema/{name}"))
    }

    pub fn dataset_group(&self, name: &str) -> Arn {
        self.personalize(&format!("dataset-group/{name}"))
    }

    /// A dataset's ARN holds its group's name and its type; its own name is not part of it.
    pub fn dataset(&self, group_name: &str, dataset_type: crate::DatasetType) -> Arn {
        self.personalize(&format!("dataset/{group_name}/{}", dataset_type.as_str()))
    }

    pub fn import_job(&self, job_name: &str) -> Arn {
        self.personalize(&format!("dataset-import-job/{job_name}"))
    }

    pub fn export_job(&self, job_name: &str) -> Arn {
        self.personalize(&format!("dataset-export-job/{job_name}"))
    }

    /// An update of a dataset is work of this server's own: no operation names it.
    pub fn dataset_update(&self, id: &str) -> Arn {
        self.personalize(&format!("dataset-update/{id}"))
    }

    /// An analysis of a dataset group is work of this server's own: no operation names it.
    pub fn analysis(&self, id: &str) -> Arn {
        self.personalize(&format!("analysis/{id}"))
    }

    pub fn data_deletion_job(&self, job_name: &str) -> Arn {
        self.personalize(&format!("data-deletion-job/{job_name}"))
    }

    pub fn event_tracker(&self, id: &str) -> Arn {
        self.personalize(&format!("event-tracker/{id}"))
    }

    pub fn metric_attribution(&self, name: &str) -> Arn {
        self.personalize(&format!("metric-attribution/{name}"))
    }

    /// `path` begins and ends with a slash.
    pub fn role(&self, path: &str, name: &str) -> Arn {
        Arn(format!("arn:aws:iam::{}:role{path}{name}", self.account))
    }

    /// `path` begins and ends with a slash.
    pub fn user(&self, path: &str, name: &str) -> Arn {
        Arn(format!("arn:aws:iam::{}:user{path}{name}", self.account))
    }

    /// `path` begins and ends with a slash.
    pub fn policy(&self, path: &str, name: &str) -> Arn {
        Arn(format!("arn:aws:iam::{}:policy{path}{name}", self.account))
    }

    /// `path` begins and ends with a slash.
    pub fn group(&self, path: &str, name: &str) -> Arn {
        Arn(format!("arn:aws:iam::{}:group{path}{name}", self.account))
    }

    pub fn root(&self) -> Arn {
        Arn(format!("arn:aws:iam::{}:root", self.account))
    }

    pub fn assumed_role(&self, role_name: &str, session_name: &str) -> Arn {
        Arn(format!("arn:aws:sts::{}:assumed-role/{role_name}/{session_name}", self.account))
    }

    /// A key of KMS.
    pub fn key(&self, id: &str) -> Arn {
        Arn(format!("arn:aws:kms:{}:{}:key/{id}", self.region, self.account))
    }

    /// An alias of a key; `name` begins with `alias/`.
    pub fn alias(&self, name: &str) -> Arn {
        Arn(format!("arn:aws:kms:{}:{}:{name}", self.region, self.account))
    }

    fn personalize(&self, resource: &str) -> Arn {
        Arn(format!("arn:aws:personalize:{}:{}:{resource}", self.region, self.account))
    }
}

/// The ARN of a policy that AWS gives to every account; `path` begins and ends with a slash.
pub fn aws_policy(path: &str, name: &str) -> Arn {
    Arn(format!("arn:aws:iam::aws:policy{path}{name}"))
}

/// The ARN of a bucket.
pub fn bucket(name: &str) -> Arn {
    Arn(format!("arn:aws:s3:::{name}"))
}

/// The ARN of an object in a bucket.
pub fn object(bucket: &str, key: &str) -> Arn {
    Arn(format!("arn:aws:s3:::{bucket}/{key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_read_in_its_parts() {
        let arn = Arn::parse("arn:aws:iam::123456789012:role/service-role/Export").unwrap();
        assert_eq!(arn.service(), "iam");
        assert_eq!(arn.account(), "123456789012");
        assert_eq!(arn.resource_type(), "role");
        assert_eq!(arn.resource_name(), "Export");
    }

    #[test]
    fn a_text_without_a_resource_is_no_arn() {
        for text in ["", "arn:aws:s3", "arn:aws:personalize:us-east-1:1:", "urn:aws:a:b:c:d"] {
            assert_eq!(Arn::parse(text), None, "{text}");
        }
    }
}
