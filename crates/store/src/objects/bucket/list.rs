//! What lies in the bucket: objects by their keys, and uploads that nobody has completed.

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use model::Result;

use super::fault::Fault;
use super::{OpenUpload, OwnBucket};

impl OwnBucket {
    /// The keys of all objects that begin with `prefix` and follow `start_after`, in the store's order.
    pub async fn list(&self, prefix: &str, start_after: Option<&str>) -> Result<Vec<String>> {
        let mut keys: Vec<String> = Vec::new();
        let mut after = start_after.map(str::to_owned);
        loop {
            let page = self.retried(|| self.try_list(prefix, after.as_deref())).await;
            let page = page.map_err(|fault| self.error(fault, "list", prefix))?;
            let found = page.contents().iter().filter_map(|object| object.key()?.strip_prefix(&self.prefix));
            keys.extend(found.map(str::to_owned));
            let last = page.contents().last().and_then(|object| object.key()?.strip_prefix(&self.prefix));
            match last {
                Some(last) if page.is_truncated == Some(true) => after = Some(last.to_owned()),
                _ => return Ok(keys),
            }
        }
    }

    async fn try_list(&self, prefix: &str, after: Option<&str>) -> Result<ListObjectsV2Output, Fault> {
        let call = self.client.list_objects_v2().bucket(&self.bucket).prefix(self.full(prefix));
        let page = call.set_start_after(after.map(|key| self.full(key))).send().await.map_err(Fault::of)?;
        // Whoever reads a page that was cut off does not miss what is gone.
        let said = page.key_count.and_then(|count| usize::try_from(count).ok());
        match page.is_truncated.is_some() && said == Some(page.contents().len()) {
            true => Ok(page),
            false => Err(Fault::passing("the list ended too early")),
        }
    }

    /// The uploads below a prefix that are neither completed nor aborted.
    pub(crate) async fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        let mut uploads = Vec::new();
        let mut after: Option<(String, Option<String>)> = None;
        loop {
            let list = || async {
                let call =
                    self.client.list_multipart_uploads().bucket(&self.bucket).prefix(self.full(prefix));
                let (key, id) = after.clone().unzip();
                let call = call.set_key_marker(key).set_upload_id_marker(id.flatten());
                let page = call.send().await.map_err(Fault::of)?;
                match page.is_truncated {
                    Some(_) => Ok(page),
                    None => Err(Fault::passing("the list ended too early")),
                }
            };
            let page = self.retried(list).await.map_err(|fault| self.error(fault, "list", prefix))?;
            uploads.extend(page.uploads().iter().filter_map(|upload| {
                let key = upload.key()?.strip_prefix(&self.prefix)?.to_owned();
                Some(OpenUpload { key, id: upload.upload_id()?.to_owned() })
            }));
            match page.next_key_marker {
                Some(key) if page.is_truncated == Some(true) => {
                    after = Some((key, page.next_upload_id_marker))
                }
                _ => return Ok(uploads),
            }
        }
    }
}
