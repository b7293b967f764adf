//! Where datasets are.

use super::dataset_group::{self, type_name};
use crate::visit::Visit;

/// The address of a dataset's page.
pub fn path(group: &str, kind: &str) -> String {
    format!("{}/datasets/{kind}", dataset_group::path(group))
}

/// The ARN of a dataset: its type stands in it, in capital letters.
pub fn arn(visit: &Visit<'_>, group: &str, kind: &str) -> String {
    let group = visit.console.realm.dataset_group(group).to_string();
    format!("{}/{kind}", group.replacen(":dataset-group/", ":dataset/", 1))
}

/// The way to a dataset's page.
pub fn crumbs<'a>(group: &'a str, kind: &str) -> Vec<(&'a str, String)> {
    let mut crumbs = dataset_group::crumbs(group);
    crumbs.push((type_name(kind), path(group, kind)));
    crumbs
}
