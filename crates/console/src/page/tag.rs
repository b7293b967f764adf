//! Tags of any resource that can have some: the list, and *Manage tags*.

use std::collections::BTreeMap;

use askama::Template;
use http::StatusCode;
use serde_json::{Value, json};

use super::Frame;
use super::dataset_group::text;
use crate::client::{Answer, Client, Refusal, segment};
use crate::form::Form;
use crate::reply;
use crate::route::{self, status_of};
use crate::visit::{Shown, Visit};

const TAGS_MAX: usize = 50;
/// What the keys of a job's options begin with: these are settled when a job is made.
const OPTION: &str = "lade:";

#[derive(Template)]
#[template(path = "tags.html")]
struct List {
    frame: Frame,
    arn: String,
    manage_path: String,
    tags: Vec<(String, String)>,
}

/// A tag as it stands in the form, and its key before that.
#[derive(Default)]
struct TagRow {
    was: String,
    key: String,
    value: String,
    is_removed: bool,
    /// All of it as it was, for the API call.
    before: String,
}

#[derive(Template)]
#[template(path = "tags_manage.html")]
struct Manage<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    arn: &'a str,
    back: String,
    rows: Vec<TagRow>,
    options: Vec<(String, String)>,
}

/// What has to be asked of the service for the tags to become what a form says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Change {
    set: Vec<(String, String)>,
    remove: Vec<String>,
}

pub fn path(arn: &str) -> String {
    format!("/console/tags/{}", segment(arn))
}

/// The tags of a dataset group, among its pages.
pub async fn of_group(visit: &Visit<'_>, group: &str) -> Shown {
    let arn = visit.console.realm.dataset_group(group).to_string();
    list(visit, &arn).await
}

pub async fn list(visit: &Visit<'_>, arn: &str) -> Shown {
    let page = List {
        frame: visit.frame("Tags", &crumbs(arn)),
        arn: arn.to_owned(),
        manage_path: format!("{}/manage", path(arn)),
        tags: read(&visit.client(), arn).await?,
    };
    Ok(reply::page(StatusCode::OK, &page))
}

