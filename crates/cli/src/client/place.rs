//! Where an export goes: a bucket, a prefix, and the role that may write there.

use model::error::{Error, Result};
use serde_json::{Value, json};

use super::Client;

#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub bucket: String,
    /// Empty, or ends with a slash.
    pub prefix: String,
    pub role_arn: String,
}

impl Place {
    /// # Errors
    /// `Invalid` when `path` is not `s3://BUCKET/PREFIX/`.
    pub fn given(path: &str, role_arn: &str) -> Result<Place> {
        let wrong = || Error::invalid(format!("an export goes to s3://BUCKET/PREFIX/, not to {path}"));
        let rest = path.strip_prefix("s3://").ok_or_else(wrong)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(wrong());
        }
        let end = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
        Ok(Place {
            bucket: bucket.to_owned(),
            prefix: format!("{prefix}{end}"),
            role_arn: role_arn.to_owned(),
        })
    }

    /// A bucket and a role of this name, with the policies that the export guide prints.
    ///
    /// # Errors
    /// When the server refuses: only the root, and who may do all of this, can.
    pub async fn make(client: &Client, name: &str) -> Result<Place> {
        let service = json!({ "Service": "personalize.amazonaws.com" });
        let trust = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole" }] });
        let trust = trust.to_string();
        let role =
            client.iam("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", &trust)]).await?;
        let policy = statement(name, None);
        let named = [("RoleName", name), ("PolicyName", "s3"), ("PolicyDocument", policy.as_str())];
        client.iam("PutRolePolicy", &named).await?;
        client.s3_put(&format!("/{name}"), "").await?;
        client.s3_put(&format!("/{name}?policy"), statement(name, Some(service))).await?;
        let role_arn = between(&role, "<Arn>", "</Arn>");
        let role_arn = role_arn.ok_or_else(|| Error::invalid("CreateRole was answered without an Arn"))?;
        Ok(Place { bucket: name.to_owned(), prefix: String::new(), role_arn: role_arn.to_owned() })
    }

    /// Removes what `make` made, and all that was written there.
    ///
    /// # Errors
    /// When the server refuses; what is left then stays.
    pub async fn remove(&self, client: &Client) -> Result<()> {
        let name = self.bucket.as_str();
        loop {
            let listed = client.s3_get(&format!("/{name}?list-type=2")).await?;
            let listed = String::from_utf8_lossy(&listed).into_owned();
            let keys: Vec<&str> =
                listed.split("<Key>").skip(1).filter_map(|rest| Some(rest.split_once("</Key>")?.0)).collect();
            if keys.is_empty() {
                break;
            }
            for key in keys {
                client.s3_delete(&format!("/{name}/{key}")).await?;
            }
        }
        client.s3_delete(&format!("/{name}")).await?;
        client.iam("DeleteRolePolicy", &[("RoleName", name), ("PolicyName", "s3")]).await?;
        client.iam("DeleteRole", &[("RoleName", name)]).await.map(drop)
    }

    /// `s3://BUCKET/PREFIX`, as jobs take it.
    pub fn path(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }

    /// The key of what bears this name below the prefix.
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

fn statement(bucket: &str, principal: Option<Value>) -> String {
    let mut statement = json!({
        "Sid": "PersonalizeS3BucketAccessPolicy", "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"],
        "Resource": [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")],
    });
    if let Some(principal) = principal {
        statement["Principal"] = principal;
    }
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?.1.split_once(end).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_bucket_and_a_prefix() {
        let prefix = |path| Place::given(path, "r").map(|place| (place.bucket, place.prefix)).ok();
        let some = |bucket: &str, prefix: &str| Some((bucket.to_owned(), prefix.to_owned()));
        assert_eq!(prefix("s3://b/p/q"), some("b", "p/q/"));
        assert_eq!(prefix("s3://b/"), some("b", ""));
        assert_eq!(prefix("s3://b"), some("b", ""));
        assert_eq!((prefix("s3:///p"), prefix("http://b")), (None, None));
    }
}
