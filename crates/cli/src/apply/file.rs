//! The file of `lade apply`: what its members are and which items they declare.
//!
//! Whoever is named without an ARN becomes a reference, `${lade:role/Export}`, which `names` replaces.

use model::Schedule;
use serde_json::{Value, json};

use super::item::{Attributes, Item, Kind};
use super::members::{Member, Members};
use super::yaml::{self, Fault};

const TYPES: [&str; 5] = ["INTERACTIONS", "ITEMS", "USERS", "ACTIONS", "ACTION_INTERACTIONS"];
const DOMAINS: [&str; 2] = ["ECOMMERCE", "VIDEO_ON_DEMAND"];

/// The items of a file, those that others need before those others.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn read(text: &str) -> Result<Vec<Item>, Fault> {
    let root = yaml::read(text)?;
    let mut members = Members::of(&root, "")?;
    let mut items = Vec::new();
    each(&mut members, "keys", &mut items, key)?;
    each(&mut members, "roles", &mut items, |name, m| entity(Kind::Role, name, m))?;
    each(&mut members, "users", &mut items, |name, m| entity(Kind::User, name, m))?;
    each(&mut members, "buckets", &mut items, bucket)?;
    each(&mut members, "schemas", &mut items, schema)?;
    if let Some(groups) = members.take("datasetGroups") {
        for (name, member) in groups.entries()? {
            group(name, member.members()?, &mut items)?;
        }
    }
    each(&mut members, "exportSchedules", &mut items, schedule)?;
    members.end()?;
    items.sort_by_key(|item| item.kind);
    Ok(items)
}

type Made = Result<(Kind, Attributes), Fault>;