pub async fn manage(visit: &Visit<'_>, arn: &str) -> Shown {
    let client = visit.client();
    let present = read(&client, arn).await?;
    let (options, present): (Vec<_>, Vec<_>) =
        present.into_iter().partition(|(key, _)| key.starts_with(OPTION));
    let mut problem = None;
    if visit.is_post() {
        match make(&client, arn, &change(&rows_of(&visit.form), &present), present.len()).await {
            Ok(()) => return Ok(reply::to(&path(arn))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let mut rows = if visit.is_post() { rows_of(&visit.form) } else { present.iter().map(shown).collect() };
    for row in &mut rows {
        row.before = before(&row.was, &present);
    }
    rows.extend([TagRow::default(), TagRow::default()]);
    let mut crumbs = crumbs(arn);
    crumbs.push(("Tags", path(arn)));
    let frame = visit.frame("Manage tags", &crumbs);
    let page = Manage { frame, problem: problem.as_ref(), arn, back: path(arn), rows, options };
    Ok(reply::page(problem.as_ref().map_or(StatusCode::OK, status_of), &page))
}

async fn read(client: &Client<'_>, arn: &str) -> Answer<Vec<(String, String)>> {
    let listed = client.personalize("ListTagsForResource", json!({ "resourceArn": arn })).await?;
    let tag = |tag: &Value| (text(tag, "tagKey"), text(tag, "tagValue"));
    Ok(listed["tags"].as_array().into_iter().flatten().map(tag).collect())
}

fn shown((key, value): &(String, String)) -> TagRow {
    TagRow { was: key.clone(), key: key.clone(), value: value.clone(), ..TagRow::default() }
}

fn before(was: &str, present: &[(String, String)]) -> String {
    let found = present.iter().find(|(key, _)| key == was);
    found.map_or_else(String::new, |(key, value)| json!({ "tagKey": key, "tagValue": value }).to_string())
}

// The rows that say something, in the order in which they stand.
fn rows_of(form: &Form) -> Vec<TagRow> {
    let removed: Vec<&str> = form.all("remove").collect();
    let fields = form.all("tag-was").zip(form.all("tag-key")).zip(form.all("tag-value"));
    let row = |((was, key), value): ((&str, &str), &str)| TagRow {
        was: was.to_owned(),
        key: key.to_owned(),
        value: value.to_owned(),
        is_removed: !was.is_empty() && removed.contains(&was),
        before: String::new(),
    };
    fields.map(row).filter(|row| !row.was.is_empty() || !row.key.is_empty()).collect()
}

// A tag whose key was emptied goes, and so does one whose key is now another.
fn change(rows: &[TagRow], present: &[(String, String)]) -> Change {
    let present: BTreeMap<&str, &str> = present.iter().map(|(key, value)| (&key[..], &value[..])).collect();
    let kept: Vec<&TagRow> = rows.iter().filter(|row| !row.is_removed && !row.key.is_empty()).collect();
    let is_kept = |key: &str| kept.iter().any(|row| row.key == key);
    let is_new = |row: &&&TagRow| present.get(row.key.as_str()) != Some(&row.value.as_str());
    let gone = rows.iter().filter(|row| !row.was.is_empty() && !is_kept(&row.was));
    Change {
        set: kept.iter().filter(is_new).map(|row| (row.key.clone(), row.value.clone())).collect(),
        remove: gone.map(|row| row.was.clone()).collect(),
    }
}

// What is set is more likely to be refused, so it goes first where there is room.
async fn make(client: &Client<'_>, arn: &str, change: &Change, count: usize) -> Answer<()> {
    let sets_first = count + change.set.len() <= TAGS_MAX;
    if sets_first {
        set(client, arn, &change.set).await?;
    }
    if !change.remove.is_empty() {
        let input = json!({ "resourceArn": arn, "tagKeys": change.remove });
        client.personalize("UntagResource", input).await?;
    }
    if sets_first { Ok(()) } else { set(client, arn, &change.set).await }
}

async fn set(client: &Client<'_>, arn: &str, tags: &[(String, String)]) -> Answer<()> {
    if tags.is_empty() {
        return Ok(());
    }
    let mut input = json!({ "resourceArn": arn });
    super::dataset_group::add_tags(&mut input, tags);
    client.personalize("TagResource", input).await.map(drop)
}

/// The way to a resource's page, as far as its ARN tells it.
fn crumbs(arn: &str) -> Vec<(&str, String)> {
    let Some((kind, name)) = arn.split(':').nth(5).and_then(|resource| resource.split_once('/')) else {
        return Vec::new();
    };
    let job = |kind: &str| vec![(name, format!("/console/jobs/{kind}/{}", segment(name)))];
    match kind {
        "dataset-group" => super::dataset_group::crumbs(name),
        "dataset" => match name.split_once('/') {
            Some((group, kind)) => super::dataset::crumbs(group, kind),
            None => Vec::new(),
        },
        "dataset-import-job" => job("import"),
        "dataset-export-job" => job("export"),
        "data-deletion-job" => job("deletion"),
        _ => vec![("Dataset groups", route::HOME.to_owned())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(form: &str, present: &[(&str, &str)]) -> Change {
        let present: Vec<_> = present.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        change(&rows_of(&Form::parse(form)), &present)
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn only_what_differs_is_asked_for() {
        let form =
            "tag-was=a&tag-key=a&tag-value=1&tag-was=b&tag-key=b&tag-value=3&tag-was=&tag-key=&tag-value=";
        let change = changed(form, &[("a", "1"), ("b", "2")]);
        assert_eq!(change, Change { set: vec![pair("b", "3")], remove: vec![] });
    }

    #[test]
    fn a_tag_is_removed_by_its_box_an_empty_key_and_another_key() {
        let form = "tag-was=a&tag-key=a&tag-value=1&remove=a&tag-was=b&tag-key=&tag-value=2&\
            tag-was=c&tag-key=d&tag-value=3";
        let change = changed(form, &[("a", "1"), ("b", "2"), ("c", "3")]);
        assert_eq!(change.remove, ["a", "b", "c"]);
        assert_eq!(change.set, [pair("d", "3")]);
    }

    #[test]
    fn a_key_that_moves_to_another_row_stays() {
        let form = "tag-was=a&tag-key=b&tag-value=1&tag-was=b&tag-key=a&tag-value=2";
        let change = changed(form, &[("a", "1"), ("b", "2")]);
        assert_eq!(change, Change { set: vec![pair("b", "1"), pair("a", "2")], remove: vec![] });
    }

    #[test]
    fn a_tag_that_somebody_else_added_meanwhile_stays() {
        let form = "tag-was=a&tag-key=a&tag-value=1";
        assert_eq!(changed(form, &[("a", "1"), ("other", "x")]), Change::default());
    }

    #[test]
    fn the_way_leads_to_the_resource() {
        let last = |resource: &str| {
            let arn = format!("arn:aws:personalize:us-east-1:000000000000:{resource}");
            crumbs(&arn).pop().map(|(_, path)| path).unwrap_or_default()
        };
        assert_eq!(last("dataset-group/g"), "/console/groups/g");
        assert_eq!(last("dataset/g/ITEMS"), "/console/groups/g/datasets/ITEMS");
        assert_eq!(last("data-deletion-job/d"), "/console/jobs/deletion/d");
        assert_eq!(crumbs("what"), []);
    }
}
