//! Some records of a dataset, or those of one ID: read when they are asked for, because they may be about people.

use serde_json::{Value, json};

use crate::client::{Answer, aside};
use crate::visit::Visit;

/// How many records a page shows.
const LIMIT: usize = 20;

pub struct Preview {
    pub columns: Vec<String>,
    pub records: Vec<Record>,
    pub has_more: bool,
}

pub struct Record {
    /// `None`: null.
    pub values: Vec<Option<String>>,
    pub origin: &'static str,
}

/// What the query asks for; `None` when it asks for no records.
pub async fn asked(visit: &Visit<'_>, arn: &str) -> Answer<Option<Answer<Preview>>> {
    let query = &visit.query;
    if query.given("id").is_none() && query.given("preview").is_none() {
        return Ok(None);
    }
    let mut input = json!({ "datasetArn": arn, "limit": LIMIT });
    for member in ["id", "origin"] {
        if let Some(value) = query.given(member) {
            input[member] = value.into();
        }
    }
    let told = visit.client().lade_post("/records", input).await;
    aside(told.map(|told| read(&told))).map(Some)
}

fn read(told: &Value) -> Preview {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let record = |record: &Value| Record {
        values: list(&record["values"]).iter().map(|value| value.as_str().map(str::to_owned)).collect(),
        origin: if record["origin"] == "PUT" { "Put" } else { "Bulk" },
    };
    Preview {
        columns: list(&told["columns"]).iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        records: list(&told["records"]).iter().map(record).collect(),
        has_more: told["hasMore"].as_bool().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_is_no_empty_text() {
        let told = json!({ "columns": ["A", "B"], "hasMore": true,
            "records": [{ "values": ["", null], "origin": "PUT" }, { "values": ["<b>", "2"], "origin": "BULK" }] });
        let preview = read(&told);
        assert_eq!((preview.columns.len(), preview.has_more), (2, true));
        assert_eq!(preview.records[0].values, [Some(String::new()), None]);
        assert_eq!((preview.records[0].origin, preview.records[1].origin), ("Put", "Bulk"));
    }
}
