//! Why something was refused, taken apart: who was denied what, and the policy that mends it with the page to paste it on.

use model::Arn;
use serde_json::{Value, json};

use crate::client::segment;

/// A reason as it is shown.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reason {
    pub text: String,
    pub denied: Option<Denied>,
    pub mend: Option<Mend>,
}

/// What a permission was asked for, and what decided.
#[derive(Debug, PartialEq, Eq)]
pub struct Denied {
    pub who: String,
    pub action: String,
    pub resource: String,
    pub because: String,
}

/// What lets it through the next time.
#[derive(Debug, PartialEq, Eq)]
pub struct Mend {
    /// What is to be done where, in words.
    pub advice: String,
    /// The page of that place, and what it is called.
    pub page: Option<(String, String)>,
    /// The statement to add, and a policy of it alone.
    pub statement: Option<String>,
    pub policy: Option<String>,
    /// What to look at when that is already so.
    pub otherwise: String,
}

impl Reason {
    pub fn read(text: &str) -> Reason {
        let (said, advice) = ["Add this statement to ", "Take "]
            .iter()
            .find_map(|begin| Some(text.split_at(text.find(begin)?)))
            .unwrap_or((text, ""));
        let denied = denied(said);
        // "Take" is a common word: without a denial it is no advice.
        match denied.as_ref().and_then(|_| mend(advice)) {
            Some(mend) => Reason { text: said.trim_end().to_owned(), denied, mend: Some(mend) },
            None => Reason { text: text.to_owned(), denied, mend: None },
        }
    }
}

fn denied(text: &str) -> Option<Denied> {
    let (_, rest) = text.split_once("User: arn:")?;
    let (who, rest) = rest.split_once(" is not authorized to perform: ")?;
    let (action, rest) = rest.split_once(" on resource: ")?;
    let end = [" because ", " with an "].iter().filter_map(|word| rest.find(word)).min()?;
    let (resource, because) = rest.split_at(end);
    Some(Denied {
        who: format!("arn:{who}"),
        action: action.to_owned(),
        resource: resource.trim_matches('"').to_owned(),
        because: because.trim().trim_end_matches([')', '.', ' ']).to_owned(),
    })
}

fn mend(advice: &str) -> Option<Mend> {
    if let Some(rest) = advice.strip_prefix("Add this statement to ") {
        let (place, rest) = rest.split_once(": {")?;
        let rest = format!("{{{rest}");
        let mut parsed = serde_json::Deserializer::from_str(&rest).into_iter::<Value>();
        let statement = parsed.next()?.ok()?;
        let otherwise = rest[parsed.byte_offset()..].trim_start_matches(['.', ' ']).trim_end().to_owned();
        let policy = json!({ "Version": "2012-10-17", "Statement": [statement] });
        return Some(Mend {
            advice: format!("Add this statement to {place}."),
            page: page(place),
            statement: serde_json::to_string_pretty(&statement).ok(),
            policy: serde_json::to_string_pretty(&policy).ok(),
            otherwise,
        });
    }
    let place = advice.strip_suffix(" denies.")?.split_once(" out of what ")?.1;
    let (statement, policy, otherwise) = (None, None, String::new());
    Some(Mend { advice: advice.to_owned(), page: page(place), statement, policy, otherwise })
}

// The places that a denial names, in its own words.
fn page(place: &str) -> Option<(String, String)> {
    if let Some(bucket) = place.strip_prefix("the policy of the bucket ") {
        let path = format!("/console/buckets/{}/policy", segment(bucket));
        return Some((path, format!("Policy of the bucket {bucket}")));
    }
    if let Some(role) = place.strip_prefix("a policy of the role ") {
        let path = format!("/console/roles/{}/policies/new", segment(role));
        return Some((path, format!("New policy of the role {role}")));
    }
    let key = Arn::parse(place.strip_prefix("the policy of the key ")?)?;
    let id = key.resource().rsplit('/').next().unwrap_or_default();
    Some((format!("/console/keys/{}", segment(id)), format!("Key {id}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENIED: &str = "Insufficient privileges. (can't write s3://out/k: User: arn:aws:sts::1:assumed-role/Export/n is not \
                          authorized to perform: s3:PutObject on resource: arn:aws:s3:::out/k because no \
                          resource-based policy allows the s3:PutObject action)";

    #[test]
    fn a_statement_stands_apart_with_the_page_it_goes_to() {
        let text =
            format!("{DENIED} Add this statement to the policy of the bucket out: {{\"Effect\": \"Allow\"}}");
        let Reason { text, denied, mend } = Reason::read(&text);
        assert_eq!(text, DENIED);
        let denied = denied.unwrap();
        assert_eq!(
            (denied.who.as_str(), denied.action.as_str()),
            ("arn:aws:sts::1:assumed-role/Export/n", "s3:PutObject")
        );
        assert_eq!(denied.resource, "arn:aws:s3:::out/k");
        assert_eq!(denied.because, "because no resource-based policy allows the s3:PutObject action");
        let mend = mend.unwrap();
        assert_eq!(mend.page.unwrap().0, "/console/buckets/out/policy");
        assert_eq!(mend.statement.as_deref(), Some("{\n  \"Effect\": \"Allow\"\n}"));
        assert!(mend.policy.unwrap().contains("2012-10-17"));
    }

    #[test]
    fn advice_behind_the_statement_is_kept() {
        let more = "If it is there, look for what denies s3:PutObject in the policy of the bucket out.";
        let text =
            format!("{DENIED} Add this statement to a policy of the role Export: {{\"a\": \"}}\"}}. {more}");
        let mend = Reason::read(&text).mend.unwrap();
        assert_eq!(
            (mend.otherwise.as_str(), mend.page.unwrap().0.as_str()),
            (more, "/console/roles/Export/policies/new")
        );
    }

    #[test]
    fn against_a_deny_there_is_a_place_and_no_statement() {
        let text = format!("{DENIED} Take s3:PutObject out of what the policy of the bucket out denies.");
        let mend = Reason::read(&text).mend.unwrap();
        assert_eq!((mend.statement, mend.page.unwrap().0.as_str()), (None, "/console/buckets/out/policy"));
    }

    #[test]
    fn other_reasons_stay_as_they_are() {
        for text in ["a: {b", "Take care.", "Add this statement to x: {", ""] {
            assert_eq!(Reason::read(text), Reason { text: text.to_owned(), ..Reason::default() });
        }
    }
}
