//! Areas: the words in which an operator says how much is logged of what, and the modules that they stand for.

use std::collections::BTreeMap;

use model::Error;
use model::error::Result;
use tracing_subscriber::EnvFilter;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Areas by module. A module without a line belongs to the one above it.
const AREAS: [(&str, &str); 31] = [
    ("access", "iam"),
    ("access::bucket", "stores"),
    ("access::key", "kms"),
    ("access::services", "stores"),
    ("api", "api"),
    ("api::events", "puts"),
    ("api::iam", "iam"),
    ("api::kms", "kms"),
    ("ballista_core", "cluster"),
    ("ballista_executor", "cluster"),
    ("ballista_scheduler", "cluster"),
    ("catalog", "catalog"),
    ("cluster", "cluster"),
    ("console", "console"),
    ("engine", "jobs"),
    ("jobs", "jobs"),
    ("lade", "server"),
    ("lade::serve::audit", "audit"),
    ("lade::serve::connection", "requests"),
    ("lade::serve::counting", "puts"),
    ("lade::serve::dispatch", "requests"),
    ("lade::serve::front", "requests"),
    ("lade::serve::log", "log"),
    ("lade::serve::node", "nodes"),
    ("lade::serve::tls", "tls"),
    ("lade::serve::webhook", "webhook"),
    ("s3", "s3"),
    ("seal", "store"),
    ("store", "store"),
    ("store::log", "log"),
    ("store::objects::bucket", "stores"),
];

/// What is not ours says nothing below `warn` unless it is asked for; of `s3s`, requests with all their headers.
const OTHERS: &str = "warn";
const SILENT: &str = "s3s";

/// Libraries whose modules may be named without a path.
const LIBRARIES: [&str; 12] = [
    "arrow",
    "aws_",
    "datafusion",
    "h2",
    "hyper",
    "parquet",
    "rustls",
    "s3s",
    "sqlx",
    "tokio",
    "tonic",
    "tower",
];

/// The area of a line, by the module that it comes from; what is not ours is of the area `library`.
pub fn of(module: &str) -> &'static str {
    let mut path = module;
    loop {
        if let Ok(place) = AREAS.binary_search_by_key(&path, |(known, _)| known) {
            return AREAS[place].1;
        }
        let Some((above, _)) = path.rsplit_once("::") else { return "library" };
        path = above;
    }
}

/// The directives of `tracing` for a setting: a level, areas with levels, or directives of `tracing` themselves.
///
/// # Errors
/// `Invalid` with the part that can't be used, and with what can.
pub fn directives(setting: &str) -> Result<String> {
    let (mut base, mut areas, mut raw) = ("info", BTreeMap::new(), Vec::new());
    for part in setting.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let lower = part.to_ascii_lowercase();
        match part.split_once('=') {
            None => base = level(&lower).ok_or_else(|| no_level(part, &lower))?,
            Some((area, _)) if is_area(area) => {
                let (_, given) = lower.split_once('=').unwrap_or_default();
                areas.insert(area, level(given).ok_or_else(|| no_level(part, given))?);
            }
            Some((module, _)) if is_module(module) => raw.push(part),
            Some((name, _)) => return Err(no_area(part, name)),
        }
    }
    let mut all = vec![least(base, OTHERS).to_owned(), format!("{SILENT}=off")];
    for (module, area) in AREAS {
        // A directive of `tracing` holds for all below its module.
        if !raw.iter().any(|raw| raw.split_once('=').is_some_and(|(above, _)| module.starts_with(above))) {
            all.push(format!("{module}={}", areas.get(area).unwrap_or(&base)));
        }
    }
    for raw in raw {
        EnvFilter::builder().parse(raw).map_err(|cause| {
            let text = format!("the setting log has {raw}, which is no directive of tracing");
            Error::invalid(text).caused_by(cause)
        })?;
        all.push(raw.to_owned());
    }
    Ok(all.join(","))
}

fn level(text: &str) -> Option<&'static str> {
    LEVELS.into_iter().find(|level| *level == text)
}

