//! *Create dataset*, with a schema that is new or there already.

use askama::Template;
use http::StatusCode;
use serde_json::{Value, json};

use super::dataset_group::{self, TYPES, add_tags, text, type_name};
use super::{Frame, dataset};
use crate::client::{Answer, Client, Refusal};
use crate::form::Form;
use crate::markup::fresh_name;
use crate::reply;
use crate::route::status_of;
use crate::schema::{self, ATTRIBUTES, KINDS, Row};
use crate::visit::{Shown, Visit};

pub struct SchemaChoice {
    pub arn: String,
    pub name: String,
}

#[derive(Template)]
#[template(path = "dataset_create.html")]
struct Create<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    group_arn: &'a str,
    domain: &'a str,
    kind: &'a str,
    kind_name: &'static str,
    record_name: &'static str,
    types: [(&'static str, &'static str); 5],
    name: String,
    /// `new` or `existing`.
    selection: &'a str,
    schema_name: String,
    schema_prefix: String,
    draft: Draft,
    kinds: [&'static str; 6],
    attributes: [(&'static str, &'static str); 3],
    schema_arn: &'a str,
    schemas: Vec<SchemaChoice>,
    tags: Vec<(String, String)>,
}

/// The schema while it is edited.
struct Draft {
    /// As a table of fields; else as JSON.
    is_table: bool,
    rows: Vec<Row>,
    json: String,
}

impl Draft {
    /// What the form holds, after the button of the editor that was pressed, if one was.
    fn of(form: &Form, kind: &str, domain: &str) -> Result<Draft, (Draft, Refusal)> {
        let is_new = form.get("view").is_empty() && form.get("schema").is_empty();
        let is_table = if is_new { !domain.is_empty() } else { form.get("view") == "table" };
        let mut draft = Draft { is_table, rows: schema::rows_of(form), json: form.raw("schema").to_owned() };
        if is_new {
            draft.rows = schema::default(kind, domain);
            draft.json = schema::document(kind, &draft.rows);
        }
        let pressed = form.get("do");
        match pressed {
            "table" if !is_table => match schema::rows(&draft.json) {
                Ok(rows) => draft = Draft { is_table: true, rows, ..draft },
                Err(refusal) => return Err((draft, refusal)),
            },
            "json" => draft.is_table = false,
            "add-field" => {
                draft.rows.push(Row { kind: "string".to_owned(), is_nullable: true, ..Row::default() });
            }
            _ => {
                if let Some(number) = pressed.strip_prefix("remove-field-").and_then(|n| n.parse().ok())
                    && number < draft.rows.len()
                {
                    draft.rows.remove(number);
                }
            }
        }
        schema::mark(&mut draft.rows, &schema::required(kind, domain));
        if is_table && !is_new {
            draft.json = schema::document(kind, &schema::rows_of(form));
        }
        Ok(draft)
    }
}

