//! Where a file mentions a key, for what is wrong with it.

use super::members::below;
use super::names::references_in;
use super::yaml::{Fault, Node, Tree};

/// What is said of the first text below `root` that names a key which neither is there nor is declared.
pub fn stray_key(root: &Node, alias: &str) -> Fault {
    let text = format!("there is no key alias/{alias}, and the file declares none");
    let found = find(root, "", "", alias);
    found.map_or_else(
        || Fault::new(root.at, "", text.clone()),
        |(node, path)| Fault::new(node.at, &path, text.clone()),
    )
}

/// `name` is that of the member that `node` is.
fn find<'a>(node: &'a Node, path: &str, name: &str, alias: &str) -> Option<(&'a Node, String)> {
    match &node.tree {
        Tree::Map(entries) => {
            entries.iter().find_map(|entry| find(&entry.node, &below(path, &entry.name), &entry.name, alias))
        }
        Tree::List(nodes) => {
            nodes.iter().enumerate().find_map(|(n, node)| find(node, &format!("{path}[{n}]"), "", alias))
        }
        Tree::Text(text) | Tree::Number(_, text) => {
            let is_mentioned = references_in(text).any(|found| found.strip_prefix("key/") == Some(alias));
            let is_key = name == "kmsKey" && text.strip_prefix("alias/").unwrap_or(text) == alias;
            (is_mentioned || is_key).then(|| (node, path.to_owned()))
        }
        Tree::Null | Tree::Bool(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    #[test]
    fn a_key_is_found_in_documents_in_texts_of_json_and_by_its_alias() {
        for (text, line, path) in [
            ("roles:\n  a:\n    p: {x: [1, \"a ${lade:key/k}\"]}\n", 3, "roles.a.p.x[1]"),
            ("roles:\n  a: '{\"x\": \"${lade:key/k}\"}'\n", 2, "roles.a"),
            ("datasetGroups:\n  k: {role: k,\n    kmsKey: alias/k}\n", 3, "datasetGroups.k.kmsKey"),
            ("a: k\nb: ${lade:key/kk}\n", 1, ""),
        ] {
            let fault = stray_key(&yaml::read(text).unwrap(), "k");
            assert_eq!((fault.at.line, fault.path.as_str()), (line, path));
            assert_eq!(fault.text, "there is no key alias/k, and the file declares none");
        }
    }
}