fn least(one: &'static str, other: &'static str) -> &'static str {
    let place = |level| LEVELS.iter().position(|known| *known == level);
    if place(one) < place(other) { one } else { other }
}

fn is_area(name: &str) -> bool {
    AREAS.iter().any(|(_, area)| *area == name)
}

// Directives that name a path or a span are none of our words.
fn is_module(name: &str) -> bool {
    name.contains("::")
        || name.contains('[')
        || AREAS.iter().any(|(module, _)| *module == name)
        || LIBRARIES.iter().any(|library| name.starts_with(library))
}

fn no_level(part: &str, given: &str) -> Error {
    if is_area(given) {
        return Error::invalid(format!("the setting log has {part} without a level: say {part}=debug"));
    }
    let text = "a level is off, error, warn, info, debug or trace";
    Error::invalid(format!("the setting log has {part}, and {given} is no level: {text}"))
}

fn no_area(part: &str, name: &str) -> Error {
    let mut areas: Vec<&str> = AREAS.iter().map(|(_, area)| *area).collect();
    areas.sort_unstable();
    areas.dedup();
    let areas = areas.join(", ");
    Error::invalid(format!(
        "the setting log has {part}, and {name} is no area: there are {areas}; or name a module, such as jobs::upkeep=debug"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(setting: &str) -> BTreeMap<String, String> {
        let directives = directives(setting).unwrap();
        let pair = |part: &str| {
            let (module, level) = part.split_once('=').unwrap_or(("", part));
            (module.to_owned(), level.to_owned())
        };
        directives.split(',').map(pair).collect()
    }

    #[test]
    fn modules_are_in_order_and_each_has_its_area() {
        assert!(AREAS.is_sorted_by(|a, b| a.0 < b.0));
        for (module, area) in [
            ("jobs::upkeep", "jobs"),
            ("lade::serve::dispatch", "requests"),
            ("lade::serve::webhook::target", "webhook"),
            ("lade", "server"),
            ("access::key::decision", "kms"),
            ("store::log::committer", "log"),
            ("store::merge", "store"),
            ("s3::door", "s3"),
            ("s3s::service", "library"),
            ("hyper", "library"),
        ] {
            assert_eq!(of(module), area, "{module}");
        }
    }

    #[test]
    fn a_level_holds_for_our_own_modules() {
        let debug = levels("debug");
        assert_eq!(
            (debug[""].as_str(), debug["jobs"].as_str(), debug["s3s"].as_str()),
            ("warn", "debug", "off")
        );
        assert_eq!(levels("error")[""], "error");
        assert_eq!(levels("OFF")["store::log"], "off");
    }

    #[test]
    fn an_area_is_all_of_its_modules_and_no_others() {
        let levels = levels("info, jobs=debug,kms=warn");
        assert_eq!((levels["jobs"].as_str(), levels["engine"].as_str()), ("debug", "debug"));
        assert_eq!((levels["access::key"].as_str(), levels["access"].as_str()), ("warn", "info"));
    }

    #[test]
    fn directives_of_tracing_hold_for_what_they_name() {
        let levels = levels("warn,lade=trace,sqlx=info,jobs::upkeep=debug");
        assert_eq!((levels["lade"].as_str(), levels["sqlx"].as_str()), ("trace", "info"));
        assert!(!levels.contains_key("lade::serve::dispatch"), "{levels:?}");
        assert_eq!((levels["jobs"].as_str(), levels["jobs::upkeep"].as_str()), ("warn", "debug"));
        assert!(directives("info,lade[span{a=1}]=debug").unwrap().ends_with("lade[span{a=1}]=debug"));
    }

    #[test]
    fn what_can_not_be_used_is_named() {
        for (setting, said) in [
            ("loud", "loud is no level: a level is off, error"),
            ("info,jobs=loud", "jobs=loud, and loud is no level"),
            ("jobs", "say jobs=debug"),
            ("job=debug", "job is no area: there are api, audit, catalog"),
            ("jobs::upkeep=loud", "no directive of tracing"),
        ] {
            let refused = directives(setting).unwrap_err();
            assert!(refused.message().contains(said), "{}", refused.message());
        }
    }
}
