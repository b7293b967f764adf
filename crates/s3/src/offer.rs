//! What is not offered: headers and parameters that would change a request's meaning are refused, never ignored.

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use s3s::{S3ErrorCode, S3Result};

use crate::error::{not_offered, refuse};
use crate::integrity::header;

/// Numbers that s3s would accept below zero.
const COUNTS: [&str; 5] = ["max-keys", "max-parts", "max-uploads", "max-buckets", "part-number-marker"];

/// # Errors
/// `NotImplemented` for what is not offered, `AccessDenied` when another account is expected to own the bucket,
/// `InvalidArgument` for numbers out of range.
pub fn check(operation: &str, headers: &HeaderMap, query: &str, account: &str) -> S3Result<()> {
    for name in headers.keys().map(http::HeaderName::as_str) {
        check_header(name, header(headers, name).unwrap_or_default(), account)?;
    }
    for (name, value) in query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))) {
        let name = percent_decode_str(name).decode_utf8_lossy();
        let value = percent_decode_str(value).decode_utf8_lossy();
        check_parameter(&name, &value)?;
        if value.is_empty() && !has_part(operation, &name) {
            return Err(not_offered(format!("This server's object store does not offer ?{name} here.")));
        }
    }
    Ok(())
}

fn check_header(name: &str, value: &str, account: &str) -> S3Result<()> {
    match name {
        "x-amz-server-side-encryption"
        | "x-amz-server-side-encryption-aws-kms-key-id"
        | "x-amz-server-side-encryption-context"
        | "x-amz-server-side-encryption-bucket-key-enabled" => Ok(()),
        _ if name.contains("server-side-encryption") => Err(not_offered(format!(
            "This server does not encrypt objects with keys of customers: send the request without {name}."
        ))),
        "x-amz-acl" if matches!(value, "private" | "bucket-owner-full-control") => Ok(()),
        "x-amz-acl" => Err(no_lists()),
        _ if name.starts_with("x-amz-grant-") => Err(no_lists()),
        "x-amz-storage-class" if value == "STANDARD" => Ok(()),
        "x-amz-storage-class" => {
            let text = format!("The storage class {value} is not offered; there is STANDARD alone.");
            Err(refuse(S3ErrorCode::InvalidStorageClass, text))
        }
        "x-amz-expected-bucket-owner" | "x-amz-source-expected-bucket-owner" if value != account => {
            let text = "Access Denied: the bucket's owner is not the account that the request expects.";
            Err(refuse(S3ErrorCode::AccessDenied, text))
        }
        "x-amz-tagging" | "x-amz-website-redirect-location" | "x-amz-write-offset-bytes" | "x-amz-mfa" => {
            Err(not_offered(format!("This server's object store does not offer {name}.")))
        }
        "x-amz-if-match-size" | "x-amz-if-match-last-modified-time" | "x-amz-if-match-initiated-time" => {
            Err(not_offered(format!("This server's object store does not offer {name}.")))
        }
        _ if name.starts_with("x-amz-object-lock-") || name == "x-amz-bucket-object-lock-enabled" => {
            if value.eq_ignore_ascii_case("false") {
                return Ok(());
            }
            Err(not_offered("This server's object store does not offer object locks."))
        }
        _ => Ok(()),
    }
}

fn check_parameter(name: &str, value: &str) -> S3Result<()> {
    match name {
        _ if name.to_ascii_lowercase().contains("server-side-encryption") => {
            Err(not_offered("Encryption is asked for by headers, not in the address of a request."))
        }
        "versionId" if value == "null" => Ok(()),
        "versionId" => Err(not_offered("This server's object store keeps one version of an object.")),
        _ if COUNTS.contains(&name) => {
            let is_count = value.parse::<u32>().is_ok_and(|count| count <= 0x7fff_ffff);
            let text = format!("Argument {name} must be an integer between 0 and 2147483647.");
            if is_count { Ok(()) } else { Err(refuse(S3ErrorCode::InvalidArgument, text)) }
        }
        _ => Ok(()),
    }
}

