//! What a request to put a schedule says, member by member.

use catalog::{Keep, Missed};
use model::{Error, Result};
use serde_json::{Map, Value};

/// What is asked of each job, in the words of CreateDatasetExportJob.
const OF_JOB: [&str; 5] = ["datasetArn", "ingestionMode", "roleArn", "jobOutput", "tags"];
const KEPT_MAX: u64 = 100_000;

/// What a request says of a schedule.
pub struct Input {
    /// As a request to create one of its jobs, without a name.
    pub job: Map<String, Value>,
    pub cron: String,
    pub time_zone: String,
    pub keep: Keep,
    pub missed: Missed,
    pub is_enabled: bool,
}

/// # Errors
/// `Invalid`, naming the member; what each job is asked for is left to the check of its own request.
pub fn read(body: &[u8]) -> Result<Input> {
    let mut members: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| Error::invalid("The body must be a JSON object."))?;
    let cron = required(&mut members, "cron")?;
    let time_zone = text(&mut members, "timeZone")?.unwrap_or_else(|| "UTC".to_owned());
    let keep = keep(members.remove("keep"))?;
    let missed = match text(&mut members, "missed")?.as_deref() {
        None | Some("RUN_ONCE") => Missed::RunOnce,
        Some("SKIP") => Missed::Skip,
        Some(other) => {
            return Err(Error::invalid(format!("The member missed is RUN_ONCE or SKIP, not {other}.")));
        }
    };
    let is_enabled = match members.remove("enabled") {
        None | Some(Value::Null) => true,
        Some(Value::Bool(is)) => is,
        Some(_) => return Err(Error::invalid("The member enabled is true or false.")),
    };
    if let Some(name) = members.keys().find(|name| !OF_JOB.contains(&name.as_str())) {
        let known = OF_JOB.join(", ");
        return Err(Error::invalid(format!(
            "A schedule has no member {name}. Its members are {known}, cron, timeZone, keep, missed and enabled."
        )));
    }
    if !members.contains_key("ingestionMode") {
        return Err(Error::invalid("The member ingestionMode is missing: ALL, BULK or PUT."));
    }
    Ok(Input { job: members, cron, time_zone, keep, missed, is_enabled })
}

fn required(members: &mut Map<String, Value>, name: &str) -> Result<String> {
    text(members, name)?.ok_or_else(|| Error::invalid(format!("The member {name} is missing.")))
}

fn text(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::invalid(format!("The member {name} must be a text."))),
    }
}

fn keep(given: Option<Value>) -> Result<Keep> {
    let wrong = || {
        Error::invalid(format!(
            "The member keep is {{\"exports\": N}} or {{\"days\": N}} with N from 1 to {KEPT_MAX}; without it, all is kept."
        ))
    };
    let members = match given {
        None | Some(Value::Null) => return Ok(Keep::All),
        Some(Value::Object(members)) if members.len() == 1 => members,
        Some(_) => return Err(wrong()),
    };
    let (name, number) = members.into_iter().next().ok_or_else(wrong)?;
    let number = number.as_u64().filter(|n| (1..=KEPT_MAX).contains(n)).ok_or_else(wrong)?;
    let number = u32::try_from(number).map_err(|_| wrong())?;
    match name.as_str() {
        "exports" => Ok(Keep::Exports(number)),
        "days" => Ok(Keep::Days(number)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(more: Value) -> Vec<u8> {
        let mut body = json!({"cron": "0 2 * * *", "ingestionMode": "ALL"});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        body.to_string().into_bytes()
    }

    #[test]
    fn what_is_not_said_is_the_usual() {
        let input = read(&body(json!({"datasetArn": "d"}))).unwrap();
        assert_eq!((input.time_zone.as_str(), input.keep, input.missed), ("UTC", Keep::All, Missed::RunOnce));
        assert!(input.is_enabled && input.job["datasetArn"] == "d");
        let input = read(&body(json!({"keep": {"days": 7}, "missed": "SKIP", "enabled": false}))).unwrap();
        assert_eq!((input.keep, input.missed, input.is_enabled), (Keep::Days(7), Missed::Skip, false));
    }

    #[test]
    fn what_is_wrong_is_told_by_its_member() {
        for (more, word) in [
            (json!({"cron": null}), "cron is missing"),
            (json!({"cron": 5}), "cron must be a text"),
            (json!({"ingestionMode": "ALL", "crom": ""}), "no member crom"),
            (json!({"keep": {"exports": 0}}), "member keep"),
            (json!({"keep": {"exports": 1, "days": 1}}), "member keep"),
            (json!({"keep": {"weeks": 1}}), "member keep"),
            (json!({"missed": "TWICE"}), "missed is RUN_ONCE or SKIP"),
            (json!({"enabled": "yes"}), "enabled is true or false"),
        ] {
            let refused = read(&body(more)).err().unwrap();
            assert!(refused.message().contains(word), "{refused}");
        }
    }
}
