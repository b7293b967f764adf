//! What is told of a request that was answered: to the log, the audit log and whoever counts.

use std::net::IpAddr;
use std::time::Duration;

use access::trail::Trail;
use http::{Method, Response};
use tracing::{debug, info};
use wire::error::ErrorCode;

use super::{Dispatch, SERVED};
use crate::serve::answer::AnswerBody;
use crate::serve::audit::Called;
use crate::serve::{measured, unsigned};

/// How a request ended.
pub struct Answered {
    pub method: Method,
    pub path: String,
    pub status: u16,
    pub duration: Duration,
}

impl Dispatch {
    // Of puts, which may come by the thousand, the audit log alone keeps a line.
    pub(super) fn report(
        &self,
        id: &str,
        source: Option<IpAddr>,
        trail: &Trail,
        response: &Response<AnswerBody>,
        answered: &Answered,
    ) {
        let error_code = error_code(response);
        let Answered { method, path, status, duration } = answered;
        count(trail, error_code, answered);
        let (status, duration_ms) = (*status, duration.as_millis());
        if trail.service.as_deref() == Some("personalize") && unsigned::is_events_path(path) {
            debug!(request.id = id, status, error.code = error_code, duration_ms, "{method} {path}");
        } else {
            let operation = trail.operation.as_deref();
            info!(
                request.id = id,
                operation,
                status,
                error.code = error_code,
                duration_ms,
                "{method} {path}"
            );
        }
        let Some(audit) = self.audit.as_ref().filter(|_| trail.service.is_some() || error_code.is_some())
        else {
            return;
        };
        let time_ms = self.clock.now_ms();
        audit.record(&Called { time_ms, request_id: id, source, trail, status, error_code });
    }
}

// A service that is not served is a client's word, and no label.
fn count(trail: &Trail, error_code: Option<&str>, answered: &Answered) {
    let is_throttled = answered.status == 429
        || error_code.is_some_and(|code| code.contains("Throttl") || code == "SlowDown");
    let counted = |service, operation| measured::Answered {
        service,
        operation,
        status: answered.status,
        is_throttled,
        took: answered.duration,
    };
    let Some(service) = trail.service.as_deref() else {
        let operation = unsigned::kind(&answered.method, &answered.path);
        return measured::REQUESTS.count(&counted("none", operation));
    };
    match SERVED.into_iter().find(|served| *served == service) {
        Some("personalize") if unsigned::is_events_path(&answered.path) => {
            measured::REQUESTS.count_put(&answered.path, &counted("personalize", ""));
        }
        Some(service) => {
            measured::REQUESTS.count(&counted(service, trail.operation.as_deref().unwrap_or("none")));
        }
        None => measured::REQUESTS.count(&counted("other", "none")),
    }
}

/// The code of an error that was answered.
pub fn error_code(response: &Response<AnswerBody>) -> Option<&str> {
    response.extensions().get::<ErrorCode>().map(|ErrorCode(code)| code.as_ref())
}