pub async fn create(visit: &Visit<'_>, group: &str) -> Shown {
    let (client, form) = (visit.client(), &visit.form);
    let given = if visit.is_post() { form.get("type") } else { visit.query.get("type") };
    let kind = TYPES.iter().find(|(word, _)| *word == given).map_or("INTERACTIONS", |(word, _)| word);
    let group_arn = visit.console.realm.dataset_group(group).to_string();
    let described =
        client.personalize("DescribeDatasetGroup", json!({ "datasetGroupArn": group_arn })).await?;
    let domain = text(&described["datasetGroup"], "domain");
    let (draft, mut problem) = match Draft::of(form, kind, &domain) {
        Ok(draft) => (draft, None),
        Err((draft, refusal)) => (draft, Some(refusal)),
    };
    // The buttons of the editor create nothing.
    if visit.is_post() && matches!(form.get("do"), "" | "create") {
        match make(form, &client, &group_arn, &domain, kind, &draft.json).await {
            Ok(()) => return Ok(reply::to(&format!("{}/import", dataset::path(group, kind)))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let schemas = eligible(&client, &domain, kind).await?;
    let now_ms = visit.console.clock.now_ms();
    let stem = format!("{group}-{}", kind.to_lowercase().replace('_', "-"));
    let or = |name: &str, fresh: String| form.given(name).map_or(fresh, str::to_owned);
    let page = Create {
        frame: visit.frame("Create dataset", &dataset_group::crumbs(group)),
        problem: problem.as_ref(),
        group_arn: &group_arn,
        domain: &domain,
        kind,
        kind_name: type_name(kind),
        record_name: schema::record_name(kind),
        types: TYPES,
        name: or("name", stem.clone()),
        selection: form.given("selection").unwrap_or("new"),
        schema_name: or("schema-name", fresh_name(&format!("{stem}-schema"), now_ms)),
        schema_prefix: visit.console.realm.schema("").to_string(),
        draft,
        kinds: KINDS,
        attributes: ATTRIBUTES,
        schema_arn: form.get("schema-arn"),
        schemas,
        tags: form.tags(),
    };
    Ok(reply::page(problem.as_ref().map_or(StatusCode::OK, status_of), &page))
}

async fn make(
    form: &Form,
    client: &Client<'_>,
    group_arn: &str,
    domain: &str,
    kind: &str,
    schema: &str,
) -> Answer<()> {
    let chosen = choose(form, client, domain, schema).await?;
    let mut input = json!({
        "name": form.get("name"), "datasetGroupArn": group_arn, "datasetType": kind, "schemaArn": chosen.arn,
    });
    add_tags(&mut input, &form.tags());
    let made = client.personalize("CreateDataset", input).await;
    chosen.or_take_back(client, made).await
}

/// The schema that a form names, and whether it was made for that.
pub struct Chosen {
    pub arn: String,
    is_new: bool,
}

impl Chosen {
    /// Takes back a schema that was made for something which then could not be done.
    pub async fn or_take_back(self, client: &Client<'_>, done: Answer<Value>) -> Answer<()> {
        if done.is_err() && self.is_new {
            // Why the first was refused is what the visitor needs to know.
            let _ = client.personalize("DeleteSchema", json!({ "schemaArn": self.arn })).await;
        }
        done.map(drop)
    }
}

/// Makes the schema that a form describes, or takes the existing one that it names.
pub async fn choose(form: &Form, client: &Client<'_>, domain: &str, schema: &str) -> Answer<Chosen> {
    if form.get("selection") == "existing" {
        return Ok(Chosen { arn: form.get("schema-arn").to_owned(), is_new: false });
    }
    let mut input = json!({ "name": form.get("schema-name"), "schema": schema });
    if !domain.is_empty() {
        input["domain"] = domain.into();
    }
    let made = client.personalize("CreateSchema", input).await?;
    Ok(Chosen { arn: text(&made, "schemaArn"), is_new: true })
}

/// Schemas of the group's domain whose record is called as the type demands.
pub async fn eligible(client: &Client<'_>, domain: &str, kind: &str) -> Answer<Vec<SchemaChoice>> {
    let listed = client.personalize("ListSchemas", json!({ "maxResults": 100 })).await?;
    let mut choices = Vec::new();
    for schema in listed["schemas"].as_array().into_iter().flatten() {
        let arn = text(schema, "schemaArn");
        if text(schema, "domain") != domain {
            continue;
        }
        let described = client.personalize("DescribeSchema", json!({ "schemaArn": arn })).await?;
        let document: Value = serde_json::from_str(&text(&described["schema"], "schema")).unwrap_or_default();
        if document["name"] == schema::record_name(kind) {
            choices.push(SchemaChoice { arn, name: text(schema, "name") });
        }
    }
    Ok(choices)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "view=table&field-name=ITEM_ID&field-type=string&field-null=no&field-attribute=&\
        field-name=COLOUR&field-type=string&field-null=yes&field-attribute=categorical";

    fn draft(form: &str, domain: &str) -> Draft {
        Draft::of(&Form::parse(form), "ITEMS", domain).unwrap_or_else(|(draft, _)| draft)
    }

    #[test]
    fn a_group_of_a_domain_begins_with_a_table_of_its_default() {
        let begun = draft("", "ECOMMERCE");
        assert!(begun.is_table && begun.rows.len() == 3 && begun.rows[1].is_required);
        assert!(!draft("", "").is_table);
    }

    #[test]
    fn buttons_add_and_remove_fields() {
        assert_eq!(draft(&format!("{TABLE}&do=add-field"), "").rows.len(), 3);
        let removed = draft(&format!("{TABLE}&do=remove-field-1"), "");
        assert_eq!(removed.rows.len(), 1);
        assert_eq!(draft(&format!("{TABLE}&do=remove-field-9"), "").rows.len(), 2);
    }

    #[test]
    fn the_table_is_what_the_json_says_after_switching() {
        let json = draft(&format!("{TABLE}&do=json"), "");
        assert!(!json.is_table && json.json.contains("COLOUR"));
        let typed = crate::client::segment(&json.json);
        let table = draft(&format!("view=json&schema={typed}&do=table"), "");
        assert!(table.is_table && table.rows[1].name == "COLOUR" && table.rows[0].is_required);
    }

    #[test]
    fn json_that_is_no_schema_stays_as_it_was_typed() {
        let kept = draft("view=json&schema=%7Bno&do=table", "");
        assert!(!kept.is_table && kept.json == "{no");
    }
}
