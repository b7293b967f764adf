//! The navigation pane: where one can go from any page, and from the pages of a group.

use crate::client::segment;
use crate::route::HOME;

/// A way to a page.
#[derive(Debug, PartialEq, Eq)]
pub struct Link {
    pub text: &'static str,
    pub path: String,
    /// What `aria-current` says of it: the page itself, or what it is a part of.
    pub current: Option<&'static str>,
}

/// The pages of the dataset group that a page belongs to.
pub struct GroupLinks {
    pub name: String,
    pub links: Vec<Link>,
}

/// Each page of a group, and where it is below the group's own.
const OF_GROUP: [(&str, &str); 8] = [
    ("Overview", ""),
    ("Datasets", "/datasets"),
    ("Event trackers", "/trackers"),
    ("Data analysis", "/analysis"),
    ("Metric attribution", "/metrics"),
    ("Data deletion jobs", "/deletions"),
    ("Jobs", "/jobs"),
    ("Tags", "/tags"),
];
const OF_ACCOUNT: [(&str, &str); 4] = [
    ("Schemas", "/console/schemas"),
    ("Buckets", "/console/buckets"),
    ("IAM roles", "/console/roles"),
    ("KMS keys", "/console/keys"),
];

/// The way to all groups, as it stands on the page at `path`.
pub fn home(path: &str) -> Link {
    link("Dataset groups", HOME.to_owned(), path)
}

/// What belongs to no group.
pub fn of_account(path: &str) -> Vec<Link> {
    OF_ACCOUNT.iter().map(|(text, place)| link(text, (*place).to_owned(), path)).collect()
}

/// The pages of the group in which the page at `path` is.
pub fn of_group(path: &str, group: &str) -> GroupLinks {
    let own = format!("{HOME}/{}", segment(group));
    let links = OF_GROUP.iter().map(|(text, below)| {
        // All pages are below the group's own: that one is current only itself.
        let at = if below.is_empty() && path != own { "" } else { path };
        link(text, format!("{own}{below}"), at)
    });
    GroupLinks { name: group.to_owned(), links: links.collect() }
}

fn link(text: &'static str, place: String, path: &str) -> Link {
    let current = match path.strip_prefix(place.as_str()) {
        Some("") => Some("page"),
        Some(below) if below.starts_with('/') => Some("true"),
        _ => None,
    };
    Link { text, path: place, current }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn current(links: &[Link]) -> Vec<(&'static str, &'static str)> {
        links.iter().filter_map(|link| Some((link.text, link.current?))).collect()
    }

    #[test]
    fn the_page_and_what_it_is_a_part_of_are_marked() {
        let at = |path: &str| current(&of_group(path, "a b").links).first().copied();
        assert_eq!(at("/console/groups/a%20b"), Some(("Overview", "page")));
        assert_eq!(at("/console/groups/a%20b/datasets"), Some(("Datasets", "page")));
        assert_eq!(at("/console/groups/a%20b/datasets/ITEMS/export"), Some(("Datasets", "true")));
        assert_eq!(at("/console/groups/a%20b/delete"), None);
        assert_eq!(current(&of_account("/console/bucketsful")), []);
    }
}
