//! Who may: each operation's action on its resource, asked before the operation begins.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use access::policy::Document;
use access::{Access, Context, Denial};
use futures_util::future::BoxFuture;
use model::{Arn, ErrorKind};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::{ListObjectsInput, ListObjectsV2Input};
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result};

use crate::caller::Caller;
use crate::encryption;
use crate::error::{chain, damaged, not_offered, refuse};
use crate::index::Index;
use crate::offer;

/// Asks `access` for every operation.
#[derive(Clone)]
pub struct Gate {
    access: Arc<Access>,
    index: Index,
    policies: Arc<Mutex<HashMap<String, Arc<Policy>>>>,
}

/// A bucket policy, read; its text tells whether it is still the bucket's.
struct Policy {
    text: String,
    document: Document,
}

/// What an operation needs.
enum Need {
    /// An action on all buckets.
    Account(&'static str),
    /// An action on a bucket that need not be there.
    Name(&'static str),
    Bucket(&'static str),
    Object(&'static [&'static str]),
    /// The bucket must be there; the operation asks by itself, as what it needs depends on its input.
    Own,
}

// One row an operation; what is not in here is not offered.
fn need(operation: &str) -> Option<Need> {
    Some(match operation {
        "ListBuckets" => Need::Account("s3:ListAllMyBuckets"),
        "CreateBucket" => Need::Name("s3:CreateBucket"),
        "HeadBucket" => Need::Bucket("s3:ListBucket"),
        "DeleteBucket" => Need::Bucket("s3:DeleteBucket"),
        "GetBucketLocation" => Need::Bucket("s3:GetBucketLocation"),
        "GetBucketVersioning" => Need::Bucket("s3:GetBucketVersioning"),
        "GetBucketAcl" => Need::Bucket("s3:GetBucketAcl"),
        "GetBucketLogging" => Need::Bucket("s3:GetBucketLogging"),
        "GetBucketAccelerateConfiguration" => Need::Bucket("s3:GetAccelerateConfiguration"),
        "GetBucketNotificationConfiguration" => Need::Bucket("s3:GetBucketNotification"),
        "GetBucketRequestPayment" => Need::Bucket("s3:GetBucketRequestPayment"),
        "GetBucketOwnershipControls" => Need::Bucket("s3:GetBucketOwnershipControls"),
        "GetBucketLifecycleConfiguration" => Need::Bucket("s3:GetLifecycleConfiguration"),
        "GetBucketReplication" => Need::Bucket("s3:GetReplicationConfiguration"),
        "GetBucketWebsite" => Need::Bucket("s3:GetBucketWebsite"),
        "GetObjectLockConfiguration" => Need::Bucket("s3:GetBucketObjectLockConfiguration"),
        "GetPublicAccessBlock" => Need::Bucket("s3:GetBucketPublicAccessBlock"),
        "GetBucketCors" => Need::Bucket("s3:GetBucketCORS"),
        "PutBucketCors" | "DeleteBucketCors" => Need::Bucket("s3:PutBucketCORS"),
        "GetBucketTagging" => Need::Bucket("s3:GetBucketTagging"),
        "PutBucketTagging" | "DeleteBucketTagging" => Need::Bucket("s3:PutBucketTagging"),
        "GetBucketPolicy" => Need::Bucket("s3:GetBucketPolicy"),
        "PutBucketPolicy" => Need::Bucket("s3:PutBucketPolicy"),
        "DeleteBucketPolicy" => Need::Bucket("s3:DeleteBucketPolicy"),
        "GetBucketEncryption" => Need::Bucket("s3:GetEncryptionConfiguration"),
        "PutBucketEncryption" | "DeleteBucketEncryption" => Need::Bucket("s3:PutEncryptionConfiguration"),
        "ListMultipartUploads" => Need::Bucket("s3:ListBucketMultipartUploads"),
        "GetObject" | "HeadObject" => Need::Object(&["s3:GetObject"]),
        "GetObjectTagging" => Need::Object(&["s3:GetObjectTagging"]),
        "GetObjectAttributes" => Need::Object(&["s3:GetObject", "s3:GetObjectAttributes"]),
        "PutObject"
        | "CopyObject"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "UploadPartCopy"
        | "CompleteMultipartUpload" => Need::Object(&["s3:PutObject"]),
        "DeleteObject" => Need::Object(&["s3:DeleteObject"]),
        "ListParts" => Need::Object(&["s3:ListMultipartUploadParts"]),
        "ListObjects" | "ListObjectsV2" | "DeleteObjects" | "AbortMultipartUpload" => Need::Own,
        _ => return None,
    })
}

impl Gate {
    pub fn new(access: Arc<Access>, index: Index) -> Gate {
        Gate { access, index, policies: Arc::default() }
    }

    /// May the caller do `action` on an object of this bucket?
    ///
    /// # Errors
    /// `AccessDenied` with the reason; `NoSuchBucket`.
    pub async fn permit_object(
        &self,
        caller: &Caller,
        action: &str,
        bucket: &str,
        key: &str,
    ) -> S3Result<()> {
        let asked = Asked { action, resource: &model::arn::object(bucket, key), context: &caller.context() };
        self.permit(caller, &asked, bucket).await
    }

    /// May the caller do `action` on something of its own in this bucket? Yes, unless a policy denies it.
    ///
    /// # Errors
    /// `AccessDenied` with the reason; `NoSuchBucket`.
    pub async fn permit_owner(&self, caller: &Caller, action: &str, bucket: &str, key: &str) -> S3Result<()> {
        let asked = Asked { action, resource: &model::arn::object(bucket, key), context: &caller.context() };
        let policy = self.policy_for(action, bucket).await?;
        match self.decide(caller, &asked, policy.as_deref()).await {
            Err(denial) if denial.reason.is_some_and(|reason| !reason.is_explicit()) => Ok(()),
            decision => decision.map_err(refusal),
        }
    }

    /// May the caller do `action` on this bucket?
    ///
    /// # Errors
    /// `AccessDenied` with the reason; `NoSuchBucket`.
    pub async fn permit_bucket(&self, caller: &Caller, action: &str, bucket: &str) -> S3Result<()> {
        let asked = Asked { action, resource: &model::arn::bucket(bucket), context: &caller.context() };
        self.permit(caller, &asked, bucket).await
    }

    async fn permit(&self, caller: &Caller, asked: &Asked<'_>, bucket: &str) -> S3Result<()> {
        let policy = self.policy_for(asked.action, bucket).await?;
        self.decide(caller, asked, policy.as_deref()).await.map_err(refusal)
    }

    async fn decide(
        &self,
        caller: &Caller,
        asked: &Asked<'_>,
        policy: Option<&Policy>,
    ) -> Result<(), Denial> {
        let document = policy.map(|policy| &policy.document);
        let Asked { action, resource, context } = asked;
        self.access.permit(&caller.principal, action, resource.as_str(), document, context).await
    }

    async fn policy_for(&self, action: &str, bucket: &str) -> S3Result<Option<Arc<Policy>>> {
        match self.policy(bucket).await {
            // Who may mend a policy that this version cannot read must be able to.
            Err(error) if is_damaged(&error) && action.ends_with("BucketPolicy") => Ok(None),
            policy => policy,
        }
    }

    async fn policy(&self, bucket: &str) -> S3Result<Option<Arc<Policy>>> {
        let Some(text) = self.index.bucket(bucket).await?.policy else { return Ok(None) };
        let known = self.policies().get(bucket).filter(|policy| policy.text == text).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let document = Document::parse_resource_policy(&text, bucket).map_err(|_| damaged(POLICY))?;
        let policy = Arc::new(Policy { text, document });
        self.policies().insert(bucket.to_owned(), policy.clone());
        Ok(Some(policy))
    }

    fn policies(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Policy>>> {
        self.policies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn admit(
        &self,
        operation: &str,
        path: &S3Path,
        caller: &Caller,
        context: &Context,
    ) -> S3Result<()> {
        let needed = need(operation).ok_or_else(|| {
            not_offered(format!("This server's object store does not offer the operation {operation}."))
        })?;
        let bucket = path.get_bucket_name().unwrap_or_default();
        let (actions, resource) = match &needed {
            Need::Account(action) => (std::slice::from_ref(action), model::arn::bucket("*")),
            Need::Name(action) | Need::Bucket(action) => {
                (std::slice::from_ref(action), model::arn::bucket(bucket))
            }
            Need::Object(actions) => {
                (*actions, model::arn::object(bucket, path.get_object_key().unwrap_or_default()))
            }
            Need::Own => return self.index.bucket(bucket).await.map(|_| ()),
        };
        for action in actions {
            let asked = Asked { action, resource: &resource, context };
            match needed {
                Need::Account(_) | Need::Name(_) => {
                    self.decide(caller, &asked, None).await.map_err(refusal)?;
                }
                _ => self.permit(caller, &asked, bucket).await?,
            }
        }
        Ok(())
    }

    // Asked when the request's parameters were read, as conditions may restrict them.
    async fn admit_list(&self, caller: &Caller, bucket: &str, context: &Context) -> S3Result<()> {
        let asked = Asked { action: "s3:ListBucket", resource: &model::arn::bucket(bucket), context };
        self.permit(caller, &asked, bucket).await
    }
}

/// What a caller wants to do.
struct Asked<'a> {
    action: &'a str,
    resource: &'a Arn,
    context: &'a Context,
}

fn refusal(denial: Denial) -> S3Error {
    match denial.kind {
        ErrorKind::Denied => refuse(S3ErrorCode::AccessDenied, denial.message),
        _ => refuse(S3ErrorCode::ServiceUnavailable, denial.message),
    }
}

const POLICY: &str = "the bucket's policy";

fn is_damaged(error: &S3Error) -> bool {
    *error.code() == S3ErrorCode::InternalError
}

impl S3Access for Gate {
    fn check<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        cx: &'life1 mut S3AccessContext<'life2>,
    ) -> BoxFuture<'async_trait, S3Result<()>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let caller = Caller::among(cx.extensions_mut())?;
            let context = caller.context_with(cx.headers());
            let operation = cx.s3_op().name();
            access::trail::operation(operation.to_owned());
            let admitted = self.admit(operation, cx.s3_path(), &caller, &context).await;
            admitted.inspect_err(|error| {
                if error.status_code().is_some_and(|status| status.is_server_error()) {
                    tracing::error!(s3.operation = operation, cause = %chain(error), "{operation} could not be decided");
                }
            })?;
            offer::check(
                operation,
                cx.headers(),
                cx.uri().query().unwrap_or_default(),
                &self.access.realm.account,
            )?;
            encryption::admit(operation, cx.headers())
        })
    }

    fn list_objects<'life0, 'life1, 'async_trait>(
        &'life0 self,
        request: &'life1 mut S3Request<ListObjectsInput>,
    ) -> BoxFuture<'async_trait, S3Result<()>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let (caller, input) = (Caller::of(request)?, &request.input);
            let context =
                caller.context_of_list(input.prefix.as_deref(), input.delimiter.as_deref(), input.max_keys);
            self.admit_list(&caller, &input.bucket, &context).await
        })
    }

    fn list_objects_v2<'life0, 'life1, 'async_trait>(
        &'life0 self,
        request: &'life1 mut S3Request<ListObjectsV2Input>,
    ) -> BoxFuture<'async_trait, S3Result<()>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let (caller, input) = (Caller::of(request)?, &request.input);
            let context =
                caller.context_of_list(input.prefix.as_deref(), input.delimiter.as_deref(), input.max_keys);
            self.admit_list(&caller, &input.bucket, &context).await
        })
    }
}

/// Knows no key at all. The request was authenticated before it came here; without a provider s3s would not call
/// [`S3Access::check`], and a signature that is still in the request must not be believed.
pub struct NoKeys;

impl S3Auth for NoKeys {
    fn get_secret_key<'life0, 'life1, 'async_trait>(
        &'life0 self,
        _access_key: &'life1 str,
    ) -> BoxFuture<'async_trait, S3Result<SecretKey>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async {
            let text =
                "The request's signature was not removed by the verifier in front of the object store.";
            Err(refuse(S3ErrorCode::InvalidAccessKeyId, text))
        })
    }
}
