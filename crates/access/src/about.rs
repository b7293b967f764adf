//! What the work under way is about: the request that is served, the job that is done. For whoever writes a line of the log.
//!
//! It goes beside the work, as a call's trail does, and no work depends on it.

use std::sync::Arc;

/// What it is about, as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// As the caller is told it.
    pub request_id: Option<Arc<str>>,
    pub job_arn: Option<Arc<str>>,
}

tokio::task_local! {
    static ABOUT: About;
}

/// What the work is about that asks.
pub fn current() -> About {
    ABOUT.try_with(About::clone).unwrap_or_default()
}

/// Work on a request.
pub fn request<F: Future>(id: &str, work: F) -> impl Future<Output = F::Output> + use<F> {
    ABOUT.scope(About { request_id: Some(id.into()), ..current() }, work)
}

/// Work on a job.
pub fn job<F: Future>(arn: &str, work: F) -> impl Future<Output = F::Output> + use<F> {
    ABOUT.scope(About { job_arn: Some(arn.into()), ..current() }, work)
}

/// Work that another task does for this one.
pub fn along<F: Future>(work: F) -> impl Future<Output = F::Output> {
    ABOUT.scope(current(), work)
}

impl About {
    /// Work that another thread does, or this one later.
    pub fn within<T>(self, work: impl FnOnce() -> T) -> T {
        ABOUT.sync_scope(self, work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_others_do_is_about_the_same() {
        let (asked, done) = job("arn:job", async {
            let asked =
                request("r-1", async { tokio::spawn(along(async { current() })).await.unwrap() }).await;
            let about = current();
            let done = tokio::task::spawn_blocking(move || about.within(current)).await.unwrap();
            (asked, done)
        })
        .await;
        assert_eq!((asked.request_id.as_deref(), asked.job_arn.as_deref()), (Some("r-1"), Some("arn:job")));
        assert_eq!((done.request_id, done.job_arn.as_deref()), (None, Some("arn:job")));
        assert_eq!(current(), About::default());
    }
}
