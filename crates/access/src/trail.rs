//! What a call turned out to be about, gathered while it is served, for whoever keeps a record of calls.
//!
//! It goes beside the call, as the span of a log line does: whoever decides about a permission notes on what, wherever
//! that is, and no answer depends on it.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::about;

/// The most resources that are kept of a call.
const RESOURCES_MAX: usize = 16;
/// The most of a text that is kept: texts come from clients.
const TEXT_BYTES_MAX: usize = 1200;

/// What is known of a call when it was served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// The service whose door was asked for.
    pub service: Option<String>,
    /// As the request says; it is the caller's when there is one.
    pub access_key_id: Option<String>,
    /// The ARN of the caller whose signature was verified.
    pub caller: Option<String>,
    pub operation: Option<Cow<'static, str>>,
    /// What the caller's permission was asked for, in this order and each once: ARNs, tracking ids.
    pub resources: Vec<String>,
}

type Shared = Arc<Mutex<Trail>>;

tokio::task_local! {
    static TRAIL: Shared;
}

/// Serves a call, and gives what was noted on the way.
pub async fn follow<F: Future>(serving: F) -> (F::Output, Trail) {
    let trail = Shared::default();
    let served = TRAIL.scope(trail.clone(), serving).await;
    (served, std::mem::take(&mut *lock(&trail)))
}

/// Work of the same call that another task does.
pub fn along<F: Future>(work: F) -> impl Future<Output = F::Output> {
    TRAIL.scope(TRAIL.try_with(Shared::clone).unwrap_or_default(), about::along(work))
}

/// Notes who says that it is calling, and for which service.
pub fn claim(access_key_id: &str, service: &str) {
    note(|trail| {
        trail.access_key_id = Some(short(access_key_id));
        trail.service = Some(short(service));
    });
}

/// Notes who was found to be calling.
pub fn caller(arn: &str) {
    note(|trail| trail.caller = Some(arn.to_owned()));
}

/// Notes what is to be done.
pub fn operation(name: impl Into<Cow<'static, str>>) {
    note(|trail| trail.operation = Some(name.into()));
}

/// Notes on what it is to be done; `*` stands for nothing in particular.
pub fn resource(name: &str) {
    note(|trail| {
        let is_new = name != "*" && !trail.resources.iter().any(|known| known == name);
        if is_new && trail.resources.len() < RESOURCES_MAX {
            trail.resources.push(short(name));
        }
    });
}

// Work that no call asked for leaves no trail.
fn note(note: impl FnOnce(&mut Trail)) {
    let _ = TRAIL.try_with(|trail| note(&mut lock(trail)));
}

fn lock(trail: &Shared) -> MutexGuard<'_, Trail> {
    trail.lock().unwrap_or_else(PoisonError::into_inner)
}

fn short(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_within_a_call_has_a_trail_of_its_own() {
        let outer = async {
            tokio::spawn(along(async { operation("CreateDatasetExportJob") })).await.unwrap();
            resource("arn:group");
            let ((), inner) = follow(async { operation("PutObject") }).await;
            resource("arn:group");
            resource("*");
            inner
        };
        let (inner, outer) = follow(outer).await;
        assert_eq!(inner.operation.as_deref(), Some("PutObject"));
        assert_eq!(outer.operation.as_deref(), Some("CreateDatasetExportJob"));
        assert_eq!(outer.resources, ["arn:group"]);
    }

    #[tokio::test]
    async fn a_trail_is_short_whatever_a_client_sends() {
        let noting = async {
            for n in 0..100 {
                resource(&format!("{n}{}", "ü".repeat(10_000)));
            }
        };
        let ((), trail) = follow(noting).await;
        assert_eq!(trail.resources.len(), RESOURCES_MAX);
        assert!(trail.resources.iter().all(|text| text.len() <= TEXT_BYTES_MAX));
        operation("OutsideOfAnyCall");
    }
}
