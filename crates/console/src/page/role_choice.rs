//! The roles that a job may be given, for the list *IAM service role*.

use serde_json::Value;

use crate::client::{Answer, Client};
use crate::form::Form;

/// Chosen in the list to name a role that is not in it.
pub const CUSTOM: &str = "custom";

pub struct RoleChoice {
    pub arn: String,
    pub name: String,
}

/// The roles that trust Personalize; none where the visitor may not list roles.
pub async fn trusting(client: &Client<'_>) -> Answer<Vec<RoleChoice>> {
    let listed = match client.iam("ListRoles", &[("MaxItems", "1000")]).await {
        Ok(listed) => listed,
        Err(refusal) if refusal.status == 403 => return Ok(Vec::new()),
        Err(refusal) => return Err(refusal),
    };
    let roles = listed.members("Roles");
    let trusts = |document: &str| {
        let text = percent_encoding::percent_decode_str(document).decode_utf8_lossy().into_owned();
        serde_json::from_str::<Value>(&text).is_ok_and(|policy| is_of_personalize(&policy))
    };
    let choices = roles.filter(|role| trusts(role.text_of(&["AssumeRolePolicyDocument"])));
    let choice = |role: &crate::xml::Element| RoleChoice {
        arn: role.text_of(&["Arn"]).to_owned(),
        name: role.text_of(&["RoleName"]).to_owned(),
    };
    Ok(choices.map(choice).collect())
}

fn is_of_personalize(policy: &Value) -> bool {
    const SERVICE: &str = "personalize.amazonaws.com";
    let statements =
        policy["Statement"].as_array().cloned().unwrap_or_else(|| vec![policy["Statement"].clone()]);
    statements.iter().filter(|statement| statement["Effect"] == "Allow").any(|statement| {
        let services = &statement["Principal"]["Service"];
        services == SERVICE || services.as_array().is_some_and(|all| all.iter().any(|one| one == SERVICE))
    })
}

/// The role that a form names: one of the list, or a custom ARN.
pub fn chosen(form: &Form) -> &str {
    match form.get("role") {
        CUSTOM | "" => form.get("role-arn"),
        role => role,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_role_trusts_the_service_that_its_policy_names() {
        let one = json!({ "Statement": { "Effect": "Allow", "Principal": { "Service": "personalize.amazonaws.com" } } });
        let many = json!({ "Statement": [{ "Effect": "Allow",
            "Principal": { "Service": ["s3.amazonaws.com", "personalize.amazonaws.com"] } }] });
        let denied = json!({ "Statement": [{ "Effect": "Deny", "Principal": { "Service": "personalize.amazonaws.com" } }] });
        assert!(is_of_personalize(&one) && is_of_personalize(&many) && !is_of_personalize(&denied));
    }

    #[test]
    fn a_custom_role_is_the_one_that_was_typed() {
        let chosen_of = |text: &str| chosen(&Form::parse(text)).to_owned();
        assert_eq!(chosen_of("role=custom&role-arn=a"), "a");
        assert_eq!(chosen_of("role=b&role-arn=a"), "b");
    }
}
