//! The doors of the server that items are found, made and changed by, each as its kind takes it.

mod bucket;
mod entity;
mod key;
mod personalize;
mod schedule;

use model::error::{Error, ErrorKind, Result};
use serde_json::{Value, json};

use super::item::{Attributes, Found, Item, Kind, texts};
use super::names::Names;
use crate::client::Client;
use crate::client::server::Choice;

pub struct Doors {
    pub personalize: Client,
    pub iam: Client,
    pub kms: Client,
    pub s3: Client,
}

impl Doors {
    /// # Errors
    /// As `Choice::client`.
    pub fn of(choice: &Choice) -> Result<Doors> {
        let client = |service| choice.client(service);
        Ok(Doors {
            personalize: client("PERSONALIZE")?,
            iam: client("IAM")?,
            kms: client("KMS")?,
            s3: client("S3")?,
        })
    }

    /// The account and region of the server.
    ///
    /// # Errors
    /// When it does not answer, or does not know the caller.
    pub async fn realm(&self) -> Result<(String, String)> {
        let caller = self.personalize.lade(http::Method::GET, "/caller").await?;
        let arn = caller["arn"].as_str().and_then(model::Arn::parse);
        let arn = arn.ok_or_else(|| Error::unavailable("the server does not say who calls"))?;
        Ok((arn.account().to_owned(), self.personalize.region().to_owned()))
    }

    /// Looks up the ARNs of all keys that are named.
    pub async fn look_up_keys(&self, names: &mut Names) -> Result<()> {
        for (alias, arn) in &mut names.keys {
            *arn = key::arn(&self.kms, alias).await?;
        }
        Ok(())
    }

    /// An item as it is; waits until it is one thing or another.
    pub async fn find(&self, names: &Names, item: &Item) -> Result<Option<Found>> {
        let (name, wanted) = (item.name.as_str(), &item.wanted);
        match item.kind {
            Kind::Key => key::find(&self.kms, name).await,
            Kind::Role | Kind::User => entity::find(&self.iam, item.kind, name, wanted).await,
            Kind::Bucket => bucket::find(&self.s3, name).await,
            Kind::Schema => personalize::schema(&self.personalize, names, name).await,
            Kind::Group => personalize::group(&self.personalize, names, name).await,
            Kind::Dataset => personalize::dataset(&self.personalize, names, name).await,
            Kind::Tracker => personalize::tracker(&self.personalize, names, name).await,
            Kind::Schedule => schedule::find(&self.personalize, name).await,
        }
    }

    /// Makes an item and waits until it is ready; `wanted` has no references any more.
    pub async fn create(&self, names: &Names, kind: Kind, name: &str, wanted: &Attributes) -> Result<()> {
        match kind {
            Kind::Key => key::create(&self.kms, name, wanted).await,
            Kind::Role | Kind::User => entity::create(&self.iam, kind, name, wanted).await,
            Kind::Bucket => bucket::create(&self.s3, name, wanted).await,
            Kind::Schema => personalize::create_schema(&self.personalize, name, wanted).await,
            Kind::Group => personalize::create_group(&self.personalize, names, name, wanted).await,
            Kind::Dataset => personalize::create_dataset(&self.personalize, names, name, wanted).await,
            Kind::Tracker => personalize::create_tracker(&self.personalize, names, name, wanted).await,
            Kind::Schedule => schedule::put(&self.personalize, name, wanted).await,
        }
    }

    /// Gives an item the attributes that differ; `wanted` holds those alone, but for a schedule, which has all.
    pub async fn change(&self, names: &Names, kind: Kind, name: &str, wanted: &Attributes) -> Result<()> {
        match kind {
            Kind::Key => key::change(&self.kms, name, wanted).await,
            Kind::Role | Kind::User => entity::change(&self.iam, kind, name, wanted).await,
            Kind::Bucket => bucket::put_policy(&self.s3, name, wanted).await,
            Kind::Schema => Ok(()),
            Kind::Group => {
                let arn = names.personalize(&format!("dataset-group/{name}"));
                personalize::tag(&self.personalize, &arn, wanted).await
            }
            Kind::Dataset => personalize::change_dataset(&self.personalize, names, name, wanted).await,
            Kind::Tracker => personalize::change_tracker(&self.personalize, names, name, wanted).await,
            Kind::Schedule => schedule::put(&self.personalize, name, wanted).await,
        }
    }
}

/// What is not there, as nothing.
fn if_any<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Err(cause) if cause.kind == ErrorKind::NotFound => Ok(None),
        // KMS says so with a status of its own.
        Err(cause) if cause.message().ends_with("(NotFoundException)") => Ok(None),
        found => found.map(Some),
    }
}

/// The tags among attributes, with the members of a service.
fn tags(wanted: &Attributes, key: &str, value: &str) -> Vec<Value> {
    texts(wanted, "tags.").map(|(name, text)| json!({ key: name, value: text })).collect()
}

/// Puts the tags of an answer among attributes.
fn put_tags(attributes: &mut Attributes, tags: &Value, key: &str, value: &str) {
    for tag in tags.as_array().into_iter().flatten() {
        if let Some(name) = tag[key].as_str() {
            attributes.insert(format!("tags.{name}"), tag[value].clone());
        }
    }
}

/// A policy of an answer, as the value that its text means.
fn document(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|cause| Error::unavailable("a policy can't be read").caused_by(cause))
}
