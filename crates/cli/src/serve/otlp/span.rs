//! Spans as OTLP/HTTP takes them in JSON, and the context of a trace that a request may come with.

use http::HeaderMap;
use model::Clock;
use serde_json::{Value, json};

/// The header that names the trace which a request is part of. Source: "Trace Context", W3C.
const TRACEPARENT: &str = "traceparent";

/// What a request says of the trace that it is part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// The caller's span, 16 hexadecimal digits.
    pub span_id: String,
    /// Whether the caller keeps this trace.
    pub is_sampled: bool,
}

impl Parent {
    /// `None` where there is none, or more than one, or one that can't be read: the request begins a trace then.
    pub fn read(headers: &HeaderMap) -> Option<Parent> {
        let mut all = headers.get_all(TRACEPARENT).iter();
        let (Some(value), None) = (all.next(), all.next()) else { return None };
        let mut parts = value.to_str().ok()?.split('-');
        let (version, trace_id) = (parts.next()?, parts.next()?);
        let (span_id, flags) = (parts.next()?, parts.next()?);
        // Later versions may have more behind, this one has not.
        let is_whole = version != "ff" && (version != "00" || parts.next().is_none());
        let are_digits =
            is_hex(version, 2) && is_hex(trace_id, 32) && is_hex(span_id, 16) && is_hex(flags, 2);
        if !is_whole || !are_digits || is_zero(trace_id) || is_zero(span_id) {
            return None;
        }
        let flags = u8::from_str_radix(flags, 16).ok()?;
        let (trace_id, span_id) = (trace_id.to_owned(), span_id.to_owned());
        Some(Parent { trace_id, span_id, is_sampled: flags & 1 == 1 })
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
}

fn is_zero(text: &str) -> bool {
    text.bytes().all(|c| c == b'0')
}

/// Whether somebody asked for it from outside, or it is work of the server's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Internal = 1,
    Server = 2,
}

/// Something that took time, and what is known of it.
#[derive(Clone, Debug)]
pub struct Span {
    trace_id: String,
    span_id: String,
    parent_id: Option<String>,
    pub name: String,
    pub kind: Kind,
    pub start_ns: i128,
    pub end_ns: i128,
    /// Names as the conventions of OpenTelemetry have them, where they do.
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it went wrong, where it did.
    pub failure: Option<String>,
}

impl Span {
    /// A span within a trace, or the first of one.
    pub fn new(parent: Option<&Parent>, name: String, kind: Kind, clock: &dyn Clock) -> Span {
        Span {
            trace_id: parent.map_or_else(|| clock.hex(32), |parent| parent.trace_id.clone()),
            span_id: clock.hex(16),
            parent_id: parent.map(|parent| parent.span_id.clone()),
            name,
            kind,
            start_ns: 0,
            end_ns: 0,
            attributes: Vec::new(),
            failure: None,
        }
    }

    fn json(&self) -> Value {
        let attribute = |(name, value): &(&str, Value)| json!({"key": name, "value": typed(value)});
        let mut span = json!({
            "traceId": self.trace_id,
            "spanId": self.span_id,
            "name": self.name,
            "kind": self.kind as i32,
            "startTimeUnixNano": self.start_ns.to_string(),
            "endTimeUnixNano": self.end_ns.to_string(),
            "attributes": self.attributes.iter().map(attribute).collect::<Vec<_>>(),
        });
        if let Some(parent) = &self.parent_id {
            span["parentSpanId"] = json!(parent);
        }
        if let Some(failure) = &self.failure {
            span["status"] = json!({"code": 2, "message": failure});
        }
        span
    }
}

// Numbers of 64 bits are texts in OTLP's JSON.
fn typed(value: &Value) -> Value {
    match value {
        Value::Bool(is_true) => json!({ "boolValue": is_true }),
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::String(text) => json!({ "stringValue": text }),
        other => json!({"stringValue": other.to_string()}),
    }
}

/// The body of a request with spans, of a server by this name.
pub fn body(spans: &[Span], instance: &str) -> String {
    let resource = [
        ("service.name", json!("lade")),
        ("service.version", json!(env!("CARGO_PKG_VERSION"))),
        ("service.instance.id", json!(instance)),
    ];
    let resource: Vec<Value> =
        resource.iter().map(|(key, value)| json!({"key": key, "value": typed(value)})).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": {"name": "lade"}, "spans": spans.iter().map(Span::json).collect::<Vec<_>>()}],
    }]})
    .to_string()
}

#[cfg(test)]
mod tests {
    use model::clock::SimulatedClock;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const CALLER: &str = "00f067aa0ba902b7";

    fn read(text: &str) -> Option<Parent> {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, text.parse().unwrap());
        Parent::read(&headers)
    }

    #[test]
    fn a_trace_is_read_as_the_standard_has_it() {
        let parent = read(&format!("00-{TRACE}-{CALLER}-01")).unwrap();
        assert_eq!(
            (parent.trace_id.as_str(), parent.span_id.as_str(), parent.is_sampled),
            (TRACE, CALLER, true)
        );
        assert!(!read(&format!("00-{TRACE}-{CALLER}-00")).unwrap().is_sampled);
        assert!(read(&format!("01-{TRACE}-{CALLER}-03-more")).unwrap().is_sampled);
        for wrong in [
            String::new(),
            format!("00-{TRACE}-{CALLER}"),
            format!("00-{TRACE}-{CALLER}-01-more"),
            format!("ff-{TRACE}-{CALLER}-01"),
            format!("00-{}-{CALLER}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{CALLER}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{CALLER}-0x"),
        ] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_body_has_the_shape_that_collectors_take() {
        let parent = read(&format!("00-{TRACE}-{CALLER}-01")).unwrap();
        let mut span = Span::new(Some(&parent), "Get".into(), Kind::Server, &SimulatedClock::new(0, 1));
        span.attributes = vec![("http.response.status_code", json!(500)), ("a", json!(null))];
        span.end_ns = 1_000_000_001;
        span.failure = Some("no".into());
        let body: Value = serde_json::from_str(&body(&[span], "n")).unwrap();
        let made = &body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!((&made["traceId"], &made["parentSpanId"]), (&json!(TRACE), &json!(CALLER)));
        assert_eq!((&made["kind"], &made["endTimeUnixNano"]), (&json!(2), &json!("1000000001")));
        assert_eq!(made["attributes"][0]["value"], json!({"intValue": "500"}));
        assert_eq!(made["status"], json!({"code": 2, "message": "no"}));
        assert_eq!(made["spanId"].as_str().unwrap().len(), 16);
    }
}
