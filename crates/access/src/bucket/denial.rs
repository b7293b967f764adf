//! What a denial by a real store is about: stores seldom say who was denied what.

use super::Bucket;

impl Bucket {
    /// What the store said, completed by who was denied which action on what.
    pub(super) fn explained(&self, doing: &str, key: &str, said: &str) -> String {
        match &self.acting {
            Some(acting) if !said.contains("is not authorized to perform") => {
                let action = action(doing);
                let resource = self.resource(if action == "s3:ListBucket" { "" } else { key });
                acting.denial(action, &resource, said)
            }
            _ => said.to_owned(),
        }
    }

    fn resource(&self, key: &str) -> String {
        match key {
            "" => format!("arn:aws:s3:::{}", self.name),
            key => format!("arn:aws:s3:::{}/{key}", self.name),
        }
    }
}

fn action(doing: &str) -> &'static str {
    match doing {
        "list" => "s3:ListBucket",
        "read" | "look at" => "s3:GetObject",
        "delete" => "s3:DeleteObject",
        "abort the upload of" => "s3:AbortMultipartUpload",
        _ => "s3:PutObject",
    }
}