// A name alone (`?renameObject`) asks for a part of a bucket or an object: where the operation is about another, it would
// be done to the whole.
fn has_part(operation: &str, name: &str) -> bool {
    match name {
        "encryption" => operation.ends_with("BucketEncryption"),
        "policy" => operation.ends_with("BucketPolicy"),
        "cors" => operation.ends_with("BucketCors"),
        "tagging" => operation.ends_with("BucketTagging") || operation == "GetObjectTagging",
        "uploads" => matches!(operation, "CreateMultipartUpload" | "ListMultipartUploads"),
        "attributes" => operation == "GetObjectAttributes",
        "delete" => operation == "DeleteObjects",
        _ if READ.contains(&(name, operation)) => true,
        _ => name.is_empty() || PARAMETERS.contains(&name) || name.starts_with("response-"),
    }
}

/// Parts of a bucket that are read and never put.
const READ: [(&str, &str); 13] = [
    ("accelerate", "GetBucketAccelerateConfiguration"),
    ("acl", "GetBucketAcl"),
    ("lifecycle", "GetBucketLifecycleConfiguration"),
    ("location", "GetBucketLocation"),
    ("logging", "GetBucketLogging"),
    ("notification", "GetBucketNotificationConfiguration"),
    ("object-lock", "GetObjectLockConfiguration"),
    ("ownershipControls", "GetBucketOwnershipControls"),
    ("publicAccessBlock", "GetPublicAccessBlock"),
    ("replication", "GetBucketReplication"),
    ("requestPayment", "GetBucketRequestPayment"),
    ("versioning", "GetBucketVersioning"),
    ("website", "GetBucketWebsite"),
];

/// Parameters that may be empty.
const PARAMETERS: [&str; 13] = [
    "bucket-region",
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "key-marker",
    "list-type",
    "marker",
    "prefix",
    "start-after",
    "upload-id-marker",
    "uploadId",
    "x-id",
];

fn no_lists() -> s3s::S3Error {
    let text = "The bucket does not allow ACLs: use a bucket policy.";
    refuse(S3ErrorCode::AccessControlListNotSupported, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(name: &'static str, value: &'static str) -> Option<String> {
        let headers = [(name.parse().unwrap(), value.parse().unwrap())].into_iter().collect();
        check("PutObject", &headers, "", "000000000000").err().map(|error| error.code().as_str().to_owned())
    }

    #[test]
    fn keys_of_customers_are_refused_and_never_ignored() {
        for name in [
            "x-amz-server-side-encryption-customer-algorithm",
            "x-amz-server-side-encryption-customer-key",
            "x-amz-copy-source-server-side-encryption-customer-key",
        ] {
            assert_eq!(code(name, "aws:kms").as_deref(), Some("NotImplemented"), "{name}");
        }
    }

    #[test]
    fn what_every_client_sends_is_admitted() {
        for (name, value) in [
            ("x-amz-acl", "private"),
            ("x-amz-storage-class", "STANDARD"),
            ("x-amz-expected-bucket-owner", "000000000000"),
            ("x-amz-meta-color", "red"),
        ] {
            assert_eq!(code(name, value), None, "{name}");
        }
    }

    #[test]
    fn counts_below_zero_are_refused() {
        for query in ["list-type=2&max-keys=-1", "max-keys=x", "max-uploads=2147483648"] {
            let error = check("ListObjectsV2", &HeaderMap::new(), query, "").unwrap_err();
            assert_eq!(error.code().as_str(), "InvalidArgument", "{query}");
        }
        check("ListObjectsV2", &HeaderMap::new(), "list-type=2&max-keys=0&prefix=", "").unwrap();
    }

    #[test]
    fn a_part_that_the_operation_is_not_about_is_refused() {
        for (operation, query, is_offered) in [
            ("PutObject", "renameObject", false),
            ("PutObject", "encryption", false),
            ("PutBucketEncryption", "encryption", true),
            ("DeleteObject", "annotation&annotationName=a", false),
            ("DeleteBucket", "metadataConfiguration", false),
            ("DeleteBucketPolicy", "policy=", true),
            ("GetBucketAcl", "acl", true),
            ("GetObject", "acl", false),
            ("DeleteBucket", "cors", false),
            ("PutObject", "tagging", false),
            ("CreateMultipartUpload", "uploads", true),
            ("GetObject", "", true),
            ("GetObject", "x-id=GetObject&response-content-type=", true),
        ] {
            assert_eq!(
                check(operation, &HeaderMap::new(), query, "").is_ok(),
                is_offered,
                "{operation} {query}"
            );
        }
    }
}
