//! PutItems, PutUsers and PutActions: records that describe one thing by its id.

use model::Arn;
use serde::Deserialize;
use wire::shape::{Shape, Structure, list, optional, required, text};

use crate::shapes::{self, event_text};

static ITEM: Structure =
    Structure::new(&[required("itemId", event_text()), optional("properties", text(1, 32_000))]);
static USER: Structure =
    Structure::new(&[required("userId", event_text()), optional("properties", text(1, 24_000))]);
static ACTION: Structure =
    Structure::new(&[required("actionId", event_text()), optional("properties", text(1, 32_000))]);
pub static PUT_ITEMS: Structure = Structure::new(&[
    required("datasetArn", shapes::arn()),
    required("items", list(1, 10, &Shape::Structure(&ITEM))),
]);
pub static PUT_USERS: Structure = Structure::new(&[
    required("datasetArn", shapes::arn()),
    required("users", list(1, 10, &Shape::Structure(&USER))),
]);
pub static PUT_ACTIONS: Structure = Structure::new(&[
    required("datasetArn", shapes::arn()),
    required("actions", list(1, 10, &Shape::Structure(&ACTION))),
]);

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct PutItems {
    pub dataset_arn: Arn,
    pub items: Vec<Item>,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct PutUsers {
    pub dataset_arn: Arn,
    pub users: Vec<User>,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct PutActions {
    pub dataset_arn: Arn,
    pub actions: Vec<Action>,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    pub item_id: String,
    pub properties: Option<String>,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub user_id: String,
    pub properties: Option<String>,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    pub action_id: String,
    pub properties: Option<String>,
}
