//! The text that Prometheus reads.
//!
//! Source: "Exposition formats", text-based format, version 0.0.4.

use std::fmt::Display;

/// What a number of a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// The text so far.
#[derive(Default)]
pub struct Page(String);

impl Page {
    /// What its answer says that it is.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Begins a family; its samples come next. `help` is one line.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = kind.as_str();
        self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// Adds a sample. `labels` are texts of `label`, with commas between; empty for none.
    pub fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        match labels {
            "" => self.push(format_args!("{name} {value}\n")),
            _ => self.push(format_args!("{name}{{{labels}}} {value}\n")),
        }
    }

    /// Adds a family of one number.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, Kind::Gauge, help);
        self.sample(name, "", value);
    }

    /// Adds what a crate counts.
    pub fn add(&mut self, families: crate::Families) {
        families.iter().for_each(|family| family.write(self));
    }

    pub fn into_text(self) -> String {
        self.0
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // A text takes all that is written to it.
        let _ = std::fmt::Write::write_fmt(&mut self.0, text);
    }
}

/// `name="value"`, where the value may be any text.
pub fn label(name: &str, value: &str) -> String {
    let mut text = format!("{name}=\"");
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_its_name_and_its_samples() {
        let mut page = Page::default();
        page.family("lade_jobs", Kind::Gauge, "Jobs that are open.");
        page.sample("lade_jobs", &label("type", "import"), 3);
        page.gauge("lade_disk_free_bytes", "Room.", 12.5);
        let text = "# HELP lade_jobs Jobs that are open.\n# TYPE lade_jobs gauge\nlade_jobs{type=\"import\"} 3\n\
                    # HELP lade_disk_free_bytes Room.\n# TYPE lade_disk_free_bytes gauge\nlade_disk_free_bytes 12.5\n";
        assert_eq!(page.into_text(), text);
    }

    #[test]
    fn no_value_ends_its_label() {
        assert_eq!(label("arn", "a\"b\\c\nd"), r#"arn="a\"b\\c\nd""#);
    }
}
