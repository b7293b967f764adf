//! The lines of the log: for people, or an object of JSON each. Both tell which request and which job a line is about.

use std::fmt;

use access::about::{self, About};
use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::areas;

/// Time, level, message and fields, with colours on a terminal.
pub struct Text;

/// An object with `time`, `level`, `area`, `message` and `fields`.
pub struct Json;

#[derive(Serialize)]
struct Line<'a> {
    time: &'a str,
    level: &'a str,
    area: &'a str,
    message: &'a str,
    fields: &'a Map<String, Value>,
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = event.metadata().level();
        match to.has_ansi_escapes() {
            true => write!(to, "\x1b[2m{}\x1b[0m \x1b[{}m{level:>5}\x1b[0m ", now(), colour(*level))?,
            false => write!(to, "{} {level:>5} ", now())?,
        }
        let mut said = String::new();
        ctx.format_fields(Writer::new(&mut said), event)?;
        for (name, value) in unsaid(event) {
            said.push_str(&format!(" {name}={value}"));
        }
        // Names of objects are the customers' own: none begins a line that looks like another one.
        writeln!(to, "{}", said.replace('\n', "\\n").replace('\r', "\\r"))
    }
}

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _ctx: &FmtContext<'_, S, N>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        for (name, value) in unsaid(event) {
            said.fields.insert(name.to_owned(), Value::from(&*value));
        }
        let metadata = event.metadata();
        let line = Line {
            time: &now(),
            level: word(*metadata.level()),
            area: areas::of(metadata.module_path().unwrap_or(metadata.target())),
            message: &said.message,
            fields: &said.fields,
        };
        writeln!(to, "{}", serde_json::to_string(&line).map_err(|_| fmt::Error)?)
    }
}

fn now() -> String {
    let mut text = String::with_capacity(27);
    // A text takes all that is written to it.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

fn colour(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    }
}

/// What a line is about and does not say itself.
fn unsaid(event: &Event<'_>) -> impl Iterator<Item = (&'static str, std::sync::Arc<str>)> {
    let About { request_id, job_arn } = about::current();
    let fields = event.metadata().fields();
    let unsaid = |name: &'static str, value: Option<std::sync::Arc<str>>| {
        value.filter(|_| fields.field(name).is_none()).map(|value| (name, value))
    };
    [unsaid("request.id", request_id), unsaid("job.arn", job_arn)].into_iter().flatten()
}

/// What a line says.
#[derive(Default)]
struct Said {
    message: String,
    fields: Map<String, Value>,
}

impl Said {
    fn keep(&mut self, field: &Field, value: impl Into<Value>) {
        self.fields.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            _ => self.keep(field, format!("{value:?}")),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            _ => self.keep(field, value),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        match u64::try_from(value) {
            Ok(value) => self.keep(field, value),
            Err(_) => self.keep(field, value.to_string()),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, value);
    }
}
