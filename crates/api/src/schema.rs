//! Schemas: CreateSchema, DescribeSchema, ListSchemas, DeleteSchema.

use catalog::{NewSchema, SchemaRow};
use model::{Arn, Domain, Error, Schema};
use serde::{Deserialize, Serialize};
use wire::shape::{Structure, optional, required, text};

use crate::door::Api;
use crate::paging::{PageInput, Pager};
use crate::reply::{Answer, Seconds, not_found};
use crate::shapes;

pub static CREATE: Structure = Structure::new(&[
    required("name", shapes::name()),
    required("schema", text(0, 20_000)),
    optional("domain", shapes::domain()),
]);
pub static BY_ARN: Structure = Structure::new(&[required("schemaArn", shapes::arn())]);

#[derive(Deserialize)]
pub struct Create {
    name: String,
    schema: String,
    domain: Option<Domain>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ByArn {
    schema_arn: Arn,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    schema_arn: Arn,
}

#[derive(Serialize)]
pub struct Described {
    schema: Description,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    name: String,
    schema_arn: Arn,
    /// Left out of lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    creation_date_time: Seconds,
    last_updated_date_time: Seconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<Domain>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    schemas: Vec<Description>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// # Errors
/// `Invalid` with every problem of the document; `AlreadyExists`.
pub async fn create(api: &Api, input: Create) -> Answer<Created> {
    Schema::parse(&input.schema, input.domain).map_err(|problems| Error::invalid(problems.join(" ")))?;
    let arn = api.realm.schema(&input.name);
    let new = NewSchema { arn: arn.clone(), name: input.name, document: input.schema, domain: input.domain };
    api.catalog.create_schema(&new).await?;
    Ok(Created { schema_arn: arn })
}

pub async fn describe(api: &Api, input: ByArn) -> Answer<Described> {
    let row =
        api.catalog.schema(&input.schema_arn).await?.ok_or_else(|| not_found("schema", &input.schema_arn))?;
    let document = row.document.clone();
    Ok(Described { schema: Description { schema: Some(document), ..summary(row) } })
}

pub async fn list(api: &Api, input: PageInput) -> Answer<Listed> {
    let pager = Pager::open(&api.paging, "ListSchemas", None, input)?;
    let (rows, next_token) =
        pager.cut(api.catalog.schemas(&pager.page).await?, |row| (row.created_ms, &row.arn));
    Ok(Listed { schemas: rows.into_iter().map(summary).collect(), next_token })
}

pub async fn delete(api: &Api, input: ByArn) -> Answer<()> {
    Ok(api.catalog.delete_schema(&input.schema_arn).await?)
}

fn summary(row: SchemaRow) -> Description {
    Description {
        name: row.name,
        schema_arn: row.arn,
        schema: None,
        creation_date_time: Seconds(row.created_ms),
        last_updated_date_time: Seconds(row.updated_ms),
        domain: row.domain,
    }
}