fn each(
    members: &mut Members<'_>,
    list: &'static str,
    items: &mut Vec<Item>,
    read: impl Fn(&str, &mut Members<'_>) -> Made,
) -> Result<(), Fault> {
    let Some(list) = members.take(list) else { return Ok(()) };
    for (name, member) in list.entries()? {
        let mut members = member.members()?;
        let (kind, wanted) = read(name, &mut members)?;
        members.end()?;
        items.push(Item { kind, name: name.to_owned(), at: member.node.at, wanted });
    }
    Ok(())
}

fn key(_: &str, members: &mut Members<'_>) -> Made {
    let mut wanted = Attributes::new();
    put_text(&mut wanted, members, "description")?;
    put_document(&mut wanted, members, "policy")?;
    put_tags(&mut wanted, members)?;
    Ok((Kind::Key, wanted))
}

fn entity(kind: Kind, _: &str, members: &mut Members<'_>) -> Made {
    let mut wanted = Attributes::new();
    put_text(&mut wanted, members, "path")?;
    if kind == Kind::Role {
        wanted.insert("trust".to_owned(), members.required("trust")?.document()?);
        put_text(&mut wanted, members, "description")?;
    }
    if let Some(policies) = members.take("policies") {
        for (name, policy) in policies.entries()? {
            wanted.insert(format!("policies.{name}"), policy.document()?);
        }
    }
    put_tags(&mut wanted, members)?;
    Ok((kind, wanted))
}

fn bucket(_: &str, members: &mut Members<'_>) -> Made {
    let mut wanted = Attributes::new();
    put_document(&mut wanted, members, "policy")?;
    Ok((Kind::Bucket, wanted))
}

fn schema(_: &str, members: &mut Members<'_>) -> Made {
    let mut wanted = Attributes::new();
    put_domain(&mut wanted, members)?;
    wanted.insert("schema".to_owned(), members.required("schema")?.document()?);
    Ok((Kind::Schema, wanted))
}

fn group(name: &str, mut members: Members<'_>, items: &mut Vec<Item>) -> Result<(), Fault> {
    let mut wanted = Attributes::new();
    put_domain(&mut wanted, &mut members)?;
    if let Some(role) = members.take("role") {
        wanted.insert("role".to_owned(), reference("role", &role)?);
    }
    if let Some(key) = members.take("kmsKey") {
        wanted.insert("kmsKey".to_owned(), reference("key", &key)?);
    }
    put_tags(&mut wanted, &mut members)?;
    items.push(Item { kind: Kind::Group, name: name.to_owned(), at: members.at, wanted });
    if let Some(datasets) = members.take("datasets") {
        for (dataset_type, member) in datasets.entries()? {
            if !TYPES.contains(&dataset_type) {
                let text = format!("a dataset is of one of the types {}", TYPES.join(", "));
                return Err(member.fault(text));
            }
            let mut members = member.members()?;
            let wanted = dataset(&mut members)?;
            members.end()?;
            let (name, at) = (format!("{name}/{dataset_type}"), member.node.at);
            items.push(Item { kind: Kind::Dataset, name, at, wanted });
        }
    }
    if let Some(tracker) = members.take("eventTracker") {
        let (mut wanted, mut members) = (Attributes::new(), tracker.members()?);
        wanted.insert("name".to_owned(), json!(members.required("name")?.text()?));
        put_tags(&mut wanted, &mut members)?;
        members.end()?;
        items.push(Item { kind: Kind::Tracker, name: name.to_owned(), at: tracker.node.at, wanted });
    }
    members.end()
}

fn dataset(members: &mut Members<'_>) -> Result<Attributes, Fault> {
    let mut wanted = Attributes::new();
    put_text(&mut wanted, members, "name")?;
    wanted.insert("schema".to_owned(), reference("schema", &members.required("schema")?)?);
    put_tags(&mut wanted, members)?;
    Ok(wanted)
}

/// All that a schedule has is declared: what the file leaves out is as if nobody had ever said it.
fn schedule(_: &str, members: &mut Members<'_>) -> Made {
    let mut wanted = Attributes::new();
    let mut put = |name: &str, value: Value| drop(wanted.insert(name.to_owned(), value));
    put("dataset", reference("dataset", &members.required("dataset")?)?);
    put("ingestionMode", json!(members.required("ingestionMode")?.word(&["ALL", "BULK", "PUT"])?));
    put("role", reference("role", &members.required("role")?)?);
    put("path", json!(members.required("path")?.text()?));
    put("kmsKey", members.take("kmsKey").map_or(Ok(Value::Null), |key| reference("key", &key))?);
    let cron = members.required("cron")?;
    let zone = members.take("timeZone");
    let zone_name = zone.as_ref().map_or(Ok("UTC".to_owned()), Member::text)?;
    // Told apart by trying each with the other at its simplest.
    Schedule::parse(&cron.text()?, "UTC").map_err(|cause| cron.fault(cause.message()))?;
    if let Some(zone) = &zone {
        Schedule::parse("0 0 * * *", &zone_name).map_err(|cause| zone.fault(cause.message()))?;
    }
    put("cron", json!(cron.text()?));
    put("timeZone", json!(zone_name));
    put("keep", members.take("keep").map_or(Ok(Value::Null), |member| keep(&member))?);
    let missed = members.take("missed").map(|member| member.word(&["RUN_ONCE", "SKIP"])).transpose()?;
    put("missed", json!(missed.as_deref().unwrap_or("RUN_ONCE")));
    // Whoever has paused it is not overruled by a file that says nothing of it.
    if let Some(enabled) = members.take("enabled") {
        put("enabled", json!(enabled.word(&["true", "false"])? == "true"));
    }
    let mut tags = members.take("tags").map_or(Ok(json!({})), |tags| tags.texts())?;
    if let Some(options) = members.take("options") {
        for (name, option) in options.entries()? {
            tags[format!("lade:{name}")] = json!(option.text()?);
        }
    }
    put("tags", tags);
    Ok((Kind::Schedule, wanted))
}

fn keep(member: &Member<'_>) -> Result<Value, Fault> {
    let mut members = member.members()?;
    let (exports, days) = (members.take("exports"), members.take("days"));
    members.end()?;
    let (name, number) = match (exports, days) {
        (Some(exports), None) => ("exports", exports),
        (None, Some(days)) => ("days", days),
        _ => return Err(member.fault("this must have one of exports and days")),
    };
    let count = number.text()?.parse::<u32>().ok().filter(|count| *count > 0);
    let count = count.ok_or_else(|| number.fault("this must be a number from 1"))?;
    Ok(json!({ name: count }))
}

/// An ARN as it is; a name as a reference.
fn reference(kind: &str, member: &Member<'_>) -> Result<Value, Fault> {
    let text = member.text()?;
    if text.starts_with("arn:") {
        return Ok(json!(text));
    }
    let name = if kind == "key" { text.strip_prefix("alias/").unwrap_or(&text) } else { &text };
    let is_group_and_type = name.split_once('/').is_some_and(|(_, of_type)| TYPES.contains(&of_type));
    if kind == "dataset" && !is_group_and_type {
        return Err(member.fault("a dataset is named GROUP/TYPE, such as shop/ITEMS, or by its ARN"));
    }
    Ok(json!(format!("${{lade:{kind}/{name}}}")))
}

fn put_text(wanted: &mut Attributes, members: &mut Members<'_>, name: &'static str) -> Result<(), Fault> {
    if let Some(text) = members.text(name)? {
        wanted.insert(name.to_owned(), json!(text));
    }
    Ok(())
}

fn put_domain(wanted: &mut Attributes, members: &mut Members<'_>) -> Result<(), Fault> {
    if let Some(domain) = members.take("domain") {
        wanted.insert("domain".to_owned(), json!(domain.word(&DOMAINS)?));
    }
    Ok(())
}

fn put_document(wanted: &mut Attributes, members: &mut Members<'_>, name: &'static str) -> Result<(), Fault> {
    if let Some(member) = members.take(name) {
        wanted.insert(name.to_owned(), member.document()?);
    }
    Ok(())
}

fn put_tags(wanted: &mut Attributes, members: &mut Members<'_>) -> Result<(), Fault> {
    if let Some(tags) = members.take("tags") {
        for (name, tag) in tags.entries()? {
            wanted.insert(format!("tags.{name}"), json!(tag.text()?));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
exportSchedules:
  nightly: {dataset: shop/ITEMS, ingestionMode: ALL, role: Export, path: s3://out/a, cron: "0 2 * * *",
            keep: {exports: 7}, options: {format: parquet}, tags: {team: 5}}
datasetGroups:
  shop:
    kmsKey: alias/shop
    datasets:
      ITEMS: {schema: items, tags: {a: b}}
    eventTracker: {name: clicks}
roles:
  Export:
    trust: '{"Version": "2012-10-17"}'
    policies:
      s3: {Version: "2012-10-17", Resource: "${lade:key/shop}"}
"#;

    #[test]
    fn items_come_in_the_order_in_which_they_are_made() {
        let items = read(FILE).unwrap();
        let told: Vec<_> = items.iter().map(|item| (item.kind, item.name.as_str())).collect();
        let expected = [
            (Kind::Role, "Export"),
            (Kind::Group, "shop"),
            (Kind::Dataset, "shop/ITEMS"),
            (Kind::Tracker, "shop"),
            (Kind::Schedule, "nightly"),
        ];
        assert_eq!(told, expected);
        assert_eq!(items[0].wanted["trust"], json!({"Version": "2012-10-17"}));
        assert_eq!(items[1].wanted["kmsKey"], "${lade:key/shop}");
        assert_eq!(items[2].wanted["schema"], "${lade:schema/items}");
        let schedule = &items[4].wanted;
        assert_eq!(schedule["tags"], json!({"team": "5", "lade:format": "parquet"}));
        assert_eq!((&schedule["keep"], &schedule["timeZone"]), (&json!({"exports": 7}), &json!("UTC")));
        assert!(!schedule.contains_key("enabled"));
    }

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        for (from, to, line, path, word) in [
            ("datasets:", "datsets:", 8, "datasetGroups.shop.datsets", "did you mean datasets?"),
            ("ITEMS: {", "ITEM: {", 9, "datasetGroups.shop.datasets.ITEM", "one of the types"),
            ("schema: items, ", "", 9, "datasetGroups.shop.datasets.ITEMS", "schema is missing"),
            ("0 2 * * *", "0 25 * * *", 3, "exportSchedules.nightly.cron", "field hour"),
            ("shop/ITEMS", "shop", 3, "exportSchedules.nightly.dataset", "GROUP/TYPE"),
            (
                "ingestionMode: ALL",
                "ingestionMode: all",
                3,
                "exportSchedules.nightly.ingestionMode",
                "one of ALL",
            ),
            ("exports: 7", "exports: 0", 4, "exportSchedules.nightly.keep.exports", "number from 1"),
            ("trust: '{", "trust: '", 13, "roles.Export.trust", "no JSON"),
        ] {
            let fault = read(&FILE.replace(from, to)).unwrap_err();
            assert_eq!((fault.at.line, fault.path.as_str()), (line, path), "{fault:?}");
            assert!(fault.text.contains(word), "{fault:?}");
        }
    }
}
